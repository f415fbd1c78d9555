"""Your side of the socket: a call as a state machine, and the app that drives it."""

from llmws_tutorial.server.actions import end_call, press_digits, transfer
from llmws_tutorial.server.app import create_app
from llmws_tutorial.server.responders import DummyResponder, ScriptedResponder
from llmws_tutorial.server.settings import Settings
from llmws_tutorial.server.toolbox import Toolbox
from llmws_tutorial.server.turn import HangUp, Piece, Press, Reply, Responder, Transfer, Turn
from llmws_tutorial.server.webhook import WebhookEvent, webhook_router

__all__ = [
    "DummyResponder",
    "HangUp",
    "Piece",
    "Press",
    "Reply",
    "Responder",
    "ScriptedResponder",
    "Settings",
    "Toolbox",
    "Transfer",
    "Turn",
    "WebhookEvent",
    "create_app",
    "end_call",
    "press_digits",
    "transfer",
    "webhook_router",
]
