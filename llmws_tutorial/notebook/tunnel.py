"""Open the server to the world: a public address that leads to a local port.

The platform refuses private addresses, so a real call needs a tunnel. With an ngrok token this
module drives the ngrok agent through pyngrok. Without one, a local stand-in with the same
attributes takes its place and says so: every cell goes on working on this machine.

The token is handed to the agent in a private file that is emptied once the agent has read it: not
on its command line, where every user of the machine could read it, and not in the user's own ngrok
configuration.
"""

import contextlib
import json
import logging
import os
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dotenv import dotenv_values, find_dotenv
from pyngrok import ngrok, process
from pyngrok.conf import PyngrokConfig
from pyngrok.exception import (
    PyngrokError,
    PyngrokNgrokError,
    PyngrokNgrokHTTPError,
    PyngrokNgrokInstallError,
)

from llmws_tutorial.errors import TunnelError

TOKEN_VARIABLE: Final = "NGROK_AUTHTOKEN"  # noqa: S105 - the name of a variable, not its value
TOKEN_PAGE: Final = "https://dashboard.ngrok.com/get-started/your-authtoken"  # noqa: S105
STARTUP_S: Final = 15
"""How long the ngrok agent may take to come online."""

_BINDER_VARIABLES: Final = ("BINDER_LAUNCH_HOST", "BINDER_SERVICE_HOST")
_REFUSALS: Final = {
    "ERR_NGROK_4018": f"ngrok wants a verified account and a token: copy yours from {TOKEN_PAGE}",
    "ERR_NGROK_105": f"ngrok does not know this token: copy it again from {TOKEN_PAGE}",
    "ERR_NGROK_107": f"ngrok does not know this token: copy it again from {TOKEN_PAGE}",
    "ERR_NGROK_108": "another ngrok agent of your account is running: end it, then try again",
    "ERR_NGROK_334": "this address is in use by another of your tunnels: close it, then try again",
}

_open_tunnels: dict[int, "Tunnel"] = {}


@dataclass(frozen=True)
class Tunnel:
    """An address from which calls reach a local port. Made by `open_tunnel`.

    As a context manager it closes when the block is left.

    Attributes:
        public_url: the address for a browser.
        port: the local port that it leads to.
        is_public: whether the world can reach it, or this machine only.
        note: one sentence on what this tunnel is.
    """

    public_url: str
    port: int
    is_public: bool
    note: str
    _shut: Callable[[], None] = field(repr=False, compare=False, default=lambda: None)

    @property
    def websocket_url(self) -> str:
        """What to paste into the platform's dashboard; it appends the call id."""
        return f"{self.public_url.replace('http', 'ws', 1).rstrip('/')}/llm-websocket/"

    def close(self) -> None:
        """Take the address out of the world; again is harmless."""
        if _open_tunnels.get(self.port) is self:
            del _open_tunnels[self.port]
            self._shut()

    def __enter__(self) -> "Tunnel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Tunnel: {'public' if self.is_public else 'local stand-in'}>"

    def __str__(self) -> str:
        return self.note


def find_token() -> str | None:
    """The ngrok token: an exported one wins, even a blank one; else that in ``.env``."""
    values = {**dotenv_values(find_dotenv(usecwd=True)), **os.environ}
    return (values.get(TOKEN_VARIABLE) or "").strip() or None


def find_agent() -> str | None:
    """Where the ngrok agent is; None when pyngrok would have to download it."""
    path = PyngrokConfig().ngrok_path
    return path if Path(path).exists() else None


def on_binder() -> bool:
    """Whether this is a Binder session, from which no tunnel can be opened."""
    return any(name in os.environ for name in _BINDER_VARIABLES)


def open_tunnel(port: int, *, token: str | None = None, needs_public: bool = False) -> Tunnel:
    """Open a tunnel to a local port, or its local stand-in when there is no token.

    Opening a second one to the same port closes the first.

    Args:
        port: the port on 127.0.0.1 on which your server listens.
        token: the ngrok token; None looks at NGROK_AUTHTOKEN and at ``.env``.
        needs_public: whether to refuse instead of taking the local stand-in.

    Raises:
        TunnelError: when the tunnel does not open; the text never holds the token.
    """
    if not _answers(port):
        raise TunnelError(
            f"nothing listens on port {port}, so a tunnel to it would lead nowhere; "
            "serve your app first"
        )
    if port in _open_tunnels:
        _open_tunnels[port].close()
    token = token or find_token()
    if token is None or on_binder():
        tunnel = _stand_in(port, needs_public=needs_public)
    else:
        tunnel = _ngrok_tunnel(port, token)
    _open_tunnels[port] = tunnel
    return tunnel


def _stand_in(port: int, *, needs_public: bool) -> Tunnel:
    if on_binder():
        why = "Binder lets no tunnel out"
    else:
        why = f"{TOKEN_VARIABLE} is not set (a free token: {TOKEN_PAGE})"
    if needs_public:
        raise TunnelError(f"no tunnel: {why}")
    note = f"no tunnel: {why}; this stand-in is reached from this machine only"
    return Tunnel(f"http://127.0.0.1:{port}", port, is_public=False, note=note)


def _ngrok_tunnel(port: int, token: str) -> Tunnel:
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

    def shut() -> None:
        with contextlib.suppress(PyngrokError, OSError):
            ngrok.disconnect(str(opened.public_url), config)
        if not any(tunnel.is_public for tunnel in _open_tunnels.values()):
            ngrok.kill(config)
        folder.cleanup()

    note = "the tunnel is open: the whole world can call this server until you close it"
    return Tunnel(str(opened.public_url), port, is_public=True, note=note, _shut=shut)


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


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except (OSError, OverflowError):
        return False
