"""What a cell imports: to serve, show and check an app, and a model to ask."""

from llmws_tutorial.notebook.checking import check
from llmws_tutorial.notebook.local_model import LocalModel, local_model
from llmws_tutorial.notebook.runtime import Server, serve
from llmws_tutorial.notebook.show import Dashboard, show
from llmws_tutorial.notebook.timeline import Timeline, timeline
from llmws_tutorial.notebook.tunnel import Tunnel, open_tunnel

__all__ = [
    "Dashboard",
    "LocalModel",
    "Server",
    "Timeline",
    "Tunnel",
    "check",
    "local_model",
    "open_tunnel",
    "serve",
    "show",
    "timeline",
]
