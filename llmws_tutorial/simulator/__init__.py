"""The other side of the socket: a stand-in for the platform that places the call."""

from llmws_tutorial.simulator.call import Call, Dropped, Noted, Spoken, State
from llmws_tutorial.simulator.dialer import CallRecord, Frame, Line, call_url, dial, place_call

__all__ = [
    "Call",
    "CallRecord",
    "Dropped",
    "Frame",
    "Line",
    "Noted",
    "Spoken",
    "State",
    "call_url",
    "dial",
    "place_call",
]
