"""How a call ends, and what must end with it."""

from typing import Final

from llmws_tutorial.checks.case import (
    BOTH,
    OK,
    Case,
    Company,
    Grade,
    Need,
    Ruling,
    Severity,
    failed,
    not_seen,
    not_strict,
)
from llmws_tutorial.checks.exchange import Ended, Exchange
from llmws_tutorial.checks.moves import (
    Answered,
    Ask,
    Drop,
    Greeted,
    HangUp,
    ModelAsked,
    ModelLeft,
    Open,
    Watch,
)
from llmws_tutorial.checks.rules import is_answered
from llmws_tutorial.simulator.scripted_llm import CallTool, Say, Script, Wait

_LONG: Final = (Script(steps=(Say("One. "), *(Wait(0.2), Say("And more. ")) * 30)),)
_MANY: Final = tuple("bcdefghijklmnopqrstu")
_PRICE: Final = "What is the price of a ticket?"


def _is_given_up(exchange: Exchange) -> Ruling:
    end = exchange.of(Ended)[0]
    for asked in exchange.upstream:
        if exchange.seconds_of(asked.at_s) > end.at_s - end.took_s:
            continue  # a summary of the call, perhaps: no answer that somebody waits for
        if asked.outcome in ("running", "finished"):
            got = "one that runs on" if asked.outcome == "running" else "one that ran to its end"
            return failed("a generation that is given up with the call", got, end)
    return OK


def _is_not_ended(exchange: Exchange) -> Ruling:
    end = exchange.ended()
    if end is None:
        return OK
    means = ", a deliberate hang-up" if end.code == 1000 else ""
    return failed("a call that the caller ends, or an answer with end_call", f"{end}{means}", end)


def _leaves_it_to_the_platform(exchange: Exchange) -> Ruling:
    turn = exchange.turn(1)
    if turn is None or "end_call" not in turn.actions:
        return not_seen("an answer with end_call to a caller who says goodbye")
    end = exchange.ended()
    if end is None:
        return OK
    return failed("an open socket until the farewell was spoken", str(end), end)


def _closes_its_end(exchange: Exchange) -> Ruling:
    for end in exchange.of(Ended):
        if not end.by_server and not end.is_clean:
            return not_strict("a close that is answered with a close", "none", end)
    return OK


CASES: Final = (
    Case(
        id="endings/1",
        title="gives up the generation when the caller hangs up",
        requirement="When the caller hangs up in an answer, its generation is aborted within 2 s.",
        why="You pay for words that nobody will hear, and they take the place of another call's.",
        source="docs/protocol.md, section 6",
        grade=Grade.FIELD,
        severity=Severity.WARNING,
        fix="run each answer in a task, cancel it when the socket ends, and close the stream to "
        "the model in the cancellation",
        step="06",
        needs=frozenset({Need.LLM}),
        scripts=_LONG,
        moves=(Open(), Greeted(), Ask(1), ModelAsked(), Watch(0.3), HangUp(), ModelLeft()),
        judge=_is_given_up,
    ),
    Case(
        id="endings/2",
        title="gives up the generation when the line breaks",
        requirement="When the line breaks in an answer, its generation is aborted within 3 s.",
        why="A network that breaks sends no close frame; the model goes on at your expense.",
        source="docs/protocol.md, section 6",
        grade=Grade.FIELD,
        severity=Severity.WARNING,
        fix="treat a lost connection (1006) as a close: cancel what is running in a finally",
        step="06",
        needs=frozenset({Need.LLM}),
        scripts=_LONG,
        moves=(
            Open(),
            Greeted(),
            Ask(1),
            ModelAsked(),
            Watch(0.3),
            Drop(),
            ModelLeft(within_s=3.0),
        ),
        judge=_is_given_up,
    ),
    Case(
        id="endings/3",
        title="a caller who hangs up leaves the next one alone",
        requirement="After a caller has hung up in an answer, the next call is answered.",
        why="One impatient caller, and nobody is answered any more.",
        source="docs/protocol.md, section 6",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="give back what an answer holds (a lock, a connection) in a finally",
        step="03",
        profiles=BOTH,
        moves=(
            Open(),
            Greeted(),
            Ask(1, _PRICE),
            HangUp(),
            Open(line="b"),
            Greeted(line="b"),
            Ask(1, _PRICE, line="b"),
            Answered(1, line="b"),
        ),
        judge=is_answered(1, line="b"),
    ),
    Case(
        id="endings/4",
        title="leaves the end of the call to others",
        requirement="In a conversation with pauses the server never closes the socket.",
        why="A close is a dropped call: with 1000 it means that the agent hangs up.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="wait for the next message without a time limit; to hang up, send end_call",
        step="03",
        profiles=BOTH,
        moves=(
            Open(),
            Greeted(),
            Ask(1),
            Answered(1),
            Watch(1.5),
            Ask(2, "Let me think."),
            Answered(2),
            Watch(1.5),
            Ask(3, "And on Sunday?"),
            Answered(3),
            Watch(6.0),
        ),
        company=Company.TIMED,
        judge=_is_not_ended,
    ),
    Case(
        id="endings/5",
        title="leaves hanging up to the platform",
        requirement="After an answer with end_call the server keeps the socket open.",
        why="The platform hangs up when the farewell was spoken; a close cuts it off.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="send end_call and wait: the platform closes the socket",
        step="07",
        scripts=(Script(steps=(CallTool(name="end|hang|bye", otherwise="Goodbye!"),)),),
        moves=(Open(), Greeted(), Ask(1, "Goodbye."), Answered(1), Watch(1.0)),
        judge=_leaves_it_to_the_platform,
    ),
    Case(
        id="endings/6",
        title="closes its end as well",
        requirement="When the platform closes the socket, the server does so too.",
        why="Calls that are over take memory until the server is started again.",
        source="docs/protocol.md, section 6",
        grade=Grade.KIT,
        severity=Severity.ADVICE,
        fix="leave the handler when the socket has ended",
        step="01",
        profiles=BOTH,
        moves=(Open(), Watch(), HangUp()),
        judge=_closes_its_end,
    ),
    Case(
        id="endings/7",
        title="outlives many lost lines at once",
        requirement="After twenty callers were lost at once, the next call is taken and answered.",
        why="A hiccup of the network, and nobody can call any more.",
        source="docs/protocol.md, section 6",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="treat each lost line alone: no shared state that it leaves behind, no limit that "
        "counts calls which are gone",
        step="03",
        profiles=BOTH,
        company=Company.NONE,
        moves=(
            *(Open(line=line) for line in _MANY),
            *(Drop(line=line) for line in _MANY),
            Open(),
            Greeted(),
            Ask(1),
            Answered(1),
        ),
        judge=is_answered(1),
    ),
)
"""In the order of the lessons."""
