"""The caller, against servers on this machine: what it sends, hears, keeps and says in trouble."""

import asyncio
import contextlib
import json
import math
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import Utterance
from llmws_tutorial.simulator import (
    CallRecord,
    Frame,
    Line,
    call_url,
    dial,
    dialer,
    place_call,
)

Handler = Callable[[ServerConnection], Awaitable[None]]
FAST: Final = 1000.0
GREETING: Final = json.dumps({"response_id": 0, "content": "Hi.", "content_complete": True})


def reply(response_id: int, content: str = "Yes.", **fields: Any) -> str:
    said = {"response_id": response_id, "content": content, "content_complete": True}
    return json.dumps({**said, **fields})


async def polite(ws: ServerConnection) -> None:
    """Greet, and answer whatever carries an id."""
    await ws.send(GREETING)
    async for frame in ws:
        if "response_id" in (request := json.loads(frame)):
            await ws.send(reply(request["response_id"]))


async def mute(ws: ServerConnection) -> None:
    await ws.wait_closed()


def answering(*frames: str | bytes) -> Handler:
    """Greet, answer the first request with these frames, then only listen."""

    async def handler(ws: ServerConnection) -> None:
        await ws.send(GREETING)
        while "response_id" not in json.loads(await ws.recv()):
            pass
        for frame in frames:
            await ws.send(frame)
        await ws.wait_closed()

    return handler


def ending(end: Callable[[ServerConnection], Any]) -> Handler:
    """Greet, and end the call when an answer is wanted."""

    async def handler(ws: ServerConnection) -> None:
        await ws.send(GREETING)
        while "response_id" not in json.loads(await ws.recv()):
            pass
        if awaitable := end(ws):
            await awaitable

    return handler


@contextlib.asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/llm-websocket/"


def call(handler: Handler, *says: str | None, timeout_s: float = 5.0) -> CallRecord:
    async def place() -> CallRecord:
        async with served(handler) as url:
            return await place_call(url, says, speed=FAST, timeout_s=timeout_s)

    return asyncio.run(place())


def on_line(handler: Handler, talk: Callable[[Line], Awaitable[None]]) -> CallRecord:
    async def run() -> CallRecord:
        async with served(handler) as url, dial(url, speed=FAST) as line:
            await talk(line)
        return line.record

    return asyncio.run(run())


def sent(record: CallRecord) -> list[dict[str, Any]]:
    return [json.loads(frame.data) for frame in record.frames if frame.sender == "platform"]


def why(record: CallRecord) -> list[str | None]:
    return [frame.dropped for frame in record.frames if frame.dropped]


def trouble(url: str) -> str:
    """What is said about a call that cannot come about; the cause is in the words."""
    with pytest.raises(CannotConnect) as caught:
        asyncio.run(place_call(url))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def trouble_with(raw: bytes | None, scheme: str = "ws") -> str:
    """The same for a port that reads a request and answers these bytes, or nothing at all."""

    talking: set[asyncio.Task[None] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.current_task())
        await reader.read(1)
        if raw is None:
            await reader.read()
        else:
            writer.write(raw)
        writer.close()
        await writer.wait_closed()

    async def place() -> None:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            try:
                await place_call(f"{scheme}://127.0.0.1:{port}/llm-websocket/")
            finally:
                await asyncio.gather(*filter(None, talking))

    with pytest.raises(CannotConnect) as caught:
        asyncio.run(asyncio.wait_for(place(), 10))
    return str(caught.value)


def status(line: str) -> bytes:
    return f"HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("ws://host/llm-websocket/", "ws://host/llm-websocket/c1"),
        ("ws://host/llm-websocket", "ws://host/llm-websocket/c1"),
        ("ws://host/llm-websocket//", "ws://host/llm-websocket/c1"),
        ("ws://host", "ws://host/c1"),
        ("wss://host:8/x/?key=a/b&k=c", "wss://host:8/x/c1?key=a/b&k=c"),
        ("http://host/x/", "ws://host/x/c1"),
        ("HTTPS://host/x/", "wss://host/x/c1"),
        (" ws://[::1]:8/x/\n", "ws://[::1]:8/x/c1"),
        ("ws://host/x/#there", "ws://host/x/c1"),
    ],
)
def test_the_call_id_is_appended_as_the_last_segment(url: str, dialled: str) -> None:
    assert call_url(url, "c1") == dialled


def test_a_call_id_stays_one_segment() -> None:
    assert call_url("ws://host/x/", "a/b c?d") == "ws://host/x/a%2Fb%20c%3Fd"


def test_a_password_in_the_url_is_not_repeated() -> None:
    said = trouble("ws://anna:secret@127.0.0.1:1/x/")
    assert said.startswith("cannot call 127.0.0.1:1: nothing answers")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/llm-websocket/",
        "ftp://host/",
        "ws:///llm-websocket/",
        "ws://:3000/",
        "ws://[::1/",
        "ws://host:http/",
        "ws://host:65536/",
        "ws://host:0/",
        "ws://a..b/",
        f"ws://{'a' * 64}.example/",
    ],
)
def test_a_url_that_cannot_be_dialled_is_named_with_an_example(url: str) -> None:
    said = f"cannot dial {url!r}: expected ws://host/llm-websocket/ or wss://host/llm-websocket/"
    assert trouble(url) == said


def test_the_server_sees_the_path_with_the_call_id_and_the_query() -> None:
    paths: list[str] = []

    async def note(ws: ServerConnection) -> None:
        assert ws.request
        paths.append(ws.request.path)
        await ws.send(GREETING)

    async def place() -> CallRecord:
        async with served(note) as url:
            return await place_call(f"{url}?key=a", call_id="call_1")

    assert asyncio.run(place()).call_id == "call_1"
    assert paths == ["/llm-websocket/call_1?key=a"]


def test_two_calls_have_two_ids() -> None:
    assert call(polite).call_id != call(polite).call_id


def test_the_agent_greets_and_the_caller_hangs_up() -> None:
    record = call(polite)
    assert record.transcript == [Utterance(role="agent", content="Hi.")]
    assert (record.disconnection_reason, record.close_code) == ("user_hangup", 1000)


def test_a_caller_speaks_word_by_word() -> None:
    record = call(polite, "Are you open?")
    said = [
        (message["interaction_type"], [spoken["content"] for spoken in message["transcript"]])
        for message in sent(record)
    ]
    assert said == [
        ("update_only", ["Hi."]),
        ("update_only", ["Hi.", "Are"]),
        ("update_only", ["Hi.", "Are you"]),
        ("update_only", ["Hi.", "Are you open?"]),
        ("response_required", ["Hi.", "Are you open?"]),
        ("update_only", ["Hi.", "Are you open?", "Yes."]),
    ]


def test_each_request_has_the_next_id_and_silence_brings_a_reminder() -> None:
    record = call(polite, "One.", None, "Two.")
    asked = [message for message in sent(record) if "response_id" in message]
    assert [(message["interaction_type"], message["response_id"]) for message in asked] == [
        ("response_required", 1),
        ("reminder_required", 2),
        ("response_required", 3),
    ]


def test_frames_are_kept_in_order_and_both_ways() -> None:
    record = call(polite, "Hello?")
    senders = [frame.sender for frame in record.frames]
    assert senders == ["server", "platform", "platform", "platform", "server", "platform"]
    assert record.frames[0] == Frame("server", GREETING)


def test_a_record_reads_as_the_transcript() -> None:
    record = call(polite, "Hello?")
    assert str(record) == "agent: Hi.\nuser:  Hello?\nagent: Yes."
    assert repr(record) == "<CallRecord: 3 utterances, user_hangup>"


@pytest.mark.parametrize(
    ("says", "speed", "least_s"),
    [
        ([], 5.0, 3 / 3 / 5),  # the greeting alone: three words of three a second
        (["One two three"], 5.0, 6 / 3 / 5),
        ([None], 50.0, 3 / 3 / 50 + 10 / 50),
    ],
)
def test_words_and_silence_take_their_time_and_speed_divides_it(
    says: list[str | None], speed: float, least_s: float
) -> None:
    async def wordy(ws: ServerConnection) -> None:
        await ws.send(reply(0, "Good morning there."))
        async for _ in ws:
            pass

    async def place() -> float:
        async with served(wordy) as url:
            started = time.monotonic()
            await place_call(url, says, speed=speed, timeout_s=0.1)
            return time.monotonic() - started

    assert 0.95 * least_s <= asyncio.run(place()) < least_s + 1


def test_pieces_of_an_answer_are_heard_as_one() -> None:
    heard: list[str] = []

    async def talk(line: Line) -> None:
        await line.listen(5)
        await line.say("Hello?")
        heard.append(await line.listen(5))

    first = reply(1, "I am ", content_complete=False)
    record = on_line(answering(first, reply(1, "here.")), talk)
    assert heard == ["I am here."]
    assert str(record).endswith("user:  Hello?\nagent: I am here.")


def test_an_answer_that_pauses_is_heard_on() -> None:
    go_on = asyncio.Event()

    async def slow(ws: ServerConnection) -> None:
        await ws.send(reply(0, "I am ", content_complete=False))
        await go_on.wait()
        await ws.send(reply(0, "here."))

    heard: list[str] = []

    async def talk(line: Line) -> None:
        heard.append(await line.listen(0.1))
        go_on.set()
        heard.append(await line.listen(5))

    record = on_line(slow, talk)
    assert heard == ["I am ", "here."]
    assert str(record) == "agent: I am here."


def test_nothing_is_heard_in_the_callers_own_turn() -> None:
    heard: list[str] = []

    async def talk(line: Line) -> None:
        heard.extend([await line.listen(5), await line.listen(5)])

    started = time.monotonic()
    on_line(polite, talk)
    assert heard == ["Hi.", ""]
    assert time.monotonic() - started < 4


def test_an_agent_that_keeps_silent_is_waited_for_and_no_longer() -> None:
    started = time.monotonic()
    record = call(mute, "Hello?", None, timeout_s=0.1)
    assert time.monotonic() - started < 2
    assert (str(record), record.disconnection_reason) == ("user:  Hello?", "user_hangup")
    assert [message["interaction_type"] for message in sent(record)] == [
        "update_only",
        "response_required",
    ]


def test_a_server_that_never_closes_its_end_does_not_hold_the_caller() -> None:
    async def place() -> CallRecord:
        release = asyncio.Event()

        async def stuck(ws: ServerConnection) -> None:
            ws.transport.pause_reading()
            await ws.send(GREETING)
            await release.wait()
            ws.transport.abort()

        async with served(stuck) as url:
            try:
                return await asyncio.wait_for(place_call(url), 5)
            finally:
                release.set()

    record = asyncio.run(place())
    assert (record.disconnection_reason, record.close_code) == ("user_hangup", 1006)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, "agent_hangup"),
        (1002, "error_llm_websocket_runtime"),
        (1007, "error_llm_websocket_corrupt_payload"),
        (1011, "error_llm_websocket_runtime"),
    ],
)
def test_a_server_that_closes_ends_the_call_for_a_reason(code: int, reason: str) -> None:
    record = call(ending(lambda ws: ws.close(code, "Enough.")), "Hello?", "Hello?")
    assert (record.close_code, record.close_reason) == (code, "Enough.")
    assert record.disconnection_reason == reason


def test_a_server_that_closes_without_a_greeting_was_never_heard() -> None:
    record = call(lambda ws: ws.close(1008), "Hello?")
    assert (record.transcript, record.frames, record.close_code) == ([], [], 1008)
    assert record.disconnection_reason == "error_llm_websocket_runtime"


def test_a_caller_whose_call_is_over_does_not_wait_through_the_rest_of_the_lines() -> None:
    async def place() -> CallRecord:
        async with served(lambda ws: ws.close(1011)) as url:
            return await place_call(url, [None], speed=2.0)  # this silence would take five seconds

    started = time.monotonic()
    assert asyncio.run(place()).close_code == 1011
    assert time.monotonic() - started < 4


def test_a_server_that_closes_without_a_code_never_opened_for_the_platform() -> None:
    def end(ws: ServerConnection) -> None:
        ws.transport.write(b"\x88\x00")  # a close frame without payload

    record = call(ending(end), "Hello?")
    assert (record.close_code, record.close_reason) == (1005, "")
    assert record.disconnection_reason == "error_llm_websocket_open"


def test_a_connection_that_drops_ends_the_call_as_1006() -> None:
    record = call(ending(lambda ws: ws.transport.abort()), "Hello?")
    assert (record.close_code, record.close_reason) == (1006, "")
    assert type(record.close_code) is int  # it is an enum inside of websockets
    assert record.disconnection_reason == "error_llm_websocket_runtime"


def test_a_close_right_after_the_greeting_is_no_hang_up_of_the_caller() -> None:
    async def fails(ws: ServerConnection) -> None:
        await ws.send(GREETING)
        await ws.close(1011)

    record = call(fails)
    assert (record.disconnection_reason, record.close_code) == ("error_llm_websocket_runtime", 1011)


def test_a_caller_notices_in_the_middle_of_a_sentence_that_the_line_is_dead() -> None:
    over = asyncio.Event()

    async def leaves(ws: ServerConnection) -> None:
        await ws.send(GREETING)
        await ws.close(1011)
        over.set()

    async def talk(line: Line) -> None:
        await line.listen(5)
        await over.wait()
        await line.say("One two three")
        await line.stay_silent()
        assert not line.is_open

    record = on_line(leaves, talk)
    assert "two" not in str(record)
    assert record.disconnection_reason == "error_llm_websocket_runtime"


def test_end_call_hangs_up_after_the_words() -> None:
    record = call(answering(reply(1, "Bye.", end_call=True)), "Hello?", "Are you there?")
    assert str(record).endswith("user:  Hello?\nagent: Bye.")
    assert (record.disconnection_reason, record.close_code) == ("agent_hangup", 1000)
    assert [message.get("response_id") for message in sent(record)][-1] == 1


def test_an_answer_to_another_request_is_dropped_and_the_right_one_heard() -> None:
    record = call(answering(reply(9, "Nine."), reply(0, "Nought."), reply(1, "One.")), "Hello?")
    assert why(record) == [
        "response_id 9 is not the latest one, 1",
        "response_id 0 is not the latest one, 1",
    ]
    assert str(record).endswith("user:  Hello?\nagent: One.")


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        ("Hello", "not JSON"),
        ("null", "mistyped frame"),
        ('{"response_type": "config"}', "mistyped frame: object missing required field `config`"),
        (reply(1, content_complete="true"), "mistyped frame"),
    ],
)
def test_garbage_is_kept_with_the_reason_and_the_call_goes_on(garbage: str, reason: str) -> None:
    record = call(answering(garbage, reply(1)), "Hello?")
    [frame] = record.dropped
    assert (frame.sender, frame.data) == ("server", garbage)
    assert frame.dropped
    assert frame.dropped.startswith(reason)
    assert (record.transcript[-1].content, record.disconnection_reason) == ("Yes.", "user_hangup")


def test_what_comes_after_the_last_answer_is_kept_too() -> None:
    record = call(answering(reply(1), reply(1, "One more thing.")), "Hello?")
    assert why(record) == ["response_id 1 was already complete"]
    assert record.transcript[-1].content == "Yes."


def test_a_binary_frame_ends_the_call_and_is_told_1007() -> None:
    codes: list[int | None] = []

    async def binary(ws: ServerConnection) -> None:
        await ws.send(b"\x00\x01")
        await ws.wait_closed()
        codes.append(ws.close_code)

    record = call(binary, "Hello?")
    assert record.dropped[0].data == b"\x00\x01"
    assert (record.disconnection_reason, sent(record)) == (
        "error_llm_websocket_corrupt_payload",
        [],
    )
    assert (record.close_code, codes) == (1007, [1007])


def test_the_server_is_told_when_the_caller_hangs_up() -> None:
    seen: list[int] = []

    async def watching(ws: ServerConnection) -> None:
        await ws.send(GREETING)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.recv()
        seen.append(int(ws.close_code or 0))

    async def talk(line: Line) -> None:
        assert line.is_open
        await line.hang_up()
        assert not line.is_open
        await line.hang_up()

    assert on_line(watching, talk).disconnection_reason == "user_hangup"
    assert seen == [1000]


def test_a_block_that_fails_hangs_up() -> None:
    records: list[CallRecord] = []

    async def talk(line: Line) -> None:
        records.append(line.record)
        assert line.record.disconnection_reason is None
        raise LookupError("the caller fainted")

    with pytest.raises(LookupError, match="fainted"):
        on_line(polite, talk)
    assert records[0].disconnection_reason == "user_hangup"


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=f"speed is {speed}, expected a number above 0"):
        asyncio.run(place_call("ws://127.0.0.1:1/", speed=speed))


def test_a_port_on_which_nothing_listens_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    said = trouble(f"ws://127.0.0.1:{port}/llm-websocket/")
    assert said.startswith(f"cannot call 127.0.0.1:{port}: nothing answers (connection refused)")
    assert said.endswith("; is the server running?")


def test_a_name_that_nobody_knows_is_said_so() -> None:
    said = trouble("ws://no-such-host.invalid/llm-websocket/")
    assert said.startswith("cannot call no-such-host.invalid: nothing answers (")


@pytest.mark.parametrize("refused", ["403 Forbidden", "404 Not Found"])
def test_a_missing_route_is_told_from_a_missing_server(refused: str) -> None:
    said = trouble_with(status(refused))
    assert f"refused the socket with HTTP {refused[:3]}; is the route" in said
    assert "does the URL end in /llm-websocket/?" in said


@pytest.mark.parametrize("gone", ["502 Bad Gateway", "503 Unavailable", "504 Timeout"])
def test_a_tunnel_with_nothing_behind_it_is_told_apart(gone: str) -> None:
    said = trouble_with(status(gone))
    assert f"the tunnel is open but nothing answers behind it (HTTP {gone[:3]})" in said


@pytest.mark.parametrize("odd", ["200 OK", "500 Internal Server Error"])
def test_any_other_status_is_named(odd: str) -> None:
    assert trouble_with(status(odd)).endswith(f"with HTTP {odd[:3]}, expected 101")


@pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH_9.6\r\n", b""])
def test_a_port_that_speaks_something_else_is_no_websocket_server(raw: bytes) -> None:
    assert ": what answers there is no WebSocket server (" in trouble_with(raw)


def test_a_port_that_accepts_and_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialer, "OPEN_TIMEOUT_S", 0.1)
    assert trouble_with(None).endswith("no answer in 0.1 s; is the server stuck?")


def test_wss_to_a_server_without_tls_says_ws() -> None:
    said = trouble_with(status("400 Bad Request"), scheme="wss")
    assert ": TLS failed (" in said
    assert said.endswith("it is called with ws://, not wss://")


def test_a_user_without_a_password_is_refused_in_words() -> None:
    assert "username provided without password" in trouble("ws://me@127.0.0.1:1/")
