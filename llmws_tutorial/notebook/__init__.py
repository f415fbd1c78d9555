"""What a cell imports: serve an app, show it, open a tunnel, check what was built."""

from llmws_tutorial.notebook.checking import check
from llmws_tutorial.notebook.runtime import Server, serve
from llmws_tutorial.notebook.show import Dashboard, show
from llmws_tutorial.notebook.tunnel import Tunnel, open_tunnel

__all__ = ["Dashboard", "Server", "Tunnel", "check", "open_tunnel", "serve", "show"]
