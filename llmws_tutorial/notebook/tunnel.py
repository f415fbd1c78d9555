"""Open the server to the world: a public address that leads to a local port.

The platform refuses private addresses, so a real call needs a tunnel. With an ngrok token the
ngrok agent holds the tunnel. Without one, a local stand-in with the same attributes takes its place
and says so: every cell goes on working on this machine.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from llmws_tutorial.errors import SetupError, TunnelError
from llmws_tutorial.notebook.ngrok_token import TOKEN_PAGE, TOKEN_VARIABLE, find_token

_BINDER_VARIABLES: Final = ("BINDER_LAUNCH_HOST", "BINDER_SERVICE_HOST")
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
        SetupError: when ngrok is to be used, and pyngrok is not installed.
        TunnelError: when the tunnel does not open; the text never holds the token.
    """
    if needs_public:
        _connector()  # what is to be installed is said before a server and a token are asked for
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


def _ngrok_tunnel(port: int, token: str) -> Tunnel:
    public_url, shut = _connector()(port, token)
    note = "the tunnel is open: the whole world can call this server until you close it"
    return Tunnel(public_url, port, is_public=True, note=note, _shut=shut)


def _connector() -> Callable[[int, str], tuple[str, Callable[[], None]]]:
    try:
        from llmws_tutorial.notebook.ngrok_agent import connect  # noqa: PLC0415 - optional
    except ImportError:
        raise SetupError("tunnels are opened with pyngrok: pip install pyngrok") from None
    return connect


def _stand_in(port: int, *, needs_public: bool) -> Tunnel:
    if on_binder():
        why = "Binder lets no tunnel out"
    else:
        why = f"{TOKEN_VARIABLE} is not set (a free token: {TOKEN_PAGE})"
    if needs_public:
        raise TunnelError(f"no tunnel: {why}")
    note = f"no tunnel: {why}; this stand-in is reached from this machine only"
    return Tunnel(f"http://127.0.0.1:{port}", port, is_public=False, note=note)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except (OSError, OverflowError):
        return False
