"""A server of the listener in a thread, and raw sockets that speak just enough WebSocket to it."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn

from llmws_tutorial.server import DummyResponder, Settings, create_app
from llmws_tutorial.server.listener import configure

PATIENCE_S: Final = 30.0
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HOST: Final = "HTTP/1.1\r\nHost: 127.0.0.1\r\n"
ROOT: Final = f"GET / {HOST}"
UPGRADE: Final = (
    f"GET /llm-websocket/{{}} {HOST}Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


class Listening:
    """A server of the listener, in a thread.

    Attributes:
        port: where it listens.
        url: where a client dials the call ``c1``.
        connections: those of uvicorn.
        tasks: those of uvicorn, one a connection.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        options = {"log_config": None, "interface": "asgi3", "lifespan": "off", **options}
        self._server = uvicorn.Server(configure(app, **{"drain_s": 1, **options}))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/llm-websocket/c1"
        self.connections: set[Any] = self._server.server_state.connections
        self.tasks: set[Any] = self._server.server_state.tasks
        self._peers = contextlib.ExitStack()
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()

    def begin_to_stop(self) -> None:
        self._server.should_exit = True

    def stop(self) -> None:
        self._peers.close()
        self.begin_to_stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def dial(self, text: str = "", receives: int | None = None) -> "Peer":
        peer = self._peers.enter_context(socket.socket())
        if receives:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        peer.settimeout(PATIENCE_S)
        peer.connect(("127.0.0.1", self.port))
        peer.sendall(text.encode())
        return Peer(peer)

    def call(self, call_id: str = "c1", receives: int | None = None) -> "Peer":
        peer = self.dial(UPGRADE.format(call_id) + "\r\n", receives)
        while not peer.got.endswith(b"\r\n\r\n"):
            peer.got += peer.socket.recv(1)
        assert b" 101 " in peer.got
        return peer


class Peer:
    """A raw socket that speaks just enough WebSocket."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.got = b""

    def send(self, opcode: int, data: bytes = b"", *, is_last: bool = True) -> None:
        self.socket.sendall(frame(opcode, data, is_last=is_last))

    def push(self, data: bytes, most: int, *, waits_s: float = 0.5) -> int:
        """Send again and again, until nothing is taken for a while; the result says how much."""
        pushed = 0
        self.socket.settimeout(waits_s)
        with contextlib.suppress(OSError):
            while pushed < most:
                pushed += self.socket.send(data[pushed % len(data) :])
        self.socket.settimeout(PATIENCE_S)
        return pushed

    def read(self) -> tuple[int, bytes]:
        opcode, size = self._exactly(2)
        if size == 126:
            [size] = struct.unpack("!H", self._exactly(2))
        return opcode & 15, self._exactly(size)

    def close_code(self) -> int:
        while True:
            opcode, data = self.read()
            if opcode == CLOSE:
                return int.from_bytes(data[:2], "big")

    def rest(self) -> bytes:
        """What comes until the other side closes."""
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(2**16):
                got += data
        return got

    def _exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            data = self.socket.recv(size - len(got))
            assert data, "the connection is closed"
            got += data
        return got


def frame(opcode: int, data: bytes = b"", *, is_last: bool = True) -> bytes:
    size, long = len(data), b""
    if size > 125:
        size, long = (126, struct.pack("!H", size)) if size < 2**16 else (127, size.to_bytes(8))
    return bytes([is_last << 7 | opcode, 128 | size]) + long + bytes(4) + data


@contextlib.contextmanager
def listening(app: Any = None, **options: Any) -> Iterator[Listening]:
    server = Listening(app or create_app(DummyResponder(), settings=Settings()), **options)
    try:
        yield server
    finally:
        server.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
