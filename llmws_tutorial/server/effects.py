"""What a session wants done; it has no socket, clock or task to do it with."""

from dataclasses import dataclass
from typing import Final

from llmws_tutorial.server.turn import Turn


@dataclass(frozen=True)
class Send:
    """Put this text on the wire."""

    frame: str


@dataclass(frozen=True)
class Start:
    """Ask the responder; a turn that is still running is dead and is to be cancelled."""

    turn: Turn


@dataclass(frozen=True)
class Cancel:
    """Cancel the turn that is running: nobody would hear it."""


@dataclass(frozen=True)
class Close:
    """Close the socket: the peer cannot be the platform, or the server stops."""

    code: int
    reason: str


@dataclass(frozen=True)
class Log:
    """Write one line to the log, and count it.

    Attributes:
        event: ``ignored`` (a frame), ``dropped`` (an action) or ``foreign`` (the end of the call).
        text: what and why.
    """

    event: str
    text: str


STOPPED: Final = Close(1012, "The server stops.")
"""How a call ends with its server; 1000 would mean that the agent hung up."""
EXPIRED: Final = Close(1000, "The longest call is over.")
"""How a call ends that has lasted too long: the agent hangs up."""
REPLACED: Final = Close(1001, "The call was dialled again.")
"""How a socket ends whose call goes on at another one."""

Effect = Send | Start | Cancel | Close | Log
"""What is to be done about what happened."""
