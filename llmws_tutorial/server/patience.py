"""A time limit that is moved with each piece of an answer, for next to nothing."""

import asyncio
from types import TracebackType
from typing import Self


class Patience:
    """Waits for a responder: raises TimeoutError in its block when a limit has passed.

    As `asyncio.timeout`, but moving the limit costs no timer: the one that there is looks again
    when it runs out. A piece of an answer comes every few milliseconds, and a timer for each was
    an eighth of what a piece costs.
    """

    def __init__(self, limit_s: float) -> None:
        """Begin to wait when the block is entered.

        Args:
            limit_s: how long to wait for the first sign of life (seconds).
        """
        self._limit_s = limit_s
        self._has_passed = False

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - as a loop is running, for the type checker
        self._task = task
        self._due = self._loop.time() + self._limit_s
        self._timer = self._loop.call_at(self._due, self._look)
        return self

    def extend(self, limit_s: float) -> None:
        """Begin to wait anew.

        Args:
            limit_s: how long, from now on (seconds).
        """
        self._due = self._loop.time() + limit_s
        if self._due < self._timer.when():
            self._timer.cancel()
            self._look()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._timer.cancel()
        task = self._task
        del self._task  # an error that is kept keeps this object, and must not keep the task
        if self._has_passed and task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _look(self) -> None:
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
        else:
            self._has_passed = True
            self._task.cancel()
