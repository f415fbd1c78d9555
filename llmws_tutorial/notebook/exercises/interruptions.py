"""The exercises of step 06."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, Final

from llmws_tutorial.checks.case import OK, Ruling, failed
from llmws_tutorial.notebook.exercises.registry import differs, exercise, finish

_PIECES: Final = ["one", "two", "three"]
_LIMIT_S: Final = 5.0


@exercise("06.1")
def _judge_dead_ids(answer: Any) -> Ruling:
    return differs({1, 2}, set(answer) if isinstance(answer, list | tuple) else answer)


@exercise("06.2")
def _judge_pong(answer: Any) -> Ruling:
    return differs({"response_type": "ping_pong", "timestamp": 1700000000000}, answer)


@exercise("06.3")
def _judge_handing_on(answer: Any) -> Ruling:
    async def run() -> Ruling:
        for trial in (_says_all, _closes_while_it_says, _closes_while_it_waits):
            async with asyncio.timeout(_LIMIT_S):
                ruling = await trial(answer)
            if ruling is not OK:
                return ruling
        return OK

    return finish(run())


class _Stream:
    """A stream of some pieces, then silence; it knows whether it is closed.

    Attributes:
        pieces: what comes, one after the other.
        came: what has come so far.
        is_silent: set when no more will come, for now.
        is_closed: whether nothing holds it any more.
    """

    def __init__(self) -> None:
        self.came: list[str] = []
        self.is_silent = asyncio.Event()
        self.is_closed = False
        self.pieces = self._bring()

    async def _bring(self) -> AsyncGenerator[str, None]:
        try:
            for piece in _PIECES:
                self.came.append(piece)
                yield piece
            self.is_silent.set()
            await asyncio.Event().wait()
        finally:
            self.is_closed = True


async def _says_all(answer: Any) -> Ruling:
    trace: list[str] = []

    async def bring() -> AsyncGenerator[str, None]:
        for piece in _PIECES:
            trace.append(f"{piece} comes")
            yield piece

    async def say(piece: str) -> None:
        trace.append(f"{piece} is said")

    await answer(bring(), say)
    return differs([f"{piece} {what}" for piece in _PIECES for what in ("comes", "is said")], trace)


async def _closes_while_it_says(answer: Any) -> Ruling:
    stream, is_saying = _Stream(), asyncio.Event()

    async def say(piece: str) -> None:
        is_saying.set()
        await asyncio.Event().wait()

    return await _cut_off(answer(stream.pieces, say), stream, is_saying)


async def _closes_while_it_waits(answer: Any) -> Ruling:
    stream = _Stream()

    async def say(piece: str) -> None:
        await asyncio.sleep(0)

    return await _cut_off(answer(stream.pieces, say), stream, stream.is_silent)


async def _cut_off(
    handing_on: Coroutine[Any, Any, Any], stream: _Stream, moment: asyncio.Event
) -> Ruling:
    """Cancel it at a moment, and see what is left of it and of the stream."""
    task = asyncio.create_task(handing_on)
    task.add_done_callback(lambda _: moment.set())
    await moment.wait()
    if task.done():
        task.result()
        return failed("a wait for the next piece", f"an end after {len(stream.came)} of them")
    task.cancel()
    await asyncio.wait({task})
    if not stream.is_closed:
        return failed("a stream that is closed once it is cancelled", "an open one")
    if not task.cancelled():
        return failed("a CancelledError that is passed on", "none")
    return OK
