"""What a case can do, as data: one move after the other, on one or more calls.

The line of a move is the call that it is made on; most cases need only "a". Each line has a call id
of its own, stays the same call when it is opened again, and does by itself what the platform does
by itself: it sends ``call_details`` and heartbeats to a server whose config asks for them.

As text a move says what happens; the pages about a case are made from that.
"""

from dataclasses import dataclass
from typing import Final, Literal

MOMENT_S: Final = 0.25
"""How long to watch that something does not come (seconds)."""


@dataclass(frozen=True)
class Open:
    """Open the socket of a call, for the first time or again.

    Attributes:
        line: the call.
        origin: the ``Origin`` header to send, as a browser would; None as the platform: none.
        is_wrong: whether the last part of the path before the call id is replaced, to see whether
            a secret there is looked at.
    """

    line: str = "a"
    origin: str | None = None
    is_wrong: bool = False

    def __str__(self) -> str:
        how = f" with Origin {self.origin}" if self.origin else ""
        return f"open the socket{how}{' at a wrong path' if self.is_wrong else ''}"


@dataclass(frozen=True)
class Greeted:
    """Wait until the first message is there, whole."""

    line: str = "a"

    def __str__(self) -> str:
        return "wait for the whole first message (response_id 0)"


@dataclass(frozen=True)
class Update:
    """Let the caller say something, and tell it without asking for an answer."""

    said: str = "Hello"
    line: str = "a"

    def __str__(self) -> str:
        return f"update_only: the caller has said {self.said!r}"


@dataclass(frozen=True)
class Ask:
    """Let the caller say something, and ask for an answer.

    Attributes:
        response_id: the id of the request; a new one ends the turns of all older ones.
        said: the caller's words; empty: none besides those of before.
        kind: which event it is.
        frame: the frame that asks, as it stands; empty: made from the above.
        line: the call.
        pieces: in how many WebSocket fragments it is sent.
    """

    response_id: int
    said: str = "Hello, can you help me?"
    kind: Literal["response_required", "reminder_required"] = "response_required"
    frame: str = ""
    line: str = "a"
    pieces: int = 1

    def __str__(self) -> str:
        if self.frame:
            return str(Send(self.frame, pieces=self.pieces))
        said = f": the caller has said {self.said!r}" if self.said else ""
        return f"{self.kind}, response_id {self.response_id}{said}"


@dataclass(frozen=True)
class Send:
    """Send a frame as it stands.

    Attributes:
        data: the payload; text or bytes.
        line: the call.
        pieces: in how many WebSocket fragments it is sent.
    """

    data: str | bytes
    line: str = "a"
    pieces: int = 1

    def __str__(self) -> str:
        size = len(self.data)
        if isinstance(self.data, bytes):
            return f"a binary frame of {size} bytes"
        line = self.data.replace("\n", " ")
        text = line if size <= 120 else f"{line[:100]}... ({size} characters)"
        return (
            f"{text or 'an empty text frame'}{f', in {self.pieces} fragments' * (self.pieces > 1)}"
        )


@dataclass(frozen=True)
class Answered:
    """Wait until an answer is complete.

    Attributes:
        response_id: the id of the request.
        line: the call.
        within_s: how long to wait (seconds); None: as long as for anything that must come.
    """

    response_id: int
    line: str = "a"
    within_s: float | None = None

    def __str__(self) -> str:
        long = "" if self.within_s is None else f" up to {self.within_s:g} s"
        return f"wait{long} for the whole answer {self.response_id}"


@dataclass(frozen=True)
class Watch:
    """Let some time pass, and see what comes (seconds)."""

    seconds: float = MOMENT_S

    def __str__(self) -> str:
        return f"watch for {self.seconds:g} s"


@dataclass(frozen=True)
class HangUp:
    """Close the socket as the platform does when the caller hangs up: 1000."""

    line: str = "a"

    def __str__(self) -> str:
        return "hang up (close 1000)"


@dataclass(frozen=True)
class Drop:
    """Break the connection without a close frame, as a bad network does.

    Attributes:
        line: the call.
        silently: whether the server is not told: its end of the line stays open.
    """

    line: str = "a"
    silently: bool = False

    def __str__(self) -> str:
        if self.silently:
            return "lose the line, and the server is not told"
        return "drop the line (no close frame)"


@dataclass(frozen=True)
class ModelAsked:
    """Wait until the server has asked the model so many times."""

    times: int = 1

    def __str__(self) -> str:
        return "wait until the model is asked" + f" {self.times} times" * (self.times > 1)


@dataclass(frozen=True)
class ModelLeft:
    """Wait until no generation of this case is running upstream."""

    within_s: float = 2.0

    def __str__(self) -> str:
        return f"wait up to {self.within_s:g} s until no generation is running"


@dataclass(frozen=True)
class Post:
    """Post an event to the webhook.

    Attributes:
        body: the raw body.
        signed: how: right now, not at all, with another key, or by an old signature.
    """

    body: bytes
    signed: Literal["now", "never", "wrong key", "ten minutes ago"] = "now"

    def __str__(self) -> str:
        how = {"never": "unsigned", "wrong key": "signed with another key"}.get(
            self.signed, f"signed {self.signed}"
        )
        text = self.body.decode(errors="replace")
        shown = text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"
        return f"POST {shown}, {how}"


Move = (
    Open
    | Greeted
    | Update
    | Ask
    | Send
    | Answered
    | Watch
    | HangUp
    | Drop
    | ModelAsked
    | ModelLeft
    | Post
)
"""One thing that a case does."""
