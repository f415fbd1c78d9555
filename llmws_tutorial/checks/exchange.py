"""What was seen while a case ran: every event in order, and how to read them.

The platform's own rules decide what a frame counts: the turns of each line are those of the
stand-in (`simulator.answers`), so that what it drops is dropped here, for the same reason.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from llmws_tutorial.messages import ConfigFields, Pong, Response, ServerMessage
from llmws_tutorial.simulator.scripted_llm import Asked
from llmws_tutorial.simulator.turn import Turn
from llmws_tutorial.simulator.verdict import Drop, Dropped

_PING: Final = '{"interaction_type":"ping_pong"'


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened (at_s: seconds since the case began; line: the call)."""

    at_s: float
    line: str = "a"

    @property
    def is_heartbeat(self) -> bool:
        """Whether it is a frame of the keepalive."""
        return False


@dataclass(frozen=True, kw_only=True)
class Opened(Event):
    """The socket opened; `again` after it was dropped."""

    again: bool = False

    def __str__(self) -> str:
        return "the socket is open again" if self.again else "the socket is open"


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """The socket did not open: why, and the stage that was reached (`opening.Stage`)."""

    why: str
    stage: str = ""

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, kw_only=True)
class Sent(Event):
    """A frame went to the server."""

    data: str | bytes

    @property
    def is_heartbeat(self) -> bool:
        """Whether it is a frame of the keepalive."""
        return isinstance(self.data, str) and self.data.startswith(_PING)

    def __str__(self) -> str:
        return f"-> {_shown(self.data)}"


@dataclass(frozen=True, kw_only=True)
class Got(Event):
    """A frame came from the server: a message that counts, or dropped and why."""

    data: str | bytes
    message: ServerMessage | None = None
    dropped: Dropped | None = None

    @property
    def is_heartbeat(self) -> bool:
        """Whether it is a frame of the keepalive."""
        return isinstance(self.message, Pong)

    def __str__(self) -> str:
        why = f"   [dropped: {self.dropped.reason}]" if self.dropped else ""
        return f"<- {_shown(self.data)}{why}"


@dataclass(frozen=True, kw_only=True)
class Ended(Event):
    """The socket is gone: by the server with a code (1006: no close frame), or by us.

    When we hung up, `is_clean` says whether the server closed its end, and `took_s` how long we
    waited for that (seconds).
    """

    code: int | None = None
    reason: str = ""
    by_server: bool = True
    is_clean: bool = True
    took_s: float = 0.0

    def __str__(self) -> str:
        if not self.by_server:
            return "we hung up" if self.is_clean else "we hung up, and the server did not close"
        if self.code == 1006:
            why = f": {self.reason}" if self.reason else ""
            return f"the server dropped the connection without a close frame (1006){why}"
        return f"the server closed with {self.code} {self.reason!r}"


@dataclass(frozen=True, kw_only=True)
class Missed(Event):
    """Something was waited for in vain."""

    what: str

    def __str__(self) -> str:
        return f"in vain: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Posted(Event):
    """A webhook was posted: status or problem, and how long it took (seconds)."""

    status: int | None = None
    problem: str = ""
    took_s: float = 0.0

    def __str__(self) -> str:
        return f"the webhook answered {self.status or self.problem}"


_Kind = TypeVar("_Kind", bound=Event)


class Exchange:
    """Everything that was seen while one case ran.

    Attributes:
        events: what happened, in order.
        turns: for each line, the turns of the agent as the platform keeps them.
        configs: for each line, the latest config of the server; one that sent none has no entry.
        upstream: what the model was asked in this case.
        has_secret: whether the URL holds a secret path segment.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin to note; `clock` tells the seconds (of any epoch)."""
        self._clock = clock
        self._began_s = clock()
        self.events: list[Event] = []
        self.turns: dict[str, list[Turn]] = {}
        self.configs: dict[str, ConfigFields] = {}
        self.upstream: list[Asked] = []
        self.has_secret = False

    @property
    def now_s(self) -> float:
        """How long the case has been running (seconds)."""
        return round(self._clock() - self._began_s, 6)

    def seconds_of(self, clock_s: float) -> float:
        """A time of the same clock, as seconds since the case began."""
        return clock_s - self._began_s

    def note(self, kind: type[_Kind], **fields: Any) -> None:
        """Note that something happened now."""
        self.events.append(kind(at_s=self.now_s, **fields))

    def of(self, kind: type[_Kind], line: str | None = "a") -> list[_Kind]:
        """The events of one kind, on one line or (None) on all."""
        return [
            event
            for event in self.events
            if isinstance(event, kind) and (line is None or event.line == line)
        ]

    def turn(self, response_id: int, line: str = "a") -> Turn | None:
        """The turn of a request, or of the greeting (0); None when it was not asked."""
        turns = self.turns.get(line, [])
        found = [turn for turn in turns if turn.kind != "interrupt"]
        return next((turn for turn in found if turn.response_id == response_id), None)

    def dropped(self, *kinds: Drop, line: str | None = None) -> list[Got]:
        """The frames that the platform would drop for one of these reasons."""
        return [got for got in self.of(Got, line) if got.dropped and got.dropped.kind in kinds]

    def responses(self, response_id: int, line: str = "a") -> list[Got]:
        """The frames that say they are (a piece of) this answer, dropped or not."""
        return [
            got
            for got in self.of(Got, line)
            if isinstance(got.message, Response) and got.message.response_id == response_id
        ]

    def pieces(self, line: str | None = None) -> Iterator[tuple[Got, Response]]:
        """Every response that came, with its frame, dropped or not."""
        for got in self.of(Got, line):
            if isinstance(got.message, Response):
                yield got, got.message

    @property
    def was_open(self) -> bool:
        """Whether any socket opened."""
        return bool(self.of(Opened, None))

    def ended(self, line: str = "a") -> Ended | None:
        """How the server ended a line; None when it did not."""
        return next((end for end in self.of(Ended, line) if end.by_server), None)


def _shown(data: str | bytes) -> str:
    if isinstance(data, bytes):
        return f"{len(data)} bytes of binary"
    return data if len(data) <= 300 else f"{data[:200]}... ({len(data)} characters)"
