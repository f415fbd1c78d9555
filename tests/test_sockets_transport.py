"""The way to a server by its URL: pieces, close codes, and servers that break WebSocket."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from llmws_tutorial.checks.sockets import Sockets, with_wrong_secret
from llmws_tutorial.checks.transport import LineEnded, Socket
from llmws_tutorial.errors import CannotConnect, SetupError
from llmws_tutorial.simulator.opening import MOST_BYTES
from tests.sockets import Handler, served

Use = Callable[[Socket], Awaitable[Any]]


def on_a_call(handler: Handler, use: Use) -> Any:
    """What a use of one open socket gives."""

    async def run() -> Any:
        async with served(handler) as url:
            return await asyncio.wait_for(use(await Sockets(url).open("c1")), 10)

    return asyncio.run(run())


def end_of(handler: Handler) -> tuple[int, str]:
    """How the line ends, whatever comes before."""

    async def use(socket: Socket) -> tuple[int, str]:
        try:
            while True:
                await socket.receive()
        except LineEnded as end:
            return end.code, end.reason

    code, reason = on_a_call(handler, use)
    return code, reason


def raw(first_byte: int, payload: bytes) -> bytes:
    """A frame of a server, whether it may be sent or not."""
    size = len(payload)
    head = bytes([first_byte, size]) if size < 126 else struct.pack("!BBQ", first_byte, 127, size)
    return head + payload


def sends_raw(*frames: bytes) -> Handler:
    async def handler(ws: ServerConnection) -> None:
        for frame in frames:
            ws.transport.write(frame)
        await ws.wait_closed()

    return handler


def test_a_message_in_pieces_arrives_whole() -> None:
    got: list[list[str | bytes]] = []

    async def handler(ws: ServerConnection) -> None:
        got.append([piece async for piece in ws.recv_streaming()])
        got.append([piece async for piece in ws.recv_streaming()])
        await ws.send("done")

    async def use(socket: Socket) -> None:
        await socket.send("hello", 3)
        await socket.send(b"hello")
        assert await socket.receive() == "done"
        socket.drop()

    on_a_call(handler, use)
    pieces, whole = ([piece for piece in one if piece] for one in got)
    assert (pieces, whole) == (["he", "ll", "o"], [b"hello"])


@pytest.mark.parametrize("code", [1000, 1002, 1011, 4000])
def test_the_close_of_a_server_is_told_with_its_words(code: int) -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.close(code, "in words")

    assert end_of(handler) == (code, "in words")


def test_a_close_without_a_code_is_1005() -> None:
    assert end_of(sends_raw(raw(0x88, b""))) == (1005, "")


def test_a_dropped_connection_is_1006() -> None:
    async def handler(ws: ServerConnection) -> None:
        ws.transport.abort()

    assert end_of(handler) == (1006, "")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (raw(0x81, b"\xff"), "invalid start byte"),
        (raw(0x81, b"x" * (MOST_BYTES + 1)), "exceeds limit"),
        (raw(0xF1, b"x"), "reserved bits must be 0"),
        (raw(0x83, b"x"), "invalid opcode"),
        (raw(0x80, b"x"), "unexpected continuation frame"),
    ],
    ids=["no UTF-8", "too long", "reserved bits", "unknown opcode", "a piece of nothing"],
)
def test_a_frame_that_breaks_websocket_itself_is_1006_with_the_reason(
    frame: bytes, said: str
) -> None:
    code, reason = end_of(sends_raw(frame))
    assert code == 1006
    assert reason.startswith("a frame that breaks WebSocket itself: ")
    assert said in reason


def test_what_is_sent_to_a_line_that_ended_says_so() -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.close(1008, "go")

    async def use(socket: Socket) -> tuple[int, str]:
        with pytest.raises(LineEnded):
            await socket.receive()
        with pytest.raises(LineEnded) as raised:
            await socket.send("hello")
        return raised.value.code, raised.value.reason

    assert on_a_call(handler, use) == (1008, "go")


def test_a_hang_up_is_answered() -> None:
    codes: list[int | None] = []

    async def handler(ws: ServerConnection) -> None:
        await ws.wait_closed()
        codes.append(ws.close_code)

    assert on_a_call(handler, lambda socket: socket.hang_up()) is True
    assert codes == [1000]


def test_a_hang_up_that_nobody_answers_ends_nevertheless() -> None:
    async def run() -> bool:
        is_over = asyncio.Event()

        async def handler(ws: ServerConnection) -> None:
            ws.transport.pause_reading()
            await is_over.wait()
            ws.transport.abort()

        async with served(handler) as url:
            socket = await Sockets(url).open("c1")
            is_closed = await asyncio.wait_for(socket.hang_up(), 5)
            is_over.set()
        return is_closed

    assert asyncio.run(run()) is False


def test_the_headers_of_a_run_and_of_a_case_are_sent() -> None:
    seen: list[Any] = []

    async def handler(ws: ServerConnection) -> None:
        assert ws.request
        seen.append((ws.request.path, ws.request.headers["A"], ws.request.headers["B"]))

    async def run() -> None:
        async with served(handler) as url:
            sockets = Sockets(url, headers={"A": "1", "B": "1"})
            socket = await sockets.open("c1", headers={"B": "2"}, is_wrong=True)
            await socket.hang_up()

    asyncio.run(run())
    assert seen == [("/wrong-secret/c1", "1", "2")]


def test_a_server_that_is_not_there_cannot_be_called() -> None:
    async def run() -> None:
        await Sockets("ws://127.0.0.1:1/llm-websocket/").open("c1")

    with pytest.raises(CannotConnect, match="nothing answers") as raised:
        asyncio.run(run())
    assert raised.value.stage == "TCP"


def test_addresses_that_cannot_be_are_refused_at_once() -> None:
    with pytest.raises(CannotConnect, match="cannot dial 'localhost:3000'"):
        Sockets("localhost:3000")
    with pytest.raises(SetupError, match="cannot post to 'hook'"):
        Sockets("ws://h/", webhook="hook")


@pytest.mark.parametrize("with_secret", ["ws://h/a/secret/", "wss://h/a/secret?b=c"])
def test_the_last_segment_may_be_a_secret(with_secret: str) -> None:
    assert Sockets(with_secret).has_secret
    assert "/a/wrong-secret/" in with_wrong_secret(with_secret)
    assert not Sockets("ws://h/llm-websocket/").has_secret


def test_a_webhook_is_posted_to_if_there_is_one() -> None:
    async def post(sockets: Sockets) -> Any:
        return await sockets.post(b"{}", {})

    there, nowhere = Sockets("ws://h/", webhook="http://127.0.0.1:1/"), Sockets("ws://h/")
    assert (there.has_webhook, nowhere.has_webhook) == (True, False)
    assert "nothing answers" in str(asyncio.run(post(there)).problem)
    with pytest.raises(SetupError, match="there is no webhook to post to"):
        asyncio.run(post(nowhere))
