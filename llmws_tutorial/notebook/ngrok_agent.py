"""Drive the ngrok agent, the program that holds a tunnel open, through pyngrok.

The token is handed to the agent in a private file that is emptied once the agent has read it: not
on its command line, where every user of the machine could read it, and not in the user's own ngrok
configuration.

Pyngrok is optional, and imported by this module alone: who needs it imports this one late.
"""

import contextlib
import json
import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pyngrok import ngrok, process
from pyngrok.conf import PyngrokConfig
from pyngrok.exception import (
    PyngrokError,
    PyngrokNgrokError,
    PyngrokNgrokHTTPError,
    PyngrokNgrokInstallError,
)

from llmws_tutorial.errors import TunnelError
from llmws_tutorial.notebook.ngrok_token import TOKEN_PAGE

STARTUP_S: Final = 15
"""How long the ngrok agent may take to come online."""

_REFUSALS: Final = {
    "ERR_NGROK_4018": f"ngrok wants a verified account and a token: copy yours from {TOKEN_PAGE}",
    "ERR_NGROK_105": f"ngrok does not know this token: copy it again from {TOKEN_PAGE}",
    "ERR_NGROK_107": f"ngrok does not know this token: copy it again from {TOKEN_PAGE}",
    "ERR_NGROK_108": "another ngrok agent of your account is running: end it, then try again",
    "ERR_NGROK_334": "this address is in use by another of your tunnels: close it, then try again",
}

_open_urls: set[str] = set()
"""The tunnels that share the agent; with the last of them it ends."""


def find_agent() -> str | None:
    """Where the ngrok agent is; None when pyngrok would have to download it."""
    path = PyngrokConfig().ngrok_path
    return path if Path(path).exists() else None


def connect(port: int, token: str) -> tuple[str, Callable[[], None]]:
    """Lead a public address to a local port.

    Args:
        port: the port on 127.0.0.1.
        token: the ngrok token.

    Returns:
        The address, and the function that takes it out of the world.

    Raises:
        TunnelError: when the tunnel does not open; the text never holds the token.
    """
    _hush(logging.getLogger("pyngrok"))
    upstream, name = f"http://127.0.0.1:{port}", f"llmws-{port}"
    folder = tempfile.TemporaryDirectory(prefix="llmws-ngrok-")  # for its owner only
    config = _configure(Path(folder.name), token)
    try:
        with _killed_when_stuck(config.ngrok_path):
            opened = ngrok.connect(upstream, name=name, pyngrok_config=config)
    except (PyngrokError, OSError) as error:
        ngrok.kill(config)
        folder.cleanup()
        explained = _explain(error, config.ngrok_path).replace(token, "***")
        raise TunnelError(explained) from None
    Path(str(config.config_path)).write_text("{}")  # read by now; the token need not stay
    public_url = str(opened.public_url)
    _open_urls.add(public_url)

    def shut() -> None:
        with contextlib.suppress(PyngrokError, OSError):
            ngrok.disconnect(public_url, config)
        _open_urls.discard(public_url)
        if not _open_urls:
            ngrok.kill(config)
        folder.cleanup()

    return public_url, shut


def _hush(logger: logging.Logger) -> None:
    """Drop what pyngrok logs: the agent's own words, which can hold the token."""
    logger.propagate = False
    if not logger.handlers:  # without any, Python itself would print warnings to stderr
        logger.addHandler(logging.NullHandler())


def _configure(folder: Path, token: str) -> PyngrokConfig:
    settings = folder / "ngrok.yml"
    settings.write_text(json.dumps({"version": "3", "agent": {"authtoken": token}}))  # JSON is YAML
    config = PyngrokConfig(
        config_path=str(settings),
        startup_timeout=STARTUP_S,
        start_new_session=True,  # an interrupted cell must not end the agent
    )
    config.auth_token = None  # or pyngrok would put it on the agent's command line
    return config


@contextlib.contextmanager
def _killed_when_stuck(agent: str) -> Iterator[None]:
    """Kill an agent that says nothing: pyngrok would wait for its next line for ever."""

    def kill() -> None:
        with contextlib.suppress(KeyError):  # pyngrok holds its lock meanwhile
            process._current_processes[agent].proc.kill()

    timer = threading.Timer(STARTUP_S + 1, kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _explain(error: Exception, agent: str) -> str:
    if isinstance(error, PyngrokNgrokInstallError):
        return (
            "the ngrok agent is not on this machine and could not be downloaded: check the "
            "network, or install it (https://ngrok.com/download) and set PYNGROK_NGROK_PATH to it"
        )
    if isinstance(error, PermissionError):
        return f"the ngrok agent may not be run: make it executable with chmod +x {agent}"
    if isinstance(error, OSError):
        return f"the ngrok agent {agent} does not run here ({error.strerror}): install it again"
    said = error.body if isinstance(error, PyngrokNgrokHTTPError) else _said(error)
    refusals = [code for code in re.findall(r"ERR_NGROK_\d+", said) if code in _REFUSALS]
    if refusals:
        return f"{_REFUSALS[refusals[0]]} ({refusals[0]})"
    detail = f"; it says: {' '.join(said.split())[:200]}" if said else ""
    return (
        f"the ngrok agent did not come online in {STARTUP_S} s: check that this network lets "
        f"ngrok out (a firewall or a proxy may not), then try again{detail}"
    )


def _said(error: Exception) -> str:
    """The agent's own words on what is wrong; empty when it said nothing."""
    return (error.ngrok_error if isinstance(error, PyngrokNgrokError) else None) or ""
