"""Turns: what is asked, under which id it is answered, and when it ends."""

from typing import Final

from llmws_tutorial.checks.case import BOTH, OK, Case, Grade, Need, Ruling, Severity, failed
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.moves import (
    Answered,
    Ask,
    Begun,
    Greeted,
    ModelAsked,
    ModelLeft,
    Open,
)
from llmws_tutorial.checks.rules import is_answered
from llmws_tutorial.simulator.scripted_llm import Say, Script, Wait


def _is_aborted(exchange: Exchange) -> Ruling:
    first = exchange.upstream[0]
    if first.outcome == "aborted":
        return OK
    got = "one that runs on" if first.outcome == "running" else "one that ran to its end"
    return failed("the first generation given up when the newer request came", got)


CASES: Final = (
    Case(
        id="turns/1",
        title="answers under the id of the request",
        requirement="A response_required is answered under its own response_id, to completion.",
        why="Content under any other id is dropped without a word; an open turn hangs for good.",
        source="guide, step 2; docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="copy response_id from the request, and set content_complete on the last piece",
        step="02",
        profiles=BOTH,
        moves=(Open(), Greeted(), Ask(1), Answered(1)),
        judge=is_answered(1),
    ),
    Case(
        id="turns/8",
        title="gives up a superseded generation",
        requirement="When a newer request comes, the generation of the older one is aborted.",
        why="It costs money and time, and nobody will ever hear it.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="run each answer in a task; cancel it when a newer request comes, and close the "
        "stream to the model in the cancellation",
        step="06",
        needs=frozenset({Need.LLM}),
        scripts=(
            Script(steps=(Say("One. "), *(Wait(0.2), Say("And more. ")) * 20)),
            Script(steps=(Say("Two."),)),
        ),
        moves=(
            Open(),
            Greeted(),
            Ask(1),
            ModelAsked(),
            Begun(1),
            Ask(2),
            Answered(2),
            ModelLeft(within_s=1.0),
        ),
        judge=_is_aborted,
    ),
)
"""In the order of the lessons."""
