"""What an agent can do with the call: what the model may ask for, and what comes of it."""

from typing import Any

import pytest

from llmws_tutorial.errors import SetupError, ToolError
from llmws_tutorial.server import HangUp, Press, Transfer, end_call, press_digits, transfer
from llmws_tutorial.server.actions import MOST_WORDS, Ability


def parameters(ability: Ability) -> Any:
    return ability.offered["function"]["parameters"]["properties"]


def test_a_farewell_is_the_models_or_a_fixed_one_and_speakable() -> None:
    assert end_call.read('{"farewell": "**Bye!**\\n"}').words == "Bye!"
    assert end_call.read('{"farewell": " * "}').words == end_call.says == "Goodbye."
    assert end_call.saying("Tschüss.").read("{}").words == "Tschüss."
    assert len(end_call.read(f'{{"farewell": "{"x" * 9999}"}}').words) == MOST_WORDS
    assert end_call.read("{}").action == HangUp()


def test_one_number_needs_no_argument_and_takes_none() -> None:
    ability = transfer("+15555550100", shows_caller=True)
    act = ability.read('{"to": "+15550000000", "number": "+15550000000"}')
    assert act.action == Transfer("+15555550100", shows_caller=True)
    assert (parameters(ability), act.words) == ({}, "I will put you through.")


def test_of_several_numbers_the_model_chooses_a_name() -> None:
    numbers = {"reception": "+15555550100", "doctor": "sip:doctor@clinic.example"}
    ability = transfer(numbers, shows_caller=True)
    assert parameters(ability)["to"]["enum"] == ["reception", "doctor"]
    act = ability.read('{"to": "doctor"}')
    assert act.action == Transfer("sip:doctor@clinic.example", shows_caller=True)
    with pytest.raises(ToolError, match="to: Input should be 'reception' or 'doctor'"):
        ability.read('{"to": "+15555550100"}')


@pytest.mark.parametrize("number", ["", "911", "+0155", "+1 555 555 0100", "+15555550100\n"])
def test_a_number_that_cannot_be_dialled_is_refused(number: str) -> None:
    with pytest.raises(SetupError, match="expected a number as "):
        transfer({"reception": number})


@pytest.mark.parametrize("digits", ["1", "12#", "*67"])
def test_keys_are_those_of_a_telephone(digits: str) -> None:
    assert press_digits.read(f'{{"digits": "{digits}"}}').action == Press(digits)


@pytest.mark.parametrize("digits", ["", "one", "1a", "+1", "1" * 33])
def test_other_keys_are_refused(digits: str) -> None:
    with pytest.raises(ToolError, match="digits: String should match"):
        press_digits.read(f'{{"digits": "{digits}"}}')
