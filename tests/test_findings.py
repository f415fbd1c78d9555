"""Findings in a terminal: at a glance, in full, at any width."""

import io
import re

from rich.console import Console

from llmws_tutorial.checks import Finding
from llmws_tutorial.checks.case import Need, failed, not_seen
from llmws_tutorial.checks.exchange import Got
from llmws_tutorial.checks.report import Report, as_text
from llmws_tutorial.terminal.findings import Watching, show_list, show_report
from tests.found import (
    ABSENT,
    CASE,
    EVERYTHING,
    FAILURE,
    FINE,
    HURTING,
    LOST,
    UNSEEN,
    URL,
    case,
    finding,
)


def screen(width: int = 80, **options: bool) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    options = {"force_terminal": True, **options}
    return Console(file=written, width=width, highlight=False, **options), written  # type: ignore[arg-type]


def shown(*findings: Finding, width: int = 80, **options: bool) -> str:
    console, written = screen(width, **options)
    report = Report(url=URL, findings=findings, took_s=1.5)
    show_report(report, console)
    return written.getvalue()


def test_all_findings_are_shown_at_a_glance() -> None:
    more = [finding(of=case(f"turns/{number}")) for number in (2, 3)]
    unseen = finding(not_seen("a tool"), of=case("tools/4"))
    found = shown(FINE, *more, HURTING, UNSEEN, unseen, force_terminal=False)
    assert found.split("\n\n")[1].split("\n") == [
        "+ ok          turns 1 2 3",
        "x failed      speech 2: answers under the id of the request",
        "- not seen    tools 1 4: needs a tool",
    ]


def test_what_an_option_would_show_is_one_line_at_the_end() -> None:
    lacking = [
        finding(not_seen(Need.WEBHOOK.value), of=case(name)) for name in ("turns/8", "tools/3")
    ]
    found = shown(*lacking, FINE, force_terminal=False)
    assert found.split("\n\n")[1].split("\n") == [
        "+ ok          turns 1",
        "- not seen    turns 8, tools 3: needs --webhook URL and --webhook-key KEY",
    ]


def test_what_is_to_be_mended_is_shown_in_full_and_the_numbers_last() -> None:
    found = shown(*EVERYTHING, force_terminal=False)
    report = Report(url=URL)
    for one in (FAILURE, HURTING):
        assert f"\n\nx {as_text(report, one)}\n" in found
    assert "\n\n~ calls/7 not strict: " in found
    assert found.endswith(
        "\nBegin with the first: it may be the cause of others.\n\n"
        "1 ok, 1 not strict, 2 failed (1 breaks the call, 1 hurts the call), 1 not seen in 1.5 s\n"
    )


def test_one_failure_is_not_called_the_first() -> None:
    assert "Begin with" not in shown(FINE, FAILURE)


def test_what_several_lost_lines_have_in_common_stands_above_the_findings_once() -> None:
    found = shown(LOST, LOST, LOST, force_terminal=False)
    assert found.split("\n\n")[2].startswith("3 checks lost the line in mid-call: an exception ")
    assert found.count("in mid-call") == 1
    assert "in mid-call" not in shown(LOST, LOST)


def test_a_server_that_is_not_there_is_one_line() -> None:
    found = shown(ABSENT, ABSENT, force_terminal=False)
    assert found == f"no check could be tried at {URL}: nothing answers\n"


def test_on_a_narrow_screen_texts_go_on_below_themselves_and_commands_stay_whole() -> None:
    found = shown(FAILURE, width=50, no_color=True)
    lines = [re.sub("\x1b.*?m", "", line).rstrip() for line in found.split("\n")]
    assert f"  repeat    llmws check {URL} turns/1" in lines
    at = lines.index("  required  A request is answered under its own")
    assert lines[at + 1] == "            response_id. [docs/protocol.md,"


def test_a_verdict_has_its_sign_its_word_and_its_colour() -> None:
    for line in (
        "\x1b[32m+ ok",
        "\x1b[1;31mx failed",
        "\x1b[33m~ not strict",
        "\x1b[36m- not seen",
    ):
        assert line in shown(*EVERYTHING)


def test_without_colours_nothing_is_lost() -> None:
    found = shown(*EVERYTHING, no_color=True)
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", found)
    assert "x failed" in found


def test_whatever_a_server_sends_is_shown_and_not_obeyed() -> None:
    frame = Got(at_s=0, data="\x1b]0;title\x07[bold red]x[/]\r\u202e")
    found = shown(finding(failed("a", "[/oops]", frame), frame), no_color=True)
    assert r"<- \x1b]0;title\x07[bold red]x[/]\r\u202e" in found
    assert "[/oops]" in found


def test_the_list_says_what_a_check_costs_where_it_holds_and_what_it_needs() -> None:
    console, written = screen(force_terminal=False)
    show_list([CASE, case("tools/11", needs=frozenset({Need.LLM}))], console)
    assert written.getvalue() == (
        "turns/1  answers under the id of the request (breaks the call; current)\n"
        "tools/11 answers under the id of the request (breaks the call; current; --llm)\n"
    )


def test_at_a_terminal_one_sees_how_far_a_run_is() -> None:
    console, written = screen()
    with Watching(console, total=2) as watching:
        watching.found(FAILURE)
    assert "1 of 2 checks, 1 failed" in written.getvalue()
    assert watching.findings == {"turns/1": FAILURE}


def test_in_a_file_nobody_watches() -> None:
    console, written = screen(force_terminal=False)
    with Watching(console, total=2) as watching:
        watching.found(FINE)
    assert written.getvalue() == ""
