"""What judges are made of: each rule on exchanges that are made by hand."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest

from llmws_tutorial.checks.case import OK, Judge, Ruling, failed, not_strict
from llmws_tutorial.checks.exchange import Ended, Exchange, Got
from llmws_tutorial.checks.rules import (
    all_of,
    closes_1002,
    drops_nothing,
    is_answered,
    is_greeted,
    loses_nothing,
    stays_open,
    worst,
)
from llmws_tutorial.messages import Response
from llmws_tutorial.simulator.answers import Answers
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.verdict import Drop, Dropped


def seen(
    *pieces: Response, asked: Sequence[int] = (1,), code: int | None = None, line: str = "a"
) -> Exchange:
    """What is seen when these pieces come after these requests, and perhaps the end."""
    exchange = Exchange(lambda: 0.0)
    answers = Answers(Choices())
    exchange.turns[line] = answers.turns
    for response_id in asked:
        answers.ask("response", 0.0, response_id=response_id)
    for piece in pieces:
        turn = answers.judge(piece, 0.0)
        dropped = turn if isinstance(turn, Dropped) else None
        if not isinstance(turn, Dropped):
            turn.take(piece, 0.0)
        exchange.note(Got, line=line, data="{}", message=piece, dropped=dropped)
    if code is not None:
        exchange.note(Ended, line=line, code=code, reason="words")
    return exchange


def piece(response_id: int, content: str = "Yes.", *, complete: bool = True) -> Response:
    return Response(response_id=response_id, content=content, content_complete=complete)


STALE = loses_nothing(Drop.STALE, expected="no words of a dead turn")
RULED = [
    (stays_open(), seen(), "ok"),
    (stays_open(), seen(code=1011), "failed: expected an open call, got the server closed with *"),
    (is_answered(1), seen(piece(1)), "ok"),
    (is_answered(1), seen(), "failed: expected a whole answer with response_id 1, got none"),
    (is_answered(7), seen(), "failed: expected a whole answer with response_id 7, got none"),
    (is_answered(1), seen(piece(1, complete=False)), "*, got an answer without content_complete"),
    (
        is_answered(1),
        seen(code=1006),
        "*, got the server dropped the connection without*(1006): words",
    ),
    (is_answered(1), seen(piece(5)), "*, got none, but a frame that is dropped: *"),
    (is_answered(1, 2), seen(piece(2), asked=(1, 2)), "*expected * response_id 1, got none"),
    (is_greeted(), seen(piece(0), asked=()), "ok"),
    (is_greeted(), seen(), "failed: expected a whole answer with response_id 0, got none"),
    (drops_nothing(Drop.STALE, expected="x"), seen(piece(1)), "ok"),
    (drops_nothing(Drop.STALE, expected="x"), seen(piece(1), asked=(1, 2)), "failed: *x, got *"),
    (drops_nothing(Drop.BINARY, expected="x"), seen(piece(1), asked=(1, 2)), "ok"),
    (STALE, seen(piece(1)), "ok"),
    (STALE, seen(piece(1), asked=(1, 2)), "failed: expected no words of a dead turn, got *"),
    (STALE, seen(piece(1, ""), asked=(1, 2)), "not strict: *, though an empty piece"),
    (STALE, seen(piece(1, ""), piece(1), asked=(1, 2)), "failed: *"),
    (closes_1002(), seen(code=1002), "ok"),
    (closes_1002(), seen(code=1011), "failed: expected a close with 1002, got * 1011 'words'"),
    (closes_1002(), seen(), "not strict: expected a close with 1002, got an open call"),
    (closes_1002("b"), seen(code=1011), "not strict: *"),
]


@pytest.mark.parametrize(("judge", "exchange", "pattern"), RULED)
def test_a_rule_says_what_was_expected_and_got(
    judge: Judge, exchange: Exchange, pattern: str
) -> None:
    said = str(judge(exchange))
    assert fnmatchcase(said, pattern), said


def ruling(verdict: Ruling) -> Judge:
    return lambda exchange: verdict


def test_of_joined_rules_the_first_that_is_not_satisfied_decides() -> None:
    first, second = failed("a", "b"), not_strict("c", "d")
    assert all_of(ruling(OK), ruling(second), ruling(first))(seen()) is second
    assert all_of(ruling(OK), ruling(OK))(seen()) is OK


def test_of_rulings_a_failure_is_the_worst() -> None:
    first, second = not_strict("a", "b"), failed("c", "d")
    assert worst([first, second]) is second
    assert worst([first]) is first
    assert worst([]) is OK
