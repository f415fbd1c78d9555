"""One open socket around a `Session`: it does what the session says.

The way of a frame: a text is received and handed to the session, which answers with effects: send,
start a turn, cancel it, close, log. How a turn runs is in `generations`.
"""

import asyncio
import contextlib
from asyncio import FIRST_COMPLETED
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from starlette.types import Message, Receive
from starlette.types import Send as AsgiSend

from llmws_tutorial.server.effects import EXPIRED, REPLACED, Cancel, Close, Effect, Send, Start
from llmws_tutorial.server.generations import Generations, LineLost
from llmws_tutorial.server.log import one_line, redact, tell
from llmws_tutorial.server.metrics import Metrics
from llmws_tutorial.server.session import Session, State
from llmws_tutorial.server.settings import Settings
from llmws_tutorial.server.turn import Note, Responder

HANG_UPS: Final = (1000, 1001, 1005)
"""The close codes of a caller who hung up; after any other one the platform dials again."""
SERVER_STOPS: Final = 1012
"""The code of a disconnect that our own listener announces, and that lets last words through."""
ODD_LINES: Final = 100
"""How many odd frames of a call are logged; the metrics count all of them."""


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
        self._settings = settings
        self._metrics = metrics
        self._receive, self._send = asgi
        self._generations = Generations(
            responder, session, self._do, settings=settings, metrics=metrics
        )
        self._timers: list[asyncio.TimerHandle] = []
        self._late: set[asyncio.Task[None]] = set()
        self._odd = 0

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
        except LineLost:
            pass
        finally:
            self.stop()
            how = "lost" if self.was_lost else "ended"
            self._log("over", f"{how} after {perf_counter() - began:.1f} s")

    async def send(self, note: Note) -> None:
        """Send a message that belongs to no turn, for example an `AgentInterrupt`."""
        with contextlib.suppress(LineLost):
            await self._do(self.session.note(note))

    def replace(self, older: "OpenCall") -> None:
        """Take over from an older socket; its turns may take a while to stop."""
        older.stop()
        older._soon([REPLACED])
        self._generations.inherit(older._generations)

    def stop(self) -> None:
        """End the call on this side, and cancel what is still being said."""
        self.session.end()
        self._generations.end()
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
        while self.session.state is State.LEAVING and self._generations.running:
            receiving = asyncio.ensure_future(self._receive())
            await asyncio.wait({*self._generations.running, receiving}, return_when=FIRST_COMPLETED)
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
                    await self._generations.start(turn)
                case Cancel():
                    self._generations.cancel()
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
            raise LineLost from error

    def _after(self, delay_s: float, decide: Callable[[], list[Effect]]) -> None:
        """Let time pass, and do what the session then says."""
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(delay_s, lambda: self._soon(decide())))

    def _soon(self, effects: Sequence[Effect]) -> None:
        async def do() -> None:
            with contextlib.suppress(LineLost):
                await self._do(effects)

        task = asyncio.create_task(do())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _log(self, event: str, text: str) -> None:
        tell(self.session.call_id, event, text)


def _is_hang_up(message: Message) -> bool:
    """Whether the peer closed on purpose; uvicorn reports a dropped line without a reason."""
    return "reason" in message and message.get("code") in HANG_UPS
