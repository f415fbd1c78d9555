"""The stand-ins in a terminal: call, play scenarios, replay, serve a model."""

from llmws_tutorial.terminal.commands import call, replay_calls, run_scenarios
from llmws_tutorial.terminal.scripted_model import serve_model

__all__ = ["call", "replay_calls", "run_scenarios", "serve_model"]
