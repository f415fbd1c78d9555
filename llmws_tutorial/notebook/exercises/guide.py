"""The exercises of the guide: steps 00 to 04."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import FastAPI, WebSocket

from llmws_tutorial.checks import Conditions, in_memory, judge
from llmws_tutorial.checks.case import OK, Case, Grade, Ruling, Severity, failed
from llmws_tutorial.checks.exchange import Exchange, Got
from llmws_tutorial.checks.moves import Open, Send, Watch
from llmws_tutorial.notebook.exercises.registry import differs, exercise, finish
from llmws_tutorial.simulator import CallRecord


def app_with(handler: Callable[[WebSocket, str], Awaitable[None]]) -> FastAPI:
    """Make an app whose calls go to a handler."""
    app = FastAPI()
    app.add_api_websocket_route("/llm-websocket/{call_id}", handler)
    return app


@exercise("00.1")
def _judge_own_call(answer: Any) -> Ruling:
    if not isinstance(answer, CallRecord):
        return failed("the record of a call", type(answer).__name__)
    roles = [said.role for said in answer.transcript]
    return differs(["agent", "user", "agent", "user", "agent"], roles)


@exercise("01.1")
def _judge_dialled_url(answer: Any) -> Ruling:
    return differs("wss://voice.example.com/llm-websocket/call_7f3a", answer)


def _echoes(exchange: Exchange) -> Ruling:
    return differs(list(_ECHOED), [got.data for got in exchange.of(Got)])


_ECHOED: Final = ("Hello", "Hello again", "")
_ECHO: Final = Case(
    id="exercise/01.2",
    title="echoes",
    requirement="Every message comes back as it is.",
    why="It is the smallest server that does something.",
    source="step 01",
    grade=Grade.KIT,
    severity=Severity.ERROR,
    fix="send what you received",
    step="01",
    moves=(Open(), *(Send(text) for text in _ECHOED), Watch()),
    judge=_echoes,
)


@exercise("01.2")
def _judge_echo(answer: Any) -> Ruling:
    async def run() -> Ruling:
        async with in_memory(app_with(answer)) as transport:
            [finding] = await judge(transport, [_ECHO], Conditions())
        return finding.ruling

    return finish(run())


@exercise("02.1")
def _judge_parrot(answer: Any) -> Ruling:
    said = [{"role": "user", "content": "one"}, {"role": "agent", "content": "two"}]
    last = {"role": "user", "content": "three"}
    expected = {
        "response_id": 4,
        "content": "You said: three",
        "content_complete": True,
        "end_call": False,
    }
    asked = {"response_id": 4, "transcript": [*said, last]}
    update = {"interaction_type": "update_only", "transcript": [*said, last]}
    ruling = differs(expected, answer({"interaction_type": "response_required", **asked}))
    return differs(None, answer(update)) if ruling is OK else ruling


@exercise("02.2")
def _judge_quiet_greeting(answer: Any) -> Ruling:
    expected = {"response_id": 0, "content": "", "content_complete": True, "end_call": False}
    return differs(expected, answer)


@exercise("03.1")
def _judge_what_closes(answer: Any) -> Ruling:
    expected = {
        '{"interaction_type": "update_only"}': False,
        "Hello": True,
        "null": True,
        "{}": False,
    }
    return differs(expected, answer)


@exercise("03.2")
def _judge_wants_answer(answer: Any) -> Ruling:
    for request, expected in (
        ({"interaction_type": "response_required", "response_id": 1}, True),
        ({"interaction_type": "reminder_required", "response_id": 2}, True),
        ({"interaction_type": "update_only"}, False),
        ({"interaction_type": "ping_pong", "timestamp": 1700000000000}, False),
        ({"interaction_type": "response_required"}, False),
        ({"interaction_type": "response_required", "response_id": "1"}, False),
        ({"interaction_type": "response_required", "response_id": True}, False),
        ({}, False),
    ):
        if (got := answer(request)) != expected:
            return failed(repr(expected), f"{got!r} for {request}")
    return OK


@exercise("04.1")
def _judge_pasted_url(answer: Any) -> Ruling:
    return differs("wss://voice.example.com/llm-websocket/", answer)


@exercise("04.2")
def _judge_reminder(answer: Any) -> Ruling:
    if not isinstance(answer, CallRecord):
        return failed("the record of a call", type(answer).__name__)
    nudges = [turn for turn in answer.turns if turn.kind == "reminder"]
    if not nudges:
        return failed("a reminder_required among the frames", "none")
    if not nudges[-1].heard:
        return failed("an answer to the reminder", "none")
    return OK
