"""The listener against hostile peers, on raw sockets, over both of uvicorn's HTTP parsers."""

import asyncio
import gc
import json
import logging
import socket
import struct
import threading
from typing import Any

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from websockets.asyncio.client import connect
from websockets.sync.client import connect as dial_sync

from llmws_tutorial.server import DummyResponder, Piece, Settings, Turn, create_app, guards
from llmws_tutorial.server.guards import FRAGMENTS, SLICE_BYTES, guarded
from llmws_tutorial.server.open_call import ODD_LINES
from llmws_tutorial.server.settings import MESSAGE_BYTES
from tests.raw_peer import (
    CLOSE,
    HOST,
    PATIENCE_S,
    PING,
    PONG,
    ROOT,
    TEXT,
    UPGRADE,
    Listening,
    frame,
    listening,
    until,
)


@pytest.fixture(params=["h11 asyncio", "httptools uvloop"])
def stack(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of uvicorn without the extra `fast`, and with it."""
    if request.param == "h11 asyncio":
        return {"http": guarded(H11Protocol), "loop": "asyncio"}
    pytest.importorskip("httptools")
    pytest.importorskip("uvloop")
    return {"loop": "uvloop"}  # httptools is what uvicorn takes where it can be imported


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines as a test can wait for them."""
    for name in ("HANDSHAKE_S", "UNREAD_S", "LINGER_S"):
        monkeypatch.setattr(guards, name, 0.3)


def asked(response_id: int) -> bytes:
    request = {"interaction_type": "response_required", "response_id": response_id}
    return json.dumps(request).encode()


async def accepting(scope: Any, receive: Any, send: Any) -> None:
    """Take everything, and say nothing."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def reading(scope: Any, receive: Any, send: Any) -> None:
    """Answer an HTTP request once it is whole, after longer than a request may take."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize(
    "begun",
    [
        "",
        ROOT,
        UPGRADE.format("c1"),
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_a_request_that_never_ends_is_cut_off(stack: Any, hurried: None, begun: str) -> None:
    with listening(reading, **stack) as server:
        assert server.dial(begun).rest() == b""
        until(lambda: not server.connections)


def test_a_second_request_that_never_ends_is_cut_off_too(stack: Any, hurried: None) -> None:
    with listening(**stack) as server:
        peer = server.dial(f"{ROOT}\r\n")
        until(lambda: b"Hello World!" in peer.socket.recv(4096, socket.MSG_PEEK))
        peer.socket.sendall(ROOT.encode())
        assert peer.rest().count(b"Hello World!") == 1


def test_an_answer_may_take_longer_than_a_request(stack: Any, hurried: None) -> None:
    with listening(reading, **stack) as server:
        peer = server.dial(f"{ROOT}Connection: close\r\n\r\n")
        assert peer.rest().startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("piece", ["x: " + "y" * 100 + "\r\n", "y" * 1000])
def test_a_head_without_end_is_cut_off(stack: Any, piece: str) -> None:
    with listening(**stack) as server:
        peer = server.dial(ROOT)
        assert peer.push(piece.encode() * 10, most=2**26) < 2**26
        until(lambda: not server.connections)


def test_too_many_headers_at_an_upgrade_are_answered(stack: Any) -> None:
    headers = "".join(f"x-{number}: y\r\n" for number in range(400))
    with listening(**stack) as server:
        peer = server.dial(f"{UPGRADE.format('c1')}{headers}\r\n")
        assert peer.rest().startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("fragments", "code"), [(FRAGMENTS, 1002), (FRAGMENTS + 1, 1009), (FRAGMENTS + 9, 1009)]
)
def test_the_fragments_of_a_message_are_counted(stack: Any, fragments: int, code: int) -> None:
    with listening(**stack) as server:
        peer = server.call()
        more = frame(0, is_last=False) * (fragments - 2)  # empty ones: they count all the same
        peer.socket.sendall(frame(TEXT, b"{", is_last=False) + more + frame(0, b"!"))
        assert peer.close_code() == code


def test_the_reason_of_a_close_survives_what_was_still_on_its_way(stack: Any) -> None:
    with listening(**stack) as server:
        peer = server.call()
        half = b" " * (MESSAGE_BYTES // 2 + 1)
        peer.socket.sendall(frame(TEXT, half, is_last=False) + frame(0, half) + frame(TEXT, half))
        assert peer.close_code() == 1009
        assert peer.rest() == b""


def test_a_bad_frame_before_the_call_is_accepted_ends_it(
    stack: Any, caplog: pytest.LogCaptureFixture
) -> None:
    is_bad = threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(is_bad.wait, PATIENCE_S)
        await accepting(scope, receive, send)

    with listening(slow, **stack) as server:
        peer = server.dial(UPGRADE.format("c1") + "\r\n")
        until(lambda: any(hasattr(connection, "queue") for connection in server.connections))
        peer.socket.sendall(b"\xff\xff")
        is_bad.set()
        peer.rest()
        until(lambda: not server.connections)
    assert "Traceback" not in caplog.text


def test_pongs_to_a_peer_that_reads_nothing_do_not_pile_up(stack: Any) -> None:
    with listening(accepting, **stack) as server:
        peer = server.call(receives=4096)
        flood = frame(PING, b"p" * 125) * 500
        pushed = peer.push(flood, most=2**26)
        assert pushed < 2**26, "it was not throttled"
        [connection] = server.connections
        assert connection.transport.get_write_buffer_size() < 2**19
        rest = flood[pushed % len(flood) :] + frame(PING, b"last")
        sender = threading.Thread(target=peer.socket.sendall, args=[rest])
        sender.start()  # it may have to wait until some pongs were read
        while peer.read() != (PONG, b"last"):
            pass
        sender.join(PATIENCE_S)


def test_a_call_that_was_throttled_goes_on_where_it_was(stack: Any) -> None:
    with listening(**stack) as server:
        peer = server.call(receives=4096)
        count, ping = 50_000, b'{"interaction_type":"ping_pong","timestamp":%d}'
        frames = b"".join(frame(TEXT, ping % number) for number in range(count))
        sender = threading.Thread(target=peer.socket.sendall, args=[frames])
        sender.start()
        texts = [json.loads(peer.read()[1]) for _ in range(count + 2)]
        sender.join(PATIENCE_S)
    echoed = [text["timestamp"] for text in texts if text["response_type"] == "ping_pong"]
    assert echoed == list(range(count))


def test_a_peer_that_reads_nothing_is_gone_after_a_while(stack: Any, hurried: None) -> None:
    with listening(**stack) as server:
        peer = server.call(receives=4096)
        pings = frame(TEXT, b'{"interaction_type":"ping_pong","timestamp":1}') * 2000
        peer.push(pings, most=2**26, waits_s=PATIENCE_S)  # more than any buffer holds
        until(lambda: not server.connections)


@pytest.mark.parametrize("is_over", [True, False])
def test_last_words_that_nobody_reads_keep_no_connection(
    stack: Any, hurried: None, is_over: bool
) -> None:
    """The buffer holds some bytes, and is not full: uvicorn alone would wait for ever."""

    async def talkative(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        [connection] = server.connections
        while connection.transport.get_write_buffer_size() == 0:
            await send({"type": "websocket.send", "text": "la " * 1000})
            await asyncio.sleep(0)
        if not is_over:
            await asyncio.sleep(PATIENCE_S)

    options = {"ws_ping_interval": 0.2, "ws_ping_timeout": 0.2, **stack}
    with listening(talkative, **options) as server:
        peer = server.call(receives=4096)
        until(lambda: not server.connections)
        peer.socket.close()


def test_a_flood_of_messages_is_taken_in_slices(stack: Any) -> None:
    waiting: list[int] = []
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        ticking = asyncio.create_task(tick())
        await receive()
        await send({"type": "websocket.accept"})
        [connection] = server.connections
        while (await receive())["type"] != "websocket.disconnect":
            waiting.append(connection.queue.qsize())
        ticking.cancel()

    with listening(counting, **stack) as server:
        peer = server.call()
        peer.socket.sendall(frame(TEXT, b"{}") * 40_000 + frame(CLOSE))
        assert peer.close_code() == 0  # without a code, as it was sent
        until(lambda: not server.connections)
    assert len(waiting) == 40_000
    assert max(waiting) <= SLICE_BYTES // 8 + 1
    assert len(ticks) > 30_000, "another call would have waited"


def test_a_call_that_is_closed_in_mid_answer_is_one_line_in_the_log(
    stack: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def endless(turn: Turn) -> Any:
        while turn.kind != "begin":
            yield "la "
            await asyncio.sleep(0.01)

    app = create_app(endless, settings=Settings())
    with caplog.at_level(logging.INFO), listening(app, **stack) as server:
        peer = server.call()
        peer.send(TEXT, asked(1))
        while b"la " not in peer.read()[1]:
            pass
        peer.send(TEXT, b"\xff")
        assert peer.close_code() == 1007
        peer.rest()
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
    assert caplog.text.count("Invalid UTF-8") == 1


def test_odd_frames_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), listening() as server:
        peer = server.call()
        peer.send(TEXT, b'{"interaction_type":"%s"}' % (b"z" * 10_000))
        for _ in range(3 * ODD_LINES):
            peer.send(TEXT, b"{}")
        peer.send(TEXT, asked(1))
        while b"can you say that again" not in peer.read()[1]:
            pass
    odd = [line for line in caplog.messages if "ignored" in line]
    assert (len(odd), max(map(len, odd)) < 200) == (ODD_LINES, True)


def test_a_refusal_is_no_error_and_hides_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(DummyResponder(), settings=Settings(secret="s3cret"))
    with caplog.at_level(logging.INFO), listening(app) as server:
        server.call("s3cret/c1")
        assert server.dial(UPGRADE.format("guess/c1") + "\r\n").rest().startswith(b"HTTP/1.1 403 ")
    assert 'WebSocket /llm-websocket/***/c1" [accepted]' in caplog.text
    assert not {"s3cret", "guess"} & set(caplog.text.replace("/", " ").split())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", ["S3CRET", "S3CRET?x", "S3CRET/c1", "../S3CRET/c1"])
def test_the_secret_is_in_no_line_of_the_log(path: str, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(DummyResponder(), settings=Settings(secret="S3CRET"))
    with caplog.at_level(logging.INFO), listening(app) as server:
        server.dial(f"GET /llm-websocket/{path} {HOST}Connection: close\r\n\r\n").rest()
        dialled = server.dial(UPGRADE.format(path) + "\r\n")
        until(lambda: "WebSocket" in caplog.text)
        dialled.socket.close()
    assert "S3CRET" not in caplog.text


def test_a_peer_that_resets_during_the_handshake_is_no_error(
    stack: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(is_reset.wait, PATIENCE_S)
        await app(scope, receive, send)

    is_reset = threading.Event()
    app = create_app(DummyResponder(), settings=Settings())
    with caplog.at_level(logging.INFO), listening(late, **stack) as server:
        peer = server.dial(UPGRADE.format("c1") + "\r\n")
        until(lambda: any(hasattr(connection, "queue") for connection in server.connections))
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.socket.close()
        until(lambda: not server.connections)
        is_reset.set()
        until(lambda: not server.tasks)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert "'c1'" not in caplog.text, "no call was held"


def test_a_peer_may_not_pipeline_without_end(caplog: pytest.LogCaptureFixture) -> None:
    """Over httptools; h11 reads no request before the last one is answered."""
    pytest.importorskip("httptools")
    with caplog.at_level(logging.ERROR), listening() as server:
        peer = server.dial()
        peer.push(f"{ROOT}\r\n".encode() * 10_000, most=2**20)
        answered = peer.rest().count(b"Hello World!")
        until(lambda: not server.connections)
    assert answered < 10_000
    assert "Traceback" not in caplog.text


def test_a_peer_that_reads_no_answer_is_gone_after_a_while(stack: Any, hurried: None) -> None:
    with listening(**stack) as server:
        peer = server.dial(receives=4096)
        peer.push(f"GET /metrics {HOST}\r\n".encode() * 100, most=2**20, waits_s=PATIENCE_S)
        until(lambda: not server.connections)


def test_a_peer_that_reads_nothing_does_not_hold_up_the_end(
    stack: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def talkative(turn: Turn) -> Any:
        while True:
            yield "la " * 1000
            await asyncio.sleep(0)

    app = create_app(talkative, settings=Settings())
    with caplog.at_level(logging.INFO), listening(app, **stack) as server:
        server.call(receives=4096)
        [connection] = server.connections
        until(lambda: not connection.writable.is_set())
    assert "Traceback" not in caplog.text
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("size", [0, 125, 126, 2**16 - 1, 2**16])
def test_a_text_of_any_length_is_framed(stack: Any, size: int) -> None:
    async def say(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x" * size})
        await send({"type": "websocket.send", "bytes": b"y"})
        await send({"type": "websocket.close"})

    with listening(say, **stack) as server, dial_sync(server.url, proxy=None) as ws:
        assert list(ws) == ["x" * size, b"y"]


def test_what_comes_while_a_slice_is_worked_through_waits_its_turn(stack: Any) -> None:
    ping, count = b'{"interaction_type":"ping_pong","timestamp":%d}', 2000
    with listening(**stack) as server:
        peer = server.call()
        frames = [frame(TEXT, ping % number) for number in range(count)]
        [connection] = server.connections

        def arrive() -> None:
            connection.data_received(b"".join(frames[:-1]))
            connection.data_received(frames[-1])

        connection.loop.call_soon_threadsafe(arrive)
        texts = [json.loads(peer.read()[1]) for _ in range(count + 2)]
    echoed = [text["timestamp"] for text in texts if text["response_type"] == "ping_pong"]
    assert echoed == list(range(count))


def test_a_call_is_not_accepted_from_a_peer_that_has_just_gone(stack: Any) -> None:
    refused: list[bool] = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        [connection] = [one for one in server.connections if hasattr(one, "queue")]
        connection.transport.abort()
        try:
            await send({"type": "websocket.accept"})
        except OSError:
            refused.append(True)

    with listening(late, **stack) as server:
        server.dial(UPGRADE.format("c1") + "\r\n").rest()
        until(lambda: not server.tasks)
    assert refused == [True]


def test_a_call_that_is_not_accepted_yet_is_refused_when_the_server_stops(stack: Any) -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)

    with listening(slow, **stack) as server:
        peer = server.dial(UPGRADE.format("c1") + "\r\n")
        until(lambda: any(hasattr(connection, "queue") for connection in server.connections))
        server.begin_to_stop()
        assert peer.rest().startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("is_hung_up", [False, True])
def test_an_answer_may_end_before_the_server_stops(stack: Any, is_hung_up: bool) -> None:
    may_end = threading.Event()

    async def slow(turn: Turn) -> Any:
        yield "Well. "
        if turn.kind != "begin":
            while not may_end.is_set():  # noqa: ASYNC110 - it is set in another thread
                await asyncio.sleep(0.01)
            yield "That is all."

    app = create_app(slow, settings=Settings())
    with listening(app, drain_s=PATIENCE_S, **stack) as server:
        peer, idle = server.call("c1"), server.call("c2")
        peer.send(TEXT, asked(1))
        while b'"response_id":1' not in peer.read()[1]:
            pass
        [connection] = [one for one in server.connections if one.scope["path"].endswith("c1")]
        server.begin_to_stop()
        until(lambda: connection.close_timer is not None)
        assert idle.close_code() == 1012
        peer.send(TEXT, b'{"interaction_type":"ping_pong","timestamp":7}')
        assert b'"timestamp":7' in peer.read()[1]
        if is_hung_up:
            peer.send(CLOSE, (1000).to_bytes(2))
            assert peer.close_code() == 1000
        else:
            may_end.set()
            assert b"That is all." in peer.read()[1]
            assert b'"content_complete":true' in peer.read()[1]
            assert peer.close_code() == 1012


async def stream(turn: Turn) -> Any:
    for _ in range(3):
        yield "la "
        await asyncio.sleep(0)


async def fail(turn: Turn) -> str:
    await asyncio.sleep(0)
    raise LookupError(turn)


async def hang(turn: Turn) -> Any:
    yield "la "
    await asyncio.sleep(PATIENCE_S)


@pytest.mark.parametrize("responder", [DummyResponder(), stream, fail, hang])
def test_nothing_of_a_call_is_left_for_the_garbage_collector(stack: Any, responder: Any) -> None:
    """It is sought rarely: a ring of objects that holds a transcript would be kept for long."""
    app = create_app(responder, settings=Settings(settle_s=0, first_piece_s=0.1, next_piece_s=0.1))
    endings = [(CLOSE, b""), (3, b"reserved"), (TEXT, b"null"), (TEXT, b"\xff")] * 2
    of_asyncio = 10 if stack["loop"] == "asyncio" else 1  # its transports are rings themselves

    def call(server: Listening, opcode: int = CLOSE, data: bytes = b"") -> None:
        peer = server.call()
        for response_id in range(1, 11):
            peer.send(TEXT, asked(response_id))
            while f'"response_id":{response_id},' not in peer.read()[1].decode():
                pass
        peer.send(TEXT, asked(11))
        while '"response_id":11,' not in (text := peer.read()[1].decode()) or "true" not in text:
            pass
        peer.send(opcode, data)
        if opcode != CLOSE:
            peer.send(CLOSE, peer.close_code().to_bytes(2))
        peer.rest()
        until(lambda: not server.connections)

    with listening(app, **stack) as server:
        call(server)  # what is made once is made now
        gc.collect()
        gc.disable()
        try:
            for opcode, data in endings:
                call(server, opcode, data)
            assert gc.collect() <= len(endings) * of_asyncio
        finally:
            gc.enable()


def test_many_calls_at_once_never_see_each_other(stack: Any) -> None:
    async def echo(turn: Turn) -> Any:
        for piece in (turn.call_id, f" {turn.response_id}"):
            await asyncio.sleep(0)
            said: Piece = piece
            yield said

    async def one(call_id: str) -> list[str]:
        answers = []
        async with connect(f"{url}{call_id}", proxy=None) as ws:
            for response_id in (1, 2, 3):
                await ws.send(asked(response_id).decode())
                text, is_complete = "", False
                while not is_complete:
                    message = json.loads(await asyncio.wait_for(ws.recv(), PATIENCE_S))
                    if message.get("response_id") == response_id:
                        text += message["content"]
                        is_complete = message["content_complete"]
                answers.append(text)
        return answers

    async def all_at_once() -> list[list[str]]:
        return await asyncio.gather(*(one(f"call-{number}") for number in range(50)))

    with listening(create_app(echo, settings=Settings()), **stack) as server:
        url = f"ws://127.0.0.1:{server.port}/llm-websocket/"
        answers = asyncio.run(all_at_once())
    assert answers == [[f"call-{number} {turn}" for turn in (1, 2, 3)] for number in range(50)]
