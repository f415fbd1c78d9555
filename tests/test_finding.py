"""What a check found, how it counts, and how it reads in a line."""

from typing import Any

import pytest

from llmws_tutorial.checks import Finding, Severity, select
from llmws_tutorial.checks.case import OK, Ruling, failed, not_seen, not_strict
from llmws_tutorial.checks.exchange import Ended, Exchange, Opened

[CASE] = select("begin/1")
[ADVICE] = select("calls/8")
FAILED = failed("a greeting", "none")
NOT_STRICT = not_strict("a greeting", "half of one")
COUNTS = [  # ruling, whether it passes, fails, fails strictly
    (OK, True, False, False),
    (NOT_STRICT, True, False, True),
    (FAILED, False, True, True),
    (not_seen("a config"), False, False, False),
]


@pytest.mark.parametrize(("ruling", "passes", "fails", "fails_strictly"), COUNTS)
def test_a_verdict_counts(ruling: Ruling, passes: bool, fails: bool, fails_strictly: bool) -> None:
    finding = Finding(case=CASE, ruling=ruling)
    assert finding.passed is passes
    assert finding.is_failure() is fails
    assert finding.is_failure(strict=True) is fails_strictly


def test_a_failure_that_costs_less_than_asked_for_does_not_count() -> None:
    finding = Finding(case=ADVICE, ruling=FAILED)
    assert ADVICE.severity is Severity.ADVICE
    assert [finding.fails(severity) for severity in Severity] == [False, False, True]
    assert Finding(case=CASE, ruling=FAILED).fails(Severity.ERROR)


def test_strictly_what_is_not_strict_counts_whatever_it_costs() -> None:
    advice = Finding(case=ADVICE, ruling=NOT_STRICT)
    assert advice.fails(Severity.ERROR, strict=True)
    assert not advice.fails(Severity.ADVICE)
    assert not Finding(case=ADVICE, ruling=FAILED).fails(Severity.ERROR, strict=True)


def test_a_finding_in_a_line_says_what_was_required_and_the_fix() -> None:
    assert str(Finding(case=CASE, ruling=OK)) == "begin/1 ok"
    assert str(Finding(case=CASE, ruling=not_seen("a config"))) == (
        "begin/1 not seen: expected a config"
    )
    text = str(Finding(case=CASE, ruling=FAILED))
    assert text.startswith("begin/1 failed: expected a greeting, got none; required: The first")
    assert "; fix: send the begin message" in text


def test_a_finding_knows_whether_anything_was_tried() -> None:
    exchange = Exchange(lambda: 0.0)
    assert not Finding(case=CASE, ruling=OK).was_open
    assert not Finding(case=CASE, ruling=OK, exchange=exchange).was_open
    exchange.note(Opened)
    assert Finding(case=CASE, ruling=OK, exchange=exchange).was_open


@pytest.mark.parametrize(
    ("end", "ruling", "is_lost"),
    [
        ({"code": 1006}, FAILED, True),
        ({"code": 1006}, NOT_STRICT, False),
        ({"code": 1006, "by_server": False}, FAILED, False),
        ({"code": 1006, "reason": "more than 2000 frames: a flood"}, FAILED, False),
        ({"code": 1011}, FAILED, False),
    ],
)
def test_a_failure_knows_whether_the_server_dropped_one_of_its_calls(
    end: dict[str, Any], ruling: Ruling, is_lost: bool
) -> None:
    exchange = Exchange(lambda: 0.0)
    exchange.note(Opened)
    exchange.note(Ended, line="b", **end)
    assert Finding(case=CASE, ruling=ruling, exchange=exchange).lost_its_line is is_lost
    assert not Finding(case=CASE, ruling=ruling).lost_its_line


def test_what_was_wrong_before_the_line_was_dropped_is_a_matter_of_its_own() -> None:
    exchange = Exchange(lambda: 0.0)
    exchange.note(Opened)
    exchange.note(Ended, code=1006)
    opened, end = exchange.events
    before = Finding(case=CASE, ruling=failed("a", "b", opened), exchange=exchange)
    after = Finding(case=CASE, ruling=failed("a", "b", end), exchange=exchange)
    assert (before.lost_its_line, after.lost_its_line) == (False, True)
