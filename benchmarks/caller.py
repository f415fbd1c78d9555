"""One call from the outside, with as little work as can be: frames over a bare protocol.

The mask is zero, so a frame is a header and the text as it is; the server unmasks it all the same.
"""

import asyncio
import zlib
from time import perf_counter
from typing import Final

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_NO_MASK: Final = bytes(4)
_HANDSHAKE: Final = (
    "GET /llm-websocket/{call_id} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n{extension}\r\n"
)
_DEFLATE: Final = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


def frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """Make the frame that carries a message."""
    size = len(payload)
    if size < 126:
        header = bytes((0x80 | opcode, 0x80 | size))
    elif size < 2**16:
        header = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2)
    else:
        header = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8)
    return header + _NO_MASK + payload


class Caller(asyncio.Protocol):
    """The platform's end of one socket.

    Attributes:
        heard: how many messages came.
    """

    def __init__(self, call_id: str, *, offers_deflate: bool = False) -> None:
        self.heard = 0
        self._extension = _DEFLATE if offers_deflate else ""
        self._inflater = zlib.decompressobj(-15)
        self._call_id = call_id
        self._buffer = bytearray()
        self._is_open = False
        self._wanted = b""
        self._answer: asyncio.Future[None]
        self._gone: asyncio.Future[None]
        self._transport: asyncio.Transport

    async def open(self, port: int) -> None:
        """Dial, and listen to the greeting."""
        loop = asyncio.get_running_loop()
        self._gone = loop.create_future()
        self._expect(0)
        await loop.create_connection(lambda: self, "127.0.0.1", port)
        await self._answer

    async def ask(self, payload: bytes, response_id: int) -> float:
        """Send a request and wait until it is answered; the result is how long it took (s)."""
        self._expect(response_id)
        began = perf_counter()
        self.tell(payload)
        await self._answer
        return perf_counter() - began

    def tell(self, payload: bytes) -> None:
        """Send a message that wants no answer."""
        self._transport.write(frame(payload))

    async def hang_up(self) -> None:
        """Close, and wait until the server has."""
        self._transport.write(frame((1000).to_bytes(2), _CLOSE))
        await self._gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        request = _HANDSHAKE.format(call_id=self._call_id, extension=self._extension)
        transport.write(request.encode())

    def data_received(self, data: bytes) -> None:
        """Take the answer to the handshake, then frames."""
        self._buffer += data
        if not self._is_open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._fail(f"refused: {head.decode(errors='replace').splitlines()[0]}")
                return
            self._is_open, self._buffer = True, rest
        while self._take_frame():
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nobody wait for a dead line."""
        self._fail(f"the server closed the line: {exc}")
        if not self._gone.done():
            self._gone.set_result(None)

    def _expect(self, response_id: int) -> None:
        self._wanted = b'"response_id":%d,' % response_id
        self._answer = asyncio.get_running_loop().create_future()

    def _fail(self, problem: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(ConnectionError(problem))

    def _take_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4]), 4
        if len(buffer) < start + size:
            return False
        first, payload = buffer[0], bytes(buffer[start : start + size])
        del buffer[: start + size]
        opcode = first & 15
        if opcode == _PING:
            self._transport.write(frame(payload, _PONG))
        elif opcode == _TEXT:
            if first & 64:
                payload = self._inflater.decompress(payload + b"\x00\x00\xff\xff")
            self._hear(payload)
        return True

    def _hear(self, payload: bytes) -> None:
        self.heard += 1
        text = payload.replace(b'": ', b'":')
        is_last = b'"content_complete":true' in text
        if is_last and self._wanted in text and not self._answer.done():
            self._answer.set_result(None)
