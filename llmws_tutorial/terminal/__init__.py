"""The stand-in in a terminal: be the caller, play scenarios, replay a call."""

from llmws_tutorial.terminal.commands import call, replay_calls, run_scenarios

__all__ = ["call", "replay_calls", "run_scenarios"]
