"""The turns of a call as they run: one generation at a time.

A turn whose reply is a string is over at once. Any other runs in a task of its own, so that
heartbeats are answered meanwhile; a newer turn, or the end of the call, cancels it. However a
responder behaves, its turn is closed: what it raises or leaves unsaid becomes an excuse.
"""

import asyncio
import contextlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Sequence,
)
from time import perf_counter
from typing import Final

from llmws_tutorial.errors import ResponderError
from llmws_tutorial.server.effects import Effect
from llmws_tutorial.server.log import cause, redact, tell
from llmws_tutorial.server.metrics import Metrics
from llmws_tutorial.server.patience import Patience
from llmws_tutorial.server.session import Session
from llmws_tutorial.server.settings import Settings
from llmws_tutorial.server.turn import Piece, Reply, Responder, Turn

PIECES_IN_A_ROW: Final = 16
"""How many pieces of an answer may go out before other calls have their turn."""
STUBBORN_S: Final = 1.0
"""How long a cancelled turn may take to stop before the next one begins without it."""
Do = Callable[[Sequence[Effect]], Awaitable[None]]
"""What does as a session says."""


class LineLost(Exception):
    """The socket died while something was sent."""


class Generations:
    """Asks the responder, and says what it answers.

    Attributes:
        running: the tasks of turns: one, and the cancelled ones that have not stopped yet.
    """

    def __init__(
        self,
        responder: Responder,
        session: Session,
        do: Do,
        *,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self.running: set[asyncio.Task[str]] = set()
        self._responder = responder
        self._session = session
        self._do = do  # a ring of objects, with the call that it does it for, until `end`
        self._settings = settings
        self._metrics = metrics

    async def start(self, turn: Turn) -> None:
        """Begin a turn, in place of the one that is running."""
        self.cancel()
        asked = perf_counter()
        try:
            reply = self._responder(turn)
        except BaseException as error:  # a responder may even exit
            self._count(turn, await self._fail(turn, error))
            return
        if isinstance(reply, str):
            self._metrics.first_piece.observe(perf_counter() - asked)
            self._count(turn, await self._run(turn, reply))
            return
        task = asyncio.create_task(self._run(turn, reply, older=tuple(self.running)))
        self.running.add(task)
        task.add_done_callback(lambda task: self._finished(turn, reply, task))

    def cancel(self) -> None:
        """Stop what is running; it may take a while to."""
        for task in self.running:
            if not task.cancelling():  # once is enough: a second would disturb its cleaning up
                task.cancel()

    def end(self) -> None:
        """Stop what is running, and let go of the call; nobody hears its turns any more."""
        self.cancel()
        self._do = _do_nothing

    def inherit(self, older: "Generations") -> None:
        """Wait for the turns of an older socket of the call, before one begins here."""
        for task in older.running:
            self.running.add(task)
            task.add_done_callback(self.running.discard)

    async def _run(
        self, turn: Turn, reply: Reply, older: Collection[asyncio.Task[str]] = ()
    ) -> str:
        """Bring one turn to its end; the result says how it ended."""
        try:
            if older:  # never two generations at once
                await asyncio.wait(older, timeout=STUBBORN_S)
            last = reply if isinstance(reply, str) else await self._listen(turn, reply)
            await self._do(self._session.finish(turn.response_id, last))
        except LineLost:
            return "cancelled"
        except BaseException as error:  # it may even cancel itself
            if _is_cancelled():
                raise
            return await self._fail(turn, error)
        return "done"

    async def _listen(self, turn: Turn, reply: Awaitable[str] | AsyncIterator[Piece]) -> str:
        """Say the pieces of a reply as they come; the result is what is left to say."""
        asked, count = perf_counter(), 0
        if turn.kind != "begin":  # of a burst of requests, only the last is worth a generation
            await asyncio.sleep(self._settings.settle_s)
        try:
            with Patience(self._settings.first_piece_s) as patience:
                if isinstance(reply, Awaitable):
                    last = await reply
                    self._metrics.first_piece.observe(perf_counter() - asked)
                    return last
                async for piece in reply:
                    patience.extend(self._settings.next_piece_s)
                    if count == 0:
                        self._metrics.first_piece.observe(perf_counter() - asked)
                    count += 1
                    if count % PIECES_IN_A_ROW == 0:  # it may never wait for anything
                        await asyncio.sleep(0)
                    await self._do(self._session.say(turn.response_id, piece))
        finally:
            if isinstance(reply, AsyncGenerator):
                await reply.aclose()
        if count == 0 and turn.kind != "begin":
            raise ResponderError("the responder yielded nothing, expected a piece; '' is silence")
        return ""

    async def _fail(self, turn: Turn, error: BaseException) -> str:
        asked_for = self._settings.logs_transcripts
        why = redact(repr(error)) if asked_for else cause(error)
        tell(self._session.call_id, "failed", f"turn {turn.response_id}: {why}")
        with contextlib.suppress(LineLost):
            await self._do(self._session.fail(turn.response_id))
        return "failed"

    def _finished(self, turn: Turn, reply: Reply, task: asyncio.Task[str]) -> None:
        if asyncio.iscoroutine(reply):
            reply.close()  # cancelled before its first step, nobody has awaited it
        self.running.discard(task)
        try:
            ended = task.result()
        except asyncio.CancelledError:  # taken from the task: left there, it would hold the frame
            ended = "cancelled"
        self._count(turn, ended)

    def _count(self, turn: Turn, ended: str) -> None:
        self._metrics.turns(turn.kind, ended).inc()


async def _do_nothing(_: Sequence[Effect]) -> None:
    pass


def _is_cancelled() -> bool:
    """Whether this task is told to stop: then an error is not the responder's own."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
