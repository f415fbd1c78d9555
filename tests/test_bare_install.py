"""The package alone, as a CI job installs it: no extras, so no notebooks and no tunnels."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from llmws_tutorial import __version__
from llmws_tutorial.notebook.doctor import PROJECT

ENVIRONMENT: Final = {
    name: value
    for name, value in os.environ.items()
    if name != "PYTHONPATH" and "COVERAGE" not in name  # what is installed there, and unmeasured
}
INSTALL_S: Final = 300
pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, timeout_s: float = 60) -> str:
    """What a command prints to stdout, when it goes well."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the package and what it depends on."""
    made = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", made, cwd=made)
    install = ["-m", "pip", "install", "-q", "-c", str(PROJECT / "constraints.txt"), str(PROJECT)]
    run(made / "bin" / "python", *install, cwd=made, timeout_s=INSTALL_S)
    return made


def test_the_environment_is_bare(folder: Path) -> None:
    optional = {"jupyterlab", "nbclient", "nbformat", "openai", "pyngrok", "pytest"}
    listed = run(folder / "bin" / "python", "-m", "pip", "list", "--format=freeze", cwd=folder)
    names = {line.partition("==")[0] for line in listed.splitlines()}
    assert "llmws-tutorial" in names
    assert optional.isdisjoint(names)


def test_llmws_says_which_version_it_is(folder: Path) -> None:
    assert run(folder / "bin" / "llmws", "--version", cwd=folder) == f"llmws {__version__}\n"


def test_llmws_lists_the_checks(folder: Path) -> None:
    listed = run(folder / "bin" / "llmws", "check", "--list", "begin", cwd=folder)
    assert listed.startswith("begin/1 ")


def test_llmws_checks_a_server_that_it_starts(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    llmws = folder / "bin" / "llmws"
    url = f"ws://127.0.0.1:{port}/llm-websocket/"
    start = f"--start={llmws} serve --step 3 --port {port}"
    shown = run(llmws, "check", url, "begin/1", "turns/1", start, cwd=folder)
    assert shown.splitlines()[-1].startswith("2 ok in ")


def test_a_cell_serves_and_checks(folder: Path) -> None:
    code = "from llmws_tutorial.notebook import check, serve; print(check.__name__, serve.__name__)"
    assert run(folder / "bin" / "python", "-c", code, cwd=folder) == "check serve\n"
