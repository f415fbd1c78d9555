"""Start on a bare Python: make ``.venv``, install the project, go on in there.

Until the environment exists only the standard library is used, and the syntax is that of old
Pythons, so that each of them can say which one is needed.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys

NEEDED = (3, 11)
EXTRAS = "lab,dev"
BARE = (
    "fastapi",
    "uvicorn",
    "websockets",
    "msgspec",
    "typer",
    "rich",
    "yaml",
    "prometheus_client",
    "pydantic_settings",
)
MODULES = (*BARE, "jupyterlab", "nbval", "pyngrok", "pytest")  # what a clone wants besides
OFFLINE = re.compile(
    "NewConnectionError|ConnectTimeout|NameResolutionError|Max retries exceeded"
    "|Network is unreachable|Temporary failure in name resolution|Connection refused"
)

project = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
environment = os.path.join(project, ".venv")
inner_python = os.path.join(
    environment, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python"))
)
stamp_file = os.path.join(environment, "installed")
log_file = os.path.join(environment, "install.log")


def main() -> int:
    """Run a command of llmws here or in ``.venv``; the result is the exit code."""
    if sys.version_info < NEEDED:
        return complain(
            "llmws_tutorial needs Python 3.11 or newer and this is {}.{}; install a newer one "
            "(python.org), then run it with that, for example python3.12 -m llmws_tutorial "
            "lab".format(*sys.version_info)
        )
    is_clone = os.path.exists(os.path.join(project, "pyproject.toml"))
    if all(importlib.util.find_spec(module) for module in (MODULES if is_clone else BARE)):
        from llmws_tutorial import cli  # noqa: PLC0415 - its imports are only now known to exist

        cli.main()
        return 0
    if not is_clone:
        return complain("packages are missing: pip install llmws-tutorial")
    if read(stamp_file) != stamp() or not os.path.exists(inner_python):
        problem = install()
    elif os.path.realpath(sys.prefix) == os.path.realpath(environment):
        problem = "packages are missing from .venv: delete that folder, then try again"
    else:
        problem = ""
    return complain(problem) if problem else go_on()


def install() -> str:
    """Make the environment; the result is what went wrong, or ``""``."""
    if not all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        return (
            "this Python cannot make an environment; on Debian and Ubuntu run "
            "apt install python3-venv, then try again"
        )
    if os.path.isdir(environment) and not (os.path.exists(stamp_file) or os.path.exists(log_file)):
        return (
            "the folder {} was not made by this command: rename it, then try again; or install "
            "into it: pip install -e '.[{}]'".format(environment, EXTRAS)
        )
    print("setting up .venv, once; this takes a minute or two ...", flush=True)
    try:
        return make_environment() or install_packages()
    except OSError as error:
        return "the folder {} cannot be written: {}".format(environment, error)


def make_environment() -> str:
    """Make an empty environment in place of the one that is there."""
    if os.path.exists(stamp_file):
        os.remove(stamp_file)  # first: what is half removed must not pass for whole
    shutil.rmtree(environment, ignore_errors=True)
    os.makedirs(environment)
    open(log_file, "w").close()  # from now on the folder is known as ours
    python = getattr(sys, "_base_executable", sys.executable)  # ours may have been in there
    made = subprocess.run(
        [python, "-m", "venv", environment],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if made.returncode == 0:
        return ""
    said = made.stdout.decode("utf-8", "replace").strip() or "no reason given"
    return "the folder {} cannot be made: {}".format(environment, said.splitlines()[-1])


def install_packages() -> str:
    """Install the project with what it needs, and leave the stamp when all went well."""
    with open(log_file, "w") as log:
        code = subprocess.call(
            [inner_python, "-m", "pip", "install", "--disable-pip-version-check", "--retries=1"]
            + ["--timeout=20", "--constraint", os.path.join(project, "constraints.txt")]
            + ["--editable", "{}[{}]".format(project, EXTRAS)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=project,
        )
    if code != 0:
        if OFFLINE.search(read(log_file)):
            return "the packages cannot be downloaded: check the network, then try again"
        return "the packages could not be installed; {} says why".format(log_file)
    with open(stamp_file, "w") as file:
        file.write(stamp())
    return ""


def go_on() -> int:
    """Run the same command in the environment."""
    command = [inner_python, "-m", "llmws_tutorial"] + sys.argv[1:]
    if os.name != "nt":
        os.execv(inner_python, command)  # never returns: one process, so signals arrive
    return subprocess.call(command)


def stamp() -> str:
    """What the environment was made from: it is made again when this changes."""
    made_from = [
        read(os.path.join(project, name)) for name in ("pyproject.toml", "constraints.txt")
    ]
    made_from += [sys.version, project]
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()


def read(path: str) -> str:
    """The text of a file, empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def complain(problem: str) -> int:
    """Say in one line what is wrong; the result is the exit code."""
    sys.stderr.write("llmws_tutorial: {}\n".format(problem))
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
