"""Check what a learner built: a whole step, or the answer to one exercise.

A step is judged by the package's own checks, on the wire: those that it should pass by now, with
those of later steps listed as "not yet". What a server need not do and does not is "not seen", and
does not count. Then a call is placed, and what the platform dropped in it is told as well. An
exercise gets one of three verdicts: ``ok``, ``not attempted yet``, or ``not yet: expected ..., got
...``.
"""

import contextlib
import dis
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final

from fastapi import FastAPI, WebSocket

from llmws_tutorial.checks import CASES, Case, Conditions, Finding, Profile, judge, select
from llmws_tutorial.checks.case import OK, Need, failed
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook.exercises import EXERCISES, app_with, finish
from llmws_tutorial.notebook.runtime import Server, hushed, serve
from llmws_tutorial.simulator import place_call
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm

STEPS: Final = ("00", "01", "02", "03", "04", "05", "06", "07")
"""The steps that have something to check."""
GUIDE: Final = "04"
"""The last step of the guide."""
FINISHED: Final = "07"
"""The step whose server step 00 shows."""
_OF_A_CLASS: Final = "02"
"""The last step whose class can be checked alone: from the next on it is wired into an app."""
PATIENCE_S: Final = 3.0
"""How long to wait for something that must come; four times as long where a model hangs."""


@dataclass(frozen=True)
class Verdict:
    """What came of a check; shown in a cell as its text."""

    text: str

    def __repr__(self) -> str:
        return self.text


def check(what: str, answer: Any, model: ScriptedLlm | None = None) -> Verdict:
    """Check a step, ``check("01", app)``, or an exercise, ``check("01.1", answer)``.

    Args:
        what: the number of the step, or the id of the exercise.
        answer: for a step, what you built: an app, a server or a tunnel, in step 02 a responder's
            class; for an exercise, your answer.
        model: the scripted model that the server asks; its scripts rest meanwhile. Without it the
            checks that need one are not run.

    Raises:
        SetupError: when there is no such step or exercise.
    """
    if what in STEPS:
        return _check_step(what, answer, model)
    if what not in EXERCISES:
        known = ", ".join([*STEPS, *sorted(EXERCISES)])
        raise SetupError(f"there is nothing to check under {what!r}, expected one of {known}")
    if _is_stub(answer):
        return Verdict("not attempted yet")
    try:
        ruling = EXERCISES[what](answer)
    except Exception as error:
        ruling = failed("no error", f"{type(error).__name__}: {error}")
    if ruling is OK:
        return Verdict("ok")
    return Verdict(f"not yet: expected {ruling.expected}, got {ruling.got}")


def cases_of(step: str, model: ScriptedLlm | None = None) -> list[Case]:
    """The cases that a server should pass after a step; 00 has the finished one.

    The guide's steps are held to the guide; from step 05 on, to today's protocol.
    """
    step = FINISHED if step == "00" else step
    profile = Profile.GUIDE if step <= GUIDE else Profile.CURRENT
    cases = select(profile=profile)
    return [case for case in cases if case.step <= step and (model or Need.LLM not in case.needs)]


def _check_step(step: str, built: Any, model: ScriptedLlm | None) -> Verdict:
    if isinstance(built, Server) and not built.is_running:
        return Verdict(f"{built!r}: run the cell that serves it again")
    if isinstance(built, type) and step > _OF_A_CLASS:
        return Verdict(f"not yet: expected an app or a server, got the class {built.__name__}")
    if hasattr(built, "websocket_url"):
        return _check_url(step, built.websocket_url, model)
    app = _wired(built) if isinstance(built, type) else built
    with serve(app, name=f"check {step}", show_log=False) as server:
        return _check_url(step, server.websocket_url, model)


def _check_url(step: str, url: str, model: ScriptedLlm | None) -> Verdict:
    cases = cases_of(step, model)
    with _at_rest(model), hushed():  # some hundred lines of calls that nobody placed
        conditions = Conditions(patience_s=PATIENCE_S, llm=model)
        findings = finish(judge(Sockets(url), cases, conditions))
        greets = any(finding.passed and finding.case.id == "begin/1" for finding in findings)
        noticed = finish(_notice(url)) if greets else []  # a call to a mute agent is only silence
    lines = [*_passed(step, findings), *_open(findings), *noticed, *_not_yet(step)]
    return Verdict("\n".join(lines))


@contextlib.contextmanager
def _at_rest(model: ScriptedLlm | None) -> Iterator[None]:
    """Keep the scripts of a lesson out of the checks, whose own would never be reached."""
    scripts = [] if model is None else model.scripts
    kept, scripts[:] = scripts[:], []
    try:
        yield
    finally:
        scripts[:] = kept


def _passed(step: str, findings: Sequence[Finding]) -> list[str]:
    """The checks that are new in this step by name, and how many of those seen passed in all."""
    passed = [finding for finding in findings if finding.passed]
    new = [
        f"{finding.verdict.value:8} {finding.case.id:10} {finding.case.title}"
        for finding in passed
        if finding.case.step == step
    ]
    seen = [finding for finding in findings if finding.passed or finding.is_failure()]
    return [*new, f"{len(passed)} of {len(seen)} passed"]


def _open(findings: Sequence[Finding]) -> list[str]:
    return [str(finding) for finding in findings if not finding.passed]


def _not_yet(step: str) -> list[str]:
    """The checks of later steps, by topic."""
    step = FINISHED if step == "00" else step
    lines = []
    for later in sorted({case.step for case in CASES if case.step > step}):
        topics: dict[str, list[int]] = {}
        for case in CASES:
            if case.step == later:
                topics.setdefault(case.topic, []).append(case.number)
        named = ", ".join(
            f"{topic} {' '.join(map(str, sorted(numbers)))}" for topic, numbers in topics.items()
        )
        lines.append(f"not yet  step {later}: {named}")
    return lines


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

    return app_with(llm_websocket)


def _is_stub(answer: Any) -> bool:
    """Whether an answer is still ``...``, or a function whose body is: it reads nothing at all."""
    if not isinstance(answer, FunctionType):
        return answer is ...
    code = answer.__code__
    reads = any(step.opname.startswith("LOAD_FAST") for step in dis.get_instructions(code))
    does_nothing = not code.co_names and set(code.co_consts) <= {None, answer.__doc__}
    return does_nothing and not reads and not code.co_cellvars
