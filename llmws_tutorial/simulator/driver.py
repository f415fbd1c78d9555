"""A call on real sockets: time passes, frames come and go, a lost line is dialled again.

It decides nothing about the call: `Call` knows what is due and what a frame means, `Caller` what
the caller does, `Keepalive` whether the line lives. This module sleeps until one of them is due.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import (
    Config,
    Ping,
    Pong,
    ReminderRequired,
    Request,
    ResponseRequired,
    write,
)
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.clock import Clock
from llmws_tutorial.simulator.endings import CORRUPT, LOST, UNKNOWN
from llmws_tutorial.simulator.keepalive import PATIENCE_S, Beat, Keepalive, Loss
from llmws_tutorial.simulator.record import CallRecord, Frame
from llmws_tutorial.simulator.states import State
from llmws_tutorial.simulator.verdict import Accepted, Dropped

WRITE_S: Final = 5.0
"""How long a server may refuse to read before its line counts as dropped (seconds)."""
MOST_BYTES: Final = 64 * 2**20
"""How much a server may send in one call; more is a flood, and ends it."""
_FRAMES_AT_ONCE: Final = 32

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
        self._loss: Loss | None = None  # why we broke the connection ourselves
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._outbox: list[Request | str] = []
        self._last_request = ""
        self._slow_until_s = 0.0  # of the wall
        self._pings: dict[int, float] = {}  # when each was sent
        self._bytes = 0
        self._news = asyncio.Event()
        self._awaited: list[tuple[Condition, asyncio.Future[None]]] = []

    async def open(self) -> None:
        """Dial for the first time.

        Raises:
            CannotConnect: when the socket does not open.
        """
        self._connect(await self._opener())

    async def run(self) -> None:
        """Let the call go on until it ends, then close the socket."""
        try:
            while self._call.state is not State.ENDED:
                self._tick()
                await self._flush()
                self._tell()
                await self._sleep()
        finally:
            await self._close()
            self._tell()

    async def until(self, condition: Condition) -> None:
        """Wait until something is so, or the call has ended."""
        told = asyncio.get_running_loop().create_future()
        self._awaited.append((condition, told))
        self.wake()
        try:
            await told
        finally:
            self._awaited.remove((condition, told))

    def wake(self) -> None:
        """Look at the call again: something was done to it from outside."""
        self._news.set()

    def _tell(self) -> None:
        is_over = self._call.state is State.ENDED
        for condition, told in self._awaited:
            if not told.done() and (is_over or condition()):
                told.set_result(None)

    def _tick(self) -> None:
        """Bring the call to the present, and do what is due."""
        for fault in self._caller.advance(self._call, self._clock.now_s()):
            self._go_wrong(fault)
        self._outbox += self._call.take()
        self._clock.pace(self._call.now_s, waits_for_server=self._call.waits_for_server)
        match self._keepalive.beat(time.monotonic()):
            case Beat.PING:
                self._outbox.append(self._ping())
            case Beat.LOST:
                self._call.note(f"no heartbeat for {PATIENCE_S:g} s")
                self._break(Loss.KEEPALIVE)

    async def _sleep(self) -> None:
        """Wait for news, or until something is due; a call that is over has neither."""
        if self._call.state is State.ENDED:
            return
        due_s = self._caller.due_s(self._call)
        if self._may_skip_to(due_s):
            self._clock.skip_to(due_s)
            await asyncio.sleep(0)
            return
        left_s = min(
            self._clock.wall_s_until(due_s),
            self._keepalive.due_s - time.monotonic(),
            self._slow_until_s - time.monotonic() if self._outbox else float("inf"),
        )
        alarm = None
        if left_s != float("inf"):
            alarm = asyncio.get_running_loop().call_later(max(left_s, 0.0), self._news.set)
        await self._news.wait()
        self._news.clear()
        if alarm is not None:
            alarm.cancel()

    def _may_skip_to(self, due_s: float) -> bool:
        """Whether nobody needs the time until then: not the server, and not who holds the line."""
        is_idle = self._socket is not None and not self._call.waits_for_server
        is_wanted = self._caller.has_script or bool(self._awaited)
        return not self._clock.is_paced and is_idle and is_wanted and due_s != float("inf")

    async def _flush(self) -> None:
        """Send what is to be sent; a line that is down keeps only the latest request."""
        if time.monotonic() < self._slow_until_s:
            return
        messages, self._outbox = self._outbox, []
        for message in messages:
            frame = message if isinstance(message, str) else write(message)
            if isinstance(message, ResponseRequired | ReminderRequired):
                self._last_request = frame
            if self._socket is not None:
                await self._send(self._socket, frame)
            elif isinstance(message, ResponseRequired | ReminderRequired):
                self._outbox = [message]

    async def _send(self, socket: ClientConnection, frame: str) -> None:
        is_full = socket.transport.get_write_buffer_size() > 0
        try:
            async with asyncio.timeout(WRITE_S if is_full else None):
                await socket.send(frame)
        except ConnectionClosed:
            return  # who reads notices as well
        except TimeoutError:
            self._call.note(f"the server has read nothing for {WRITE_S:g} s")
            self._break(Loss.DROP)
            return
        self.record.keep(Frame("platform", frame, at_s=self._at_s()))

    async def _read(self, socket: ClientConnection) -> None:
        number = 0
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                if (slow_s := self._slow_until_s - time.monotonic()) > 0:
                    await asyncio.sleep(slow_s)
                self._take(data)
                number += 1
                if number % _FRAMES_AT_ONCE == 0:
                    await asyncio.sleep(0)  # a flood must not keep time from passing
        self._lost(socket)

    def _take(self, data: str | bytes) -> None:
        self._tick()
        verdict = self._call.receive(data)
        reason = verdict.reason if isinstance(verdict, Dropped) else None
        self.record.keep(Frame("server", data, reason, self._at_s()))
        match verdict:
            case Accepted(Pong(timestamp=timestamp)):
                self._heard(timestamp)
            case Accepted(Config(config=config)) if config.auto_reconnect:
                self._keepalive.start(time.monotonic())
            case Accepted(Config()):
                self._keepalive.stop()
        self._bytes += len(data)
        if self._bytes > MOST_BYTES:
            self._call.fail(UNKNOWN, f"the server floods: more than {MOST_BYTES} bytes")
        self.wake()

    def _at_s(self) -> float:
        return round(self._call.now_s, 6)

    def _ping(self) -> Ping:
        timestamp = time.time_ns() // 1_000_000
        self._pings[timestamp] = time.monotonic()
        return Ping(timestamp=timestamp)

    def _heard(self, timestamp: int) -> None:
        now_s = time.monotonic()
        self._keepalive.heard(now_s)
        sent_s = self._pings.pop(timestamp, None)
        if sent_s is None:
            self._call.note("a heartbeat with a timestamp that was not sent")
        else:
            self.record.round_trips_ms.append(round((now_s - sent_s) * 1000, 3))

    def _connect(self, socket: ClientConnection) -> None:
        self._socket, self._loss = socket, None
        self.record.connections += 1
        self._call.connected(again=self.record.connections > 1)
        self._reading = asyncio.create_task(self._read(socket))
        self.wake()

    def _break(self, loss: Loss) -> None:
        """Break the connection as a network does; who reads notices."""
        self._loss = loss
        if self._socket is not None:
            self._socket.transport.abort()

    def _lost(self, socket: ClientConnection) -> None:
        """Decide what the end of a connection means: dial again, or the end of the call."""
        self._socket = None
        self._keepalive.stop()
        self._pings.clear()
        code = 1006 if socket.close_code is None else int(socket.close_code)
        self.record.close_code, self.record.close_reason = code, socket.close_reason or ""
        loss = self._loss or (Loss.DROP if code == 1006 else None)
        if self._call.state is State.ENDED:
            pass
        elif loss is not None and self._keepalive.may_dial_again(loss):
            self._call.note("the connection is lost; the platform dials again")
            self._dialling = asyncio.create_task(self._dial_again())
        elif loss is Loss.KEEPALIVE:
            self._call.fail(LOST, "the connection was lost too often")
        else:
            self._call.socket_closed(code)
        self.wake()

    async def _dial_again(self) -> None:
        try:
            self._connect(await self._opener())
        except CannotConnect as error:
            self._call.fail(LOST, f"it cannot be dialled again: {error}")
            self.wake()

    async def _close(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
        if self._socket is not None:
            is_corrupt = self._call.disconnection_reason == CORRUPT
            await self._socket.close(1007 if is_corrupt else 1000)
        tasks = [task for task in (self._reading, self._dialling) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _go_wrong(self, fault: Fault) -> None:
        self._call.note(f"fault: {fault.kind}")
        match fault.kind:
            case "drop_line":
                self._break(Loss.DROP)
            case "slow":
                self._slow_until_s = time.monotonic() + fault.seconds
                self._keepalive.heard(self._slow_until_s)
            case "garble":
                self._outbox.append(fault.text)
            case "resend":
                self._outbox.append(self._last_request)
