"""`llmws dashboard`: serve the page that makes web calls, and open a browser."""

import contextlib
import logging
import os
import socket
import webbrowser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from llmws_tutorial.dashboard.access import Access, hosts_of
from llmws_tutorial.dashboard.app import create_dashboard
from llmws_tutorial.dashboard.desk import Desk
from llmws_tutorial.dashboard.history import CALLS, Shelf
from llmws_tutorial.dashboard.proxy import TOKEN_VARIABLE
from llmws_tutorial.errors import PortBusy, SetupError, in_words
from llmws_tutorial.notebook.runtime import Server, bind, serve
from llmws_tutorial.server.listener import run
from llmws_tutorial.simulator.address import dialled
from llmws_tutorial.steps import step3

PORT: Final = 3001
"""Where the dashboard is, unless it is said otherwise."""
STEP3: Final = (
    "That is the server of step 3: it has no model, and answers the same whatever you say."
)


def open_dashboard(
    url: Annotated[
        str | None,
        typer.Argument(help="The server to call; none: the server of step 3, served here."),
    ] = None,
    *,
    port: Annotated[
        int, typer.Option(help="The port of the page; 0 is a free one.", min=0, max=65535)
    ] = PORT,
    calls: Annotated[Path, typer.Option(help="The folder in which calls are kept.")] = CALLS,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name that the page is reached by; * is any."),
    ] = None,
) -> None:
    """Make web calls from a page: hear the agent, see every frame. Until Ctrl-C."""
    if url is not None:
        dialled(url)  # what cannot be is refused now
    access = _access(allow_host or ())
    shelf = Shelf(_folder(calls))
    _show_troubles()
    with _bind(port) as listener, _server(url) as server:
        desk = Desk(
            shelf=shelf,
            url=url or (server.websocket_url if server else ""),
            about=STEP3 if server else "",
            log=server.log if server else None,
        )
        page = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with_token = f"{page}#{access.token}"
        # whoever gave the token knows it, and this line may land in a log
        shown = page if TOKEN_VARIABLE in os.environ else with_token
        print(f"make a web call at {shown} (Ctrl-C stops)", flush=True)
        if browser and has_browser():
            webbrowser.open(with_token)
        with contextlib.suppress(KeyboardInterrupt):  # raised by uvicorn again at its end
            run(create_dashboard(desk, access), listener, log_config=None)
        print("stopped")


def _show_troubles() -> None:
    """Print warnings and errors only: what the server logs is on the page."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    logging.basicConfig(format="%(levelname)s: %(message)s", handlers=[handler])


def has_browser() -> bool:
    """Whether there is one with a window: a GenericBrowser would take the terminal."""
    try:  # compared exactly: xdg-open, on most desktops, is of a subclass
        return type(webbrowser.get()) is not webbrowser.GenericBrowser
    except webbrowser.Error:
        return False


def _access(hosts: Iterable[str]) -> Access:
    """The locks, with the token of a proxy that has started this, if one has."""
    token = os.environ.get(TOKEN_VARIABLE)
    names = hosts_of(hosts)
    return Access(token=token, hosts=names) if token else Access(hosts=names)


def _folder(calls: Path) -> Path:
    """The folder for calls, made now: who cannot keep one learns it before the first."""
    try:
        folder = calls.expanduser()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # the second: nobody's home
        why = in_words(error) if isinstance(error, OSError) else str(error).lower().rstrip(".")
        raise SetupError(
            f"cannot keep calls in {calls}: {why}; choose a folder with --calls"
        ) from None
    return folder


def _bind(port: int) -> socket.socket:
    try:
        return bind(port)
    except PortBusy:
        raise PortBusy(
            f"port {port} cannot be had: another program has it, perhaps another dashboard; "
            "end that, or take a free port with --port 0"
        ) from None


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[Server | None]:
    """The server of step 3 in the background, where no other is to be called."""
    if url is not None:
        yield None
        return
    with serve(step3.app, name="agent", show_log=False) as server:
        yield server
