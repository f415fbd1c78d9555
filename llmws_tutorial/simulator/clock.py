"""The seconds of a call, made from those of the wall.

People can speak and wait faster than on a phone, a server cannot: so the clock runs ``speed`` times
faster as long as it is people who take their time, and at the pace of the wall as soon as everybody
waits for the server. What is measured of a server is therefore real at any speed. With an infinite
speed (unpaced) the time of people is skipped; with a wall that stands still as well, all time is
virtual, and an hour takes as long as its computation.
"""

import time
from collections.abc import Callable
from typing import Final

UNPACED: Final = float("inf")
"""The speed at which nobody waits for a word to be spoken."""


class Clock:
    """The time of one call, in seconds since it began."""

    def __init__(self, speed: float = 1.0, *, wall: Callable[[], float] = time.monotonic) -> None:
        """Start at 0.

        Args:
            speed: how many times faster than on a phone people are (above 0; `UNPACED`: at once).
            wall: what tells the seconds of the wall.

        Raises:
            ValueError: when the speed is not above 0.
        """
        if not speed > 0:
            raise ValueError(f"speed is {speed}, expected a number above 0")
        self.is_paced = speed != UNPACED
        self._speed = speed if self.is_paced else 0.0
        self._wall = wall
        self._rate = 0.0  # until somebody says whose pace it is
        self._now_s = 0.0
        self._read_at_s = wall()

    def now_s(self) -> float:
        """The seconds of the call by now."""
        wall_s = self._wall()
        self._now_s += (wall_s - self._read_at_s) * self._rate
        self._read_at_s = wall_s
        return self._now_s

    def pace(self, now_s: float, *, waits_for_server: bool) -> None:
        """Run at the pace of the server, or of people, from this second of the call on."""
        self.now_s()
        if waits_for_server and self._rate != 1.0:
            self._now_s = now_s  # a late alarm, times the speed, is not the server's doing
        self._rate = 1.0 if waits_for_server else self._speed

    def wall_s_until(self, due_s: float) -> float:
        """How long to sleep until a time of the call (seconds of the wall; inf: for ever)."""
        left_s = max(due_s - self.now_s(), 0.0)
        return left_s / self._rate if self._rate else float("inf")

    def skip_to(self, due_s: float) -> None:
        """Let the time until then pass at once."""
        self._now_s = max(self.now_s(), due_s)

    def wall_s_of_people(self, seconds: float) -> float:
        """How long a pause is in which nobody is measured (seconds of the wall)."""
        return seconds / self._speed if self.is_paced else 0.0
