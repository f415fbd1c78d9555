"""What uvicorn leaves open to a hostile peer, closed by two small subclasses.

Measured on uvicorn 0.54 with a raw socket: a request that never ends was awaited for ever, and its
headers grew without bound under httptools; more than 128 headers at an upgrade were neither
answered nor closed; fragments and pongs had no limit; a peer that reads nothing was never gone.
`listener.configure` puts both classes in place.
"""

import asyncio
import contextlib
from collections.abc import Sized
from typing import Any, Final

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Close, Frame
from websockets.protocol import State

HANDSHAKE_S: Final = 8.0
"""How long a request may take to arrive, from the first byte to the last of its body."""
HEAD_BYTES: Final = 2**16
"""The longest head of a request, line and headers."""
PIPELINED: Final = 100
"""How many requests may wait for the answer to an earlier one on their line."""
FRAGMENTS: Final = 512
"""How many frames a message may come in."""
UNREAD_S: Final = 10.0
"""How long a peer may leave a full buffer unread; a live one reads within milliseconds."""

HTTP_SLICE_BYTES: Final = 2**14
"""How much of what came is looked at before the limits are."""
SLICE_BYTES: Final = 2**15
"""How much of one call is worked through before the others have their turn."""
LINGER_S: Final = 1.0
"""How long a peer that broke WebSocket's rules is listened to after the close frame."""
DRAIN_SHARE: Final = 0.8
"""How much of a graceful shutdown an app may use to come to its end."""


def guarded(http: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """Make an HTTP protocol of uvicorn punctual, the h11 or the httptools one."""
    return type(f"Punctual{http.__name__}", (_Punctual, http), {})


class _Impatient(asyncio.Protocol):
    """A connection whose peer reads what is sent to it, or is gone after a while."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _unread: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()


class _Punctual(_Impatient):
    """An HTTP connection that ends when a request is late, or its head too long.

    Between two requests uvicorn's own keep-alive limit holds; it ends with the first byte.
    """

    cycle: Any  # the request that is being answered, or was last; None before the first
    pipeline: Sized = ()  # the requests that wait for its answer; over h11 none is read meanwhile

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._head_bytes = 0
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        transport = self.transport
        for start in range(0, len(data), HTTP_SLICE_BYTES):
            if transport.is_closing() or transport.get_protocol() is not self:
                return
            self._take(data[start : start + HTTP_SLICE_BYTES])

    def _take(self, data: bytes) -> None:
        super().data_received(data)
        is_upgraded = self.transport.get_protocol() is not self
        has_head = is_upgraded or (self.cycle is not None and not self.cycle.response_complete)
        self._head_bytes = 0 if has_head else self._head_bytes + len(data)
        if is_upgraded:  # its parts refer to each other, and would be kept until garbage is sought
            self._deadline.cancel()
            vars(self).clear()
        elif self._head_bytes > HEAD_BYTES or len(self.pipeline) > PIPELINED:
            self.transport.abort()
        elif has_head and not self.cycle.more_body:
            self._deadline.cancel()
        elif self._deadline.cancelled():
            self._expect()

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(HANDSHAKE_S, self.transport.abort)


class CallSocket(_Impatient, WebSocketsSansIOProtocol):
    """A WebSocket connection that no peer can make grow, or keep by reading nothing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._backlog = b""
        self._late_pong = b""
        self._linger_s = LINGER_S

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was left to do for the connection."""
        self._backlog = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came in slices, as thousands of small frames would hold up the rest."""
        self._backlog += data
        if len(self._backlog) == len(data):
            self._take_slice()

    def _take_slice(self) -> None:
        data, self._backlog = self._backlog[:SLICE_BYTES], self._backlog[SLICE_BYTES:]
        super().data_received(data)
        if not self.handshake_initiated:  # the request was handed over whole, and not understood
            self.transport.write(b"".join(self.conn.data_to_send()))  # 431, since websockets 16
            self.transport.close()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Take the next slice once the app has taken what the last one brought, or read again."""
        if self.transport.is_closing():
            return
        if self._backlog:
            self.transport.pause_reading()
            if not self.read_paused:
                self.loop.call_soon(self._take_slice)
        elif self.writable.is_set() and not self.read_paused:
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        """Count the fragments; even empty ones cost memory."""
        if len(self.frames) < FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(1009, f"expected at most {FRAGMENTS} fragments")
            self.handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        """Read on while one message waits: to pause at each costs more than that."""
        was_paused, self.read_paused = self.read_paused, True
        super().send_receive_event_to_app()
        self.read_paused = was_paused
        if not was_paused and self.queue.qsize() > 1:
            self.read_paused = True
            self.transport.pause_reading()

    def handle_parser_exception(self) -> None:
        """Close, and read on for a while.

        A reset, because of data that nobody read, would destroy the close frame.
        """
        if self.close_sent:
            return
        if self.conn.parser_exc is not None:  # kept, it would keep the connection, and it the error
            self.conn.parser_exc.__traceback__ = self.conn.parser_exc.__context__ = None
        closed = self.conn.close_sent or Close(1006, "")  # the latter before the app has accepted
        code, reason = closed.code, closed.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._read_on()

    def _read_on(self) -> None:
        """Close the connection in a while; what still arrives until then is forgotten."""
        if self.close_timer is not None:
            self.close_timer.cancel()
        is_stopping = self._linger_s < LINGER_S
        cut = self.transport.abort if is_stopping else self.transport.close
        self.close_timer = self.loop.call_later(self._linger_s, cut)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def handle_ping(self) -> None:
        """Owe one pong, the latest, to a peer that does not read, and read no more."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self._late_pong = b"".join(self.conn.data_to_send()) or self._late_pong
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on, with the pong that is owed."""
        super().resume_writing()
        if self._late_pong and not self.transport.is_closing():
            self.transport.write(self._late_pong)
            self._late_pong = b""
        self._go_on()

    async def send(self, message: ASGISendEvent) -> None:
        """Send; a text on a live connection takes the short way."""
        if message["type"] == "websocket.send" and self._is_clear():
            text = message.get("text")
            if text is not None:
                self.transport.write(text_frame(text.encode()))
                return
        await super().send(message)
        if message["type"] == "websocket.accept" and not self.handshake_complete:
            self.handshake_complete = True  # the peer has gone; uvicorn would let the app go on
            raise ClientDisconnected
        if self.close_sent:
            self.handshake_complete = True  # uvicorn would log that a refused one was not
            if self._linger_s < LINGER_S:  # there is no time to wait long for the peer's close
                self._read_on()
            self._go_on()

    def _is_clear(self) -> bool:
        """Whether a frame can be written as it is: a peer that reads, and no compression."""
        is_open = self.conn.state is State.OPEN and not self.disconnected
        return is_open and self.writable.is_set() and not self.conn.extensions

    async def receive(self) -> ASGIReceiveEvent:
        """Hand over a message; a flood of them leaves time to other calls."""
        if not self.queue.empty():
            await asyncio.sleep(0)
        message = await super().receive()
        if self._backlog:
            self._go_on()
        return message

    def keepalive_timeout(self) -> None:
        """Close, and do not wait for ever until the peer has read that."""
        super().keepalive_timeout()
        self._time_every_byte()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Do not wait for ever until the peer has read the last words."""
        super().on_task_complete(task)
        if self.close_timer is not None:  # the app has ended because of `shutdown`
            self._say_goodbye()
        self._time_every_byte()

    def shutdown(self) -> None:
        """Announce the end to the app, which may still finish what it is saying.

        A peer that does not take the close within what is left of the time is cut off.
        """
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1012, "reason": "stopping"})
        drain_s = self.config.timeout_graceful_shutdown or 0
        self._linger_s = min(LINGER_S, (1 - DRAIN_SHARE) * drain_s / 2)
        self.close_timer = self.loop.call_later(DRAIN_SHARE * drain_s, self._say_goodbye)

    def _say_goodbye(self) -> None:
        """Close the way a server that is stopped does: 1012."""
        if self.close_sent or self.disconnected:
            return
        self.close_sent = True
        with contextlib.suppress(InvalidState):  # the peer is closing already
            self.conn.send_close(1012)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._read_on()

    def _time_every_byte(self) -> None:
        if not self.disconnected:  # a buffer now counts as full when it is not empty
            self.transport.set_write_buffer_limits(0)


def text_frame(payload: bytes) -> bytes:
    """Make the frame of a whole text message, as a server sends it: RFC 6455, 5.2."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 2**16:
        return bytes((0x81, 126)) + size.to_bytes(2) + payload
    return bytes((0x81, 127)) + size.to_bytes(8) + payload
