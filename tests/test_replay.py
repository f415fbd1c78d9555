"""The replay of a recorded call: the same server, servers that differ in one way, bad servers."""

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.notebook import serve as serve_app
from llmws_tutorial.simulator import Frame
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.comparison import Difference
from llmws_tutorial.simulator.dialer import act, new_record
from llmws_tutorial.simulator.recording import (
    Ended,
    Opened,
    RecordedCall,
    Recorder,
    read_recording,
)
from llmws_tutorial.simulator.replay import MOST_LAPSES, SETTLE_S, ReplayResult, replay
from llmws_tutorial.simulator.scenario import Step
from llmws_tutorial.steps import step3
from tests.sockets import Handler, served

Deed = str | bytes | Callable[[ServerConnection], Awaitable[None]]
PATIENCE_S: Final = 0.4
HELLO: Final = (Step(say="Hello?"),)
HOURS_S: Final = 10_000.0
PATIENT: Final = Choices(reminder_max_count=0, inactivity_s=2 * HOURS_S, max_duration_s=2 * HOURS_S)
"""Nobody asks whether a silent caller is there: silences pass quickly, servers take their time."""


def event(response_type: str, **fields: Any) -> str:
    return json.dumps({"response_type": response_type, **fields})


def said(content: str, response_id: int = 1, *, is_end: bool = True, **fields: Any) -> str:
    piece = {"response_id": response_id, "content": content, "content_complete": is_end}
    return event("response", **piece, **fields)


def interrupt(content: str, interrupt_id: int = 1, *, is_end: bool = True) -> str:
    piece = {"interrupt_id": interrupt_id, "content": content, "content_complete": is_end}
    return event("agent_interrupt", **piece)


def tool(name: str = "look", arguments: str = "{}", tool_call_id: str = "t") -> str:
    fields = {"tool_call_id": tool_call_id, "name": name, "arguments": arguments}
    return event("tool_call_invocation", **fields)


def result(content: str = "ok", tool_call_id: str = "t", **fields: Any) -> str:
    return event("tool_call_result", tool_call_id=tool_call_id, content=content, **fields)


def settings(**fields: Any) -> str:
    return event("update_agent", agent_config=fields)


def config(**fields: Any) -> str:
    return event("config", config=fields)


GREETING: Final = said("Hi.", 0)
YES: Final = said("Yes.")


async def mute(ws: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for _ in ws:
            pass


async def aborts(ws: ServerConnection) -> None:
    ws.transport.abort()


def closes(code: int) -> Callable[[ServerConnection], Awaitable[None]]:
    return lambda ws: ws.close(code)


def waits(seconds: float) -> Callable[[ServerConnection], Awaitable[None]]:
    return lambda ws: asyncio.sleep(seconds)


async def do(ws: ServerConnection, deeds: Sequence[Deed]) -> None:
    for deed in deeds:
        await (deed(ws) if callable(deed) else ws.send(deed))


def server(*answer: Deed, first: Sequence[Deed] = (GREETING,), pongs: bool = True) -> Handler:
    """Begin with some deeds, do others at request 1, and answer later ones with a yes."""

    async def handler(ws: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await do(ws, first)
            async for frame in ws:
                try:
                    request = json.loads(frame)
                except ValueError:
                    continue
                if request["interaction_type"] == "ping_pong" and pongs:
                    await ws.send(event("ping_pong", timestamp=request["timestamp"]))
                if (number := request.get("response_id")) is not None:
                    await do(ws, answer if number == 1 else [said("Yes.", number)])

    return handler


async def record_at(
    url: str, steps: Sequence[Step], choices: Choices | None = None
) -> RecordedCall:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "call.jsonl")
        with Recorder(path) as recorder:
            record = new_record(choices=choices)
            record.keeper = recorder.keeper(record)
            await act(url, record, Caller(steps, patience_s=PATIENCE_S), speed=1000)
            recorder.ended(record)
        [call] = read_recording(path)
        return call


def record(handler: Handler, steps: Sequence[Step] = HELLO) -> RecordedCall:
    async def run() -> RecordedCall:
        async with served(handler) as url:
            return await record_at(url, steps)

    return asyncio.run(asyncio.wait_for(run(), 10))


def play(call: RecordedCall, handler: Handler, **options: Any) -> ReplayResult:
    async def run() -> ReplayResult:
        async with served(handler) as url:
            return await replay(call, url, **{"patience_s": PATIENCE_S, **options})

    return asyncio.run(asyncio.wait_for(run(), 10))


def found(call: RecordedCall, handler: Handler, **options: Any) -> list[str]:
    return [str(difference) for difference in play(call, handler, **options).differences]


def events(*frames: Frame, ended: Ended | None = None) -> RecordedCall:
    """A recording made by hand."""
    return RecordedCall("call_1", [Opened(1, 0.0), *frames], ended)


def asks(response_id: int, at_s: float = 0.0) -> Frame:
    request = {"interaction_type": "response_required", "response_id": response_id}
    return Frame("platform", json.dumps({**request, "transcript": []}), at_s=at_s)


def says(frame: str | bytes, at_s: float = 0.0) -> Frame:
    return Frame("server", frame, at_s=at_s)


HANGS_UP: Final = Ended("user_hangup", 1000, 1.0)


def test_the_server_of_step_3_is_the_same_again() -> None:
    steps = [Step(say="Hello?"), Step(silent_s=11), Step(say="Are you there?", at_once=True)]
    with serve_app(step3.app, name="replayed", show_log=False) as running:

        async def run() -> ReplayResult:
            call = await record_at(running.websocket_url, steps)
            return await replay(call, running.websocket_url)

        came = asyncio.run(asyncio.wait_for(run(), 20))
    assert came.is_same, came
    assert [frame.data for frame in came.now.frames if frame.sender == "platform"] == [
        frame.data for frame in came.recorded.frames if frame.sender == "platform"
    ]
    assert len(came.now.frames) == len(came.recorded.frames) > 5


def test_a_garbled_frame_is_played_too_and_ends_the_call_of_step_3() -> None:
    steps = [*HELLO, Step(garble="{not json"), Step(silent_s=HOURS_S)]
    with serve_app(step3.app, name="replayed", show_log=False) as running:

        async def run() -> tuple[ReplayResult, ReplayResult]:
            call = await record_at(running.websocket_url, steps, PATIENT)
            same = await replay(call, running.websocket_url)
            async with served(server(said("I am sorry, can you say that again?"))) as url:
                return same, await replay(call, url, patience_s=PATIENCE_S)

        same, other = asyncio.run(asyncio.wait_for(run(), 20))
    assert same.is_same, same
    where = {difference.where: difference for difference in other.differences}
    assert where["closing"].recorded.startswith("it closes with 1002 after frame ")
    assert where["closing"].recorded.endswith(" of the platform, request 1")
    assert where["closing"].now == "the server stays"
    assert where.keys() == {"greeting, text", "closing"}


SAME: Final[dict[str, tuple[Sequence[Deed], Sequence[Deed]]]] = {
    "other pieces": ([said("Ye", is_end=False), said("s.")], [said("Yes."), waits(0)]),
    "an empty last piece": ([said("Yes.", is_end=False), said("")], [YES]),
    "later": ([YES], [waits(0.2), YES]),
    "no response_type": (
        [YES],
        [json.dumps({"response_id": 1, "content": "Yes.", "content_complete": True})],
    ),
    "tool ids": ([tool(), result(), YES], [tool(tool_call_id="u"), result(tool_call_id="u"), YES]),
    "arguments as JSON": (
        [tool(arguments='{"a":1,"b":2}'), YES],
        [tool(arguments=' {"b": 2, "a": 1}'), YES],
    ),
    "the order of keys": (
        [event("metadata", metadata={"a": 1, "b": 2}), YES],
        [event("metadata", metadata={"b": 2, "a": 1}), YES],
    ),
    "interrupt ids": ([interrupt("Stop."), YES], [interrupt("Stop.", 9), YES]),
    "how many are dropped": ([YES, said("a"), said("b")], [YES, said("c")]),
    "a part that is protected": (
        [said("Ye", is_end=False, no_interruption_allowed=True), said("s.")],
        [said("Y", is_end=False), said("es.", no_interruption_allowed=True)],
    ),
    "a config twice": (
        [config(call_details=True), config(call_details=True), YES],
        [config(call_details=True), YES],
    ),
    "a goodbye with a close": (
        [said("Bye.", end_call=True)],
        [said("Bye.", end_call=True), closes(1000)],
    ),
    "a close": ([closes(1011)], [closes(1011)]),
    "a deliberate close": ([closes(1000)], [closes(1000)]),
    "a corrupt close": ([closes(1007)], [closes(1007)]),
    "a binary frame": ([b"\0"], [b"\0"]),
    "a line that the network lost": ([aborts], [YES]),
}


@pytest.mark.parametrize("name", SAME)
def test_what_means_the_same_is_no_difference(name: str) -> None:
    then, now = SAME[name]
    assert found(record(server(*then)), server(*now)) == []


OTHER: Final[dict[str, tuple[Sequence[Deed], Sequence[Deed], str]]] = {
    "text": ([YES], [said("No.")], "answer 1, text: recorded 'Yes.', now 'No.'"),
    "a blank": (
        [said("Yes, I do.")],
        [said("Yes,I do.")],
        "answer 1, text: recorded 'Yes, I do.', now 'Yes,I do.'",
    ),
    "no answer": ([YES], [], "answer 1: recorded 'Yes.', now nothing"),
    "an answer": ([], [YES], "answer 1: recorded nothing, now 'Yes.'"),
    "no end": (
        [YES],
        [said("Yes.", is_end=False)],
        "answer 1, end: recorded complete, now never complete",
    ),
    "an end": (
        [said("Yes.", is_end=False)],
        [YES],
        "answer 1, end: recorded never complete, now complete",
    ),
    "end_call": (
        [YES],
        [said("Yes.", end_call=True)],
        "answer 1, actions: recorded nothing, now end_call",
    ),
    "transfer_number": (
        [said("Yes.", transfer_number="+1")],
        [said("Yes.", transfer_number="+2", show_transferee_as_caller=True)],
        "answer 1, actions: recorded transfer_number '+1', now transfer_number '+2' as the caller",
    ),
    "digit_to_press": (
        [said("Yes.", digit_to_press="1")],
        [said("Yes.", digit_to_press="2")],
        "answer 1, actions: recorded digit_to_press '1', now digit_to_press '2'",
    ),
    "protection": (
        [said("Yes.", no_interruption_allowed=True)],
        [said("Ye", is_end=False, no_interruption_allowed=True), said("s.")],
        "answer 1, no_interruption_allowed: recorded all of it, now a part of it",
    ),
    "no protection": (
        [said("Yes.", no_interruption_allowed=True)],
        [YES],
        "answer 1, no_interruption_allowed: recorded all of it, now none of it",
    ),
    "an interrupt": (
        [YES],
        [YES, interrupt("Wait!")],
        "interrupt 1: recorded nothing, now 'Wait!'",
    ),
    "an interrupt's text": (
        [YES, interrupt("Wait"), interrupt("Stop", 2)],
        [YES, interrupt("Wait"), interrupt("St", 2, is_end=False), interrupt("ep", 2)],
        "interrupt 2, text: recorded 'Stop', now 'Step'",
    ),
    "a tool": (
        [tool(), YES],
        [tool("book"), YES],
        "tool call: recorded 'look' with {}, now 'book' with {}",
    ),
    "another tool": (
        [tool(), YES],
        [tool(), tool("book", "[1", "u"), YES],
        "tool call (2): recorded nothing, now 'book' with '[1'",
    ),
    "arguments": (
        [tool(arguments='{"a": true}'), YES],
        [tool(arguments='{"a": 1}'), YES],
        """tool call: recorded 'look' with {"a": true}, now 'look' with {"a": 1}""",
    ),
    "a result": (
        [tool(), result(successful=True), YES],
        [tool(), result(successful=False), YES],
        "tool call: recorded 'look' with {}, result 'ok', successful, "
        "now 'look' with {}, result 'ok', failed",
    ),
    "a stray result": (
        [YES],
        [result(), YES],
        "tool result without a call: recorded nothing, now result 'ok'",
    ),
    "config": (
        [config(call_details=True), YES],
        [config(), YES],
        "config of connection 1: recorded ConfigFields(call_details=True), now ConfigFields()",
    ),
    "settings": (
        [settings(responsiveness=1), YES],
        [settings(responsiveness=0.5), YES],
        "agent settings: recorded AgentConfig(responsiveness=1.0), "
        "now AgentConfig(responsiveness=0.5)",
    ),
    "metadata": (
        [event("metadata", metadata={"a": 1}), YES],
        [YES],
        'metadata: recorded {"a": 1}, now nothing',
    ),
    "a frame after the end": (
        [YES],
        [YES, said("More.")],
        "dropped frames: recorded nothing, now id 1: content after the end of its answer",
    ),
    "a second end of an interrupt": (
        [YES, interrupt("Wait")],
        [YES, interrupt("Wait"), interrupt("Wait")],
        "dropped frames: recorded nothing, now an interrupt: content after the end of its answer",
    ),
    "an id of nobody": (
        [said("?", 7), YES],
        [YES],
        "dropped frames: recorded id 7: an id that was not asked yet, now nothing",
    ),
    "a heartbeat of nobody": (
        [YES],
        [event("ping_pong", timestamp=1), YES],
        "dropped frames: recorded nothing, now a heartbeat that was not sent",
    ),
    "no JSON": (
        [YES],
        [YES, "{"],
        "dropped frames: recorded nothing, now not JSON: input data was truncated",
    ),
    "binary": (
        [YES],
        [YES, b"\0"],
        "dropped frames: recorded nothing, "
        "now a binary frame, expected text: the platform closes with 1007",
    ),
    "a close": (
        [YES],
        [YES, closes(1000)],
        "closing: recorded the server stays, now it closes with 1000",
    ),
    "no close": ([YES, closes(1011)], [YES], "closing: recorded it closes with 1011"),
    "another close": ([closes(1011)], [closes(1008)], "closing: recorded it closes with 1011"),
    "a close at once": ([closes(1011)], [], "closing: recorded it closes with 1011"),
    "a line that breaks": (
        [YES],
        [YES, aborts],
        "closing: recorded the server stays, now it closes with 1006",
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_one_thing_that_a_server_does_otherwise_is_one_difference(name: str) -> None:
    then, now, expected = OTHER[name]
    [difference] = found(record(server(*then)), server(*now))
    assert difference.startswith(expected)


def test_a_long_text_is_shown_where_the_two_part() -> None:
    then, now = "a" * 500 + "b" * 500, "a" * 500 + "c"
    [difference] = found(record(server(said(then))), server(said(now)))
    aaa = "..." + "a" * 20
    assert difference == f"answer 1, text: recorded {aaa}{'b' * 60}..., now {aaa}c'"


def test_a_result_reads_as_a_line_and_one_more_a_difference() -> None:
    call = record(server(YES))
    call.call_id = "call\n1"
    number = sum(frame.sender == "platform" for frame in call.frames)
    sent = f"{number} of {number} frames were sent"
    assert str(play(call, server(YES))) == f"call 'call\\n1': as recorded; {sent}"
    one = play(call, server(said("No.")))
    assert str(one) == (
        f"call 'call\\n1': 1 difference; {sent}\n  answer 1, text: recorded 'Yes.', now 'No.'"
    )
    assert not one.is_same
    two = play(call, server(said("No.", end_call=True)))
    assert "call\\n1': 2 differences; " in str(two)


def test_the_words_of_a_language_model_may_differ_when_asked_for() -> None:
    call = record(server(YES))
    assert found(
        call, server(said("Sure.", no_interruption_allowed=True)), ignore_content=True
    ) == ["answer 1, no_interruption_allowed: recorded none of it, now all of it"]
    assert found(call, server(said(" ")), ignore_content=True) == [
        "answer 1, text: recorded 'Yes.', now ' '"
    ]
    assert found(call, server(said("Su", is_end=False)), ignore_content=True) == [
        "answer 1, end: recorded complete, now never complete"
    ]


GOES_ON: Final = [Step(say="Hello?"), Step(say="Are you there?", at_once=True)]


def test_an_answer_that_the_caller_cut_short_is_compared_as_far_as_it_went() -> None:
    call = events(
        asks(1), says(said("One, two", is_end=False)), asks(2, 0.6), says(said("Yes.", 2))
    )
    call.ended = HANGS_UP
    slowly: dict[str, float] = {"speed": 1.0, "patience_s": 2.0}
    assert found(call, server(), **slowly) == []
    assert found(call, server(said("One,", is_end=False)), **slowly) == []
    assert found(call, server(said("One, two, three.")), **slowly) == []
    assert found(call, server(said("One.")), **slowly) == [
        "answer 1, text: recorded 'One, two', now 'One.'"
    ]


def test_a_piece_that_came_too_late_is_a_matter_of_a_moment() -> None:
    late = events(asks(1), asks(2), says(said("On", is_end=False)), says(said("Yes.", 2)))
    late.ended = HANGS_UP
    assert found(late, server()) == []


def test_a_superseded_answer_that_is_sent_to_its_end_is_a_difference() -> None:
    call = events(asks(1), asks(2), says(said("Yes.", 2)), ended=HANGS_UP)
    stubborn = server(waits(0.05), YES)
    assert found(call, stubborn) == [
        "dropped frames: recorded nothing, now id 1: the id of an older request"
    ]


def test_a_frame_after_the_end_counts_the_same_when_the_next_request_was_faster() -> None:
    then = events(says(GREETING), asks(1), says(YES), asks(2), says(YES), says(said("Yes.", 2)))
    then.ended = HANGS_UP
    assert found(then, server(YES, YES)) == []
    assert found(then, server(YES)) == [
        "dropped frames: recorded id 1: content after the end of its answer, now nothing"
    ]


def test_an_answer_that_an_interrupt_cancelled_is_cut_short() -> None:
    def cancels(*rest: str) -> Handler:
        return server(said("On", is_end=False), interrupt("Wait"), *rest)

    call = record(cancels())
    assert found(call, cancels(said("e", is_end=False))) == []
    [difference] = found(call, cancels(said("e.")))
    assert difference.endswith("now id 1: an answer that an agent_interrupt has cancelled")


def test_a_request_that_was_sent_again_asks_nothing_new() -> None:
    call = record(server(YES), [*HELLO, Step(resend=True), Step(silent_s=200)])
    assert found(call, server(YES)) == []


BEATS: Final = (GREETING, config(auto_reconnect=True))


def test_heartbeats_go_out_as_they_were_and_come_back() -> None:
    ping = Frame("platform", json.dumps({"interaction_type": "ping_pong", "timestamp": 5}))
    pong = says(event("ping_pong", timestamp=5))
    call = events(says(GREETING), ping, pong, asks(1), says(YES), ended=HANGS_UP)
    assert found(call, server(YES)) == []
    assert found(call, server(YES, pongs=False)) == ["heartbeats: recorded 1, now 0"]


def test_a_line_that_was_lost_is_lost_again_and_dialled_again() -> None:
    steps = [*HELLO, Step(drop_line=True), Step(silent_s=0.5), *HELLO]
    call = record(server(YES, first=BEATS), steps)
    came = play(call, server(YES, first=BEATS))
    assert came.is_same, came
    assert sum(isinstance(event, Opened) for event in came.now.events) == 2
    assert found(call, server(YES, first=[GREETING, config()])) == [
        f"config of connection {number}: recorded ConfigFields(auto_reconnect=True), "
        "now ConfigFields()"
        for number in (1, 2)
    ]


def lost_at(*deeds: Deed) -> Handler:
    """A server that does some deeds on its first connection, and is polite on the next."""
    left = [server(first=deeds), server(first=[])]

    async def handler(ws: ServerConnection) -> None:
        await left.pop(0)(ws)

    return handler


REOPENED: Final = RecordedCall(
    "call_1",
    [
        Opened(1, 0.0),
        says(GREETING),
        Frame("platform", "{}", at_s=0.1),
        Frame("platform", "{}", at_s=0.2),
        Opened(2, 0.3),
        asks(2, 0.4),
        says(said("Yes.", 2)),
    ],
    HANGS_UP,
)


def test_a_server_may_lose_the_line_by_itself_where_it_was_lost() -> None:
    assert found(REOPENED, lost_at(GREETING, aborts)) == []


def test_a_server_that_closes_where_the_line_was_lost_is_not_dialled_again() -> None:
    closing = "it closes with 1011 after frame "
    [difference] = play(REOPENED, lost_at(GREETING, closes(1011))).differences
    assert difference.recorded == "the server stays"
    assert difference.now.startswith(closing)
    just_before = RecordedCall("call_1", [*REOPENED.events[:2], *REOPENED.events[4:]], HANGS_UP)
    assert found(just_before, lost_at(closes(1011))) == [
        "greeting: recorded 'Hi.', now nothing",
        f"closing: recorded the server stays, now {closing}0 of the platform, request 0",
    ]


def test_a_line_that_breaks_for_good_is_not_held_against_a_server_that_stays() -> None:
    lost = Ended("error_llm_websocket_lost_connection", 1006, 1.0)
    used_up = Ended("error_llm_websocket_runtime", 1006, 1.0)
    for ended in (lost, used_up):
        assert found(events(says(GREETING), ended=ended), server()) == []
    goodbye = [says(GREETING), asks(1), says(said("Bye.", end_call=True))]
    hung_up = Ended("agent_hangup", 1006, 1.0)  # the server did not close its end in time
    assert found(events(*goodbye, ended=hung_up), server(said("Bye.", end_call=True))) == []


def test_a_server_that_cannot_be_dialled_again_ends_the_replay() -> None:
    async def run() -> ReplayResult:
        gone = asyncio.Event()

        async def once(ws: ServerConnection) -> None:
            await ws.send(GREETING)
            await ws.recv()
            await ws.recv()
            listening.close(close_connections=False)
            gone.set()
            await ws.wait_closed()

        async with serve(once, "127.0.0.1", 0) as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            return await replay(REOPENED, f"ws://127.0.0.1:{port}/")

    [difference] = asyncio.run(asyncio.wait_for(run(), 10)).differences
    assert str(difference).startswith("connection 2: recorded open, now cannot call 127.0.0.1:")


def test_a_recording_that_stops_in_mid_call_says_nothing_about_what_follows() -> None:
    cut = events(says(GREETING), asks(1))
    assert found(cut, server(tool(), YES, closes(1000))) == []
    assert found(cut, server(YES, first=[said("Hm.", 0)])) == [
        "greeting, text: recorded 'Hi.', now 'Hm.'"
    ]
    assert found(cut, server(first=[closes(1000)])) == [
        "greeting: recorded 'Hi.', now nothing",
        "closing: recorded the server stays, "
        "now it closes with 1000 after frame 0 of the platform, request 0",
    ]


def test_a_recording_without_a_frame_can_be_played() -> None:
    assert found(RecordedCall("call_1"), server()) == []


def test_a_call_that_breaks_off_is_compared_up_to_there() -> None:
    call = record(server(YES), [*HELLO, *HELLO])
    frames = sum(frame.sender == "platform" for frame in call.frames)
    came = play(call, server(YES, closes(1008)))
    [closing] = came.differences
    assert closing.recorded == "the server stays"
    assert closing.now.startswith("it closes with 1008 after frame ")
    assert closing.now.endswith(", request 1")
    assert f"{frames} frames were sent" in str(came)


def test_a_mute_server_is_waited_for_three_times_and_no_more() -> None:
    frames = [frame for number in range(1, 40) for frame in (asks(number), says(said("", number)))]
    started = time.monotonic()
    differences = play(events(*frames, ended=HANGS_UP), mute).differences
    assert MOST_LAPSES * PATIENCE_S < time.monotonic() - started < 2 * MOST_LAPSES * PATIENCE_S + 1
    assert differences[-1] == Difference("answer 39", "''", "nothing")
    assert len(differences) == 39


def test_people_take_their_time_only_in_the_middle_of_an_answer() -> None:
    def seconds(*frames: Frame, speed: float = 2.0) -> float:
        started = time.monotonic()
        call = events(says(GREETING), asks(1), *frames, says(said("Yes.", 2)))
        play(call, server(YES), speed=speed, patience_s=2.0)
        return time.monotonic() - started

    assert seconds(says(YES), asks(2, 60.0)) < 2
    assert 0.5 + SETTLE_S <= seconds(asks(2, 1.0)) < 2
    assert seconds(asks(2, 1e8), speed=float("inf")) < 2
    assert 2 <= seconds(asks(2, 1e8)) < 4


def test_whatever_a_platform_sent_goes_out_as_it_was() -> None:
    got: list[str | bytes] = []

    async def listens(ws: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in ws:
                got.append(frame)

    garbled: list[str | bytes] = ["{", b"\0\xff", "\ud83d"]
    result = play(events(*(Frame("platform", data) for data in garbled), ended=HANGS_UP), listens)
    assert got == ["{", b"\0\xff"]
    [closing] = result.differences  # half a character is no text
    assert closing.now.startswith("it closes with 1007")


def test_a_server_that_reads_nothing_ends_the_replay() -> None:
    async def deaf(ws: ServerConnection) -> None:
        ws.transport.pause_reading()
        await asyncio.sleep(3 * PATIENCE_S)
        ws.transport.abort()

    big = Frame("platform", "x" * 2**23)
    [difference] = found(events(big, big, big, ended=HANGS_UP), deaf)
    assert difference == f"reading: recorded every frame, now none for {PATIENCE_S:g} s"


def test_a_server_that_leaves_in_the_middle_of_a_frame_ends_the_replay() -> None:
    async def leaves(ws: ServerConnection) -> None:
        ws.transport.pause_reading()
        await asyncio.sleep(0.1)
        ws.transport.abort()

    big = Frame("platform", "x" * 2**23)
    [difference] = found(events(big, big, ended=HANGS_UP), leaves)
    assert difference.startswith("closing: recorded the server stays, now it closes with 1006")


def test_a_server_that_floods_ends_the_replay() -> None:
    async def floods(ws: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.send(said("x" * 1_000_000))

    never = events(says(interrupt("Stop.")), ended=HANGS_UP)
    *_, difference = found(never, floods, patience_s=5.0)
    assert difference.startswith("amount: recorded at most 67108864 bytes, now more")


def test_what_is_said_after_the_end_is_not_counted() -> None:
    async def talks_on(ws: ServerConnection) -> None:
        await ws.send(GREETING)
        ws.transport.pause_reading()  # it does not know yet that the call is over
        await asyncio.sleep(2 * SETTLE_S)
        await ws.send(said("late", 9))
        ws.transport.resume_reading()

    assert found(events(says(GREETING), ended=HANGS_UP), talks_on) == []


def test_a_call_that_never_comes_about_is_told() -> None:
    with pytest.raises(CannotConnect, match="nothing answers"):
        asyncio.run(replay(events(), "ws://127.0.0.1:9/"))
    with pytest.raises(CannotConnect, match=r"no URL can hold the call id '\\ud800'"):
        asyncio.run(replay(RecordedCall("\ud800"), "ws://127.0.0.1:9/"))


@pytest.mark.parametrize("options", [{"speed": 0.0}, {"patience_s": -1.0}, {"speed": float("nan")}])
def test_a_speed_or_a_patience_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected numbers above 0"):
        asyncio.run(replay(events(), "ws://127.0.0.1:9/", **options))
