"""What the platform makes of a server's frame: accepted, or dropped and why.

The real platform drops without a word. Here every frame gets its verdict, because "why is my agent
silent?" is nearly always answered by one of these. Source: docs/protocol.md, section 5.
"""

from dataclasses import dataclass
from enum import Enum

from llmws_tutorial.errors import NotJson, ServerProtocolError, UnknownEvent
from llmws_tutorial.messages import ServerMessage, read_response


class Drop(Enum):
    """Why a frame is thrown away."""

    STALE = "the id of an older request"
    UNKNOWN_ID = "an id that was not asked yet"
    AFTER_COMPLETE = "content after the end of its answer"
    SECOND_GREETING = "a second begin message"
    CANCELLED = "an answer that an agent_interrupt has cancelled"
    MISTYPED = "a field that is missing or mistyped"
    NOT_JSON = "text that is not JSON"
    UNKNOWN_EVENT = "a response_type that the platform does not know"
    BINARY = "a binary frame"
    OVER = "the call is over"


@dataclass(frozen=True)
class Accepted:
    """A frame that the platform took; content is spoken in its turn, if it has one."""

    message: ServerMessage


@dataclass(frozen=True)
class Dropped:
    """A frame that the platform throws away without telling you.

    Attributes:
        kind: why, for programs.
        reason: why, in words: what was got, and what was expected.
    """

    kind: Drop
    reason: str


Verdict = Accepted | Dropped
"""What became of one frame."""


def read_frame(frame: str | bytes) -> ServerMessage | Dropped:
    """Read one frame of a server as far as the frame alone goes: is it a message?"""
    if isinstance(frame, bytes):
        return Dropped(Drop.BINARY, "a binary frame, expected text: the platform closes with 1007")
    try:
        return read_response(frame)
    except NotJson as error:
        return Dropped(Drop.NOT_JSON, str(error))
    except UnknownEvent as error:
        return Dropped(Drop.UNKNOWN_EVENT, str(error))
    except ServerProtocolError as error:
        return Dropped(Drop.MISTYPED, str(error))
