"""Scenarios: what a file may say, what it means, and where an error in it stands."""

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmws_tutorial.errors import ScenarioError
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.simulator import scenario
from llmws_tutorial.simulator.endings import REASONS
from llmws_tutorial.simulator.scenario import (
    ACTIONS,
    MAX_BYTES,
    STARTS,
    CallOf,
    Expect,
    Scenario,
    Step,
    ToolUse,
    load,
    read,
    shipped,
)

PAGE: Final = (PROJECT / "docs" / "scenarios.md").read_text()
FOLDER: Final = Path(scenario.__file__).with_name("scenarios")
TITLE: Final = "scenario: x\n"
STEPS: Final = TITLE + "caller:\n"
LISTEN: Final = TITLE + "caller: []\n"
ALL_ACTIONS: Final = ", ".join(ACTIONS)
REFUSED: Final = {
    "a list at the top": ("- a\n", "1:1: the file is a list, expected a mapping"),
    "no title": ("caller: []\n", "1:1: key 'scenario' is missing"),
    "a blank title": ("scenario: ' '\ncaller: []\n", "1:11: scenario is ' ', expected some words"),
    "a title of two lines": (
        "scenario: |\n  a\n  b\ncaller: []\n",
        "1:11: scenario is 'a\\nb\\n', expected a title of one line",
    ),
    "a key that is nearly right": (
        STEPS + "  - sya: Hello\n",
        "3:5: unknown key 'sya', did you mean 'say'?",
    ),
    "a key that is nowhere near": (
        LISTEN + "expect: {tool: {name: book, xyz: 1}}\n",
        "3:29: unknown key 'xyz', expected one of name, arguments",
    ),
    "a truth value for a text": (
        STEPS + "  - say: no\n",
        "3:10: say is the truth value no, expected text; put it in quotes",
    ),
    "a number for a text": (
        STEPS + "  - press: 1\n",
        "3:12: press is the number 1, expected text; put it in quotes",
    ),
    "a number of a phone": (
        LISTEN + "call: {from_number: +15551234567}\n",
        "3:21: from_number is the number +15551234567, expected text; put it in quotes",
    ),
    "a number for a truth value": (
        STEPS + "  - hang_up: 1\n",
        "3:14: hang_up is the number 1, expected true or false",
    ),
    "a text for a number": (
        STEPS + "  - silent_s: long\n",
        "3:15: silent_s is 'long', expected a number",
    ),
    "a list for a text": (STEPS + "  - say: [a]\n", "3:10: say is a list, expected text"),
    "nothing for a list": (STEPS, "2:8: caller is empty, expected a list"),
    "a mapping for a list": (TITLE + "caller: {}\n", "2:9: caller is a mapping, expected a list"),
    "a step that is a number": (
        STEPS + "  - 12\n",
        "3:5: an entry of caller is the number 12, expected a mapping",
    ),
    "a short form that is nearly right": (
        STEPS + "  - hangup\n",
        "3:5: unknown key 'hangup', did you mean 'hang_up'?",
    ),
    "a short form of what has none": (
        STEPS + "  - say\n",
        f"3:5: a step without an action, expected one of {ALL_ACTIONS}",
    ),
    "no action": (
        STEPS + "  - hang_up: false\n",
        f"3:5: a step without an action, expected one of {ALL_ACTIONS}",
    ),
    "two actions": (
        STEPS + "  - say: a\n    garble: b\n",
        "4:13: garble beside say, expected one action a step",
    ),
    "two starts": (
        STEPS + "  - say: a\n    after_s: 0\n    at_once: true\n",
        "5:14: at_once beside after_s, expected one of them",
    ),
    "a blank say": (STEPS + "  - say: ' '\n", "3:10: say is ' ', expected some words"),
    "a key that no phone has": (
        STEPS + "  - press: 12a\n",
        "3:12: press is '12a', expected keys of 0 to 9, * and #",
    ),
    "no words": (
        STEPS + "  - say: a\n    after_words: 0\n",
        "4:18: after_words is the number 0, expected a whole number >= 1",
    ),
    "half a word": (
        STEPS + "  - say: a\n    after_words: 1.5\n",
        "4:18: after_words is the number 1.5, expected a whole number",
    ),
    "seconds below zero": (
        STEPS + "  - say: a\n    after_s: -1\n",
        "4:14: after_s is the number -1, expected a number >= 0.0",
    ),
    "no silence": (
        STEPS + "  - silent_s: 0\n",
        "3:15: silent_s is the number 0, expected a number > 0.0",
    ),
    "too many calls": (
        LISTEN + "calls: 101\n",
        "3:8: calls is the number 101, expected a whole number <= 100",
    ),
    "no call": (LISTEN + "calls: 0\n", "3:8: calls is the number 0, expected a whole number >= 1"),
    "no patience": (
        LISTEN + "patience_s: 0\n",
        "3:13: patience_s is the number 0, expected a number > 0.0",
    ),
    "a bad regular expression": (
        STEPS + "  - say: a\n    expect: {matches: [b, '(c']}\n",
        "4:27: matches is no regular expression: missing ), unterminated subpattern at position 0",
    ),
    "a regular expression that only warns": (
        LISTEN + "expect:\n  matches: '[[a]'\n",
        "4:12: matches is no regular expression: Possible nested set at position 1",
    ),
    "a regular expression that counts too far": (
        LISTEN + "expect:\n  matches: a{99999999999}\n",
        "4:12: matches is no regular expression: the repetition number is too large",
    ),
    "a text that is always heard": (
        LISTEN + "expect: {said: [a, '']}\n",
        "3:20: said is '', expected some words",
    ),
    "a truth value among texts": (
        LISTEN + "expect: {not_said: [a, no]}\n",
        "3:24: an entry of not_said is the truth value no, expected text; put it in quotes",
    ),
    "a truth value for texts": (
        LISTEN + "expect: {said: no}\n",
        "3:16: an entry of said is the truth value no, expected text; put it in quotes",
    ),
    "an end that is nearly right": (
        LISTEN + "expect: {ends: agent_hungup}\n",
        "3:16: ends is 'agent_hungup', did you mean 'agent_hangup'?",
    ),
    "an end that is none": (
        LISTEN + "expect: {ends: xyz}\n",
        f"3:16: ends is 'xyz', expected one of {', '.join(REASONS)}",
    ),
    "an end in a step": (
        STEPS + "  - say: a\n    expect: {ends: user_hangup}\n",
        "4:20: ends in a step, expected it below the scenario's own expect",
    ),
    "a tool without a name": (LISTEN + "expect: {tool: {}}\n", "3:16: key 'name' is missing"),
    "a blank tool": (
        LISTEN + "expect: {tool: {name: ''}}\n",
        "3:23: name is '', expected some words",
    ),
    "a transfer to nobody": (
        LISTEN + "expect: {transferred_to: ''}\n",
        "3:26: transferred_to is '', expected some words",
    ),
    "a key pressed that no phone has": (
        LISTEN + "expect: {pressed: x}\n",
        "3:19: pressed is 'x', expected keys of 0 to 9, * and #",
    ),
    "a drop below zero": (
        LISTEN + "expect: {drops: -1}\n",
        "3:17: drops is the number -1, expected a whole number >= 0",
    ),
    "a type that is nearly right": (
        LISTEN + "call: {type: web-call}\n",
        "3:14: type is 'web-call', did you mean 'web_call'?",
    ),
    "a direction that is none": (
        LISTEN + "call: {direction: sideways}\n",
        "3:19: direction is 'sideways', expected one of inbound, outbound",
    ),
    "a variable that is no text": (
        LISTEN + "call:\n  variables: {a: b, c: no, d: e}\n",
        "4:24: c is the truth value no, expected text; put it in quotes",
    ),
    "a choice that is a list": (
        LISTEN + "choices: {a: 1, b: []}\n",
        "3:20: b is a list, expected true or false or a whole number or a number or text",
    ),
    "not YAML": (
        TITLE + "\tcaller: []\n",
        "2:1: a tab, expected blanks: YAML is indented by blanks only",
    ),
}


def step(text: str) -> Step:
    """The one step of a scenario, as it is written in its file."""
    return read(f"{STEPS}  - {text}\n").caller[0]


def refusal(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        read(text, "bad.yaml")
    return str(caught.value)


def refusal_of(source: str | Path) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(source)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_told_with_its_place(case: str) -> None:
    text, error = REFUSED[case]
    assert refusal(text) == f"bad.yaml:{error}"


@pytest.mark.parametrize("end", ["[...]", ".caller[0].zzz", ".call", ".expect.said[7]"])
def test_a_key_that_looks_like_the_end_of_an_error_is_refused_as_any_other(end: str) -> None:
    text = f"{LISTEN}'a, got `null` - at `${end}': 1\n"
    assert re.match(r"bad\.yaml:\d+:\d+: unknown key 'a, got ", refusal(text))


def test_the_least_scenario_only_listens() -> None:
    least = read(LISTEN)
    assert least == Scenario(scenario="x", caller=())
    assert (least.calls, least.repeat, least.patience_s, least.steps) == (1, 1, 10.0, ())


@pytest.mark.parametrize("action", ["mumble", "hang_up", "drop_line", "resend"])
def test_what_needs_no_words_has_a_short_form(action: str) -> None:
    assert step(action) == step(f"{action}: true")
    assert step(action).action == action


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("say: Hello", "say"),
        ("silent_s: 0.5", "silent_s"),
        ("press: '1*#'", "press"),
        ("slow_s: 2", "slow_s"),
        ("garble: ''", "garble"),
        ("{hang_up: true, say: }", "hang_up"),
    ],
)
def test_a_step_knows_its_action(text: str, action: str) -> None:
    assert step(text).action == action


def test_one_text_is_a_list_of_one_in_a_step_and_at_the_top() -> None:
    expect = "expect: {said: Hello, not_said: [a, b], matches: c}"
    read_ = read(f"{STEPS}  - {{say: a, {expect}}}\n{expect}\n")
    assert read_.expect == Expect(said=("Hello",), not_said=("a", "b"), matches=("c",))
    assert read_.caller[0].expect == read_.expect


def test_a_key_of_texts_stays_what_it_is_elsewhere() -> None:
    text = (
        LISTEN
        + "call: {metadata: {expect: {said: a}}}\nexpect: {tool: {name: b, arguments: {said: c}}}\n"
    )
    assert read(text).call == CallOf(metadata={"expect": {"said": "a"}})
    assert read(text).expect == Expect(tool=ToolUse(name="b", arguments={"said": "c"}))


def test_an_expectation_that_is_empty_expects_nothing() -> None:
    assert read(LISTEN + "expect:\n").expect is None
    assert read(LISTEN + "expect: {}\n").expect == Expect()


def test_the_steps_are_played_as_often_as_the_file_says() -> None:
    twice = read(STEPS + "  - say: a\n  - mumble\nrepeat: 2\n")
    assert [played.action for played in twice.steps] == ["say", "mumble", "say", "mumble"]


def test_the_number_of_the_call_goes_into_every_text() -> None:
    text = (
        STEPS + "  - say: 'I am {{call}}'\n    expect: {matches: 'a{{call}}|b'}\n"
        "  - press: '9{{call}}#'\ncalls: 2\n"
        "call: {variables: {me: 'n{{call}}'}, metadata: {deep: ['{{call}}', 7]}}\n"
    )
    second = read(text).for_call(2)
    assert second.caller == (
        Step(say="I am 2", expect=Expect(matches=("a2|b",))),
        Step(press="92#"),
    )
    assert second.call == CallOf(variables={"me": "n2"}, metadata={"deep": ["2", 7]})
    assert second.calls == 2


def test_what_is_made_in_python_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match="press beside say, expected one action a step"):
        Step(say="a", press="1")


def test_aliases_save_typing() -> None:
    aliased = read(STEPS + "  - &hello {say: Hello}\n  - *hello\n")
    assert aliased.caller == (Step(say="Hello"), Step(say="Hello"))


@settings(max_examples=200, deadline=None)
@given(
    st.text() | st.lists(st.sampled_from([*ACTIONS, *": -[]{}'&*!|\n\ta1", *" \n-:"])).map("".join)
)
def test_any_text_is_a_scenario_or_is_refused_with_its_place(text: str) -> None:
    for content in (text, f"{STEPS}  - {text}", f"{LISTEN}expect: {text}"):
        try:
            assert isinstance(read(content, "any.yaml"), Scenario)
        except ScenarioError as error:
            assert re.match(r"any\.yaml:\d+:\d+: \S", str(error))  # noqa: PT017


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_loads_by_its_name_and_by_its_path(name: str) -> None:
    loaded = load(name)
    assert loaded == load(FOLDER / f"{name}.yaml")
    assert loaded.about
    assert not loaded.about.endswith("\n")
    assert loaded.expect or any(part.expect for part in loaded.caller)


def test_every_file_is_shipped_and_has_a_title_of_its_own() -> None:
    assert sorted(shipped()) == sorted(path.stem for path in FOLDER.iterdir())
    assert len({load(name).scenario for name in shipped()}) == len(shipped())


def test_the_long_call_is_long() -> None:
    said = [part for part in load("long_call").steps if part.say]
    assert 60 <= len(said) <= 100
    assert sum(part.silent_s or 0 for part in load("long_call").steps) == 1800


@pytest.mark.parametrize(
    ("heard", "is_fine"),
    [("Your number is\n44701.", True), ("Is it\n44702?", False), ("Hm.", True)],
)
def test_a_call_of_two_may_not_hear_the_number_of_the_other(heard: str, is_fine: bool) -> None:
    expect = load("two_calls").for_call(1).expect
    assert expect
    assert bool(re.search(expect.matches[0], heard)) is is_fine


def test_a_file_that_is_missing_may_be_a_shipped_one_misspelt() -> None:
    missing = "no such file and no shipped scenario"
    assert refusal_of("interuption") == f"interuption: {missing}, did you mean 'interruption'?"
    assert refusal_of(Path("zzz")) == f"zzz: {missing}, expected one of {', '.join(shipped())}"


def test_a_path_is_never_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal_of(Path("greeting")).startswith("greeting: no such file")
    Path("greeting").write_text(LISTEN)
    assert load(Path("greeting")).scenario == load("./greeting").scenario == "x"
    assert load("greeting").scenario == "The agent greets"


def test_what_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) == f"{tmp_path}: cannot be read: is a directory, expected a file"
    assert refusal_of("a\0b") == "'a\\x00b': no file has such a name"
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"scenario: x\nabout: \xff\n")
    error = "2:8: not a text file, expected UTF-8 without control characters"
    assert refusal_of(binary) == f"{binary}:{error}"


def test_a_file_is_read_up_to_its_limit_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(LISTEN + "#" * (MAX_BYTES - len(LISTEN)))
    assert load(path).scenario == "x"
    path.write_text(path.read_text() + "#")
    assert refusal_of(path) == f"{path}: more than 1,048,576 bytes, expected a scenario"


def test_a_file_is_named_in_its_errors_as_it_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(STEPS + "  - sya: Grüße\n", encoding="utf-8")
    assert refusal_of(str(path)) == f"{path}:3:5: unknown key 'sya', did you mean 'say'?"


def sections() -> dict[str, str]:
    parts = re.split(r"^##+ (.*)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("The scenario", Scenario),
        ("A step", Step),
        ("What is expected", Expect),
        ("A tool", ToolUse),
        ("The call", CallOf),
    ],
)
def test_every_key_is_in_the_page_with_its_default(title: str, kind: type[msgspec.Struct]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", sections()[title], re.MULTILINE)
    documented = dict(rows)
    assert len(rows) == len(documented)
    assert documented.keys() == set(kind.__struct_fields__)
    for field in msgspec.structs.fields(kind):
        assert documented[field.name] == default_of(field)


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """A default as the page shows it."""
    if field.required:
        return "must be there"
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return "none"
    if isinstance(value, tuple | dict):
        return "`{}`" if isinstance(value, dict) else "`[]`"
    words = {"": '`""`', "web_call": "`web_call`"}
    return words.get(value) or f"`{format(value, 'g') if value is not False else 'false'}`"


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_is_in_the_page_with_its_needs(name: str) -> None:
    assert re.search(
        rf"^\| `{name}` \| .+ \| {re.escape(load(name).needs)} ?\|$", PAGE, re.MULTILINE
    )


def test_the_page_shows_the_shipped_ones_in_their_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", sections()["The shipped ones"], re.MULTILINE)
    assert tuple(rows) == shipped()


def test_the_whole_example_of_the_page_uses_every_action_and_start() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    whole = read(example)
    used = {part.action for part in whole.caller}
    assert used == set(ACTIONS) - {"hang_up"}  # there the agent does
    assert {name for part in whole.caller for name in STARTS if getattr(part, name)} == {
        "after_words",
        "after_s",
    }


def test_the_page_names_every_reason() -> None:
    assert [reason for reason in REASONS if f"`{reason}`" not in PAGE] == []


def test_the_errors_of_the_page_are_real_ones() -> None:
    shown = sections()["When something is wrong"]
    wrong = (STEPS + "\n" * 4 + "  - sya: a\n", STEPS + "\n" * 6 + "  - say: no\n")
    for text in wrong:
        assert refusal(text).replace("bad.yaml", "mine.yaml") in shown
