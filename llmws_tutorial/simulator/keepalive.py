"""Whether the line still lives: heartbeats, patience, and how often to dial again.

It has no clock: times are seconds of the wall, because a server is slow or not at any speed.
Source: docs/protocol.md, section 6.
"""

from enum import Enum
from typing import Final

from llmws_tutorial.simulator.timers import NEVER

PING_S: Final = 2.0
"""How often the platform sends a heartbeat (seconds)."""
PATIENCE_S: Final = 5.0
"""How long a server may be without one before the platform dials again (seconds)."""


class Loss(Enum):
    """How a line was lost; the value says how often it is dialled again."""

    KEEPALIVE = 2
    DROP = 4


class Beat(Enum):
    """What the heartbeat wants done."""

    PING = "send a heartbeat"
    LOST = "give the line up"


class Keepalive:
    """The heartbeat of one call, over all its connections; only when asked for."""

    def __init__(self) -> None:
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

    def may_dial_again(self, loss: Loss) -> bool:
        """Whether a line that was lost like this is dialled again; asking counts."""
        self._losses[loss] += 1
        return self._losses[loss] <= loss.value
