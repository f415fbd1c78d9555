"""One call of a case: what the platform does by itself, and what comes of a server's frames."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from llmws_tutorial.checks.exchange import Ended, Event, Exchange, Got, Missed, Opened, Sent
from llmws_tutorial.checks.line import MOST_FRAMES, Line
from llmws_tutorial.checks.memory import App, in_memory
from llmws_tutorial.checks.moves import Ask
from llmws_tutorial.checks.transport import Transport
from llmws_tutorial.simulator.verdict import Drop
from tests.virtual_time import run_virtually

Send = Callable[..., Awaitable[None]]
Frames = Callable[[str | None], list[dict[str, Any] | str | bytes]]
"""What a server sends at a frame of the platform; None: at the beginning of a socket."""
Use = Callable[[Line, Transport], Awaitable[None]]
ALL: Final = {"auto_reconnect": True, "call_details": True, "transcript_with_tool_calls": True}


def app(frames: Frames) -> App:
    async def run(scope: dict[str, Any], receive: Callable[[], Any], send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        text: str | None = None
        while True:
            for frame in frames(text):
                data = frame if isinstance(frame, str | bytes) else json.dumps(frame)
                kind = "text" if isinstance(data, str) else "bytes"
                await send({"type": "websocket.send", kind: data})
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message["text"]

    return run


def seen(frames: Frames, use: Use) -> Exchange:
    """Everything that was seen on a line."""

    async def run() -> Exchange:
        exchange = Exchange(asyncio.get_running_loop().time)
        async with in_memory(app(frames)) as transport:
            line = Line("a", "c1", exchange, tell=lambda: None)
            await line.open(transport, headers={})
            await use(line, transport)
            await asyncio.sleep(0.01)
            await line.close()
        return exchange

    return run_virtually(run())


def sent(exchange: Exchange) -> list[dict[str, Any]]:
    return [json.loads(one.data) for one in exchange.of(Sent)]


def config(**wishes: bool) -> dict[str, Any]:
    return {"response_type": "config", "config": wishes}


def reply(response_id: int, content: str, **fields: Any) -> dict[str, Any]:
    return {
        "response_id": response_id,
        "content": content,
        "content_complete": True,
        **fields,
    }


def greeting(*more: dict[str, Any] | str | bytes) -> Frames:
    """A server that greets, says more, and answers nothing."""
    return lambda text: [reply(0, "Hello there."), *more] if text is None else []


async def pause(line: Line, transport: Transport) -> None:
    await asyncio.sleep(5)


def test_a_server_that_asks_for_nothing_gets_nothing() -> None:
    assert sent(seen(greeting(), pause)) == []


def test_details_are_sent_to_whoever_asks_for_them() -> None:
    exchange = seen(greeting(config(call_details=True)), pause)
    [details] = sent(exchange)
    assert details["interaction_type"] == "call_details"
    assert details["call"]["call_id"] == "c1"


def test_heartbeats_come_at_once_and_every_two_seconds() -> None:
    exchange = seen(greeting(config(auto_reconnect=True)), pause)
    assert {one["interaction_type"] for one in sent(exchange)} == {"ping_pong"}
    assert [round(one.at_s) for one in exchange.of(Sent)] == [0, 2, 4]


def test_a_second_config_does_not_double_the_heartbeats_and_may_end_them() -> None:
    twice = greeting(config(auto_reconnect=True), config(auto_reconnect=True))
    assert len(sent(seen(twice, pause))) <= 4
    ended = greeting(config(auto_reconnect=True), config())
    assert len(sent(seen(ended, pause))) <= 1


def test_heartbeats_end_with_the_line() -> None:
    async def use(line: Line, transport: Transport) -> None:
        await asyncio.sleep(1)
        await line.hang_up()
        await asyncio.sleep(10)

    assert len(sent(seen(greeting(config(auto_reconnect=True)), use))) == 1


def test_a_request_carries_what_both_have_said() -> None:
    async def use(line: Line, transport: Transport) -> None:
        await asyncio.sleep(0.1)
        await line.update("Good day")
        await line.ask(Ask(1, "Are you open?"))
        await line.ask(Ask(2, "", kind="reminder_required"))

    update, request, reminder = sent(seen(greeting(), use))
    assert update["turntaking"] == "user_turn"
    assert [(one["role"], one["content"]) for one in request["transcript"]] == [
        ("agent", "Hello there."),
        ("user", "Good day"),
        ("user", "Are you open?"),
    ]
    assert request["transcript"][-1]["words"][0]["word"] == "Are"
    assert (reminder["interaction_type"], reminder["response_id"]) == ("reminder_required", 2)
    assert "transcript_with_tool_calls" not in request


def test_tool_calls_are_woven_into_the_transcript_of_whoever_wants_them() -> None:
    tool = {
        "response_type": "tool_call_invocation",
        "tool_call_id": "t1",
        "name": "book",
        "arguments": "{}",
    }

    async def use(line: Line, transport: Transport) -> None:
        await asyncio.sleep(0.1)
        await line.ask(Ask(1, "Hello"))

    request = sent(seen(greeting(config(**ALL), tool), use))[-1]
    roles = [one["role"] for one in request["transcript_with_tool_calls"]]
    assert "tool_call_invocation" in roles
    assert "tool_call_invocation" not in [one["role"] for one in request["transcript"]]


def test_a_frame_of_the_case_s_own_is_sent_as_it_stands() -> None:
    async def use(line: Line, transport: Transport) -> None:
        await line.ask(Ask(1, frame='{"a": 1}'))
        await line.send("not json")

    exchange = seen(greeting(), use)
    assert [one.data for one in exchange.of(Sent)] == ['{"a": 1}', "not json"]


def test_what_the_platform_drops_is_dropped_for_its_reason() -> None:
    frames = greeting(reply(0, "Again."), reply(5, "Yes."), "text", b"\0", {"response_type": "x"})
    kinds = [got.dropped and got.dropped.kind for got in seen(frames, pause).of(Got)]
    assert kinds == [
        None,
        Drop.SECOND_GREETING,
        Drop.UNKNOWN_ID,
        Drop.NOT_JSON,
        Drop.BINARY,
        Drop.UNKNOWN_EVENT,
    ]


HOSTILE: Final = [
    "[" * 50_000,
    '{"response_id": ' * 5_000,
    '{"response_id": 1e999, "content": "", "content_complete": true}',
    f'{{"response_id": {"9" * 400}, "content": "", "content_complete": true}}',
    '{"response_id": NaN}',
    '{"response_id": 0, "content": "\\ud800", "content_complete": true}',
    '"\\ud800"',
    "null",
    "",
    "\0",
    '{"response_type": "config", "config": null}',
    '{"response_type": "config", "config": {"auto_reconnect": 1}}',
    '{"response_type": "ping_pong", "timestamp": 1e400}',
    '{"response_type": "tool_call_result", "tool_call_id": "never", "content": "x"}',
    '{"response_type": "agent_interrupt", "interrupt_id": -1, "content": 5}',
    '{"response_type": "metadata", "metadata": ' + '{"a":' * 900 + "1" + "}" * 901,
]


@pytest.mark.parametrize("frame", HOSTILE, ids=[repr(one[:40]) for one in HOSTILE])
def test_no_frame_of_a_server_ends_the_reading(frame: str) -> None:
    exchange = seen(lambda text: [frame, reply(0, "Hello.")] if text is None else [], pause)
    assert len(exchange.of(Got)) == 2
    assert all(str(event) for event in exchange.events)
    assert exchange.ended() is None


def test_a_flood_is_ended() -> None:
    exchange = seen(greeting(*["{}"] * (MOST_FRAMES + 10)), pause)
    end = exchange.ended()
    assert end
    assert (end.code, end.reason) == (1006, f"more than {MOST_FRAMES} frames: a flood")
    assert len(exchange.of(Got)) == MOST_FRAMES


def test_a_flood_of_few_long_frames_is_ended_as_well() -> None:
    long = json.dumps({"response_type": "metadata", "metadata": {"x": "y" * 2**20}})
    exchange = seen(greeting(*[long] * 10), pause)
    end = exchange.ended()
    assert end
    assert (end.code, end.reason) == (1006, "more than 4 MiB: a flood")
    assert len(exchange.of(Got)) == 1 + 4  # the greeting, and no more than fit


def test_a_line_may_be_opened_again_and_stays_the_same_call() -> None:
    async def use(line: Line, transport: Transport) -> None:
        await asyncio.sleep(0.1)
        line.drop()
        assert not line.is_open
        await line.open(transport, headers={})
        assert line.is_open
        await asyncio.sleep(0.1)

    exchange = seen(greeting(), use)
    assert [one.again for one in exchange.of(Opened)] == [False, True]
    [second] = exchange.dropped(Drop.SECOND_GREETING)
    assert second.line == "a"


def test_a_line_that_is_lost_silently_stays_open_for_the_server() -> None:
    told: list[str | None] = []

    def server(text: str | None) -> list[Any]:
        told.append(text)
        return []

    async def use(line: Line, transport: Transport) -> None:
        await asyncio.sleep(0.1)
        line.drop(silently=True)
        await line.open(transport, headers={})
        await asyncio.sleep(0.1)

    exchange = seen(server, use)
    assert [type(event) for event in exchange.events] == [Opened, Ended, Opened, Ended]
    assert told == [None, None]


def test_a_line_that_is_opened_twice_has_one_socket() -> None:
    async def use(line: Line, transport: Transport) -> None:
        await line.open(transport, headers={})
        await line.hang_up()

    kinds = [type(event) for event in seen(lambda text: [], use).events]
    assert kinds == [Opened, Ended, Opened, Ended]


def test_what_comes_after_the_hang_up_is_not_read() -> None:
    async def use(line: Line, transport: Transport) -> None:
        await line.ask(Ask(1))
        await line.hang_up()
        await line.send("more")
        await asyncio.sleep(1)

    exchange = seen(lambda text: [] if text is None else [reply(1, "Yes.")], use)
    assert (exchange.of(Got), len(exchange.of(Sent))) == ([], 1)
    [end] = exchange.of(Ended)
    assert str(end) == "we hung up"


def test_nothing_is_sent_before_the_line_is_open() -> None:
    async def run() -> list[Event]:
        exchange = Exchange(asyncio.get_running_loop().time)
        line = Line("a", "c1", exchange, tell=lambda: None)
        await line.send("x")
        await line.hang_up()
        await line.close()
        return exchange.events

    assert run_virtually(run()) == []
    assert str(Missed(at_s=0, what="x")) == "in vain: x"
