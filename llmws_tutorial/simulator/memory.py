"""A call paired with a server in memory: no socket, no task, no waiting.

Time is virtual: it jumps to whatever is due next, so that a call of an hour takes as long as its
computation, and the same script gives the same record each time, to the last digit. The server is a
function; a session without I/O fits into a few lines around one.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Final

from llmws_tutorial.messages import ReminderRequired, Request, ResponseRequired, write
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.keepalive import Beat, Keepalive, Loss
from llmws_tutorial.simulator.record import CallRecord, Frame
from llmws_tutorial.simulator.states import State
from llmws_tutorial.simulator.verdict import Accepted, Dropped

EPOCH_MS: Final = 1_700_000_000_000
"""When every call in memory begins (milliseconds since 1970)."""

Data = str | bytes
Server = Callable[[str | None], Iterable[Data | tuple[float, Data]]]
"""A server: takes a frame, or None when a call is opened (again); gives the frames that it sends,
each at once or after so many seconds."""


def converse(server: Server, caller: Caller, record: CallRecord) -> None:
    """Let a caller act on a call to a server in memory until it ends."""
    _Pair(server, caller, record).run()
    record.lapses = caller.lapses


class _Pair:
    def __init__(self, server: Server, caller: Caller, record: CallRecord) -> None:
        self._server = server
        self._caller = caller
        self._record = record
        self._call = record.call
        self._keepalive = Keepalive()
        record.round_trips_ms = self._keepalive.round_trips_ms
        self._on_the_way: list[tuple[float, int, Data]] = []
        self._number = 0
        self._last_request = ""

    def run(self) -> None:
        self._record.started_ms = EPOCH_MS
        self._open()
        while self._call.state is not State.ENDED:
            self._send(self._call.take())
            arrives_s = self._on_the_way[0][0] if self._on_the_way else float("inf")
            next_s = min(arrives_s, self._keepalive.due_s, self._caller.due_s(self._call))
            for fault in self._caller.advance(self._call, next_s):
                self._go_wrong(fault)
            self._beat()
            while self._on_the_way and self._on_the_way[0][0] <= self._call.now_s:
                self._receive(heapq.heappop(self._on_the_way)[2])

    def _open(self) -> None:
        self._record.connections += 1
        self._call.connected(again=self._record.connections > 1)
        self._give(None)

    def _send(self, messages: list[Request]) -> None:
        for message in messages:
            frame = write(message)
            if isinstance(message, ResponseRequired | ReminderRequired):
                self._last_request = frame
            self._give(frame)

    def _give(self, frame: str | None) -> None:
        """Hand a frame to the server, and take up what it sends."""
        if frame is not None:
            self._record.keep(Frame("platform", frame, at_s=round(self._call.now_s, 6)))
        for answer in self._server(frame):
            delay_s, data = answer if isinstance(answer, tuple) else (0.0, answer)
            self._number += 1  # what is sent first comes first
            heapq.heappush(self._on_the_way, (self._call.now_s + delay_s, self._number, data))

    def _receive(self, data: Data) -> None:
        verdict = self._call.receive(data)
        reason = verdict.reason if isinstance(verdict, Dropped) else None
        self._record.keep(Frame("server", data, reason, round(self._call.now_s, 6)))
        if isinstance(verdict, Accepted):
            odd = self._keepalive.take(verdict.message, self._call.now_s)
            if odd is not None:
                self._call.note(odd)

    def _beat(self) -> None:
        now_s = self._call.now_s
        match self._keepalive.beat(now_s):
            case Beat.PING:
                self._send([self._keepalive.ping(EPOCH_MS + round(now_s * 1000), now_s)])
            case Beat.LOST:
                self._lose(Loss.KEEPALIVE)

    def _lose(self, loss: Loss) -> None:
        self._on_the_way.clear()
        self._keepalive.stop()
        if self._keepalive.lose(loss, self._call):
            self._open()

    def _go_wrong(self, fault: Fault) -> None:
        self._call.note(f"fault: {fault.kind}")
        match fault.kind:
            case "drop_line":
                self._lose(Loss.DROP)
            case "garble":
                self._give(fault.text)
            case "resend":
                self._give(self._last_request)
            case _:  # slow: in memory nobody waits for anybody
                pass
