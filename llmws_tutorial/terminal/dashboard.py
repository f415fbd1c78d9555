"""`llmws dashboard`: serve the page that makes web calls, and open it in a browser."""

import contextlib
import os
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from llmws_tutorial.dashboard import Access, Desk, Shelf, create_dashboard
from llmws_tutorial.dashboard.access import hosts_of
from llmws_tutorial.notebook.runtime import Server, bind, serve
from llmws_tutorial.server.listener import run
from llmws_tutorial.simulator.address import dialled
from llmws_tutorial.steps import step3

PORT: Final = 3001
"""Where the dashboard is, unless it is said otherwise."""
CALLS: Final = Path("~/.llmws/calls")
"""Where its calls are kept, unless it is said otherwise."""


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
    token = os.environ.get("LLMWS_DASHBOARD_TOKEN")
    hosts = hosts_of(allow_host or ())
    access = Access(token=token, hosts=hosts) if token else Access(hosts=hosts)
    with bind(port) as listener, _server(url) as server:
        desk = Desk(
            shelf=Shelf(calls.expanduser()),
            url=url or (server.websocket_url if server else ""),
            log=server.log if server else None,
        )
        page = f"http://127.0.0.1:{listener.getsockname()[1]}/#{access.token}"
        print(f"make a web call at {page} (Ctrl-C stops)", flush=True)
        if browser:
            webbrowser.open(page)
        with contextlib.suppress(KeyboardInterrupt):  # raised by uvicorn again at its end
            run(create_dashboard(desk, access), listener)
        print("stopped")


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[Server | None]:
    """The server of step 3 in the background, where no other is to be called."""
    if url is not None:
        yield None
        return
    with serve(step3.app, name="agent", show_log=False) as server:
        yield server
