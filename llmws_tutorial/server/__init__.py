"""Your side of the socket: a call as a state machine, and the app that drives it."""

from llmws_tutorial.server.app import create_app
from llmws_tutorial.server.responders import DummyResponder, ScriptedResponder
from llmws_tutorial.server.settings import Settings
from llmws_tutorial.server.turn import HangUp, Piece, Press, Reply, Responder, Transfer, Turn

__all__ = [
    "DummyResponder",
    "HangUp",
    "Piece",
    "Press",
    "Reply",
    "Responder",
    "ScriptedResponder",
    "Settings",
    "Transfer",
    "Turn",
    "create_app",
]
