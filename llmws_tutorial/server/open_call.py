"""One open socket around a `Session`: it does what the session says.

The way of a frame: a text is received and handed to the session, which answers with effects: send,
start a turn, close, log. A turn runs in a task of its own, so that heartbeats are answered
meanwhile; a newer turn, or the end of the call, cancels it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from time import perf_counter
from typing import Final

from starlette.types import Message, Receive
from starlette.types import Send as AsgiSend

from llmws_tutorial.server.metrics import Metrics
from llmws_tutorial.server.session import Close, Effect, Send, Session, Start, State
from llmws_tutorial.server.settings import Settings
from llmws_tutorial.server.turn import Piece, Reply, Responder, Turn

log: Final = logging.getLogger("uvicorn.llm_websocket")  # shown wherever uvicorn's lines are
ENDINGS: Final = (1000, 1001, 1005)
"""The close codes of a caller who hung up; after any other one the platform dials again."""
IGNORED_LINES: Final = 100
"""How many odd frames of a call are logged; the metrics count all of them."""
STUBBORN_S: Final = 1.0
"""How long a cancelled turn may take to stop before the next one begins without it."""


class _LineLost(Exception):
    """The socket died while something was sent."""


class OpenCall:
    """One call while its socket is open.

    Attributes:
        session: the call's state.
        was_lost: whether the socket ended in a way after which the platform dials again.
    """

    def __init__(
        self,
        session: Session,
        responder: Responder,
        *,
        settings: Settings,
        metrics: Metrics,
        asgi: tuple[Receive, AsgiSend],
    ) -> None:
        self.session = session
        self.was_lost = False
        self._responder = responder
        self._settings = settings
        self._metrics = metrics
        self._receive, self._send = asgi
        self._turn: asyncio.Task[str] | None = None
        self._hold: asyncio.Task[None] | None = None
        self._ignored = 0

    async def run(self, *, again: bool) -> None:
        """Hold the call until one side ends it; nothing of it is left running after that."""
        try:
            await self._do(self.session.open(again=again))
            if self.session.state is State.WAITING:
                self._hold = asyncio.create_task(self._stop_waiting())
            while self.session.state is not State.OVER:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    self.was_lost = self.was_lost or not _is_hang_up(message)
                    break
                await self._take(message)
        except _LineLost:
            pass
        finally:
            self.stop()

    def stop(self) -> None:
        """End the call on this side, and cancel what is still being said."""
        self.session.end()
        for task in (self._turn, self._hold):
            if task is not None:
                task.cancel()

    async def _take(self, message: Message) -> None:
        text = message.get("text")
        if self._settings.logs_transcripts:
            self._log(f"received {text!r}")
        await self._do(self.session.receive(text))

    async def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(frame):
                    if self._settings.logs_transcripts:
                        self._log(f"sent {frame!r}")
                    await self._put({"type": "websocket.send", "text": frame})
                case Start(turn):
                    await self._start(turn)
                case Close(code, reason):
                    await self._put({"type": "websocket.close", "code": code, "reason": reason})
                case _:
                    self._metrics.ignored.inc()
                    self._ignored += 1
                    if self._ignored <= IGNORED_LINES:
                        self._log(effect.text)

    async def _put(self, message: Message) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:  # the second after a close of uvicorn's own
            self.was_lost = True
            self._log(f"lost, {error!r}")
            raise _LineLost from error

    async def _start(self, turn: Turn) -> None:
        older, self._turn = self._turn, None
        if older is not None:
            older.cancel()
        reply = self._ask(turn)
        if isinstance(reply, str):
            self._count(turn, await self._run(turn, reply, older=None))
            return
        self._turn = asyncio.create_task(self._run(turn, reply, older))
        self._turn.add_done_callback(lambda task: self._finished(turn, reply, task))

    def _ask(self, turn: Turn) -> Reply:
        try:
            return self._responder(turn)
        except Exception as error:
            return _failing(error)

    async def _run(self, turn: Turn, reply: Reply, older: asyncio.Task[str] | None) -> str:
        """Bring one turn to its end; the result says how it ended."""
        try:
            if older is not None:  # never two generations at once
                await asyncio.wait({older}, timeout=STUBBORN_S)
            last = reply if isinstance(reply, str) else await self._stream(turn, reply)
            await self._do(self.session.finish(turn.response_id, last))
        except _LineLost:
            return "cancelled"
        except Exception as error:
            self._log(f"turn {turn.response_id} failed, {error!r}")
            with contextlib.suppress(_LineLost):
                await self._do(self.session.fail(turn.response_id))
            return "failed"
        return "done"

    def _finished(self, turn: Turn, reply: Reply, task: asyncio.Task[str]) -> None:
        if asyncio.iscoroutine(reply):
            reply.close()  # cancelled before its first step, nobody has awaited it
        self._count(turn, "cancelled" if task.cancelled() else task.result())

    def _count(self, turn: Turn, ended: str) -> None:
        self._metrics.turns.labels(turn.kind, ended).inc()

    async def _stream(self, turn: Turn, reply: Awaitable[str] | AsyncIterator[Piece]) -> str:
        """Say the pieces of a reply as they come; the result is what is left to say."""
        asked = perf_counter()
        limit_s = self._settings.first_piece_s
        if isinstance(reply, Awaitable):
            async with asyncio.timeout(limit_s):
                return await reply
        try:
            while True:
                async with asyncio.timeout(limit_s):
                    piece = await anext(reply)
                if limit_s is self._settings.first_piece_s:
                    self._metrics.first_piece.observe(perf_counter() - asked)
                    limit_s = self._settings.next_piece_s
                await self._do(self.session.say(turn.response_id, piece))
        except StopAsyncIteration:
            return ""
        finally:
            if isinstance(reply, AsyncGenerator):
                await reply.aclose()

    async def _stop_waiting(self) -> None:
        await asyncio.sleep(self._settings.facts_s)
        with contextlib.suppress(_LineLost):
            await self._do(self.session.stop_waiting())

    def _log(self, text: str) -> None:
        log.info("call %r: %s", self.session.call_id, text)


def _is_hang_up(message: Message) -> bool:
    """Whether the peer closed on purpose; uvicorn reports a dropped line without a reason."""
    return "reason" in message and message.get("code") in ENDINGS


async def _failing(error: Exception) -> str:
    raise error
