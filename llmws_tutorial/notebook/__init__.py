"""What a cell imports: serve an app, open a tunnel, check what was built."""

from llmws_tutorial.notebook.checking import check
from llmws_tutorial.notebook.runtime import Server, serve
from llmws_tutorial.notebook.tunnel import Tunnel, open_tunnel

__all__ = ["Server", "Tunnel", "check", "open_tunnel", "serve"]
