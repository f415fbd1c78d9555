"""One call of a case: it does by itself what the platform does by itself."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from llmws_tutorial.checks.exchange import Ended, Exchange, Got, Opened, Refused, Sent
from llmws_tutorial.checks.moves import Ask
from llmws_tutorial.checks.transport import LineEnded, Socket, Transport
from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import (
    AgentInterrupt,
    CallDetails,
    CallFacts,
    Config,
    Ping,
    ReminderRequired,
    Request,
    Response,
    ResponseRequired,
    ServerMessage,
    UpdateOnly,
    Word,
    write,
)
from llmws_tutorial.simulator.answers import Answers
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.endings import ABNORMAL
from llmws_tutorial.simulator.keepalive import PING_S
from llmws_tutorial.simulator.transcript import Transcript
from llmws_tutorial.simulator.verdict import Dropped, read_frame
from llmws_tutorial.simulator.wishes import Wishes

MOST_FRAMES: Final = 2_000
"""How many frames of a server are read in one call; more is a flood, and ends it."""
MOST_READ: Final = 2**22
"""How long these frames may be together (characters or bytes); all are kept for the report."""
_WORD_S: Final = 0.3


class Line:
    """The platform's end of one call, as far as a case does not say otherwise.

    Attributes:
        is_open: whether the socket is open.
    """

    def __init__(
        self, name: str, call_id: str, exchange: Exchange, *, tell: Callable[[], None]
    ) -> None:
        """Prepare a call.

        Args:
            name: what the moves call it.
            call_id: its id, the same for each of its sockets.
            exchange: where everything is noted.
            tell: called after everything that was noted.
        """
        self.is_open = False
        self._name = name
        self._call_id = call_id
        self._exchange = exchange
        self._tell = tell
        self._answers = Answers(Choices())
        self._wishes = Wishes(Choices())
        self._heard = Transcript()
        self._heard_turns = 0
        self._spoken_s = 0.0
        self._frames = 0
        self._length = 0
        self._socket: Socket | None = None
        self._abandoned: list[Socket] = []
        self._beating: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        exchange.turns[name] = self._answers.turns

    async def open(
        self, transport: Transport, *, headers: Mapping[str, str], is_wrong: bool = False
    ) -> None:
        """Open the socket, or note why there is none."""
        self.drop()  # one call has one socket
        again = bool(self._exchange.of(Opened, self._name))
        try:
            self._socket = await transport.open(self._call_id, headers=headers, is_wrong=is_wrong)
        except CannotConnect as error:
            self._note(Refused, why=str(error), stage=error.stage)
            return
        self.is_open = True
        self._note(Opened, again=again)
        self._reading = asyncio.create_task(self._read(self._socket))

    async def send(self, data: str | bytes, pieces: int = 1) -> None:
        """Send a frame, if there is still somebody to take it."""
        if self._socket is not None and self.is_open:
            self._note(Sent, data=data)
            with contextlib.suppress(LineEnded):  # whoever reads notices it as well
                await self._socket.send(data, pieces)

    async def update(self, said: str) -> None:
        """Let the caller speak, and tell it."""
        self._say(said)
        await self._write(UpdateOnly(**self._transcript(), turntaking="user_turn"))

    async def ask(self, move: Ask) -> None:
        """Let the caller speak, and ask for an answer: all older turns are dead."""
        self._say("" if move.frame else move.said)
        is_reminder = move.kind == "reminder_required"
        kind = ReminderRequired if is_reminder else ResponseRequired
        self._answers.ask(
            "reminder" if is_reminder else "response",
            self._exchange.now_s,
            response_id=move.response_id,
        )
        request = kind(response_id=move.response_id, **self._transcript())
        await self.send(move.frame or write(request), move.pieces)

    async def hang_up(self) -> None:
        """Close the socket with 1000, and let the server close its end."""
        if self._socket is not None and self.is_open:
            self._leave()
            began_s = self._exchange.now_s
            is_clean = await self._socket.hang_up()
            took_s = self._exchange.now_s - began_s
            self._note(Ended, by_server=False, is_clean=is_clean, took_s=took_s)

    def drop(self, *, silently: bool = False) -> None:
        """Break the connection; silently: the server's end of it stays open to the end."""
        if self._socket is not None and self.is_open:
            self._leave()
            if silently:
                self._abandoned.append(self._socket)
            else:
                self._socket.drop()
            self._note(Ended, by_server=False)

    async def close(self) -> None:
        """Leave nothing open and nothing running."""
        self.drop()
        for socket in self._abandoned:
            socket.drop()
        for task in (self._reading, self._beating):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def _leave(self) -> None:
        self.is_open = False
        for task in (self._reading, self._beating):
            if task is not None:
                task.cancel()  # what comes from here on is nobody's business

    async def _read(self, socket: Socket) -> None:
        """Note every frame, and do at once what the platform does at once."""
        try:
            while self._frames < MOST_FRAMES and self._length < MOST_READ:
                data = await socket.receive()
                self._frames += 1
                self._length += len(data)
                await self._take(data)
            socket.drop()
            is_long = self._length >= MOST_READ
            much = f"{MOST_READ // 2**20} MiB" if is_long else f"{MOST_FRAMES} frames"
            raise LineEnded(ABNORMAL, f"more than {much}: a flood")
        except LineEnded as end:
            self.is_open = False
            self._stop_beating()
            self._note(Ended, code=end.code, reason=end.reason)

    async def _take(self, data: str | bytes) -> None:
        message = read_frame(data)
        if isinstance(message, Dropped):
            self._note(Got, data=data, dropped=message)
            return
        dropped = self._judge(message)
        self._note(Got, data=data, message=message, dropped=dropped)
        if isinstance(message, Config):
            await self._grant(message)

    def _judge(self, message: ServerMessage) -> Dropped | None:
        """Let a message count, unless the platform would drop it."""
        now_s = self._exchange.now_s
        if isinstance(message, Response | AgentInterrupt):
            turn = self._answers.judge(message, now_s)
            if isinstance(turn, Dropped):
                return turn
            turn.take(message, now_s)
        elif (entry := self._wishes.take(message, now_s)) is not None:
            self._heard.weave(entry)
        return None

    async def _grant(self, message: Config) -> None:
        """Give a server what its config asks for."""
        self._exchange.configs[self._name] = message.config
        if message.config.call_details:
            facts = CallFacts(
                call_type="web_call", call_id=self._call_id, call_status="ongoing", metadata={}
            )
            await self._write(CallDetails(call=facts))
        self._stop_beating()
        if message.config.auto_reconnect:
            self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await self._write(Ping(timestamp=time.time_ns() // 1_000_000))
            await asyncio.sleep(PING_S)

    def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()

    async def _write(self, message: Request) -> None:
        await self.send(write(message))

    def _transcript(self) -> dict[str, Any]:
        return dict(self._heard.as_fields(self._wishes.config))

    def _say(self, said: str) -> None:
        """Put what the agent said since then, and the caller's words, into the transcript."""
        for turn in self._answers.turns[self._heard_turns :]:
            self._put("agent", turn.sent)
        self._heard_turns = len(self._answers.turns)
        self._put("user", said)

    def _put(self, role: str, text: str) -> None:
        words = text.split()
        content = " ".join(words)
        for word in words:
            start_s, self._spoken_s = self._spoken_s, round(self._spoken_s + _WORD_S, 3)
            spoken = Word(word=word, start=start_s, end=self._spoken_s)
            self._heard.hear(role, content, spoken)
        self._heard.close(role)

    def _note(self, kind: type[Any], **fields: Any) -> None:
        self._exchange.note(kind, line=self._name, **fields)
        self._tell()
