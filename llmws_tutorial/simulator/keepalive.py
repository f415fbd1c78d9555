"""Whether the line still lives: heartbeats, patience, and how often to dial again.

It has no clock: times are seconds of the wall, because a server is slow or not at any speed.
Source: docs/protocol.md, section 6.
"""

from enum import Enum
from typing import Final

from llmws_tutorial.messages import Config, Ping, Pong, ServerMessage
from llmws_tutorial.simulator.call import Call
from llmws_tutorial.simulator.endings import ABNORMAL, LOST
from llmws_tutorial.simulator.timers import NEVER

PING_S: Final = 2.0
"""How often the platform sends a heartbeat (seconds)."""
PATIENCE_S: Final = 5.0
"""How long a server may be without one before the platform dials again (seconds)."""

DIALS_AGAIN: Final = "the connection is lost; the platform dials again"
"""What the log of a call says where that happens."""


class Loss(Enum):
    """How a line was lost; the value says how often it is dialled again."""

    KEEPALIVE = 2
    DROP = 4


class Beat(Enum):
    """What the heartbeat wants done."""

    PING = "send a heartbeat"
    LOST = "give the line up"


class Keepalive:
    """The heartbeat of one call, over all its connections; only when asked for.

    Attributes:
        round_trips_ms: how long each heartbeat took to come back (milliseconds).
    """

    def __init__(self) -> None:
        self.round_trips_ms: list[float] = []
        self._sent_s: dict[int, float] = {}  # when each heartbeat went out, by its timestamp
        self._ping_s = NEVER
        self._lost_s = NEVER
        self._losses = dict.fromkeys(Loss, 0)

    @property
    def due_s(self) -> float:
        """When to ask again (seconds of the wall)."""
        return min(self._ping_s, self._lost_s)

    def start(self, now_s: float) -> None:
        """Begin to beat, unless it does already."""
        if self._ping_s == NEVER:
            self._ping_s = now_s + PING_S
            self._lost_s = now_s + PATIENCE_S

    def stop(self) -> None:
        """Beat no more: the connection is gone, or the server switched it off."""
        self._ping_s = self._lost_s = NEVER
        self._sent_s.clear()

    def take(self, message: ServerMessage, now_s: float) -> str | None:
        """Take what a server says about heartbeats; the answer is what is odd about it."""
        match message:
            case Config(config=config) if config.auto_reconnect:
                self.start(now_s)
            case Config():
                self.stop()
            case Pong(timestamp=timestamp):
                self.heard(now_s)
                sent_s = self._sent_s.pop(timestamp, None)
                if sent_s is None:
                    return "a heartbeat with a timestamp that was not sent"
                self.round_trips_ms.append(round((now_s - sent_s) * 1000, 3))
        return None

    def ping(self, timestamp: int, now_s: float) -> Ping:
        """Make the heartbeat that goes out now (timestamp: milliseconds since 1970)."""
        self._sent_s[timestamp] = now_s
        return Ping(timestamp=timestamp)

    def heard(self, now_s: float) -> None:
        """Take note that the server is there."""
        if self._lost_s != NEVER:
            self._lost_s = now_s + PATIENCE_S

    def beat(self, now_s: float) -> Beat | None:
        """Say what is due by now; None when nothing is."""
        if now_s >= self._lost_s:
            self.stop()
            return Beat.LOST
        if now_s >= self._ping_s:
            self._ping_s = now_s + PING_S  # one that is late does not make up for those missed
            return Beat.PING
        return None

    def lose(self, loss: Loss, call: Call) -> bool:
        """Whether a lost line is dialled again; if not, the call is over."""
        self._losses[loss] += 1
        if self._losses[loss] <= loss.value:
            call.note(DIALS_AGAIN)
            return True
        if loss is Loss.KEEPALIVE:
            call.fail(LOST, "the connection was lost too often")
        else:
            call.socket_closed(ABNORMAL)
        return False
