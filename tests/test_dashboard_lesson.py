"""What the dashboard offers to say, to try and to read."""

import ast
import re
from pathlib import Path

import pytest

from llmws_tutorial.dashboard.lesson import PHRASES, READING, TRIES

ROOT = Path(__file__).parents[1]
PANEL = ROOT / "llmws_tutorial" / "dashboard" / "page" / "panels" / "lesson.js"


def test_the_notebooks_to_read_are_those_that_there_are() -> None:
    there = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert [one["name"] for one in READING] == there


def test_whatever_is_to_try_says_why_in_one_sentence() -> None:
    for one in TRIES:
        assert re.fullmatch(r"[A-Z][^.]+\.", one["why"]), one["why"]


def test_the_page_ticks_off_whatever_is_to_try() -> None:
    ticked = set(re.findall(r'^  (\w+): \(|#tick\("(\w+)"\)', PANEL.read_text(), re.MULTILINE))
    assert {first or second for first, second in ticked} == {one["id"] for one in TRIES}


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_is_short_enough_for_a_button(phrase: str) -> None:
    assert phrase.isascii()
    assert len(phrase) < 40


def test_the_lesson_is_data_alone() -> None:
    source = (ROOT / "llmws_tutorial" / "dashboard" / "lesson.py").read_text()
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
