"""The judges of the exercises by id, from a module for each part of the lessons.

A judge rules on an answer as a check on a server. It never raises on purpose; what the answer
itself raises is ruled on by whoever asks.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from llmws_tutorial.checks.case import OK, Ruling, failed

_Result = TypeVar("_Result")

Judge = Callable[[Any], Ruling]
"""Rules on an answer."""

EXERCISES: Final[dict[str, Judge]] = {}
"""The judge of every exercise, by its id: the step, a dot, a number."""


def exercise(exercise_id: str) -> Callable[[Judge], Judge]:
    """Make a function the judge of an exercise."""

    def register(judge: Judge) -> Judge:
        EXERCISES[exercise_id] = judge
        return judge

    return register


def differs(expected: Any, got: Any) -> Ruling:
    """Rule that an answer is what was expected."""
    return OK if expected == got else failed(repr(expected), repr(got))


def finish(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end from a cell, whose own event loop is busy with it.

    An interrupted cell gives it up, and does not wait for what cannot be given up.
    """
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    loop, thread = runner.get_loop(), ThreadPoolExecutor(max_workers=1)

    def run() -> _Result:
        with runner:
            return runner.run(work)

    try:
        return thread.submit(run).result()
    except KeyboardInterrupt:
        with contextlib.suppress(RuntimeError):  # it ended at this very moment
            loop.call_soon_threadsafe(_cancel_all, loop)
        raise
    finally:
        thread.shutdown(wait=False)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
