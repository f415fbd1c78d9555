"""The checks in full: whatever the catalogue holds can be explained."""

import inspect
import re
from dataclasses import replace

import pytest

from llmws_tutorial.checks import CASES, Case, Profile
from llmws_tutorial.checks.case import Need
from llmws_tutorial.checks.explain import BEGINS, anchor, explain, long_form, page
from llmws_tutorial.checks.moves import Open, Send
from llmws_tutorial.checks.samples import right, sample_call
from llmws_tutorial.checks.samples.gallery import WRONG
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator.scripted_llm import (
    Break,
    CallTool,
    Empty,
    Hang,
    Raw,
    Say,
    Script,
    Step,
    Wait,
)
from tests.found import CASE


def text_of(**changes: object) -> str:
    """The long form of a case without samples."""
    return "\n".join(long_form(replace(CASE, **{"id": "none/1", **changes})))  # type: ignore[arg-type]


def test_a_check_is_explained_from_its_requirement_to_the_lesson() -> None:
    assert text_of().split("\n") == [
        "# none/1",
        "",
        "**Answers under the id of the request.** "
        "A request is answered under its own `response_id`.",
        "",
        "* **Why** (breaks the call): Content under any other id is dropped.",
        "* **Fix**: copy `response_id` from the request.",
        "* **Source**: docs/protocol.md, section 5: the platform's reference says so.",
        "* **Profile**: current. **Lesson**: step 02.",
        "",
        "What the check does:",
        "",
        "```text",
        " 1. open the socket",
        "```",
        "",
    ]


def test_a_check_shows_the_right_and_the_wrong_side_of_what_it_looks_at() -> None:
    right, wrong = re.findall(r"```python\n(.*?)```", explain("begin/1"), re.DOTALL)
    assert right.startswith("class Right:\n    async def greet(self, call: SampleCall) -> None:\n")
    assert "await call.finish(0, " in right
    assert wrong.startswith("class GreetsTooLong(Right):\n")
    assert "await call.say(0, " in wrong


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_check_can_be_explained(case: Case) -> None:
    text = explain(case.id)
    assert text.startswith(f"# {case.id}\n")
    assert (f"class {WRONG[case.id].__name__}(" in text) if case.id in WRONG else True
    assert text.count("```") % 2 == 0


def test_a_topic_is_explained_check_by_check_and_none_twice() -> None:
    headings = re.findall(r"^# (\S+)$", explain("begin", "begin/1", "calls/1"), re.MULTILINE)
    begin = [case.id for case in CASES if case.topic == "begin"]
    assert headings == ["calls/1", *begin]


def test_without_a_name_all_checks_are_listed() -> None:
    rows = explain().split("\n")
    for case in CASES:
        assert any(row.startswith(f"| {case.id} | ") for row in rows)


def test_a_check_says_where_the_rest_of_its_server_stands() -> None:
    where = "The whole server, with all that is used here: `llmws explain right`, or the end of "
    assert explain("begin/1").rstrip().split("\n")[-1] == f"{where}docs/checks.md."


def test_the_right_server_is_shown_whole() -> None:
    text = explain("right")
    assert text.startswith("# The right server\n")
    for source in (right, sample_call):
        assert inspect.getsource(source).rstrip() in text
    assert explain("begin/1", "right") == f"{explain('begin/1')}\n{text}"


def test_a_check_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(SetupError, match=r"there is no check 'begn/1': did you mean begin/1 or "):
        explain("begn/1")


def test_a_name_that_is_near_to_none_is_refused_with_the_topics() -> None:
    with pytest.raises(SetupError, match=r"starts with 'xyz', expected a topic \(calls, begin"):
        explain("xyz")


def test_what_a_check_needs_is_named() -> None:
    text = text_of(needs=frozenset({Need.LLM}), profiles=frozenset(Profile))
    assert "* **Needs** --llm PORT, and your server started with `OPENAI_BASE_URL=" in text
    assert "**Profile**: both." in text


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            (Say("Hi."), Wait(0.5), Empty()),
            "says 'Hi.', waits 0.5 s, sends a chunk without choices",
        ),
        ((CallTool("book"), Hang()), "calls a tool that matches book, hangs"),
        ((CallTool(), Break()), "calls a tool, breaks off"),
        ((CallTool("x", is_invented=True),), "calls the tool x, which there is not"),
        ((Raw("data: ["),), "sends the line 'data: ['"),
        ((Say("a"),) * 9, ", ".join(["says 'a'"] * 6) + ", and so on (3 more)"),
        ((), "says nothing"),
    ],
)
def test_what_the_model_does_is_told_in_words(steps: tuple[Step, ...], expected: str) -> None:
    assert f"\n 1. {expected}\n```" in text_of(scripts=(Script(steps=steps),))


def test_a_model_that_refuses_says_with_which_status() -> None:
    scripts = (Script(status=429), Script(when="Bye"))
    expected = " 1. refuses with HTTP 429\n 2. asked with 'Bye': says nothing\n"
    assert expected in text_of(scripts=scripts)


def test_moves_on_several_calls_name_them_and_show_what_is_obeyed() -> None:
    text = text_of(moves=(Open(), Open(line="b"), Send("\x1b[2J")))
    assert " 1. [a] open the socket\n 2. [b] open the socket\n 3. [a] \\x1b[2J\n" in text


@pytest.mark.parametrize(
    ("prose", "expected"),
    [
        ("copy response_id, not content_complete.", "copy `response_id`, not `content_complete`."),
        ("use /llm-websocket/<a word>/ here", r"use /llm-websocket/\<a word>/ here"),
        ("at /llm-websocket/{call_id} and on", "at `/llm-websocket/{call_id}` and on"),
        ("no *stars*, [links] or a|b", r"no \*stars\*, \[links] or a\|b"),
        ("a back\\slash", r"a back\\slash"),
        ("as `code <b>` it was", "as `code <b>` it was"),
    ],
)
def test_prose_is_no_markup(prose: str, expected: str) -> None:
    assert f"* **Why** (breaks the call): {expected}" in text_of(why=prose)


def test_the_page_keeps_its_introduction_and_replaces_the_rest() -> None:
    old = f"# The checks\n\nBy hand.\n\n{BEGINS}\nold news\n"
    new = page(old)
    assert new.startswith(f"# The checks\n\nBy hand.\n\n{BEGINS}\n| Check |")
    assert "old news" not in new
    assert f"(#{anchor(CASES[0])})" in new
    assert '\nclass Right:\n    """' in new
    assert page(new) == new
