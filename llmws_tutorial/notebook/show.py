"""Put the dashboard under a cell: hear the agent, and stay in the notebook.

A kernel has one dashboard, on a thread of its own; to show another server points it there. Where a
browser finds it depends on who started the kernel:

* a Jupyter server that has jupyter-server-proxy, so also Binder and JupyterHub: below its path;
* anybody else, such as an editor: at its port of this machine.
"""

import html
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from llmws_tutorial.dashboard.access import ANY, Access
from llmws_tutorial.dashboard.app import create_dashboard
from llmws_tutorial.dashboard.desk import Desk
from llmws_tutorial.dashboard.history import CALLS, Shelf
from llmws_tutorial.dashboard.proxy import HUB_VARIABLE
from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook.runtime import Server, serve
from llmws_tutorial.simulator.address import is_local

NAME: Final = "the dashboard"
"""What its server is called: no variable of a learner can have this name."""
_ANSWER_S: Final = 3.0  # for a Jupyter server to say whether it has a proxy

# The page says that it is here; where it stays silent, words take the place of the empty frame: a
# notebook that was saved yesterday still has the address of yesterday's kernel.
_HTML: Final = Template("""\
<div class="llmws-dashboard">
<iframe src="$url" title="Make a web call" width="100%" height="$height" style="border: 0" \
allow="microphone; autoplay; clipboard-write"></iframe>
<p hidden>The dashboard is not here. It ends with its kernel: run this cell again. \
If it stays away, open it in a tab.</p>
<p><a href="$url" target="_blank" rel="noopener">Open in a tab</a></p>
<script>
{
  const [frame, words] = document.currentScript.parentElement.children;
  frame.style.visibility = "hidden";
  const waiting = setTimeout(() => {
    frame.style.display = "none";
    words.hidden = false;
  }, 5000);
  window.addEventListener("message", ({ source }) => {
    if (source !== frame.contentWindow) return;
    clearTimeout(waiting);
    frame.style.visibility = frame.style.display = "";
    words.hidden = true;
  });
}
</script>
</div>""")


@dataclass(frozen=True, repr=False)
class Dashboard:
    """The page that makes web calls, as a cell shows it. Made by `show`.

    Attributes:
        name: the server that it calls.
        url: where a browser finds it, absolute; it holds the token, so keep it to yourself.
        height: how high it is under the cell (pixels).
    """

    name: str
    url: str
    height: int

    def __repr__(self) -> str:
        return f"<Dashboard of {self.name!r}>"

    def __str__(self) -> str:
        return f"make a web call at {self.url}"

    def _repr_html_(self) -> str:
        return _HTML.substitute(url=html.escape(self.url), height=self.height)


@dataclass(frozen=True)
class _Opened:
    """The dashboard of this kernel."""

    server: Server
    desk: Desk
    token: str = field(repr=False)


_opened: list[_Opened] = []


def show(server: Server, *, height: int = 640) -> Dashboard:
    """Show the dashboard of a server, as the value of a cell.

    The first call of a kernel starts it, each further one points it at another server. It calls
    whatever address is typed into it; the server's own is there already. The server's log moves
    from below its cell, where it would push the page down, to the page.

    Args:
        server: what `serve` returned.
        height: of the page under the cell (pixels).

    Raises:
        SetupError: when the server is stopped.
    """
    if not server.is_running:
        raise SetupError(
            f"the server {server.name!r} is stopped: serve its app again, then show it"
        )
    jupyter = _jupyter()
    opened = next((one for one in _opened if one.server.is_running), None)
    if opened is None:
        opened = _open(server, Access(hosts=frozenset(_hosts(jupyter))))
        _opened[:] = [opened]
    else:
        opened.desk.point_at(server.websocket_url, server.log)
    server.log.is_shown = False
    url = f"{_base(opened.server.port, jupyter)}#{opened.token}"
    return Dashboard(server.name, url, height)


def _open(server: Server, access: Access) -> _Opened:
    desk = Desk(shelf=Shelf(CALLS.expanduser()), url=server.websocket_url, log=server.log)
    served = serve(create_dashboard(desk, access), name=NAME, show_log=False)
    return _Opened(served, desk, access.token)


def _base(port: int, jupyter: dict[str, Any] | None) -> str:
    """Where a browser finds a port of this machine."""
    hub = os.environ.get(HUB_VARIABLE)
    if hub is not None:
        return f"{hub}proxy/{port}/"
    if jupyter is not None and _has_proxy(jupyter):
        return f"{jupyter['base_url']}proxy/{port}/"
    return f"http://127.0.0.1:{port}/"


def _hosts(jupyter: dict[str, Any] | None) -> list[str]:
    """The hosts beside this machine: any, where Jupyter itself answers to any."""
    is_reached = HUB_VARIABLE in os.environ or not (jupyter is None or is_local(jupyter["url"]))
    return [ANY] if is_reached else []


def _jupyter() -> dict[str, Any] | None:
    """What the Jupyter server that started this kernel says of itself; None without one."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir  # noqa: PLC0415 - comes with a kernel
    except ImportError:
        return None
    file = Path(jupyter_runtime_dir(), f"jpserver-{os.environ.get('JPY_PARENT_PID')}.json")
    try:
        told = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and {"base_url", "url", "token"} <= told.keys() else None


def _has_proxy(jupyter: dict[str, Any]) -> bool:
    """Whether a Jupyter server has jupyter-server-proxy: it need not be installed beside us."""
    question = Request(  # noqa: S310 - Jupyter's own address
        f"{jupyter['url']}server-proxy/servers-info",
        headers={"Authorization": f"token {jupyter['token']}"},
    )
    try:
        urlopen(question, timeout=_ANSWER_S).close()  # noqa: S310
    except HTTPError as refusal:  # for whoever has a password instead of a token
        refusal.close()
        return refusal.code != 404
    except OSError:
        return False
    return True
