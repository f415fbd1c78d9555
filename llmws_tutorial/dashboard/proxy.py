"""The dashboard behind a Jupyter server: a tile in its launcher, below its path.

jupyter-server-proxy asks `setup` when Jupyter starts, starts the dashboard when its tile is clicked
for the first time, and ends it with Jupyter. Who may come in, Jupyter has decided by then; so it
is the proxy that shows the dashboard's token, and no address holds it.
"""

import os
import secrets
import sys
from pathlib import Path
from typing import Any, Final

from llmws_tutorial.dashboard.access import ANY, TOKEN_HEADER

TOKEN_VARIABLE: Final = "LLMWS_DASHBOARD_TOKEN"  # noqa: S105
"""The variable in which a started dashboard is given its token: a command line is seen by all."""
HUB_VARIABLE: Final = "JUPYTERHUB_SERVICE_PREFIX"
"""Where JupyterHub and Binder say below which path a Jupyter server is."""
ICON: Final = Path(__file__).with_name("page") / "favicon.svg"
"""The picture on the tile."""
_START_S: Final = 30  # a Binder machine is slow


def setup() -> dict[str, Any]:
    """Say how the dashboard is started and reached; jupyter-server-proxy calls this."""
    token = secrets.token_urlsafe(24)
    options = ["--port", "{port}", "--no-browser"]
    if _is_called_anything():
        options += ["--allow-host", ANY]
    return {
        # -P: a file in the reader's folder is no module of ours, whatever its name
        "command": [sys.executable, "-P", "-m", "llmws_tutorial", "dashboard", *options],
        "environment": {TOKEN_VARIABLE: token},
        "request_headers_override": {TOKEN_HEADER: token},
        "timeout": _START_S,
        "new_browser_tab": True,
        "launcher_entry": {"title": "Make a web call", "icon_path": str(ICON)},
    }


def _is_called_anything() -> bool:
    """Whether Jupyter is reached by names that it does not know: on a hub, or if it was told so."""
    if HUB_VARIABLE in os.environ:
        return True
    jupyter = sys.modules.get("jupyter_server.serverapp")  # there, when it is Jupyter that asks
    if jupyter is None or not jupyter.ServerApp.initialized():
        return False
    return bool(jupyter.ServerApp.instance().allow_remote_access)
