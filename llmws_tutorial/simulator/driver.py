"""A call on real sockets: time passes, a lost line is dialled again.

It decides nothing about the call: `Call` knows what is due and what a frame means, `Caller` what
the caller does, `Keepalive` whether the line lives. This module sleeps until one of them is due.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import (
    ReminderRequired,
    Request,
    ResponseRequired,
    write,
)
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.clock import Clock
from llmws_tutorial.simulator.endings import ABNORMAL, CORRUPT, LOST, UNKNOWN
from llmws_tutorial.simulator.keepalive import PATIENCE_S, Beat, Keepalive, Loss
from llmws_tutorial.simulator.opening import CLOSE_TIMEOUT_S
from llmws_tutorial.simulator.record import CallRecord, Frame
from llmws_tutorial.simulator.states import State
from llmws_tutorial.simulator.timers import NEVER
from llmws_tutorial.simulator.verdict import Accepted, Dropped

WRITE_S: Final = 5.0
"""How long a server may refuse to read before its line counts as dropped (seconds)."""
MOST_BYTES: Final = 64 * 2**20
"""How much a server may send in one call; more is a flood, and ends it."""
FRAME_BYTES: Final = 512
"""What each of its frames counts besides: to keep an empty one takes memory as well."""
MOST_SAID: Final = 2**20
"""How long a transcript may get (characters): it is sent again with every message."""
MOST_SENT_BYTES: Final = 2**30
"""How much the platform sends in one call; a realistic hour is a quarter of it."""
_FRAMES_AT_ONCE: Final = 32
_EVENTS_AT_ONCE: Final = 16

Opener = Callable[[], Awaitable[ClientConnection]]
"""Opens the socket of the call, for the first time or again; raises CannotConnect."""
Condition = Callable[[], bool]
"""Something that will be so."""


class Driver:
    """Drives one call until it ends, over as many sockets as it takes.

    Attributes:
        record: the call so far.
    """

    def __init__(self, record: CallRecord, caller: Caller, *, opener: Opener, clock: Clock) -> None:
        self.record = record
        self._call = record.call
        self._caller = caller
        self._opener = opener
        self._clock = clock
        self._keepalive = Keepalive()
        record.round_trips_ms = self._keepalive.round_trips_ms
        self._loss: Loss | None = None  # why we broke the connection ourselves
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._outbox: list[Request | str] = []
        self._asked: Request | None = None  # the latest request
        self._slow_until_s = 0.0  # of the call
        self._bytes = 0
        self._sent_bytes = 0
        self._skips = 0
        self._news = asyncio.Event()
        self._awaited: dict[asyncio.Event, tuple[Condition, float]] = {}

    async def open(self) -> None:
        """Dial for the first time; then `run` has to follow.

        Raises:
            CannotConnect: when the socket does not open.
        """
        self._connect(await self._opener())

    async def run(self) -> None:
        """Let the call go on until it ends, then close the socket.

        Whoever cancels this hangs up.
        """
        try:
            while True:
                self.catch_up()
                await self._flush()
                self._tell()
                if self._call.state is State.ENDED:
                    break
                await self._sleep()
                self._raise_what_failed()
        finally:
            self._call.hang_up()
            self._tell()
            await self._close()
        self._raise_what_failed()

    def catch_up(self) -> None:
        """Bring the call to the present, and do what is due; once it is over, time stops."""
        if self._call.state is State.ENDED:
            return
        faults = self._caller.advance(self._call, self._clock.now_s())
        self._queue(self._call.take())
        for fault in faults:
            self.go_wrong(fault)
        self._clock.pace(self._call.now_s, waits_for_server=self._waits)
        now_s = time.monotonic()
        if self._is_slow:
            self._keepalive.heard(now_s)  # a heartbeat that nobody reads is not missing
        match self._keepalive.beat(now_s):
            case Beat.PING:
                self._outbox.append(self._keepalive.ping(time.time_ns() // 1_000_000, now_s))
            case Beat.LOST:
                self._call.note(f"no heartbeat for {PATIENCE_S:g} s")
                self._break(Loss.KEEPALIVE)

    async def until(self, condition: Condition, *, by_s: float = NEVER) -> None:
        """Wait until something is so, a second of the call has come, or it has ended."""
        if self._is_so(condition, by_s):
            return
        told = asyncio.Event()
        self._awaited[told] = (condition, by_s)
        self.wake()
        try:
            await told.wait()
        finally:
            self._awaited.pop(told, None)

    def skip_to(self, at_s: float) -> None:
        """Let the time until then pass at once (seconds of the call)."""
        self._clock.skip_to(at_s)
        self.wake()

    def wake(self) -> None:
        """Look at the call again: something was done to it from outside."""
        self._news.set()

    def go_wrong(self, fault: Fault) -> None:
        """Let something go wrong now."""
        self._call.note(f"fault: {fault.kind}")
        self.wake()  # the script goes on after it
        match fault.kind:
            case "drop_line":
                self._break(Loss.DROP)
            case "slow":
                self._slow_until_s = self._call.now_s + fault.seconds
            case "garble":
                self._outbox.append(fault.text)
            case _ if self._asked is not None:  # resend
                self._outbox.append(self._asked)
            case _:
                self._call.note("nothing was asked yet that could be sent again")

    def _is_so(self, condition: Condition, by_s: float) -> bool:
        return self._call.state is State.ENDED or self._call.now_s >= by_s or condition()

    def _tell(self) -> None:
        """Tell everybody whose moment has come; from then on they hold up no time."""
        for told, awaited in list(self._awaited.items()):
            if self._is_so(*awaited):
                del self._awaited[told]
                told.set()

    def _raise_what_failed(self) -> None:
        """Raise what nobody foresaw in a task, such as a record that cannot be kept."""
        for task in (self._reading, self._dialling):
            if task is not None and task.done() and not task.cancelled():
                task.result()

    async def _sleep(self) -> None:
        """Wait for news, or until something is due."""
        due_s = self._due_s
        if self._may_skip_to(due_s):
            self._clock.skip_to(due_s)
            self._skips += 1
            if self._skips % _EVENTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let frames in
            return
        left_s = min(self._clock.wall_s_until(due_s), self._keepalive.due_s - time.monotonic())
        alarm = None
        if left_s != NEVER:
            alarm = asyncio.get_running_loop().call_later(max(left_s, 0.0), self.wake)
        try:
            await self._news.wait()
        finally:
            self._news.clear()
            if alarm is not None:
                alarm.cancel()

    @property
    def _due_s(self) -> float:
        """When something happens next by itself (seconds of the call)."""
        return min(
            self._caller.due_s(self._call),
            self._slow_until_s if self._is_slow else NEVER,
            *(by_s for _, by_s in self._awaited.values()),
        )

    def _may_skip_to(self, due_s: float) -> bool:
        """Whether nobody needs the time until then: not the server, and not who holds the line."""
        is_idle = self._socket is not None and not self._waits
        is_wanted = self._caller.has_script or bool(self._awaited)
        return not self._clock.is_paced and is_idle and is_wanted and due_s != NEVER

    @property
    def _waits(self) -> bool:
        """Whether everybody waits for what takes its time at any speed: a server, or a sound."""
        return self._call.waits_for_server or self._call.waits_for_voice

    @property
    def _is_slow(self) -> bool:
        return self._call.now_s < self._slow_until_s

    def _queue(self, messages: list[Request]) -> None:
        self._outbox += messages
        requests = [message for message in messages if _asks(message)]
        self._asked = requests[-1] if requests else self._asked

    async def _flush(self) -> None:
        """Send what is to be sent; while the line is down only the latest request is kept."""
        if self._is_slow:
            return
        messages, self._outbox = self._outbox, []
        unsent = [message for message in messages if not await self._send(message)]
        requests = [message for message in unsent if _asks(message)]
        self._outbox = requests[-1:] + self._outbox

    async def _send(self, message: Request | str) -> bool:
        """Send one message; false when there is no line, or it broke."""
        if self._socket is None:
            return False
        frame = message if isinstance(message, str) else write(message)
        try:
            async with asyncio.timeout(WRITE_S):
                await self._socket.send(frame)
        except ConnectionClosed:
            return False  # who reads notices as well
        except TimeoutError:
            self._call.note(f"the server has read nothing for {WRITE_S:g} s")
            self._break(Loss.DROP)
            return False
        self.record.keep(Frame("platform", frame, at_s=self._at_s()))
        self._sent_bytes += len(frame)
        if self._sent_bytes > MOST_SENT_BYTES:
            self._give_up(f"the platform's messages are more than {MOST_SENT_BYTES} bytes")
        return True

    async def _read(self, socket: ClientConnection) -> None:
        number = 0
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                await self.until(lambda: not self._is_slow, by_s=self._slow_until_s)
                self._take(data)
                number += 1
                if number % _FRAMES_AT_ONCE == 0:
                    await asyncio.sleep(0)  # a flood must not keep time from passing
        self._lost(socket)

    def _take(self, data: str | bytes) -> None:
        self.catch_up()
        verdict = self._call.receive(data)
        reason = verdict.reason if isinstance(verdict, Dropped) else None
        self.record.keep(Frame("server", data, reason, self._at_s()))
        if isinstance(verdict, Accepted):
            odd = self._keepalive.take(verdict.message, time.monotonic())
            if odd is not None:
                self._call.note(odd)
        self._bytes += len(data) + FRAME_BYTES
        if self._bytes > MOST_BYTES:
            self._give_up(f"the server floods: more than {MOST_BYTES} bytes")
        elif self._call.heard.size > MOST_SAID:
            self._give_up(f"the transcript is longer than {MOST_SAID} characters")
        self.wake()

    def _give_up(self, why: str) -> None:
        self._call.fail(UNKNOWN, why)
        self._break(Loss.DROP)  # what still comes would be read while it closes

    def _at_s(self) -> float:
        return round(self._call.now_s, 6)

    def _connect(self, socket: ClientConnection) -> None:
        self._socket, self._loss = socket, None
        self.record.connections += 1
        self._call.connected(again=self.record.connections > 1)
        if self._call.wishes.config.auto_reconnect:  # where a config outlives its connection
            self._keepalive.start(time.monotonic())
        self._reading = self._start(self._read(socket))
        self.wake()

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self.wake())
        return task

    def _break(self, loss: Loss) -> None:
        """Break the connection as a network does; who reads notices."""
        if self._socket is not None:
            self._loss = loss
            self._socket.transport.abort()
            self._socket = None  # what is to be sent from now on waits for the next one

    def _lost(self, socket: ClientConnection) -> None:
        """Decide what the end of a connection means: dial again, or the end of the call."""
        self._socket = None
        self._keepalive.stop()
        is_over = self._call.state is State.ENDED
        code, reason = _ending(socket, did_hang_up=is_over)
        self.record.close_code, self.record.close_reason = code, reason
        loss = self._loss or (Loss.DROP if code == ABNORMAL else None)
        if is_over:
            return
        if loss is None:
            self._call.socket_closed(code)
        elif self._keepalive.lose(loss, self._call):
            self._dialling = self._start(self._dial_again())

    async def _dial_again(self) -> None:
        try:
            self._connect(await self._opener())
        except CannotConnect as error:
            self._call.fail(LOST, f"it cannot be dialled again: {error}")

    async def _close(self) -> None:
        """Leave no socket and no task behind, even if this is cancelled as well."""
        socket, tasks = self._socket, [task for task in (self._reading, self._dialling) if task]
        code = 1007 if self._call.disconnection_reason == CORRUPT else 1000
        if self._dialling is not None:
            self._dialling.cancel()
        try:
            if socket is not None:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):  # the library's own starts late
                    await socket.close(code)
        except TimeoutError:
            pass
        finally:
            if socket is not None:
                socket.transport.abort()
            await asyncio.wait(tasks)


def _asks(message: Request | str) -> bool:
    return isinstance(message, ResponseRequired | ReminderRequired)


def _ending(socket: ClientConnection, *, did_hang_up: bool) -> tuple[int, str]:
    """With which code and reason a connection ended: 1006 if there was none."""
    close = socket.protocol.close_rcvd
    if close is None and not did_hang_up:
        close = socket.protocol.close_sent  # the library refused what came, and read no further
    return (ABNORMAL, "") if close is None else (int(close.code), close.reason)
