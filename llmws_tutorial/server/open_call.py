"""One open socket around a `Session`: it does what the session says.

The way of a frame: a text is received and handed to the session, which answers with effects: send,
start a turn, cancel it, close, log. A turn runs in a task of its own, so that heartbeats are
answered meanwhile; a newer turn, or the end of the call, cancels it.
"""

import asyncio
import contextlib
import logging
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from time import perf_counter
from typing import Final

from starlette.types import Message, Receive
from starlette.types import Send as AsgiSend

from llmws_tutorial.errors import ResponderError
from llmws_tutorial.server.log import cause, one_line, redact
from llmws_tutorial.server.metrics import Metrics
from llmws_tutorial.server.patience import Patience
from llmws_tutorial.server.session import (
    EXPIRED,
    REPLACED,
    Cancel,
    Close,
    Effect,
    Send,
    Session,
    Start,
    State,
)
from llmws_tutorial.server.settings import Settings
from llmws_tutorial.server.turn import Note, Piece, Reply, Responder, Turn

log: Final = logging.getLogger("uvicorn.llm_websocket")  # shown wherever uvicorn's lines are
HANG_UPS: Final = (1000, 1001, 1005)
"""The close codes of a caller who hung up; after any other one the platform dials again."""
SERVER_STOPS: Final = 1012
"""The code of a disconnect that our own listener announces, and that lets last words through."""
ODD_LINES: Final = 100
"""How many odd frames of a call are logged; the metrics count all of them."""
PIECES_IN_A_ROW: Final = 16
"""How many pieces of an answer may go out before other calls have their turn."""
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
        self._turns: set[asyncio.Task[str]] = set()  # one, and the cancelled ones before it
        self._timers: list[asyncio.TimerHandle] = []
        self._late: set[asyncio.Task[None]] = set()
        self._odd = 0

    @property
    def was_greeted(self) -> bool:
        """Whether the caller has heard the greeting, or has spoken already."""
        return self.session.is_greeted

    async def run(self, *, again: bool) -> None:
        """Hold the call until one side ends it; nothing of it is left running after that."""
        began = perf_counter()
        try:
            self._after(self._settings.call_s, lambda: self.session.stop(EXPIRED))
            await self._do(self.session.open(again=again))
            if self.session.state is State.WAITING:
                self._after(self._settings.facts_s, self.session.stop_waiting)
            while self.session.state is not State.OVER and await self._take(await self._receive()):
                pass
        except _LineLost:
            pass
        finally:
            self.stop()
            how = "lost" if self.was_lost else "ended"
            self._log("over", f"{how} after {perf_counter() - began:.1f} s")

    async def send(self, note: Note) -> None:
        """Send a message that belongs to no turn, for example an `AgentInterrupt`."""
        with contextlib.suppress(_LineLost):
            await self._do(self.session.note(note))

    def replace(self, older: "OpenCall") -> None:
        """Take over from an older socket; its turns may take a while to stop."""
        older.stop()
        older._soon([REPLACED])
        for task in older._turns:
            self._turns.add(task)
            task.add_done_callback(self._turns.discard)

    def stop(self) -> None:
        """End the call on this side, and cancel what is still being said."""
        self.session.end()
        self._cancel_turns()
        for timer in self._timers:
            timer.cancel()
        for task in self._late:
            task.cancel()

    async def _take(self, message: Message) -> bool:
        """Take what the server hands over; the result says whether the call goes on."""
        if message["type"] == "websocket.disconnect":
            if message.get("code") == SERVER_STOPS:
                await self._leave()
            self.was_lost = self.was_lost or not _is_hang_up(message)
            return False
        text = message.get("text")
        if self._settings.logs_transcripts:
            self._log("received", redact(repr(text)))
        await self._do(self.session.receive(text))
        return True

    async def _leave(self) -> None:
        """Let the agent finish an answer; what the platform sends meanwhile is still taken."""
        await self._do(self.session.stop())
        while self.session.state is State.LEAVING and self._turns:
            receiving = asyncio.ensure_future(self._receive())
            await asyncio.wait({*self._turns, receiving}, return_when=FIRST_COMPLETED)
            if not receiving.done():
                receiving.cancel()
            elif receiving.result()["type"] == "websocket.disconnect":
                return
            else:
                await self._take(receiving.result())

    async def _do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(frame):
                    if self._settings.logs_transcripts:
                        self._log("sent", redact(repr(frame)))
                    await self._put({"type": "websocket.send", "text": frame})
                case Start(turn):
                    await self._start(turn)
                case Cancel():
                    self._cancel_turns()
                case Close(code, reason):
                    await self._put({"type": "websocket.close", "code": code, "reason": reason})
                case _:
                    self._metrics.odd(effect.event).inc()
                    self._odd += 1
                    if self._odd <= ODD_LINES:
                        self._log(effect.event, one_line(effect.text))

    async def _put(self, message: Message) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:  # the second after a close of uvicorn's own
            self.was_lost = True
            raise _LineLost from error

    def _after(self, delay_s: float, decide: Callable[[], list[Effect]]) -> None:
        """Let time pass, and do what the session then says."""
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(delay_s, lambda: self._soon(decide())))

    def _soon(self, effects: Sequence[Effect]) -> None:
        async def do() -> None:
            with contextlib.suppress(_LineLost):
                await self._do(effects)

        task = asyncio.create_task(do())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _start(self, turn: Turn) -> None:
        self._cancel_turns()
        try:
            reply = self._responder(turn)
        except BaseException as error:
            if _is_cancelled():
                raise
            self._count(turn, await self._fail(turn, error))
            return
        if isinstance(reply, str):
            self._count(turn, await self._run(turn, reply))
            return
        task = asyncio.create_task(self._run(turn, reply, older=tuple(self._turns)))
        self._turns.add(task)
        task.add_done_callback(lambda task: self._finished(turn, reply, task))

    def _cancel_turns(self) -> None:
        for task in self._turns:
            if not task.cancelling():
                task.cancel()

    async def _run(
        self, turn: Turn, reply: Reply, older: Collection[asyncio.Task[str]] = ()
    ) -> str:
        """Bring one turn to its end; the result says how it ended."""
        try:
            if older:  # never two generations at once
                await asyncio.wait(older, timeout=STUBBORN_S)
            last = reply if isinstance(reply, str) else await self._listen(turn, reply)
            await self._do(self.session.finish(turn.response_id, last))
        except _LineLost:
            return "cancelled"
        except BaseException as error:  # a responder may even cancel itself, or exit
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
                    await self._do(self.session.say(turn.response_id, piece))
        finally:
            if isinstance(reply, AsyncGenerator):
                await reply.aclose()
        if count == 0 and turn.kind != "begin":
            raise ResponderError("the responder yielded nothing, expected a piece; '' is silence")
        return ""

    async def _fail(self, turn: Turn, error: BaseException) -> str:
        asked_for = self._settings.logs_transcripts
        why = redact(repr(error)) if asked_for else cause(error)
        self._log("failed", f"turn {turn.response_id}: {why}")
        with contextlib.suppress(_LineLost):
            await self._do(self.session.fail(turn.response_id))
        return "failed"

    def _finished(self, turn: Turn, reply: Reply, task: asyncio.Task[str]) -> None:
        if asyncio.iscoroutine(reply):
            reply.close()  # cancelled before its first step, nobody has awaited it
        self._turns.discard(task)
        try:
            ended = task.result()
        except asyncio.CancelledError:  # taken from the task: left there, it would hold the frame
            ended = "cancelled"
        self._count(turn, ended)

    def _count(self, turn: Turn, ended: str) -> None:
        self._metrics.turns(turn.kind, ended).inc()

    def _log(self, event: str, text: str) -> None:
        extra = {"call_id": self.session.call_id, "event": event}
        log.info("call %r: %s, %s", self.session.call_id, event, text, extra=extra)


def _is_cancelled() -> bool:
    """Whether this task is told to stop: then an error is not the responder's own."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _is_hang_up(message: Message) -> bool:
    """Whether the peer closed on purpose; uvicorn reports a dropped line without a reason."""
    return "reason" in message and message.get("code") in HANG_UPS
