"""The bootstrap: a bare Python, a toy clone with the real `__main__.py`, and nothing faked.

The toy needs no network: it builds itself, and what it "needs" is in its own wheel. In-process
tests point the bootstrap at a toy as well; they are for what a process of its own cannot show.
"""

import ast
import contextlib
import io
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmws_tutorial import __main__ as bootstrap
from llmws_tutorial import cli

PROJECT = Path(bootstrap.project)
SETTING_UP = "setting up .venv, once; this takes a minute or two ...\n"
BACKEND = '''
import os, time, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    if os.path.exists("broken"):
        raise SystemExit("the toy is broken")
    while os.path.exists("slow"):
        open("building", "w").close()
        time.sleep(0.05)
    files = {module + ".py": "" for module in MODULES}
    files["toy.pth"] = os.getcwd()
    files["toy-1.dist-info/METADATA"] = """Metadata-Version: 2.1
Name: toy
Version: 1
Provides-Extra: lab
Provides-Extra: dev
"""
    files["toy-1.dist-info/WHEEL"] = """Wheel-Version: 1.0
Root-Is-Purelib: true
Tag: py3-none-any
"""
    files["toy-1.dist-info/RECORD"] = ""
    with zipfile.ZipFile(os.path.join(folder, "toy-1-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "toy-1-py3-none-any.whl"
'''
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "toy"
version = "1"
[project.optional-dependencies]
lab = []
dev = []
"""


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has nothing but the standard library."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    return folder / "bin" / "python"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A clone of a toy project, in a folder whose path has blanks."""
    clone = tmp_path / "my own clone"
    package = clone / "llmws_tutorial"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text("import sys\ndef main(): print('started', *sys.argv[1:])\n")
    shutil.copy(bootstrap.__file__, package)
    (clone / "backend.py").write_text(f"MODULES = {bootstrap.MODULES}\n{BACKEND}")
    (clone / "pyproject.toml").write_text(PYPROJECT)
    (clone / "constraints.txt").write_text("")
    return clone


@pytest.fixture
def here(toy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy, at work in this process, which must never become another program."""

    def execv(path: str, _: list[str]) -> None:
        raise AssertionError(f"{path} would take over")

    monkeypatch.setattr(os, "execv", execv)
    environment = toy / ".venv"
    monkeypatch.setattr(bootstrap, "MODULES", ("no_such_module",))
    monkeypatch.setattr(bootstrap, "project", str(toy))
    monkeypatch.setattr(bootstrap, "environment", str(environment))
    monkeypatch.setattr(bootstrap, "inner_python", str(environment / "bin" / "python"))
    monkeypatch.setattr(bootstrap, "stamp_file", str(environment / "installed"))
    monkeypatch.setattr(bootstrap, "log_file", str(environment / "install.log"))
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return toy


def start(python: Path, clone: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start the bootstrap as a user would, offline, in a process group of its own."""
    offline = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    return subprocess.Popen(
        [python, "-m", "llmws_tutorial", *arguments],
        cwd=clone,
        env={"PATH": os.environ["PATH"], "HOME": str(clone.parent), **offline, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(python: Path, clone: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """The exit code, and what it printed on stdout and stderr."""
    process = start(python, clone, *arguments, **variables)
    try:
        out, err = process.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def attempt() -> tuple[int, str, str]:
    """The same, of a run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = bootstrap.main()
    return code, out.getvalue(), err.getvalue()


def pretend_installed(clone: Path) -> None:
    """Lay a whole environment whose Python only says that it ran."""
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "inner $*"\n')
    python.chmod(0o755)
    (clone / ".venv" / "installed").write_text(bootstrap.stamp())


@pytest.mark.parametrize("module", ["__main__.py", "__init__.py"])
def test_an_old_python_can_read_the_source(module: str) -> None:
    source = (PROJECT / "llmws_tutorial" / module).read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    assert not any(isinstance(node, ast.JoinedStr) for node in ast.walk(tree))


def test_an_old_python_says_which_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    assert bootstrap.main() == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "llmws_tutorial: llmws_tutorial needs Python 3.11 or newer and this is 3.10;"
    )


def test_the_old_pythons_of_this_machine_say_it_too(toy: Path) -> None:
    for minor in range(6, 11):
        for python in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"):
            code, out, err = run(python, toy, "lab")
            assert (code, out) == (2, "")
            [line] = err.splitlines()
            assert f"needs Python 3.11 or newer and this is 3.{minor};" in line


def test_with_everything_there_it_starts_at_once(toy: Path) -> None:
    assert run(Path(sys.executable), toy, "demo", "-x") == (0, "started demo -x\n", "")
    assert not (toy / ".venv").exists()


def test_a_bare_python_installs_once_and_then_starts_at_once(bare: Path, toy: Path) -> None:
    assert run(bare, toy, "demo") == (0, f"{SETTING_UP}started demo\n", "")
    assert run(bare, toy, "serve", "--port", "1") == (0, "started serve --port 1\n", "")


def test_the_exit_code_comes_back_from_the_environment(bare: Path, here: Path) -> None:
    pretend_installed(here)
    Path(bootstrap.inner_python).write_text("#!/bin/sh\nexit 7\n")
    assert run(bare, here) == (7, "", "")


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_what_the_project_needs_is_part_of_the_stamp(name: str, here: Path) -> None:
    before = bootstrap.stamp()
    assert bootstrap.stamp() == before
    with (here / name).open("a") as file:
        file.write("# one more\n")
    assert bootstrap.stamp() != before


def test_a_clone_that_was_moved_is_installed_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bootstrap.stamp()
    monkeypatch.setattr(bootstrap, "project", str(here.rename(here.with_name("moved"))))
    assert bootstrap.stamp() != before


def test_a_change_of_what_is_needed_installs_again(bare: Path, here: Path) -> None:
    pretend_installed(here)
    assert run(bare, here, "demo") == (0, "inner -m llmws_tutorial demo\n", "")
    (here / "constraints.txt").write_text("# changed\n")
    assert run(bare, here, "demo") == (0, f"{SETTING_UP}started demo\n", "")


def test_an_environment_whose_python_went_away_is_made_again(bare: Path, here: Path) -> None:
    pretend_installed(here)
    Path(bootstrap.inner_python).unlink()
    assert run(bare, here, "demo") == (0, f"{SETTING_UP}started demo\n", "")


def test_a_half_environment_is_made_again_from_within_itself(bare: Path, toy: Path) -> None:
    inner = toy / ".venv" / "bin" / "python"
    subprocess.run([bare, "-m", "venv", "--without-pip", toy / ".venv"], check=True, timeout=60)
    (toy / ".venv" / "install.log").touch()
    assert run(inner, toy, "demo") == (0, f"{SETTING_UP}started demo\n", "")


def test_an_environment_that_lost_a_package_does_not_start_itself_for_ever(
    bare: Path, here: Path
) -> None:
    inner = here / ".venv" / "bin" / "python"
    subprocess.run([bare, "-m", "venv", "--without-pip", here / ".venv"], check=True, timeout=60)
    (here / ".venv" / "installed").write_text(bootstrap.stamp())
    said = "llmws_tutorial: packages are missing from .venv: delete that folder, then try again\n"
    assert run(bare, here) == (2, "", said)
    assert run(inner, here) == (2, "", said)


def test_ctrl_c_leaves_nothing_that_a_second_run_would_take_for_whole(
    bare: Path, toy: Path
) -> None:
    (toy / "slow").touch()
    process = start(bare, toy, "demo")
    deadline = time.monotonic() + 60
    while not (toy / "building").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30) == (SETTING_UP, "")
    assert process.returncode == 130
    (toy / "slow").unlink()
    assert run(bare, toy, "demo") == (0, f"{SETTING_UP}started demo\n", "")


def test_a_failed_installation_names_its_log_and_is_tried_again(bare: Path, here: Path) -> None:
    (here / "broken").touch()
    said = f"llmws_tutorial: the packages could not be installed; {bootstrap.log_file} says why\n"
    assert attempt() == (2, SETTING_UP, said)
    assert "the toy is broken" in Path(bootstrap.log_file).read_text()
    (here / "broken").unlink()
    assert run(bare, here, "demo") == (0, f"{SETTING_UP}started demo\n", "")


def test_without_a_network_it_says_so_in_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, here)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    said = "the packages cannot be downloaded: check the network, then try again"
    assert attempt() == (2, SETTING_UP, f"llmws_tutorial: {said}\n")


def test_a_python_without_ensurepip_says_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)  # as if it could not be imported
    code, out, err = attempt()
    assert (code, out) == (2, "")
    assert err == (
        "llmws_tutorial: this Python cannot make an environment; on Debian and Ubuntu run "
        "apt install python3-venv, then try again\n"
    )


def test_a_place_that_cannot_be_a_folder_is_one_line(here: Path) -> None:
    (here / ".venv").write_text("in the way")
    code, _, err = attempt()
    [line] = err.splitlines()
    assert line.startswith(f"llmws_tutorial: the folder {here / '.venv'} cannot be written: ")
    assert (code, (here / ".venv").read_text()) == (2, "in the way")


def test_a_python_whose_venv_fails_says_what_it_said(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_base_executable", shutil.which("false"))
    said = f"llmws_tutorial: the folder {here / '.venv'} cannot be made: no reason given\n"
    assert attempt() == (2, SETTING_UP, said)


def test_an_environment_that_somebody_else_made_is_left_alone(here: Path) -> None:
    (here / ".venv").mkdir()
    (here / ".venv" / "precious").touch()
    code, out, err = attempt()
    assert (code, out) == (2, "")
    assert "was not made by this command: rename it, then try again" in err
    assert (here / ".venv" / "precious").exists()


def test_a_folder_that_cannot_be_written_is_one_line(here: Path) -> None:
    (here / ".venv" / "installed").mkdir(parents=True)  # a folder in place of a file stops root too
    code, _, err = attempt()
    [line] = err.splitlines()
    assert line.startswith(f"llmws_tutorial: the folder {here / '.venv'} cannot be written: ")
    assert code == 2


def test_a_package_without_clone_and_without_its_packages_says_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "pyproject.toml").unlink()
    monkeypatch.setattr(bootstrap, "BARE", ("no_such_module",))
    said = "llmws_tutorial: packages are missing: pip install llmws-tutorial\n"
    assert attempt() == (2, "", said)


def test_a_package_without_clone_needs_no_extras(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "pyproject.toml").unlink()
    started: list[bool] = []
    monkeypatch.setattr("llmws_tutorial.cli.main", lambda: started.append(True))
    assert attempt()[0] == 0
    assert started == [True]


def test_in_an_environment_that_lost_a_package_nothing_is_installed_or_started(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(here)
    monkeypatch.setattr(sys, "prefix", bootstrap.environment)
    said = "llmws_tutorial: packages are missing from .venv: delete that folder, then try again\n"
    assert attempt() == (2, "", said)


def test_the_environment_takes_over_with_the_same_arguments(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_over: list[tuple[str, list[str]]] = []

    def execv(path: str, command: list[str]) -> None:
        taken_over.append((path, command))
        raise SystemExit  # as exec, it does not return

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "argv", ["__main__.py", "serve", "--port", "1"])
    with pytest.raises(SystemExit):
        bootstrap.main()
    python = bootstrap.inner_python
    assert taken_over == [(python, [python, "-m", "llmws_tutorial", "serve", "--port", "1"])]
    assert Path(bootstrap.stamp_file).read_text() == bootstrap.stamp()


def test_on_windows_where_exec_returns_at_once_it_waits(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(here)
    Path(bootstrap.inner_python).write_text("#!/bin/sh\nexit 7\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        code = bootstrap.main()
    assert code == 7


@pytest.mark.parametrize(
    ("ending", "code"), [(None, 0), (KeyboardInterrupt, 130), (SystemExit(3), 3)]
)
def test_the_exit_code_is_that_of_the_command(
    ending: type[BaseException] | BaseException | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def main() -> None:
        if ending:
            raise ending

    monkeypatch.setattr(cli, "main", main)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(bootstrap.__file__, run_name="__main__")
    assert ended.value.code == code


@pytest.mark.slow
def test_a_fresh_clone_and_a_bare_python_are_enough(bare: Path, tmp_path: Path) -> None:
    """The whole installation, as the README promises it, over the network."""
    clone = tmp_path / "a fresh clone"
    made = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("llmws_tutorial", "notebooks"):
        shutil.copytree(PROJECT / name, clone / name, ignore=made)
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, clone)
    unmeasured = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}

    def doctor() -> str:
        return subprocess.run(
            [bare, "-m", "llmws_tutorial", "doctor"],
            cwd=clone,
            env=unmeasured,
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        ).stdout

    first = doctor()
    assert first.startswith(f"{SETTING_UP}ok        Python")
    assert doctor() == first.removeprefix(SETTING_UP)
