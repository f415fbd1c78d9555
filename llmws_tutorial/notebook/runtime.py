"""Serve an app from a cell, in a background thread of the kernel.

Why a thread: ``uvicorn.run`` in a cell would block the notebook, a task on the kernel's own event
loop would deadlock a synchronous client, and a child process would outlive a killed kernel. The
thread has its own event loop; it dies with the kernel, and an interrupted cell does not touch it.

The app is looked up again for every connection, so a cell that defines the app or a route anew
takes effect on the next call, without a restart.
"""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import uvicorn

from llmws_tutorial.errors import PortBusy, SetupError
from llmws_tutorial.notebook.log import ServerLog
from llmws_tutorial.server.listener import configure

LOOPBACK: Final = "127.0.0.1"
"""Where nobody but this machine can connect."""
GRACE_S: Final = 0.4
"""How long open calls may take to end when the server stops."""
_STARTUP_S: Final = 10.0
_servers: dict[str, "Server"] = {}


class Server:
    """A server in the background of this process. Made by `serve`.

    As a context manager it stops when the block is left.

    Attributes:
        name: what it is called; serving the same name again stops this one first.
        port: the TCP port that it listens on.
        log: what it logged so far.
    """

    def __init__(self, name: str, find_app: Callable[[], Any], listener: socket.socket) -> None:
        self.name = name
        self.port: int = listener.getsockname()[1]
        self.log = ServerLog()
        self._find_app = find_app
        self._listener = listener
        self._uvicorn = uvicorn.Server(
            configure(self._answer, drain_s=GRACE_S, interface="asgi3", log_config=None)
        )
        self._thread = threading.Thread(target=self._run, name=f"serve {name}", daemon=True)

    @property
    def url(self) -> str:
        """The root of the server, for a browser."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def websocket_url(self) -> str:
        """Where calls arrive; the caller appends the call id."""
        return f"ws://127.0.0.1:{self.port}/llm-websocket/"

    @property
    def is_running(self) -> bool:
        """Whether it still accepts calls."""
        return self._uvicorn.started and not self._uvicorn.should_exit and self._thread.is_alive()

    def start(self) -> None:
        """Begin to accept calls.

        Raises:
            SetupError: when the app refuses to start.
        """
        self._thread.start()
        deadline = time.monotonic() + _STARTUP_S
        while not self._uvicorn.started and self._thread.is_alive():
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
        if not self.is_running:
            self.stop()
            raise SetupError(f"the app did not start; its log says:\n{self.log}")

    def stop(self) -> None:
        """End open calls, free the port, and return within a second; again is harmless."""
        self._uvicorn.should_exit = True
        self._thread.join(2 * GRACE_S)
        if self._thread.is_alive():  # a handler blocks it; the port is freed all the same
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
        else:
            self._listener.close()
        self.log.detach()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server {self.name!r}: {'running' if self.is_running else 'stopped'}>"

    def _run(self) -> None:
        self.log.attach()
        with (
            contextlib.suppress(SystemExit),  # how uvicorn gives up on an app that fails to start
            asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        ):
            runner.run(self._uvicorn.serve(sockets=[self._listener]))

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        app = self._find_app()
        _keep_last_definitions(app)
        await app(scope, receive, send)


def serve(app: Any, *, port: int = 0, name: str | None = None, show_log: bool = True) -> Server:
    """Serve an app in the background, and go on to the next cell.

    The app is followed by the name of its global variable: define it or one of its routes again,
    and the next call meets the last definition.

    Args:
        app: the ASGI app, for example ``FastAPI()``.
        port: the TCP port on 127.0.0.1; 0 takes a free one, or keeps the port of the server that
            is being replaced.
        name: what to call the server; None takes the name of the variable, or ``app``.
        show_log: whether to show the log under this cell; it is kept in any case.

    Raises:
        PortBusy: when another program has the port; a server that ran under the name goes on.
        SetupError: when the app is none or does not start.
    """
    if not callable(app):
        raise SetupError(f"cannot serve {type(app).__name__}, expected an app such as FastAPI()")
    variables = sys._getframe(1).f_globals
    variable = _name_of(app, variables)
    name = name or variable or "app"
    old = _servers.get(name)
    listener = bind(port) if old is None else _replace(old, port)
    server = Server(name, lambda: _latest(app, variables, variable), listener)
    server.start()
    server.log.is_shown = show_log
    _servers[name] = server
    return server


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Show no server's log under its cell meanwhile; it is kept."""
    logs = [server.log for server in _servers.values() if server.log.is_shown]
    for log in logs:
        log.is_shown = False
    try:
        yield
    finally:
        for log in logs:
            log.is_shown = True


def bind(port: int, host: str = LOOPBACK) -> socket.socket:
    """Take a TCP port; 0 takes a free one.

    Args:
        port: the port.
        host: the address of this machine to listen at.

    Raises:
        PortBusy: when it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    reuse = sys.platform != "win32"  # there the option means to share the port
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    try:
        listener.bind((host, port))
        listener.listen(128)  # now, so that a second server cannot take the same port
    except OverflowError:
        listener.close()
        raise PortBusy(f"port {port} does not exist, expected 1 to 65535, or 0 for any") from None
    except OSError as error:
        listener.close()
        where = "" if host == LOOPBACK else f" at {host}"
        raise PortBusy(
            f"port {port}{where} cannot be had ({error.strerror}): end the program that has it, "
            "or give 0 to take a free one"
        ) from None
    return listener


def _replace(old: Server, port: int) -> socket.socket:
    """Take a port in place of a server, its own if that will do, and stop the server."""
    if port in (0, old.port):
        old.stop()
        with contextlib.suppress(PortBusy):  # it may have stopped long ago
            return bind(old.port)
    listener = bind(port)
    old.stop()
    return listener


def _name_of(app: Any, variables: Mapping[str, Any]) -> str | None:
    """The global variable that holds the app; a leading underscore is IPython's own."""
    names = (name for name, value in tuple(variables.items()) if value is app)
    return next((name for name in names if not name.startswith("_")), None)


def _latest(app: Any, variables: Mapping[str, Any], variable: str | None) -> Any:
    latest = variables.get(variable) if variable else None
    return latest if callable(latest) else app


def _keep_last_definitions(app: Any) -> None:
    """Forget routes that a later cell defined again: the first match would win."""
    routes = getattr(getattr(app, "router", None), "routes", None)
    if routes is None:
        return
    last = {_identity(route): route for route in routes}
    routes[:] = [route for route in routes if last[_identity(route)] is route]


def _identity(route: Any) -> tuple[Any, ...]:
    methods = frozenset(getattr(route, "methods", None) or ())
    return type(route), getattr(route, "path", id(route)), methods
