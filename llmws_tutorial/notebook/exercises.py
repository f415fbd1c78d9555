"""Check what a learner built: a whole step, or the answer to one exercise.

A step is judged by the package's own checks, on the wire; then a call is placed, and what the
platform dropped in it is told as well. An exercise has a judge of its own below, which gives one of
three verdicts: ``ok``, ``not attempted yet``, or ``not yet: expected ..., got ...``. A judge never
raises, whatever the answer is.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, TypeVar

from fastapi import FastAPI, WebSocket
from websockets.sync.client import connect

from llmws_tutorial.checks import run_checks
from llmws_tutorial.checks.probe import PATIENCE_S
from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook.runtime import serve
from llmws_tutorial.simulator import CallRecord, place_call

_Result = TypeVar("_Result")

Judge = Callable[[Any], str | None]
"""Looks at an answer: "expected ..., got ...", or None when it is right."""

STEPS: Final[dict[str, tuple[str, ...]]] = {
    "00": (),
    "01": ("connect",),
    "02": ("begin", "turns"),
    "03": (),
    "04": (),
}
"""Which checks a step should now pass, as prefixes of their ids; none means all of them."""

EXERCISES: Final[dict[str, Judge]] = {}
"""The judge of every exercise, by its id: the step, a dot, a number."""


@dataclass(frozen=True)
class Verdict:
    """What came of a check; shown in a cell as its text."""

    text: str

    def __repr__(self) -> str:
        return self.text


def check(what: str, answer: Any) -> Verdict:
    """Check a step, ``check("01", app)``, or an exercise, ``check("01.1", answer)``.

    Args:
        what: the number of the step, or the id of the exercise.
        answer: for a step, what you built: an app, a server, a tunnel or a responder's class; for
            an exercise, your answer.

    Raises:
        SetupError: when there is no such step or exercise.
    """
    if what in STEPS:
        return _check_step(what, answer)
    if what not in EXERCISES:
        known = ", ".join([*STEPS, *EXERCISES])
        raise SetupError(f"there is nothing to check under {what!r}, expected one of {known}")
    if _is_stub(answer):
        return Verdict("not attempted yet")
    try:
        wrong = EXERCISES[what](answer)
    except Exception as error:
        wrong = f"expected no error, got {type(error).__name__}: {error}"
    return Verdict("ok" if wrong is None else f"not yet: {wrong}")


def _check_step(step: str, built: Any) -> Verdict:
    if hasattr(built, "websocket_url"):
        return _check_url(step, built.websocket_url)
    app = _wired(built) if isinstance(built, type) else built
    with serve(app, name=f"check {step}", show_log=False) as server:
        return _check_url(step, server.websocket_url)


def _check_url(step: str, url: str) -> Verdict:
    findings = _finish(run_checks(url, *STEPS[step]))
    passed = sum(finding.passed for finding in findings)
    failed = [str(finding) for finding in findings if not finding.passed]
    greets = any(finding.passed and finding.case.id == "begin/1" for finding in findings)
    noticed = _finish(_notice(url)) if greets else []  # a call to a mute agent is only silence
    return Verdict("\n".join([f"{passed} of {len(findings)} passed", *failed, *noticed]))


async def _notice(url: str) -> list[str]:
    """Place a call, and tell what the platform would notice; of a good one, nothing."""
    record = await place_call(url, ["Hello?"], timeout_s=PATIENCE_S)
    noticed = [f"dropped in a call: {frame.dropped}" for frame in record.dropped]
    if record.lapses:
        noticed.append("a caller waited for an answer in vain")
    if record.disconnection_reason != "user_hangup":
        noticed.append(f"a call ended as {record.disconnection_reason}")
    return noticed


def _wired(responder: type) -> FastAPI:
    """An app around a class with begin_message and draft_response."""

    async def llm_websocket(ws: WebSocket, call_id: str) -> None:
        await ws.accept()
        llm = responder()
        await llm.begin_message(ws)
        async for text in ws.iter_text():
            await llm.draft_response(json.loads(text), ws)

    return _app_with(llm_websocket)


def _app_with(handler: Callable[[WebSocket, str], Awaitable[None]]) -> FastAPI:
    app = FastAPI()
    app.add_api_websocket_route("/llm-websocket/{call_id}", handler)
    return app


def _finish(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end from a cell, whose own event loop is busy with it."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


def _is_stub(answer: Any) -> bool:
    """Whether an answer is still ``...``, or a function whose body is."""
    if not isinstance(answer, FunctionType):
        return answer is ...
    code = answer.__code__
    does_nothing = not code.co_names and set(code.co_consts) <= {None, answer.__doc__}
    return does_nothing and not code.co_cellvars


def _exercise(exercise_id: str) -> Callable[[Judge], Judge]:
    def register(judge: Judge) -> Judge:
        EXERCISES[exercise_id] = judge
        return judge

    return register


def _differs(expected: Any, got: Any) -> str | None:
    return None if expected == got else f"expected {expected!r}, got {got!r}"


@_exercise("00.1")
def _judge_own_call(answer: Any) -> str | None:
    if not isinstance(answer, CallRecord):
        return f"expected the record of a call, got {type(answer).__name__}"
    roles = [said.role for said in answer.transcript]
    return _differs(["agent", "user", "agent", "user", "agent"], roles)


@_exercise("01.1")
def _judge_dialled_url(answer: Any) -> str | None:
    return _differs("wss://voice.example.com/llm-websocket/call_7f3a", answer)


@_exercise("01.2")
def _judge_echo(answer: Any) -> str | None:
    with serve(_app_with(answer), name="check 01.2", show_log=False) as server:
        for sent in ("Hello", "Hello again", ""):
            with connect(f"{server.websocket_url}echo", open_timeout=3, proxy=None) as ws:
                ws.send(sent)
                if wrong := _differs(sent, ws.recv(timeout=3)):
                    return wrong
    return None


@_exercise("02.1")
def _judge_parrot(answer: Any) -> str | None:
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
    return _differs(expected, answer({"interaction_type": "response_required", **asked})) or (
        _differs(None, answer(update))
    )


@_exercise("02.2")
def _judge_quiet_greeting(answer: Any) -> str | None:
    expected = {"response_id": 0, "content": "", "content_complete": True, "end_call": False}
    return _differs(expected, answer)


@_exercise("03.1")
def _judge_what_closes(answer: Any) -> str | None:
    expected = {
        '{"interaction_type": "update_only"}': False,
        "Hello": True,
        "null": True,
        "{}": False,
    }
    return _differs(expected, answer)


@_exercise("03.2")
def _judge_wants_answer(answer: Any) -> str | None:
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
        if wrong := _differs(expected, answer(request)):
            return f"{wrong} for {request}"
    return None


@_exercise("04.1")
def _judge_pasted_url(answer: Any) -> str | None:
    return _differs("wss://voice.example.com/llm-websocket/", answer)


@_exercise("04.2")
def _judge_reminder(answer: Any) -> str | None:
    if not isinstance(answer, CallRecord):
        return f"expected the record of a call, got {type(answer).__name__}"
    nudges = [turn for turn in answer.turns if turn.kind == "reminder"]
    if not nudges:
        return "expected a reminder_required among the frames, got none"
    if not nudges[-1].heard:
        return "expected an answer to the reminder, got none"
    return None
