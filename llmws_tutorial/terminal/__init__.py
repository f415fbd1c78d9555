"""The stand-ins and the judge, in a terminal."""

from llmws_tutorial.terminal.checking import check_server, explain_checks
from llmws_tutorial.terminal.commands import call, replay_calls, run_scenarios
from llmws_tutorial.terminal.dashboard import open_dashboard
from llmws_tutorial.terminal.local_model import serve_local_model
from llmws_tutorial.terminal.scripted_model import serve_model

__all__ = [
    "call",
    "check_server",
    "explain_checks",
    "open_dashboard",
    "replay_calls",
    "run_scenarios",
    "serve_local_model",
    "serve_model",
]
