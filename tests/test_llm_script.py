"""Scripts of a model in a file: what may stand there, what it means, where an error is."""

import re
from pathlib import Path
from typing import Final

import pytest

from llmws_tutorial.errors import ScenarioError
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.simulator.llm_script import ACTIONS, MAX_BYTES, load_scripts, read_scripts
from llmws_tutorial.simulator.scripted_llm import (
    Break,
    CallTool,
    Empty,
    Hang,
    Raw,
    Say,
    Script,
    Wait,
)

PAGE: Final = (PROJECT / "docs" / "scripted_llm.md").read_text()
STEPS: Final = "- steps:\n"
WHOLE: Final = """
- when: opening hours
  told: free
  times: 2
  steps:
    - say: "We are "
    - wait_s: 0.5
    - empty
    - raw: ": a comment"
    - say: open.
- when: bye
  steps:
    - call_tool: {name: end_call, arguments: {why: done}, call_id: c1, otherwise: "Bye."}
    - call_tool: {arguments: "{no json"}
    - call_tool
- status: 429
  when: slow
- steps: [hang]
- steps: [empty: true, break: true]
"""
REFUSED: Final = {
    "a mapping": ("steps: []\n", "1:1: scripts is a mapping, expected a list"),
    "a text": ("- hang\n", "1:3: an entry of scripts is 'hang', expected a mapping"),
    "a key that is nearly right": (
        "- whem: x\n",
        "1:3: unknown key 'whem', did you mean 'when'?",
    ),
    "steps that are none": ("- steps: hang\n", "1:10: steps is 'hang', expected a list"),
    "a short form that is nearly right": (
        STEPS + "  - hangs\n",
        "2:5: unknown key 'hangs', did you mean 'hang'?",
    ),
    "a short form that wants a value": (
        STEPS + "  - say\n",
        f"2:5: a step without an action, expected one of {', '.join(ACTIONS)}",
    ),
    "two actions": (
        STEPS + "  - hang: true\n    break: true\n",
        "3:12: break beside hang, expected one action a step",
    ),
    "a number for a text": (
        STEPS + "  - say: 12\n",
        "2:10: say is the number 12, expected text; put it in quotes",
    ),
    "time that runs back": (
        STEPS + "  - wait_s: -1\n",
        "2:13: wait_s is the number -1, expected a number >= 0.0",
    ),
    "no regular expression": (
        STEPS + "  - call_tool: {name: '('}\n",
        "2:23: name is no regular expression: missing ), unterminated subpattern at position 0",
    ),
    "a status that is no error": (
        "- status: 204\n",
        "1:11: status is 204, expected 200, or an error of 400 to 599",
    ),
    "a refusal that speaks": (
        "- status: 500\n  steps:\n    - hang\n",
        "3:5: steps beside the status 500, expected no answer",
    ),
}


def test_a_file_says_what_the_model_does() -> None:
    farewell = CallTool("end_call", {"why": "done"}, "c1", "Bye.")
    assert read_scripts(WHOLE)[:3] == [
        Script(
            when="opening hours",
            told="free",
            times=2,
            steps=(Say("We are "), Wait(0.5), Empty(), Raw(": a comment"), Say("open.")),
        ),
        Script(when="bye", steps=(farewell, CallTool(arguments="{no json"), CallTool())),
        Script(when="slow", status=429),
    ]


def test_a_step_without_words_has_two_forms() -> None:
    text = "- steps: [empty, hang, break]\n- steps: [empty: true, hang: true, break: true]\n"
    short, long = read_scripts(text)
    assert short == long == Script(steps=(Empty(), Hang(), Break()))


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_with_its_place(case: str) -> None:
    text, error = REFUSED[case]
    with pytest.raises(ScenarioError) as refused:
        read_scripts(text, "a.yaml")
    assert str(refused.value) == f"a.yaml:{error}"


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- steps: [say: Grüezi]\n", encoding="utf-8")
    assert load_scripts(path) == [Script(steps=(Say("Grüezi"),))]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("none.yaml", "none.yaml: cannot be read: no such file or directory, expected a file"),
        (".", "cannot be read: is a directory, expected a file"),
        ("a\0b", "no file has such a name"),
        ("large.yaml", f"more than {MAX_BYTES:,} bytes, expected scripts"),
        ("latin.yaml", "latin.yaml:1:1: not a text file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, error: str) -> None:
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "latin.yaml").write_bytes(b"\xe9")
    with pytest.raises(ScenarioError, match=re.escape(error)):
        load_scripts(tmp_path / name)


def test_the_page_names_every_action_and_its_example_is_one() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    steps = {type(step) for script in read_scripts(example) for step in script.steps}
    assert steps == {Say, Wait, Empty, CallTool, Hang, Break, Raw}
    for action in ACTIONS:
        assert re.search(rf"^\| `{action}` \|", PAGE, re.MULTILINE)
