"""The judges: each on wrong answers here; on the stub and the solution in its notebook."""

import asyncio
import contextlib
import signal
import threading
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook import check, serve
from llmws_tutorial.notebook.checking import Verdict, cases_of
from llmws_tutorial.notebook.exercises import EXERCISES, finish
from llmws_tutorial.simulator import CallRecord, place_call
from llmws_tutorial.steps import step1, step2, step3, step5, step7


async def deaf(ws: WebSocket, call_id: str) -> None:
    await ws.accept()


async def shouting(ws: WebSocket, call_id: str) -> None:
    await ws.accept()
    async for message in ws.iter_text():
        await ws.send_text(message.upper())


async def echo(ws: WebSocket, call_id: str) -> None:
    await ws.accept()
    async for message in ws.iter_text():
        await ws.send_text(message)


def always_yes(request: Any) -> bool:
    return len(request) >= 0


def answers_updates_too(request: Any) -> Any:
    return {"response_id": 4, **step2.speech(f"You said: {request['transcript'][-1]['content']}")}


def voice_at_first_mark(pieces: list[str]) -> int:
    return next((n for n, piece in enumerate(pieces, 1) if set(piece) & set(".?!")), len(pieces))


def voice_at_last_piece(pieces: list[str]) -> int:
    return len(pieces)


def voice_counted_from_0(pieces: list[str]) -> int:
    return next((n for n, piece in enumerate(pieces) if piece.endswith((".", "?", "!"))), 0)


def shortened_without_prompt(messages: list[Any], budget: int) -> list[Any]:
    while sum(len(one["content"]) for one in messages) > budget and len(messages) > 1:
        messages = messages[1:]
    return messages


def shortened_at_the_wrong_end(messages: list[Any], budget: int) -> list[Any]:
    while sum(len(one["content"]) for one in messages[1:]) > budget and len(messages) > 2:
        messages = messages[:-1]
    return messages


def shortened_to_nothing(messages: list[Any], budget: int) -> list[Any]:
    while sum(len(one["content"]) for one in messages[1:]) > budget:
        messages = [messages[0], *messages[2:]]
    return messages


def shortened_in_place(messages: list[Any], budget: int) -> list[Any]:
    while sum(len(one["content"]) for one in messages[1:]) > budget and len(messages) > 2:
        del messages[1]
    return messages


def shortened_by_count(messages: list[Any], budget: int) -> list[Any]:
    return [messages[0], *messages[1:][-budget:]]


def shortened_to_text(messages: list[Any], budget: int) -> str:
    return " ".join(one["content"] for one in messages)[-budget:]


async def hands_on_and_leaves_open(stream: Any, say: Any) -> None:
    async for piece in stream:
        await say(piece)


async def hands_on_at_the_end(stream: Any, say: Any) -> None:
    for piece in [piece async for piece in stream]:
        await say(piece)


async def hands_on_and_takes_no_cancel(stream: Any, say: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        async with contextlib.aclosing(stream):
            await hands_on_and_leaves_open(stream, say)


async def hands_on_three_pieces(stream: Any, say: Any) -> None:
    async with contextlib.aclosing(stream):
        for _ in range(3):
            await say(await anext(stream))


async def once_in_the_turn(runs: dict[str, Any], key: str, work: Any) -> Any:
    if key not in runs:
        runs[key] = await work()
    return runs[key]


async def once_unshielded(runs: dict[str, Any], key: str, work: Any) -> Any:
    if key not in runs:
        runs[key] = asyncio.create_task(work())
    return await runs[key]


async def each_time(runs: dict[str, Any], key: str, work: Any) -> Any:
    return await asyncio.shield(work())


async def once_too_early(runs: dict[str, Any], key: str, work: Any) -> Any:
    if key not in runs:
        runs[key] = None
        runs[key] = await asyncio.shield(work())
    return runs[key]


async def once(runs: dict[str, Any], key: str, work: Any) -> Any:
    if key not in runs:
        runs[key] = asyncio.create_task(work())
    await asyncio.wait([runs[key]])
    return runs[key].result()


async def once_whatever_the_key(runs: dict[str, Any], key: str, work: Any) -> Any:
    return await once(runs, "ten", work)


WRONG: dict[str, list[Any]] = {
    "00.1": ["a call", CallRecord("short")],
    "01.1": ["wss://voice.example.com/llm-websocket/", 7],
    "01.2": [deaf, shouting],
    "02.1": [always_yes, answers_updates_too],
    "02.2": [{"response_id": 0, "content": "", "content_complete": True}, None],
    "03.1": [{"Hello": True}],
    "03.2": [always_yes],
    "04.1": ["https://voice.example.com", "wss://voice.example.com/llm-websocket/call_1"],
    "04.2": ["a call", CallRecord("without a reminder")],
    "05.1": [voice_at_first_mark, voice_at_last_piece, voice_counted_from_0],
    "05.2": [
        shortened_without_prompt,
        shortened_at_the_wrong_end,
        shortened_to_nothing,
        shortened_in_place,
        shortened_by_count,
        shortened_to_text,
    ],
    "06.1": [{1}, {1, 2, 3}, 2],
    "06.2": [
        {"interaction_type": "ping_pong", "timestamp": 1700000000000},
        {"response_type": "ping_pong", "timestamp": "1700000000000"},
    ],
    "06.3": [
        hands_on_and_leaves_open,
        hands_on_at_the_end,
        hands_on_and_takes_no_cancel,
        hands_on_three_pieces,
    ],
    "07.1": [
        "cancel_appointment",
        {"type": "function"},
        {"type": "tool", "function": {}},
        step7.tool("cancel", "Cancel an appointment of the caller.", "day", "time"),
        step7.tool("cancel_appointment", "Cancel.", "day", "time"),
        step7.tool("cancel_appointment", "Cancel an appointment of the caller.", "day"),
        step7.tool("cancel_appointment", "Cancel it by its name.", "day", "time", "name"),
    ],
    "07.2": [once_in_the_turn, once_unshielded, each_time, once_whatever_the_key, once_too_early],
    "07.3": [
        {"end_call": True},
        [{"end_call": True}],
        [{}, {}, {"end_call": True}],
        [{}, {}, {"end_call": True, "no_interruption_allowed": True}],
        [{}, {"end_call": True}, {"no_interruption_allowed": True}],
        [{}, {"no_interruption_allowed": True}, {"no_interruption_allowed": True}],
        [{"end_call": True, "no_interruption_allowed": True}] * 3,
        [{}, *[{"end_call": 1, "no_interruption_allowed": True}] * 2],
    ],
}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_wrong_answers_are_told_what_was_expected(exercise: str) -> None:
    for answer in WRONG[exercise]:
        assert check(exercise, answer).text.startswith("not yet: expected ")


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_untouched_stub_is_not_judged(exercise: str) -> None:
    async def coroutine_stub(ws: WebSocket, call_id: str) -> None:
        """Do something, some day."""
        ...

    def stub(request: Any) -> Any: ...

    verdicts = {repr(check(exercise, answer)) for answer in (..., stub, coroutine_stub)}
    assert verdicts == {"not attempted yet"}


def test_an_answer_that_raises_is_a_wrong_one() -> None:
    def broken(request: Any) -> Any:
        raise KeyError("response_id")

    expected = "not yet: expected no error, got KeyError: 'response_id'"
    assert check("02.1", broken).text == expected


def test_an_unknown_exercise_names_the_known_ones() -> None:
    with pytest.raises(SetupError, match=r"'9\.9', expected one of 00, 01.*04\.2"):
        check("9.9", None)


def test_answers_are_judged_by_what_they_do() -> None:
    def wants_answer(request: Any) -> bool:
        kind, response_id = request.get("interaction_type"), request.get("response_id")
        return kind in ("response_required", "reminder_required") and type(response_id) is int

    async def hand_on(stream: Any, say: Any) -> None:
        async with contextlib.aclosing(stream):
            while (piece := await anext(stream, None)) is not None:
                await say(piece)

    no_talking_over = {"no_interruption_allowed": True}
    protected_in_two_steps = [{}, no_talking_over, {**no_talking_over, "end_call": True}]
    with serve(step3.app, show_log=False) as server:
        reminded = asyncio.run(place_call(server.websocket_url, [None], speed=200))
    right = {"01.2": echo, "03.2": wants_answer, "04.2": reminded}
    right |= {"06.1": [2, 1], "06.3": hand_on, "07.2": once, "07.3": protected_in_two_steps}
    assert {exercise: check(exercise, right[exercise]).text for exercise in right} == {
        "01.2": "ok",
        "03.2": "ok",
        "04.2": "ok",
        "06.1": "ok",
        "06.3": "ok",
        "07.2": "ok",
        "07.3": "ok",
    }


def test_a_right_answer_need_not_be_that_of_the_lesson() -> None:
    def mark_by_mark(pieces: list[str]) -> int:
        text = ""
        for count, piece in enumerate(pieces, start=1):
            text += piece
            if any(f"{mark} " in f"{text} " for mark in ".?!"):
                return count
        return len(pieces)

    def from_behind(messages: list[Any], budget: int) -> list[Any]:
        kept: list[Any] = []
        for message in reversed(messages[1:]):
            budget -= len(message["content"])
            if kept and budget < 0:
                break
            kept.insert(0, message)
        return [messages[0], *kept]

    def once_as_a_future(runs: dict[str, Any], key: str, work: Any) -> asyncio.Future[Any]:
        runs[key] = runs.get(key) or asyncio.create_task(work())
        return asyncio.shield(runs[key])

    protected = {"response_id": 1, "no_interruption_allowed": True, "end_call": True}
    whole = [{"response_id": 1, "content": "You are booked. "}, protected, protected]
    assert check("05.1", mark_by_mark) == check("05.2", from_behind) == Verdict("ok")
    assert check("07.2", once_as_a_future) == check("07.3", whole) == Verdict("ok")


def test_fields_that_the_platform_does_not_take_are_told_in_its_words() -> None:
    quoted = [{}, *[{"no_interruption_allowed": "true", "end_call": True}] * 2]
    expected = (
        "not yet: expected fields that the platform takes, got mistyped frame: expected `bool`"
    )
    assert check("07.3", quoted).text.startswith(expected)


def test_a_class_alone_is_no_server_once_it_has_been_wired() -> None:
    expected = "not yet: expected an app or a server, got the class StreamingClient"
    assert check("05", step5.StreamingClient).text == expected


def test_a_reminder_must_be_answered() -> None:
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def greets_only(ws: WebSocket, call_id: str) -> None:
        await ws.accept()
        await step2.LLMDummyMock().begin_message(ws)
        async for _ in ws.iter_text():
            pass

    async def call(url: str) -> CallRecord:
        return await place_call(url, [None], speed=200, timeout_s=0.2)

    with serve(app, show_log=False) as server:
        record = asyncio.run(call(server.websocket_url))
    assert check("04.2", record) == Verdict("not yet: expected an answer to the reminder, got none")


def count(step: str) -> str:
    return f"{len(cases_of(step))} of {len(cases_of(step))} passed"


@pytest.mark.parametrize(
    ("step", "built"), [("01", step1.app), ("02", step2.LLMDummyMock), ("03", step3.app)]
)
def test_each_step_is_checked_on_what_it_built(step: str, built: Any) -> None:
    lines = check(step, built).text.splitlines()
    new = [case for case in cases_of(step) if case.step == step]
    assert lines[: len(new)] == [f"ok       {case.id:10} {case.title}" for case in new]
    assert lines[len(new)] == count(step)


def test_the_checks_of_later_steps_are_listed_as_not_yet() -> None:
    lines = check("01", step1.app).text.splitlines()
    assert [line for line in lines if line.startswith("not yet  step 02: begin 1")]
    assert not [line for line in lines if line.startswith("not yet  step 01")]


def test_a_server_is_checked_where_it_listens() -> None:
    with serve(step3.app, show_log=False) as server:
        assert check("04", server).text.startswith(count("04"))


def test_a_server_that_was_stopped_is_not_checked() -> None:
    server = serve(step3.app, name="over", show_log=False)
    server.stop()
    told = "<Server 'over': stopped>: run the cell that serves it again"
    assert check("04", server) == Verdict(told)


def test_an_interrupted_cell_gives_up_the_check() -> None:
    begun, given_up = threading.Event(), threading.Event()
    cell = threading.get_ident()

    async def check_for_ever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    def press_stop() -> None:
        if begun.wait(30):
            signal.pthread_kill(cell, signal.SIGINT)

    button = threading.Thread(target=press_stop)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as a kernel has it
    try:
        button.start()
        with pytest.raises(KeyboardInterrupt):
            finish(check_for_ever())
    finally:
        signal.signal(signal.SIGINT, before)
    assert given_up.wait(30)
    button.join()


def test_what_the_checks_do_is_logged_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(step3.app, name="shown") as server:
        check("03", server)
        assert "check_input" in str(server.log)
        assert "check_input" not in capsys.readouterr().out
        assert server.log.is_shown


def test_a_check_tells_what_the_platform_dropped_and_how_the_call_ended() -> None:
    class Hasty(step2.LLMDummyMock):
        async def draft_response(self, request: Any, ws: WebSocket) -> None:
            await super().draft_response(request, ws)
            if "response_id" in request:
                farewell = {**step2.speech("Good bye."), "end_call": True}
                await ws.send_json({"response_id": request["response_id"], **farewell})
                await ws.close(1011)

    lines = check("02", Hasty).text.splitlines()
    assert "dropped in a call: response_id 1 was already complete" in lines
    assert "a call ended as error_llm_websocket_runtime" in lines


def test_a_check_tells_that_a_caller_waited_in_vain() -> None:
    class GreetsOnly(step2.LLMDummyMock):
        async def draft_response(self, request: Any, ws: WebSocket) -> None:
            pass

    assert "a caller waited for an answer in vain" in check("02", GreetsOnly).text.splitlines()


def test_a_failed_check_says_what_to_do() -> None:
    class Mute(step2.LLMDummyMock):
        async def begin_message(self, ws: WebSocket) -> None:
            pass

    lines = check("02", Mute).text.splitlines()
    [begin] = [line for line in lines if line.startswith("begin/1 failed")]
    assert begin.startswith("begin/1 failed: expected a whole answer with response_id 0, got none")
    assert "fix: send the begin message right after accepting the socket" in begin
