"""A finding as the text of a failed test."""

from llmws_tutorial.checks import Finding, select
from llmws_tutorial.checks.case import failed
from llmws_tutorial.checks.exchange import Ended, Exchange, Got
from llmws_tutorial.checks.failure_text import failure_text, summary
from llmws_tutorial.checks.report import LOOK

[CASE] = select("begin/1")


def test_a_failure_in_full_has_the_frame_that_decided_and_the_fix() -> None:
    exchange = Exchange(lambda: 0.0)
    exchange.note(Got, data="first")
    exchange.note(Got, data="second")
    ruling = failed("x", "y", exchange.events[1])
    text = failure_text(Finding(case=CASE, ruling=ruling, exchange=exchange), "pytest it")
    lines = text.splitlines()
    assert lines[0] == "expected x, got y"
    assert lines[1].startswith(f"  required  {CASE.requirement} [{CASE.source}: ")
    assert [line[:14] for line in lines if "<- " in line] == ["  seen        ", "            > "]
    assert lines[-3:] == [
        f"  fix       {CASE.fix}",
        "  example   llmws explain begin/1",
        "  repeat    pytest it",
    ]


def test_a_failure_that_saw_nothing_shows_nothing_and_repeats_nothing() -> None:
    text = failure_text(Finding(case=CASE, ruling=failed("x", "y")))
    assert "seen" not in text
    assert text.endswith("example   llmws explain begin/1")


def test_what_a_server_sent_is_shown_and_never_obeyed() -> None:
    exchange = Exchange(lambda: 0.0)
    exchange.note(Got, data="\x1b[2J\u202e")
    ruling = failed("x", "\x1b]0;title\x07" + "z" * 9000, exchange.events[0])
    finding = Finding(case=CASE, ruling=ruling, exchange=exchange)
    assert summary(finding).startswith(r"expected x, got \x1b]0;title\x07zzz")
    assert r"\x1b[2J\u202e" in failure_text(finding)
    assert len(summary(finding)) < 600


def test_where_the_server_dropped_the_line_its_log_is_named() -> None:
    exchange = Exchange(lambda: 0.0)
    exchange.note(Ended, code=1006)
    finding = Finding(case=CASE, ruling=failed("x", "y"), exchange=exchange)
    assert f"\n  look      {LOOK}\n  fix       " in failure_text(finding)
