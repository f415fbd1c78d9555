"""The switches of the stand-in: what they refuse, and that each one changes something."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator.choices import Choices, choose


def test_choices_are_made_by_name() -> None:
    assert choose({"words_per_s": 4, "details_once": True}) == Choices(
        words_per_s=4, details_once=True
    )
    assert choose({}) == Choices()


def test_an_unknown_choice_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SetupError, match=r"^there is no choice 'speed', expected one of words"):
        choose({"speed": 4})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("needed_words", 10**400, "needed_words is too much, expected at most 1e+09"),
        ("words_per_s", 1e-320, "words_per_s is 1e-320, expected at least 0.01"),
        ("voice_s", -1, "voice_s is -1, expected a number of at least 0"),
        ("voice_s", "1", "voice_s is '1', expected a number of at least 0"),
        ("voice_s", True, "voice_s is True, expected a number of at least 0"),
        ("voice_s", float("nan"), "voice_s is nan, expected a number of at least 0"),
        ("voice_s", float("inf"), "voice_s is inf, expected a number of at least 0"),
        ("needed_words", 1.5, "needed_words is 1.5, expected a whole number of at least 0"),
        ("needed_words", False, "needed_words is False, expected a whole number of at least 0"),
        ("needed_words", -1, "needed_words is -1, expected a whole number of at least 0"),
        ("details_once", 1, "details_once is 1, expected true or false"),
        ("going_away_reason", None, "going_away_reason is None, expected text"),
        ("words_per_s", 0, "words_per_s is 0, expected a number above 0"),
        ("inactivity_s", 0, "inactivity_s is 0, expected a number above 0"),
        ("max_duration_s", 0.0, "max_duration_s is 0, expected a number above 0"),
        ("reminder_trigger_ms", 0, "reminder_trigger_ms is 0, expected a number above 0"),
        ("responsiveness", 1.5, "responsiveness is 1.5, expected at most 1"),
        ("interruption_sensitivity", 2, "interruption_sensitivity is 2, expected at most 1"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, value: Any, expected: str) -> None:
    with pytest.raises(SetupError, match=f"^{re.escape(expected)}$"):
        Choices(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("end_of_turn_s", 0), ("needed_words", 0), ("responsiveness", 0), ("reminder_max_count", 0)],
)
def test_the_least_that_is_possible_is_allowed(name: str, value: float) -> None:
    assert getattr(choose({name: value}), name) == value


def test_every_choice_is_explained_and_switched_in_a_test() -> None:
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for choice in dataclasses.fields(Choices):
        assert re.search(rf"^ {{8}}{choice.name}: ", str(Choices.__doc__), re.MULTILINE)
        assert re.search(rf"\b{choice.name}=", tests), choice.name
