"""The kit where nobody installed anything: on Binder, and in a development container."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from llmws_tutorial import __main__ as start
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.notebook.lessons import LESSONS, Lesson

INSTALL: Final = '/bin/pip install --no-cache-dir -r "binder/requirements.txt"\n'
INSTALL_S: Final = 300
NOTEBOOK_S: Final = 400
AT_ONCE: Final = 3
PINNED: Final = re.compile(r"[a-z0-9-]+==[0-9][\w.]*( ; .+)?")


def run(*command: str | Path, cwd: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout_s
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a clone would hold: the files of git, new ones included, and nothing that is ignored."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = run(*listed, cwd=PROJECT, timeout_s=30)
    assert found.returncode == 0, found.stderr
    for name in filter(None, found.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


def dry_run(clone: Path) -> tuple[tuple[int, ...], str]:
    """The Python that Binder's builder chooses, and the Dockerfile that it would build."""
    options = ["--no-build", "--debug", "--user-id=1000", "--user-name=jovyan"]
    command = [sys.executable, "-m", "repo2docker", *options, str(clone)]
    done = run(*command, cwd=clone.parent, timeout_s=60)
    chosen = re.search(r"python=(\d+)\.(\d+)$", done.stderr, re.MULTILINE)
    assert done.returncode == 0, done.stderr
    assert chosen, done.stderr
    return (int(chosen[1]), int(chosen[2])), done.stdout


def settings() -> dict[str, Any]:
    """The settings of the development container, in plain JSON, which every tool reads."""
    read: dict[str, Any] = json.loads((PROJECT / ".devcontainer/devcontainer.json").read_text())
    return read


def test_binder_takes_python_3_12_and_installs_from_the_whole_clone(clone: Path) -> None:
    python, dockerfile = dry_run(clone)
    assert python == (3, 12)
    before, _, after = dockerfile.partition(INSTALL)
    assert "\nCOPY --chown=1000:1000 src/ ${REPO_DIR}/\n" in before
    assert after
    assert "pip install" not in after


def test_without_the_runtime_binder_would_take_too_old_a_python(clone: Path) -> None:
    (clone / "binder" / "runtime.txt").unlink()
    python, _ = dry_run(clone)
    assert python < start.NEEDED


def test_binder_installs_what_the_start_command_installs() -> None:
    lines = (PROJECT / "binder" / "requirements.txt").read_text().splitlines()
    constraints, project, *others = [line for line in lines if not line.startswith("#")]
    assert constraints == "-c ../constraints.txt"
    assert project == f"-e .[{start.EXTRAS}]"
    assert all(PINNED.fullmatch(other) for other in others)


def test_every_constraint_is_one_version() -> None:
    constraints = (PROJECT / "constraints.txt").read_text().splitlines()
    assert constraints
    assert [line for line in constraints if not PINNED.fullmatch(line)] == []


def test_the_container_has_a_python_that_the_kit_needs() -> None:
    image = re.fullmatch(r".*/python:\d+-(\d+)\.(\d+)-[a-z]+", settings()["image"])
    assert image
    assert (int(image[1]), int(image[2])) >= start.NEEDED


@pytest.mark.parametrize("moment", ["postCreateCommand", "postAttachCommand"])
def test_the_container_starts_like_any_machine(moment: str) -> None:
    [command] = re.findall(r"python3 -m llmws_tutorial (\w+)", settings()[moment])
    assert f"`llmws {command}`" in (PROJECT / "README.md").read_text()


@pytest.mark.slow
def test_the_notebooks_run_where_binder_installed_them(clone: Path) -> None:
    environment = clone.parent / "environment"
    made = run(sys.executable, "-m", "venv", environment, cwd=clone, timeout_s=60)
    assert made.returncode == 0, made.stdout + made.stderr
    python = environment / Path(start.inner_python).relative_to(start.environment)
    install = ["-m", "pip", "install", "--quiet", "-r", "binder/requirements.txt"]
    installed = run(python, *install, cwd=clone, timeout_s=INSTALL_S)
    assert installed.returncode == 0, installed.stderr
    doctor = run(python, "-I", "-m", "llmws_tutorial", "doctor", cwd=clone.parent, timeout_s=60)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr

    def run_notebook(lesson: Lesson) -> subprocess.CompletedProcess[str]:
        file = f"notebooks/{lesson.file}"
        return run(python, "-m", "pytest", "-q", file, cwd=clone, timeout_s=NOTEBOOK_S)

    with ThreadPoolExecutor(AT_ONCE) as pool:  # they mostly wait for a caller
        for ran in pool.map(run_notebook, LESSONS):
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert re.search(r"^[1-9]\d* passed in ", ran.stdout, re.MULTILINE), ran.stdout
