"""One call from the outside, with as little work as can be: frames over a bare protocol.

The mask is zero, so a frame is a header and the text as it is; the server unmasks it all the same.
"""

import asyncio
import zlib
from typing import Final, cast

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
    """The platform's end of one socket."""

    def __init__(self, call_id: str, *, offers_deflate: bool = False) -> None:
        self._extension = _DEFLATE if offers_deflate else ""
        self._inflater = zlib.decompressobj(-15)
        self._call_id = call_id
        self._buffer = bytearray()
        self._is_open = False
        self._wanted = b""
        self._answer: asyncio.Future[None]
        self._gone: asyncio.Future[None]
        self._taken: asyncio.Future[None]
        self._transport: asyncio.Transport

    async def open(self, port: int) -> None:
        """Dial, and listen to the greeting."""
        loop = asyncio.get_running_loop()
        self._gone = loop.create_future()
        self._taken = loop.create_future()
        self._taken.set_result(None)
        self._expect(0)
        await loop.create_connection(lambda: self, "127.0.0.1", port)
        await self._answer

    async def ask(self, sent: bytes, response_id: int) -> None:
        """Send the frame of a request, and wait until it is answered."""
        self._expect(response_id)
        self._transport.write(sent)
        await self._answer

    async def tell(self, sent: bytes) -> None:
        """Send a frame that wants no answer, and wait until the line has taken it."""
        self._transport.write(sent)
        await self._taken

    async def hang_up(self) -> None:
        """Close, and wait until the server has."""
        self._transport.write(frame((1000).to_bytes(2), _CLOSE))
        await self._gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)
        request = _HANDSHAKE.format(call_id=self._call_id, extension=self._extension)
        self._transport.write(request.encode())

    def pause_writing(self) -> None:
        """The line is full."""
        self._taken = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The line has taken everything."""
        if not self._taken.done():
            self._taken.set_result(None)

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
        self.resume_writing()
        if not self._gone.done():
            self._gone.set_result(None)

    def hear(self, payload: bytes) -> None:
        """Take one message of the server."""
        if b'"content_complete":true' not in payload and b'"content_complete": true' not in payload:
            return
        if self._wanted in payload.replace(b'": ', b'":') and not self._answer.done():
            self._answer.set_result(None)

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
            self.hear(payload)
        return True
