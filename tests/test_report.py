"""What the checks say, in words and for programs."""

import json
import shlex
from xml.etree import ElementTree

import pytest

from llmws_tutorial.checks import Finding, Profile, Severity
from llmws_tutorial.checks.case import Need, Verdict, failed
from llmws_tutorial.checks.exchange import Got, Sent
from llmws_tutorial.checks.report import (
    Report,
    as_data,
    as_github,
    as_junit,
    as_text,
    heading,
)
from tests.found import (
    ABSENT,
    CASE,
    EVENTS,
    EVERYTHING,
    FAILURE,
    FINE,
    HURTING,
    LENIENT,
    LOST,
    UNSEEN,
    URL,
    WRONG,
    case,
    finding,
)

HOSTILE = "]]></failure>\x1b[2J\u202e\x00\ud800::error::x\n::set-env name=A::b\r%0A<script>"


def report(*findings: Finding, url: str = URL, **options: object) -> Report:
    return Report(url=url, findings=findings, took_s=14.23, **options)  # type: ignore[arg-type]


def test_a_failure_is_told_in_full() -> None:
    assert as_text(report(FAILURE), FAILURE).split("\n") == [
        "turns/1 failed (breaks the call): answers under the id of the request",
        "  required  A request is answered under its own response_id. "
        "[docs/protocol.md, section 5: the platform's reference says so]",
        "  expected  an answer to 1",
        "  got       one to 2",
        "  seen        0.01 s the socket is open",
        '              0.02 s -> {"response_id":1}',
        '            > 0.03 s <- {"response_id": 2}',
        "              5.00 s in vain: wait for the answer",
        "  why       Content under any other id is dropped.",
        "  fix       copy response_id from the request",
        "  example   llmws explain turns/1",
        f"  repeat    llmws check {URL} turns/1",
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (FINE, "turns/1 ok: answers under the id of the request"),
        (LENIENT, "calls/7 not strict: answers under the id of the request"),
        (UNSEEN, "tools/1 not seen: answers under the id of the request"),
        (HURTING, "speech/2 failed (hurts the call): answers under the id of the request"),
    ],
)
def test_a_heading_says_what_a_failure_costs(found: Finding, expected: str) -> None:
    assert heading(found) == expected


def test_what_is_to_be_mended_comes_in_the_order_of_the_lessons() -> None:
    ids = {"calls/3": "03", "begin/1": "02", "turns/1": "02", "tools/1": "07", "speech/1": "02"}
    found = [finding(failed("a", "b"), of=case(name, step=step)) for name, step in ids.items()]
    in_order = [one.case.id for one in report(*found).of(Verdict.FAILED)]
    assert in_order == ["begin/1", "turns/1", "speech/1", "calls/3", "tools/1"]


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (EVERYTHING, "1 ok, 1 not strict, 2 failed (1 breaks the call, 1 hurts the call), 1 not"),
        ([FAILURE, FAILURE], "0 ok, 2 failed (2 break the call) in 14.2 s"),
        ([FINE], "1 ok in 14.2 s"),
    ],
)
def test_the_numbers_are_told_in_one_line(findings: list[Finding], expected: str) -> None:
    assert report(*findings).summary.startswith(expected)


def test_the_numbers_say_that_what_is_not_strict_counts() -> None:
    assert report(FINE, LENIENT, strict=True).summary == "1 ok, 1 not strict (counts) in 14.2 s"


def test_strictly_what_is_not_strict_fails_in_every_form() -> None:
    strictly = report(LENIENT, strict=True)
    assert not as_data(strictly)["passed"]
    assert '<failure message="not strict: ' in as_junit(strictly)
    assert as_github(strictly)[0].startswith("::error title=calls/7")


def test_a_run_that_was_stopped_says_so_and_is_not_fine() -> None:
    stopped = report(FINE, wanted=3)
    assert stopped.summary == "1 ok, 2 not run in 14.2 s"
    assert not stopped.is_fine
    assert as_data(stopped)["summary"]["not_run"] == 2


@pytest.mark.parametrize(
    ("found", "fail_on", "strict", "counts"),
    [
        (FAILURE, Severity.ERROR, False, True),
        (HURTING, Severity.ERROR, False, False),
        (HURTING, Severity.WARNING, False, True),
        (LENIENT, Severity.WARNING, False, False),
        (LENIENT, Severity.ERROR, True, True),
        (HURTING, Severity.ERROR, True, False),
        (UNSEEN, Severity.WARNING, True, False),
    ],
)
def test_what_counts_is_chosen(
    found: Finding, fail_on: Severity, strict: bool, counts: bool
) -> None:
    chosen = report(found, fail_on=fail_on, strict=strict)
    assert chosen.counts(found) is counts
    assert chosen.is_fine is not counts


def test_a_server_that_is_not_there_is_one_matter() -> None:
    assert report(ABSENT, UNSEEN, ABSENT).absence is None
    assert report(ABSENT, ABSENT).absence == "nothing answers"
    assert report(FAILURE).absence is None
    assert report().absence is None


def test_several_lost_lines_are_one_matter() -> None:
    log = "checks lost the line in mid-call: an exception that left the handler, as a rule. "
    log += "Read your server's log first."
    assert report(LOST, LOST, FAILURE).hint is None
    assert report(*[LOST] * 3).hint == f"3 {log} Does it reach its model? --llm PORT serves one."
    assert report(*[LOST] * 4, options=("--llm", "8089")).hint == f"4 {log}"
    assert as_data(report(*[LOST] * 3))["hint"] == report(*[LOST] * 3).hint


def test_a_lost_line_says_where_to_look_before_what_to_mend() -> None:
    rows = dict(report().rows(LOST))
    assert rows["look"].startswith("in your server's log: the handler of this call ended, as a ")
    assert [*rows][-4:] == ["look", "fix", "example", "repeat"]
    assert "look" not in dict(report().rows(FAILURE))


def test_a_code_is_not_told_twice() -> None:
    rows = report().rows(LOST)
    assert ("got", "the server dropped the connection without a close frame") in rows
    assert (
        "seen",
        "  0.03 s the server dropped the connection without a close frame (1006)",
    ) in rows
    unshown = finding(failed("a", "an end (1006)"))
    assert ("got", "an end (1006)") in report().rows(unshown)


def test_the_command_repeats_what_was_given() -> None:
    given = report(profile=Profile.GUIDE, strict=True, options=("--header", "Key: ..."))
    words = ["llmws", "check", URL, "turns/1", "--profile", "guide-2024", "--strict"]
    assert shlex.split(given.command(CASE)) == [*words, "--header", "Key: ..."]


def test_the_command_of_a_webhook_check_has_its_url_and_no_key() -> None:
    given = report(webhook="http://me:secret@host/hook")
    hook = case("webhook/1", needs=frozenset({Need.WEBHOOK}))
    assert given.command(hook).endswith("--webhook http://...@host/hook --webhook-key ...")
    assert "--webhook" not in given.command(CASE)


def test_no_user_and_no_password_is_told() -> None:
    given = report(FAILURE, url="wss://me:secret@host/llm-websocket/w0rd/")
    assert given.shown_url == "wss://...@host/llm-websocket/w0rd/"
    assert "secret" not in json.dumps(as_data(given)) + as_junit(given) + str(as_github(given))


def test_the_data_has_everything_about_what_is_not_ok() -> None:
    data = as_data(report(*EVERYTHING))
    assert (data["passed"], data["absence"], data["profile"]) == (False, None, "current")
    assert data["summary"] == {
        "ok": 1,
        "not_strict": 1,
        "failed": 2,
        "not_seen": 1,
        "not_run": 0,
        "took_s": 14.23,
    }
    fine, failure, *_ = data["findings"]
    assert "expected" not in fine
    assert failure | {"exchange": []} == {
        "id": "turns/1",
        "title": CASE.title,
        "verdict": "failed",
        "severity": "breaks the call",
        "counts": True,
        "requirement": CASE.requirement,
        "source": CASE.source,
        "grade": "ref",
        "took_s": 0.5,
        "expected": "an answer to 1",
        "got": "one to 2",
        "frame": str(WRONG),
        "why": CASE.why,
        "fix": CASE.fix,
        "repeat": report().command(CASE),
        "exchange": [],
    }
    assert [line.partition(" s ")[2] for line in failure["exchange"]] == [*map(str, EVENTS)]


def test_a_flood_is_not_told_in_full() -> None:
    flood = [Got(at_s=0, data="x") for _ in range(5_000)]
    [found] = as_data(report(finding(failed("a", "b"), *flood)))["findings"]
    assert len(found["exchange"]) == 200


def test_junit_has_a_case_a_check_and_fails_what_counts() -> None:
    suite = ElementTree.fromstring(as_junit(report(*EVERYTHING)))
    numbers = [suite.get(name) for name in ("tests", "failures", "skipped", "errors", "time")]
    assert numbers == ["5", "1", "1", "0", "14.230"]
    assert [(one.get("classname"), [child.tag for child in one]) for one in suite] == [
        ("llmws.turns", []),
        ("llmws.turns", ["failure"]),
        ("llmws.calls", ["system-out"]),
        ("llmws.speech", ["system-out"]),
        ("llmws.tools", ["skipped"]),
    ]
    failure = suite[1][0]
    assert failure.get("message") == "failed: expected an answer to 1, got one to 2"
    assert failure.text == as_text(report(), FAILURE)


def test_annotations_come_worst_first() -> None:
    lines = as_github(report(*EVERYTHING))
    assert [line.partition("::")[2].partition(":")[0] for line in lines] == [
        "error title=turns/1%3A answers under the id of the request",
        "warning title=speech/2%3A answers under the id of the request",
        "notice title=calls/7%3A answers under the id of the request",
    ]
    assert "%0Aexpected: an answer to 1%0Agot: one to 2%0A" in lines[0]


def test_an_absent_server_is_one_annotation() -> None:
    lines = as_github(report(ABSENT, ABSENT))
    assert lines == [f"::error title=no check could be tried::at {URL}: nothing answers"]


def test_whatever_a_server_sends_is_harmless() -> None:
    frame = Sent(at_s=0, data=HOSTILE)
    found = finding(failed(HOSTILE, HOSTILE * 2_000, frame), Got(at_s=0, data=HOSTILE), frame)
    whole = report(found)
    text = as_text(whole, found)
    assert text.isprintable() or text.replace("\n", "").isprintable()
    assert not any(line.lstrip().startswith("::") for line in text.split("\n"))
    [failure] = ElementTree.fromstring(as_junit(whole))[0]
    assert failure.text == text
    [line] = as_github(whole)
    assert len(line.splitlines()) == 1
    assert "%250A" in line
    assert len(line) < 5_000
    assert json.loads(json.dumps(as_data(whole)))["findings"][0]["expected"] == HOSTILE
