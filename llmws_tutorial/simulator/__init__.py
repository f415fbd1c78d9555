"""The other side of the socket: a stand-in for the platform that places the call.

Where to look, from the logic out to the socket::

    a call, without time or I/O   states (the table); conversation (who speaks when), and call (the
                                  wire at it); what they are made of: answers, turn, speech,
                                  voice, mouth, transcript, outbox, verdict, wishes, timers,
                                  endings, choices
    the person who calls          scenario (a file, by yaml_tree and conversion), caller, judge
    time, and who lives           clock, keepalive
    a server to call              memory (a function); address, opening, driver, dialer (a socket)
    what is left of it            record, latency, log; recording, comparison, replay; webhooks
    many at once                  playing, report, witness; printable
    a model to be asked           scripted_llm, and what it reads and writes: llm_request,
                                  llm_chunks; llm_script (a file), llm_endpoint (a port)

A frame from a server passes `driver`, which reads it from the socket; `call.receive`, where
`verdict` parses it, `answers` finds its turn, and `speech` takes its text, which `conversation`
lets the agent say; and `record`, with the verdict. What a server is told goes back from `outbox`.
"""

from llmws_tutorial.simulator.address import call_url
from llmws_tutorial.simulator.call import Call
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.dialer import Line, dial, new_record, place_call
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
    "new_record",
    "place_call",
]
