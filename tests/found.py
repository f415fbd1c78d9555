"""Findings made by hand: what the checks would say about a server of every kind."""

from dataclasses import replace
from typing import Any, Final

from llmws_tutorial.checks import Case, Finding, Severity
from llmws_tutorial.checks.case import OK, Grade, Ruling, failed, not_seen, not_strict
from llmws_tutorial.checks.exchange import Ended, Event, Exchange, Got, Missed, Opened, Sent
from llmws_tutorial.checks.moves import Open

CASE: Final = Case(
    id="turns/1",
    title="answers under the id of the request",
    requirement="A request is answered under its own response_id.",
    why="Content under any other id is dropped.",
    source="docs/protocol.md, section 5",
    grade=Grade.REFERENCE,
    severity=Severity.ERROR,
    fix="copy response_id from the request",
    step="02",
    moves=(Open(),),
    judge=lambda _: OK,
)
URL: Final = "ws://127.0.0.1:3000/llm-websocket/"
REQUEST: Final = Sent(at_s=0.02, data='{"response_id":1}')
WRONG: Final = Got(at_s=0.031, data='{"response_id": 2}')
EVENTS: Final = (Opened(at_s=0.01), REQUEST, WRONG, Missed(at_s=5, what="wait for the answer"))


def case(case_id: str, **changes: Any) -> Case:
    """A case like the first one, with another id."""
    return replace(CASE, id=case_id, **changes)


def finding(ruling: Ruling = OK, *events: Event, of: Case = CASE, took_s: float = 0.5) -> Finding:
    """A finding; its exchange holds these events."""
    exchange = Exchange(lambda: 0.0)
    exchange.events.extend(events)
    return Finding(case=of, ruling=ruling, exchange=exchange, took_s=took_s)


FINE: Final = finding()
FAILURE: Final = finding(failed("an answer to 1", "one to 2", WRONG), *EVENTS)
LENIENT: Final = finding(
    not_strict("a secret", "none"), of=case("calls/7", severity=Severity.WARNING)
)
UNSEEN: Final = finding(not_seen("a tool"), of=case("tools/1"))
HURTING: Final = finding(
    failed("a pause", "a flood"), of=case("speech/2", severity=Severity.WARNING)
)
LOST: Final = finding(
    failed("an answer to 1", "the server dropped the connection without a close frame (1006)"),
    *EVENTS[:2],
    Ended(at_s=0.03, code=1006),
)
ABSENT: Final = Finding(case=CASE, ruling=failed("an open socket", "nothing answers"))
EVERYTHING: Final = (FINE, FAILURE, LENIENT, HURTING, UNSEEN)
