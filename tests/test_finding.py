"""What a check found, how it counts, and how it reads: in a line, and in full."""

import pytest

from llmws_tutorial.checks import Finding, Severity, Verdict, select
from llmws_tutorial.checks.case import OK, Ruling, failed, not_seen, not_strict
from llmws_tutorial.checks.exchange import Exchange, Got, Opened
from llmws_tutorial.checks.failure_text import failure_text, summary

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


def events(count: int) -> Exchange:
    exchange = Exchange(lambda: 0.0)
    for number in range(count):
        exchange.note(Got, data=f"frame {number}.")
    return exchange


def test_a_failure_in_full_marks_the_frame_that_decided_among_those_around_it() -> None:
    exchange = events(40)
    finding = Finding(case=CASE, ruling=failed("x", "y", exchange.events[20]), exchange=exchange)
    lines = failure_text(finding, "pytest llmws::begin/1").splitlines()
    frames = [line for line in lines if "frame" in line]
    assert [line for line in frames if ">" in line] == ["  >   0.000 s  a  <- frame 20."]
    assert ("frame 12." in frames[0], "frame 22." in frames[-1], len(frames)) == (True, True, 11)
    assert lines[0] == "expected x, got y"
    assert lines[-1] == "again     pytest llmws::begin/1"


def test_a_failure_by_something_missing_shows_the_last_frames() -> None:
    text = failure_text(Finding(case=CASE, ruling=FAILED, exchange=events(40)))
    assert "frame 39." in text
    assert "frame 5." not in text
    assert "again" not in text


def test_what_a_server_sent_is_shown_and_never_obeyed() -> None:
    exchange = Exchange(lambda: 0.0)
    exchange.note(Got, data="\x1b[2J\u202e\n")
    ruling = failed("x", "\x1b]0;title\x07", exchange.events[0])
    finding = Finding(case=CASE, ruling=ruling, exchange=exchange)
    assert summary(finding) == r"expected x, got \x1b]0;title\x07"
    assert r"<- \x1b[2J\u202e\n" in failure_text(finding)
    assert finding.verdict is Verdict.FAILED
