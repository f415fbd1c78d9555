"""YAML read strictly: what stands where, and what is refused at which line and column."""

import contextlib
import time
from typing import Any, Final

import pytest

from llmws_tutorial.errors import ScenarioError
from llmws_tutorial.simulator.yaml_tree import MAX_DEPTH, MAX_NODES, parse, quoted

QUOTES: Final = "a text with : # { [ * & @ or quotes in it is put in quotes"
BOMB: Final = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
REFUSED: Final = {
    "nothing": ("", "1:1: the file is empty, expected a scenario"),
    "only a comment": ("# later\n", "2:1: the file is empty, expected a scenario"),
    "two documents": ("a: 1\n---\nb: 2\n", "2:1: a second document, expected one a file"),
    "a key twice": ("a: 1\nb: 2\na: 3\n", "3:1: key 'a' is there already, on line 1"),
    "a key that is no text": (
        "no: thanks\n",
        "1:1: a key is the truth value no, expected text; put it in quotes",
    ),
    "a placeholder without quotes": (
        "say: {{call}}\n",
        f"1:7: a key is a mapping, expected text; {QUOTES}",
    ),
    "a list as a key": ("? [a]\n: b\n", f"1:3: a key is a list, expected text; {QUOTES}"),
    "a colon without quotes": (
        "a:\n  say: Well: no\n",
        f"2:12: not YAML, mapping values are not allowed here; {QUOTES}",
    ),
    "a list that does not end": (
        "a: [1,\n",
        f"2:1: not YAML, expected the node content, but found '<stream end>'; {QUOTES}",
    ),
    "a tab": ("a:\n\tb: 1\n", "2:1: a tab, expected blanks: YAML is indented by blanks only"),
    "a date": ("a: 2024-01-01\n", "1:4: 2024-01-01 is a date, expected text; put it in quotes"),
    "an executable tag": (
        "a: !!python/object/apply:os.getcwd []\n",
        "1:4: a tag, '!!python/object/apply:os.getcwd', expected a plain value",
    ),
    "a harmless tag": ("a: !mine b\n", "1:4: a tag, '!mine', expected a plain value"),
    "an alias of nothing": ("a: *b\n", "1:4: alias *b has no finished &b before it"),
    "an alias within itself": ("a: &a [*a]\n", "1:8: alias *a has no finished &a before it"),
    "a bomb of aliases": (BOMB, "4:45: more than 10,000 values; do aliases multiply them?"),
    "a control character": (
        "a: 1\nb: \x07\n",
        "2:4: not a text file, expected UTF-8 without control characters",
    ),
    "half a character": (
        'a: "\\ud83d"\n',
        "1:4: half a character, expected a whole one: \\U and eight digits",
    ),
    "no character at all": (
        'a: "\\UFFFFFFFF"\n',
        "1:7: not YAML, a number or character out of range",
    ),
    "infinity": ("a: .inf\n", "1:4: '.inf' is out of range for a number; put a text in quotes"),
    "not a number": ("a: .nan\n", "1:4: '.nan' is out of range for a number; put a text in quotes"),
    "a number past 64 bits": (
        "a: 9223372036854775808\n",
        "1:4: '9223372036854775808' is out of range for a number; put a text in quotes",
    ),
}
PLAIN: Final[dict[str, Any]] = {
    "12": 12,
    "1.5": 1.5,
    "yes": True,
    "~": None,
    "12:30": "12:30",
    "=": "=",
    "'no'": "no",
    "9223372036854775807": 2**63 - 1,
    "[a, {b: c}]": ["a", {"b": "c"}],
}


def refusal(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "bad.yaml")
    return str(caught.value)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_told_with_its_place(case: str) -> None:
    text, error = REFUSED[case]
    assert refusal(text) == f"bad.yaml:{error}"


@pytest.mark.parametrize("text", PLAIN)
def test_a_value_is_plain_data(text: str) -> None:
    value = parse(f"a: {text}\n", "good.yaml").value["a"]
    assert value == PLAIN[text]
    assert type(value) is type(PLAIN[text])


def test_an_alias_stands_for_the_whole_value() -> None:
    tree = parse("a: &a {b: [1, 2]}\nc: *a\n", "good.yaml")
    assert tree.value["c"] == {"b": [1, 2]}
    assert tree.size == 9
    assert tree.height == 4


def test_a_path_is_followed_as_far_as_it_leads() -> None:
    tree = parse("a:\n  - b\n  - c: 1\n", "good.yaml")
    assert tree.find(["a", 1, "c"]).place == "good.yaml:3:8"
    assert tree.find(["a", 0, "c", 7]).place == "good.yaml:2:5"
    assert tree.find(["a", 1]).keys == {"c": "good.yaml:3:5"}


def test_lists_and_aliases_go_down_to_the_last_level_and_no_further() -> None:
    inner = MAX_DEPTH - 3
    text = "- &a " + "[" * inner + "x" + "]" * inner + "\n- [*a]\n"
    assert parse(text, "deep.yaml").height == MAX_DEPTH
    deeper = text.replace("[*a]", "[[*a]]")
    assert refusal(deeper) == f"bad.yaml:2:5: nested more than {MAX_DEPTH} levels deep"
    assert refusal("[" * 5000) == "bad.yaml:1:21: nested more than 20 levels deep"


def test_a_file_holds_so_many_values_and_no_more() -> None:
    text = "- a\n" * (MAX_NODES - 1)
    assert parse(text, "large.yaml").size == MAX_NODES
    assert refusal(text + "- a\n").startswith("bad.yaml:10000:3: more than 10,000 values")


@pytest.mark.parametrize("text", [BOMB, "- " * 500_000, "a: 1" + ":1" * 500_000])
def test_what_is_made_to_take_long_does_not(text: str) -> None:
    began = time.process_time()
    with contextlib.suppress(ScenarioError):
        parse(text, "bad.yaml")
    assert time.process_time() - began < 10


def test_a_long_text_is_cut_in_an_error() -> None:
    assert quoted("a" * 40) == repr("a" * 40)
    assert quoted("a" * 41) == repr("a" * 39 + "…")
