"""Alarms without a clock: what is due when, in seconds of the call."""

from enum import Enum
from typing import Final

NEVER: Final = float("inf")
"""When something is due that is not going to happen."""


class Timer(Enum):
    """What can be due in a call; of two at one time, the upper one is first."""

    CALLER_WORD = "the caller has said a word"
    AGENT_WORD = "the agent has said a word"
    END_OF_TURN = "the caller has paused long enough"
    REMINDER = "the caller has been silent for too long"
    INACTIVITY = "nobody has said a word for very long"
    MAX_DURATION = "the call has lasted as long as a call may"


_ORDER: Final = {timer: place for place, timer in enumerate(Timer)}


class Timers:
    """When each timer is due; one that is set again is moved."""

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}

    def __contains__(self, timer: Timer) -> bool:
        return timer in self._due

    @property
    def due_s(self) -> float:
        """When the next one is due; `NEVER` when none is set."""
        return min(self._due.values(), default=NEVER)

    def at_s(self, timer: Timer) -> float:
        """When this one is due; `NEVER` when it is not set."""
        return self._due.get(timer, NEVER)

    def set(self, timer: Timer, at_s: float) -> None:
        """Set a timer, or move it."""
        self._due[timer] = at_s

    def stop(self, *timers: Timer) -> None:
        """Forget these; one that is not set stays so."""
        for timer in timers:
            self._due.pop(timer, None)

    def clear(self) -> None:
        """Forget all."""
        self._due.clear()

    def pop(self, now_s: float) -> tuple[Timer, float] | None:
        """Take the first that is due by now, with its time; None when there is none."""
        if not self._due or self.due_s > now_s:
            return None
        timer = min(self._due, key=lambda timer: (self._due[timer], _ORDER[timer]))
        return timer, self._due.pop(timer)
