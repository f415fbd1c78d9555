"""The driver, against servers on this machine that are slow, gone, mad or in the way."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.utils import accept_key

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.simulator import CallRecord, Choices, Frame, call_url, dialer, driver, keepalive
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.clock import UNPACED, Clock
from llmws_tutorial.simulator.driver import Driver
from llmws_tutorial.simulator.opening import open_socket
from llmws_tutorial.simulator.scenario import Step
from tests.sockets import Handler, served
from tests.wrong_servers import CONFIG, LatePings, Mute, Polite, frame

HELLO: Final = Step(say="Hello?")
DROP: Final = Step(drop_line=True)
PATIENCE_S: Final = 30.0
LATER_S: Final = 0.3


def act(
    handler: Handler,
    *steps: Step,
    record: CallRecord | None = None,
    speed: float = UNPACED,
    patience_s: float = 2.0,
) -> CallRecord:
    record = record or dialer.new_record()

    async def run() -> None:
        async with served(handler) as url:
            caller = Caller(steps, patience_s=patience_s)
            await asyncio.wait_for(dialer.act(url, record, caller, speed=speed), PATIENCE_S)

    asyncio.run(run())
    return record


def hold(handler: Handler, until: Callable[[CallRecord], bool] | None = None) -> CallRecord:
    """Hold the line until something is so, or for a moment, and say nothing."""

    async def run() -> CallRecord:
        async with served(handler) as url, dialer.dial(url) as line:
            if until is None:
                await asyncio.sleep(LATER_S)
            else:
                async with asyncio.timeout(PATIENCE_S):
                    await line.until(lambda: until(line.record))
        return line.record

    return asyncio.run(run())


def sent(record: CallRecord, *kinds: str) -> list[dict[str, Any]]:
    frames = [frame.data for frame in record.frames if frame.sender == "platform"]
    messages = [json.loads(data) for data in frames]
    return [message for message in messages if message["interaction_type"] in kinds]


def notes(record: CallRecord) -> list[str]:
    return [line.text for line in record.log]


class Recorder(Polite):
    """Notes what it gets, one list a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[list[dict[str, Any]]] = []

    async def __call__(self, ws: ServerConnection) -> None:
        self.got.append([])
        await super().__call__(ws)

    async def pong(self, ws: ServerConnection, timestamp: int) -> None:
        self.got[-1].append({"timestamp": timestamp})
        await super().pong(ws, timestamp)

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        self.got[-1].append({"response_id": response_id})
        await super().answer(ws, response_id)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats so fast that a test sees some."""
    monkeypatch.setattr(keepalive, "PING_S", 0.05)


@pytest.fixture
def impatient(hurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats that are soon missed."""
    monkeypatch.setattr(keepalive, "PATIENCE_S", 0.4)


@pytest.mark.usefixtures("hurried")
def test_heartbeats_go_round_and_are_timed() -> None:
    started = time.monotonic()
    record = hold(Polite(), lambda record: len(record.round_trips_ms) == 2)
    assert len(sent(record, "ping_pong")) >= 2
    assert all(took_ms > 0 for took_ms in record.round_trips_ms)
    assert sum(record.round_trips_ms) < 1000 * (time.monotonic() - started)
    assert (record.connections, record.dropped) == (1, [])


@pytest.mark.usefixtures("hurried")
def test_a_heartbeat_with_another_timestamp_is_noted_and_shows_that_the_line_lives() -> None:
    class Wrong(Polite):
        async def pong(self, ws: ServerConnection, timestamp: int) -> None:
            await super().pong(ws, timestamp + 1)

    odd = "a heartbeat with a timestamp that was not sent"
    record = hold(Wrong(), lambda record: notes(record).count(odd) == 2)
    assert (record.connections, record.round_trips_ms) == (1, [])


@pytest.mark.usefixtures("hurried")
def test_nobody_gets_heartbeats_who_did_not_ask_or_asks_no_more() -> None:
    class Undecided(Polite):
        async def configure(self, ws: ServerConnection) -> None:
            await ws.send(CONFIG)
            await ws.send(json.dumps({"response_type": "config", "config": {}}))

    assert sent(hold(Undecided()), "ping_pong") == []
    assert sent(hold(Mute()), "ping_pong") == []


@pytest.mark.usefixtures("impatient")
def test_a_line_whose_heartbeat_stops_is_dialled_twice_more_and_then_lost() -> None:
    record = hold(LatePings(None), lambda _: False)  # until the call is over
    assert record.disconnection_reason == "error_llm_websocket_lost_connection"
    assert (record.connections, record.close_code) == (3, 1006)
    assert notes(record).count("the connection is lost; the platform dials again") == 2
    assert "the connection was lost too often" in notes(record)


def test_a_line_that_drops_is_dialled_four_times_more() -> None:
    record = act(Polite(), *[DROP, HELLO] * 5)
    assert (record.connections, record.close_code) == (5, 1006)
    assert record.disconnection_reason == "error_llm_websocket_runtime"
    assert type(record.close_code) is int  # it is an enum inside of websockets


def test_a_call_goes_on_over_the_next_connection() -> None:
    server = Recorder()
    record = act(server, HELLO, DROP, HELLO)
    assert str(record) == "\n".join(["agent: Hi.", *["user:  Hello?", "agent: Yes."] * 2])
    assert server.got == [[{"response_id": 1}], [{"response_id": 2}]]
    assert record.disconnection_reason == "user_hangup"


def test_the_config_is_forgotten_with_the_connection() -> None:
    class Once(Polite):
        async def configure(self, ws: ServerConnection) -> None:
            assert ws.request
            if ws.request.path not in self._greeted:
                await super().configure(ws)

    record = act(Once(), DROP, HELLO)
    assert not record.call.wishes.config.auto_reconnect
    assert len(sent(record, "call_details")) == 1


@pytest.mark.usefixtures("hurried")
def test_a_config_that_is_remembered_goes_on_with_the_heartbeat() -> None:
    class Once(Recorder):
        async def configure(self, ws: ServerConnection) -> None:
            if len(self.got) == 1:
                await super().configure(ws)

    server = Once()
    record = dialer.new_record(choices=Choices(remembers_config=True))

    async def run() -> None:
        caller = Caller([DROP, Step(silent_s=PATIENCE_S)])
        async with (
            asyncio.timeout(PATIENCE_S),
            served(server) as url,
            dialer.dial(url, record, caller) as line,
        ):
            await line.until(lambda: [len(got) for got in server.got[1:]] == [2])

    asyncio.run(run())
    assert ["timestamp" in message for message in server.got[1]] == [True, True]


def test_details_are_sent_after_each_config() -> None:
    record = act(Polite(), DROP, HELLO)
    assert len(sent(record, "call_details")) == 2
    first = next(frame for frame in record.frames if frame.sender == "platform")
    assert json.loads(first.data)["interaction_type"] == "call_details"


class Redial:
    """Opens the first socket at once, and the others when it is told how."""

    def __init__(self, url: str, again: Callable[[], Any]) -> None:
        self._url = url
        self._again = again
        self._dialled = 0

    async def __call__(self) -> ClientConnection:
        self._dialled += 1
        if self._dialled > 1:
            await self._again()
        return await open_socket(self._url)


def drive(
    handler: Handler,
    steps: Sequence[Step],
    again: Callable[[CallRecord], Any],
    clock: Clock,
) -> CallRecord:
    """Act out steps on a line that comes back only when `again` is through."""
    record = dialer.new_record()

    async def run() -> None:
        async with served(handler) as url:
            opener = Redial(call_url(url, record.call_id), lambda: again(record))
            driven = Driver(record, Caller(steps, patience_s=0.5), opener=opener, clock=clock)
            await driven.open()
            await asyncio.wait_for(driven.run(), PATIENCE_S)

    asyncio.run(run())
    return record


async def after_two_requests(record: CallRecord) -> None:
    while record.call.response_id < 2:  # noqa: ASYNC110 - nothing is told while the line is down
        await asyncio.sleep(0.01)
    await asyncio.sleep(LATER_S)


AT_ONCE: Final = Step(say="Hello!", at_once=True)


class Counting(Clock):
    """A clock that knows how often it was asked."""

    asked = 0

    def now_s(self) -> float:
        self.asked += 1
        return super().now_s()


def test_while_the_line_is_down_only_the_latest_request_is_kept() -> None:
    server, clock = Recorder(), Counting(50.0)
    record = drive(server, [DROP, HELLO, AT_ONCE], after_two_requests, clock)
    assert server.got == [[], [{"response_id": 2}]]
    assert str(record).endswith("agent: Yes.")
    assert clock.asked < 500, "it waits without spinning"


def test_a_request_that_meets_a_dead_socket_is_kept_as_well() -> None:
    class Leaves(Recorder):
        async def greet(self, ws: ServerConnection) -> None:
            await super().greet(ws)
            await asyncio.sleep(0.2)
            await ws.send(json.dumps({"response_type": "metadata", "metadata": {}}))
            ws.transport.abort()

    server = Leaves()
    record = act(server, Step(slow_s=1.2), HELLO, speed=10.0)
    assert server.got == [[], [{"response_id": 1}]]
    assert (record.connections, record.transcript[-1].content) == (2, "Yes.")


def test_a_line_that_cannot_be_dialled_again_is_lost() -> None:
    async def refused(record: CallRecord) -> None:
        raise CannotConnect("nobody is there")

    record = drive(Polite(), [DROP, HELLO], refused, Clock(UNPACED))
    assert record.disconnection_reason == "error_llm_websocket_lost_connection"
    assert "it cannot be dialled again: nobody is there" in notes(record)


def test_a_caller_who_hangs_up_while_the_line_is_down_waits_for_nothing() -> None:
    async def never(record: CallRecord) -> None:
        await asyncio.Event().wait()

    record = drive(Polite(), [DROP, Step(hang_up=True, at_once=True)], never, Clock(1.0))
    assert (record.disconnection_reason, record.connections) == ("user_hangup", 1)


def test_a_line_that_drops_while_it_is_down_is_down_once() -> None:
    async def later(record: CallRecord) -> None:
        await asyncio.sleep(0.1)

    record = drive(Polite(), [DROP, DROP, HELLO], later, Clock(1000.0))
    assert (record.connections, str(record).splitlines()[-1]) == (2, "agent: Yes.")


def test_what_nobody_foresaw_while_dialling_again_is_raised() -> None:
    async def fails(record: CallRecord) -> None:
        raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        drive(Polite(), [DROP, HELLO], fails, Clock(UNPACED))


def test_what_is_garbled_arrives_as_it_is_and_in_its_place() -> None:
    got: list[str] = []

    async def listening(ws: ServerConnection) -> None:
        await ws.send(frame(0, ""))
        async for text in ws:
            got.append(str(text))

    act(listening, Step(press="7"), Step(garble='{"a":', at_once=True), patience_s=0.1)
    assert '"response_required"' in got[1]
    assert got[2] == '{"a":'


def test_a_request_is_sent_again_word_for_word() -> None:
    server = Recorder()
    record = act(server, HELLO, Step(resend=True))
    first, again = [frame for frame in record.frames if '"response_required"' in str(frame.data)]
    assert first.data == again.data


def test_nothing_is_sent_again_before_anything_was_asked() -> None:
    record = act(Polite(), Step(resend=True), HELLO)
    assert "nothing was asked yet that could be sent again" in notes(record)
    assert "" not in [frame.data for frame in record.frames]


@pytest.mark.usefixtures("impatient")
def test_a_slow_line_holds_everything_back_for_seconds_of_the_call() -> None:
    record = act(Polite(), Step(slow_s=1.0), HELLO, speed=1.0)
    slow_s = next(line.at_s for line in record.log if line.text == "fault: slow")
    times = [frame.at_s for frame in record.frames if frame.at_s > slow_s]
    assert min(times) >= slow_s + 0.999  # the log has milliseconds
    assert (record.connections, record.transcript[-1].content) == (1, "Yes.")


def test_a_slow_line_is_no_slower_without_a_pace() -> None:
    started = time.monotonic()
    record = act(Polite(), Step(slow_s=5.0), Step(silent_s=6.0), HELLO)
    assert time.monotonic() - started < 5
    assert record.transcript[-1].content == "Yes."


def test_a_caller_hangs_up_at_once_though_the_line_is_slow() -> None:
    class Chatty(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            for _ in range(50):
                await ws.send(json.dumps({"response_type": "metadata", "metadata": {}}))

    slow = Step(slow_s=20.0 * 2 * PATIENCE_S, at_once=True)
    steps = [HELLO, slow, Step(silent_s=0.3, at_once=True), Step(hang_up=True, at_once=True)]
    record = act(Chatty(), *steps, speed=20.0)
    assert record.disconnection_reason == "user_hangup"


def deaf(is_deaf: asyncio.Event, release: asyncio.Event) -> Handler:
    """Greet, then read nothing; later connections are polite."""
    polite = Polite()

    async def handler(ws: ServerConnection) -> None:
        if is_deaf.is_set():
            await polite(ws)
            return
        ws.transport.pause_reading()
        is_deaf.set()
        await ws.send(frame(0, "Hi."))
        await release.wait()
        ws.transport.abort()

    return handler


HUGE: Final = Step(garble="x" * 16_000_000)


def test_a_server_that_reads_nothing_loses_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "WRITE_S", 0.2)

    async def run() -> CallRecord:
        record, release = dialer.new_record(), asyncio.Event()
        async with served(deaf(asyncio.Event(), release)) as url:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await dialer.act(url, record, Caller([HUGE, HELLO]), speed=UNPACED)
            finally:
                release.set()
        return record

    record = asyncio.run(run())
    assert "the server has read nothing for 0.2 s" in notes(record)
    assert HUGE.garble not in [frame.data for frame in record.frames]
    assert (record.connections, record.disconnection_reason) == (2, "user_hangup")


def test_a_caller_leaves_a_server_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CLOSE_TIMEOUT_S", 0.2)

    async def run() -> CallRecord:
        record, release = dialer.new_record(), asyncio.Event()
        async with served(deaf(asyncio.Event(), release)) as url:
            calling = asyncio.ensure_future(dialer.act(url, record, Caller([HUGE]), speed=UNPACED))
            await asyncio.sleep(LATER_S)
            calling.cancel()
            await asyncio.wait([calling], timeout=PATIENCE_S)
            release.set()
            assert calling.cancelled()
        return record

    record = asyncio.run(run())
    assert (record.disconnection_reason, record.close_code) == ("user_hangup", 1006)


def test_a_flood_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MOST_BYTES", 100_000)

    async def flood(ws: ServerConnection) -> None:
        while True:
            await ws.send(frame(9, "x" * 900))

    record = act(flood, HELLO)
    assert record.disconnection_reason == "error_unknown"
    assert "the server floods: more than 100000 bytes" in notes(record)


def test_a_transcript_that_is_too_long_to_be_repeated_ends_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "MOST_SAID", 1000)

    async def talkative(ws: ServerConnection) -> None:
        note = {"response_type": "tool_call_result", "tool_call_id": "t1", "content": "x" * 600}
        while True:
            await ws.send(json.dumps(note))

    record = act(talkative, HELLO)
    assert record.disconnection_reason == "error_unknown"
    assert "the transcript is longer than 1000 characters" in notes(record)


def test_a_platform_that_would_send_without_end_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MOST_SENT_BYTES", 2000)
    record = act(Polite(), *[HELLO] * 20)
    assert record.disconnection_reason == "error_unknown"
    assert "the platform's messages are more than 2000 bytes" in notes(record)


def test_empty_frames_are_a_flood_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MOST_BYTES", 100_000)

    async def flood(ws: ServerConnection) -> None:
        while True:
            await ws.send("")
            await asyncio.sleep(0)

    record = act(flood, HELLO)
    assert record.disconnection_reason == "error_unknown"
    assert len(record.dropped) < 300


def test_a_close_frame_ends_the_call_though_the_server_keeps_the_tcp_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line for line in head.splitlines() if line.startswith("Sec-WebSocket-Key:"))
        accepted = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        )
        accept = accept_key(key.partition(": ")[2])
        writer.write(f"{accepted}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        writer.write(b"\x88\x02" + (1002).to_bytes(2))
        with contextlib.suppress(ConnectionError):
            await reader.read()  # to the end, which only the other side brings about
        writer.close()

    async def run() -> CallRecord:
        record = dialer.new_record()
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/x/"
            caller = Caller([HELLO], patience_s=60.0)
            await asyncio.wait_for(dialer.act(url, record, caller), PATIENCE_S)
        return record

    record = asyncio.run(run())
    assert (record.close_code, record.disconnection_reason) == (1002, "error_llm_websocket_runtime")


def test_time_passes_also_in_a_flood() -> None:
    async def flood(ws: ServerConnection) -> None:
        while True:
            await ws.send(frame(9, "x"))
            await asyncio.sleep(0)

    record = act(flood, HELLO, speed=1000.0, patience_s=0.3)
    assert (str(record), record.disconnection_reason) == ("user:  Hello?", "user_hangup")


def refused(raw: bytes) -> CallRecord:
    """A call to a server that sends these bytes, and then does not hang up by itself."""

    async def handler(ws: ServerConnection) -> None:
        ws.transport.write(raw)
        await ws.wait_closed()

    return act(handler, HELLO)


@pytest.mark.parametrize(
    ("raw", "code", "reason"),
    [
        pytest.param(
            b"\x81\x7f" + (2**20 + 1).to_bytes(8, "big"),
            1009,
            "error_llm_websocket_runtime",
            id="a huge frame",
        ),
        pytest.param(b"\x81\x01\xff", 1007, "error_llm_websocket_corrupt_payload", id="no UTF-8"),
        pytest.param(b"\xf1\x00", 1002, "error_llm_websocket_runtime", id="no WebSocket frame"),
    ],
)
def test_what_our_side_refuses_ends_the_call(raw: bytes, code: int, reason: str) -> None:
    record = refused(raw)
    assert (record.close_code, record.disconnection_reason) == (code, reason)
    assert (record.connections, record.frames) == (1, [])


def test_a_server_that_closes_without_a_greeting_was_never_heard() -> None:
    record = act(lambda ws: ws.close(1008, "Who are you?"), HELLO)
    assert (record.close_code, record.close_reason) == (1008, "Who are you?")
    assert (record.transcript, record.frames) == ((), [])
    assert record.disconnection_reason == "error_llm_websocket_runtime"


def test_a_server_that_closes_in_mid_answer_was_heard_up_to_there() -> None:
    class Breaks(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            await ws.send(frame(response_id, "One. Two", content_complete=False))
            await asyncio.sleep(0.1)
            await ws.close(1011)

    record = act(Breaks(), HELLO)
    assert (str(record).splitlines()[-1], record.close_code) == ("agent: One.", 1011)


def test_a_server_that_closes_while_the_caller_hangs_up_changes_nothing() -> None:
    class Both(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            await ws.send(frame(response_id, "", end_call=True))
            await ws.close(1011)

    record = act(Both(), HELLO)
    assert record.disconnection_reason == "agent_hangup"
    assert record.close_code in (1000, 1011)


def test_a_server_that_does_not_close_its_end_holds_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "CLOSE_TIMEOUT_S", 0.1)

    async def run() -> CallRecord:
        record, release = dialer.new_record(), asyncio.Event()
        async with served(deaf(asyncio.Event(), release)) as url:
            await asyncio.wait_for(dialer.act(url, record, Caller([]), speed=UNPACED), PATIENCE_S)
            release.set()
        return record

    record = asyncio.run(run())
    assert (record.disconnection_reason, record.close_code) == ("user_hangup", 1006)


def test_what_comes_after_the_end_is_kept_and_dropped() -> None:
    class Ends(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            await ws.send(frame(response_id, "", end_call=True))
            await ws.send(frame(response_id, "One more thing."))

    record = act(Ends(), HELLO)
    assert [dropped.dropped for dropped in record.dropped] == ["the call is over"]


def test_the_last_word_is_told_to_the_server_before_the_end() -> None:
    class Bye(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            await ws.send(frame(response_id, "Good bye.", end_call=True))

    record = act(Bye(), HELLO)
    assert sent(record, "update_only")[-1]["transcript"][-1]["content"] == "Good bye."
    assert record.disconnection_reason == "agent_hangup"


@pytest.mark.parametrize("sender", ["server", "platform"])
def test_a_record_that_cannot_be_kept_fails_the_call(sender: str) -> None:
    def keeper(frame: Frame) -> None:
        if frame.sender == sender:
            raise OSError("the disk is full")

    record = dialer.new_record()
    record.keeper = keeper
    with pytest.raises(OSError, match="the disk is full"):
        act(Polite(), HELLO, record=record)
    assert record.disconnection_reason == "user_hangup"
