"""The other side of the socket: a stand-in for the platform that places the call."""

from llmws_tutorial.simulator.address import call_url
from llmws_tutorial.simulator.call import Call
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.dialer import Line, dial, place_call
from llmws_tutorial.simulator.record import CallRecord, Frame
from llmws_tutorial.simulator.states import State
from llmws_tutorial.simulator.verdict import Accepted, Drop, Dropped

__all__ = [
    "Accepted",
    "Call",
    "CallRecord",
    "Choices",
    "Drop",
    "Dropped",
    "Frame",
    "Line",
    "State",
    "call_url",
    "dial",
    "place_call",
]
