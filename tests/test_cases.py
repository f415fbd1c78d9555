"""Each check on a server that is right, and on one that is wrong in that one way."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection, serve

from llmws_tutorial.checks import CASES, Case, Severity, run_checks
from llmws_tutorial.checks.cases import Answers, is_complete, wants_answer

Handler = Callable[[ServerConnection], Awaitable[None]]
PATIENCE_S: Final = 0.5
LULL_S: Final = 0.1
"""Less than the moment that a check watches, more than two frames are apart."""
NO_LLM: Final = "Cannot find corresponding Retell LLM."
NO_JSON: Final = "Cannot parse incoming message."


def reply(response_id: Any, **fields: Any) -> str:
    said = {"response_id": response_id, "content": "Yes.", "content_complete": True}
    return json.dumps({**said, **fields})


GREETING: Final = reply(0)


async def requests(ws: ServerConnection) -> AsyncIterator[dict[str, Any]]:
    """The requests of a call; a frame that is none is closed on, as is right."""
    async for frame in ws:
        if isinstance(frame, str) and frame.startswith("{"):
            yield json.loads(frame)
        else:
            await answer(ws, frame)


async def answer(ws: ServerConnection, frame: str | bytes) -> None:
    """Do the right thing with one frame."""
    if isinstance(frame, bytes):
        await ws.close(1002, NO_LLM)
    elif not frame.startswith("{"):
        await ws.close(1002, NO_JSON)
    elif wants_answer(frame):
        await ws.send(reply(json.loads(frame)["response_id"]))


async def go_on(ws: ServerConnection) -> None:
    async for frame in ws:
        await answer(ws, frame)


async def right(ws: ServerConnection) -> None:
    await ws.send(GREETING)
    await go_on(ws)


async def leaves_a_caller_who_says_nothing(ws: ServerConnection) -> None:
    await ws.send(GREETING)
    try:
        frame = await asyncio.wait_for(ws.recv(), LULL_S)
    except TimeoutError:
        return
    await answer(ws, frame)
    await go_on(ws)


async def is_upset_by_words_before_its_greeting(ws: ServerConnection) -> None:
    try:
        await asyncio.wait_for(ws.recv(), LULL_S)
    except TimeoutError:
        await right(ws)


async def greets_under_id_1(ws: ServerConnection) -> None:
    await ws.send(reply(1))
    await go_on(ws)


async def says_more_after_its_only_answer(ws: ServerConnection) -> None:
    await ws.send(GREETING)
    extra: asyncio.Task[None] | None = None

    async def add(response_id: int) -> None:
        await asyncio.sleep(LULL_S)
        await ws.send(reply(response_id))

    async for request in requests(ws):
        if extra:
            extra.cancel()
        if "response_id" in request:
            await ws.send(reply(request["response_id"]))
        if request["interaction_type"] == "response_required" and not extra:
            extra = asyncio.create_task(add(request["response_id"]))


async def answers_an_update_until_it_is_asked(ws: ServerConnection) -> None:
    await ws.send(GREETING)
    is_asked = False
    async for request in requests(ws):
        is_asked = is_asked or "response_id" in request
        if "response_id" in request or not is_asked:
            await ws.send(reply(request.get("response_id", 0)))


async def ignores_reminders(ws: ServerConnection) -> None:
    await ws.send(GREETING)
    async for request in requests(ws):
        if request["interaction_type"] == "response_required":
            await ws.send(reply(request["response_id"]))


async def answers_everything_under_id_1(ws: ServerConnection) -> None:
    await ws.send(GREETING)
    async for request in requests(ws):
        if "response_id" in request:
            await ws.send(reply(1))


def closing(is_meant: Callable[[str | bytes], bool], code: int, reason: str) -> Handler:
    """A server that is right, but for the close of some frames."""

    async def handler(ws: ServerConnection) -> None:
        await ws.send(GREETING)
        async for frame in ws:
            if is_meant(frame):
                await ws.close(code, reason)
                return
            await answer(ws, frame)

    return handler


BROKEN: Final[dict[str, Handler]] = {
    "connect/1": leaves_a_caller_who_says_nothing,
    "connect/2": is_upset_by_words_before_its_greeting,
    "begin/1": greets_under_id_1,
    "turns/1": says_more_after_its_only_answer,
    "turns/2": answers_an_update_until_it_is_asked,
    "turns/3": ignores_reminders,
    "turns/4": answers_everything_under_id_1,
    "input/1": closing(lambda frame: isinstance(frame, bytes), 1003, NO_LLM),
    "input/2": closing(lambda frame: frame == "Hello", 1007, NO_JSON),
    "input/3": closing(lambda frame: frame == "null", 1011, ""),
}
"""For each check a server that fails it, and no other."""
by_id: Final = {case.id: case for case in CASES}


def failed(handler: Handler, *prefixes: str) -> dict[str, str | None]:
    """What was wrong with a server, by the ids of the checks."""

    async def run() -> dict[str, str | None]:
        async with serve(handler, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            url = f"ws://127.0.0.1:{port}/llm-websocket/"
            findings = await run_checks(url, *prefixes, patience_s=PATIENCE_S)
        return {finding.case.id: finding.wrong for finding in findings if not finding.passed}

    return asyncio.run(asyncio.wait_for(run(), 20))


def wrong(case_id: str, **answers: Any) -> str | None:
    return by_id[case_id].judge(Answers(**answers))


def test_every_check_has_its_broken_server() -> None:
    assert set(BROKEN) == {case.id for case in CASES}
    assert len(by_id) == len(CASES)


def test_a_server_that_is_right_fails_nothing() -> None:
    assert failed(right) == {}


@pytest.mark.parametrize("case_id", BROKEN)
def test_a_server_broken_in_one_way_fails_that_check_alone(case_id: str) -> None:
    assert list(failed(BROKEN[case_id])) == [case_id]


@pytest.mark.parametrize(
    ("case_id", "said"),
    [
        ("connect/1", "expected an open call, got close code 1000"),
        ("begin/1", "expected response_id 0, got response_id 1"),
        ("turns/1", "expected nothing more, got response_id 1"),
        ("turns/2", f"expected no answer, got {GREETING}"),
        ("turns/3", "expected a complete answer with response_id 1, got none"),
        ("turns/4", "expected response_id 2, got response_id 1"),
        ("input/1", f"expected close code 1002 {NO_LLM!r}, got 1003 {NO_LLM!r}"),
        ("input/2", f"expected close code 1002 {NO_JSON!r}, got 1007 {NO_JSON!r}"),
        ("input/3", f"expected close code 1002 {NO_JSON!r}, got 1011 ''"),
    ],
)
def test_what_was_wrong_is_said_as_expected_and_got(case_id: str, said: str) -> None:
    assert failed(BROKEN[case_id], case_id) == {case_id: said}


def test_a_server_that_drops_an_answer_for_a_newer_request_is_right() -> None:
    """The newer request kills the older: a server may well stop to work on that."""

    async def supersedes(ws: ServerConnection) -> None:
        await ws.send(GREETING)
        thought: asyncio.Task[None] | None = None

        async def think(response_id: int) -> None:
            await asyncio.sleep(LULL_S)
            await ws.send(reply(response_id))

        async for request in requests(ws):
            if "response_id" in request:
                if thought:
                    thought.cancel()
                thought = asyncio.create_task(think(request["response_id"]))

    assert failed(supersedes) == {}


def test_a_server_that_streams_its_answers_is_right() -> None:
    async def streams(ws: ServerConnection) -> None:
        await ws.send(reply(0, content_complete=False))
        await ws.send(reply(0, content=""))
        async for request in requests(ws):
            if "response_id" in request:
                await ws.send(reply(request["response_id"], content_complete=False))
                await ws.send(reply(request["response_id"]))

    assert failed(streams) == {}


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("Hello", r"expected a response, got Hello \(not JSON: .*\)"),
        (b"\x00\x01", r"expected a response, got 2 bytes of binary \(a binary frame, .*\)"),
        (reply("0"), r"expected a response, got .* \(mistyped frame: .*\)"),
        ("x" * 81, r"expected a response, got x{77}\.\.\. \(not JSON: .*\)"),
        ("x" * 80, r"expected a response, got x{80} \(not JSON: .*\)"),
    ],
)
def test_a_frame_that_is_no_response_is_shown(frame: str | bytes, said: str) -> None:
    verdict = wrong("begin/1", greeting=(frame,))
    assert verdict
    assert re.fullmatch(said, verdict)


def test_no_greeting_is_told_from_half_a_greeting() -> None:
    half = reply(0, content_complete=False)
    assert wrong("begin/1") == "expected a first message with response_id 0, got none"
    said = "expected a complete answer with response_id 0, got none"
    assert wrong("begin/1", greeting=(half,)) == said
    assert wrong("begin/1", greeting=(half, GREETING)) is None


def test_a_call_that_is_kept_or_goes_on_after_a_bad_frame_is_wrong() -> None:
    assert str(wrong("input/1")).endswith(", got an open call")
    closed = {"close_code": 1002, "close_reason": NO_LLM}
    assert wrong("input/1", **closed) is None
    said = f"expected nothing after the bad frame, got {GREETING}"
    assert wrong("input/1", frames=(GREETING,), **closed) == said


def test_answers_in_another_order_than_the_requests_are_wrong() -> None:
    assert wrong("turns/4", frames=(reply(1), reply(2))) is None
    said = "expected response_id 1, got response_id 2"
    assert wrong("turns/4", frames=(reply(2), reply(1))) == said


def test_an_update_that_ends_the_call_is_wrong_though_nothing_was_said() -> None:
    assert wrong("turns/2") is None
    assert wrong("turns/2", close_code=1011) == "expected an open call, got close code 1011"


@pytest.mark.parametrize(
    ("frame", "complete"),
    [
        (GREETING, True),
        (reply(0, content_complete=False), False),
        ("Hello", False),
        (GREETING.encode(), False),
    ],
)
def test_only_a_whole_response_ends_an_answer(frame: str | bytes, complete: bool) -> None:
    assert is_complete(frame) is complete


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_requests_ask_for_an_answer_and_nothing_else_does(case: Case) -> None:
    asking = [frame for frame in case.sends if wants_answer(frame)]
    assert all("_required" in str(frame) for frame in asking)
    assert not [frame for frame in set(case.sends) - set(asking) if "_required" in str(frame)]
    assert case.answered is (bool(asking) and not case.closes)


def test_only_an_answered_update_does_not_break_the_call() -> None:
    assert [case.id for case in CASES if case.severity is Severity.WARNING] == ["turns/2"]
