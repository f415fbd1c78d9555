"""What a server writes down: one line each, and nothing that was said."""

import json
import logging
import sys

import pytest

from llmws_tutorial.errors import ResponderError
from llmws_tutorial.server.log import (
    MOST_CHARACTERS,
    JsonLines,
    cause,
    hide,
    one_line,
    redact,
    tidy,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x7f\x85", r"\x1b[2J\x7f\x85"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("x" * MOST_CHARACTERS, "x" * MOST_CHARACTERS),
        ("x" * (MOST_CHARACTERS + 1), "x" * MOST_CHARACTERS + " ..."),
    ],
)
def test_a_text_becomes_one_line_of_some_length(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    "card", ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005"]
)
def test_the_number_of_a_card_is_masked(card: str) -> None:
    assert redact(f"It is {card}.") == "It is [card number]."


@pytest.mark.parametrize("text", ["+15551234567", "10:30", "0.1234567890123456", "1 2 3 4 5 6"])
def test_other_numbers_are_not_masked(text: str) -> None:
    assert redact(text) == text


def test_the_cause_of_an_error_is_told_without_its_text() -> None:
    def fail() -> None:
        raise ValueError("my secret")

    with pytest.raises(ValueError, match="my secret") as caught:
        fail()
    assert cause(caught.value).startswith("ValueError in fail, line ")
    assert cause(ResponderError("the model\nfailed")) == r"the model\nfailed"
    assert cause(TimeoutError()) == "TimeoutError"


def test_an_answer_to_a_peer_that_has_gone_is_no_line() -> None:
    try:
        raise RuntimeError("unable to write; the handler is closed")
    except RuntimeError:
        record = logging.makeLogRecord({"exc_info": sys.exc_info()})
    assert not tidy(record)


def test_the_secret_is_masked_wherever_it_stands() -> None:
    hide("pass word")
    args = ("/x/pass%20word", "/llm-websocket/guess/c1?x", 7)
    record = logging.makeLogRecord({"msg": "%s %s %s", "args": args})
    assert tidy(record)
    assert record.getMessage() == "/x/*** /llm-websocket/***/c1?x 7"
    assert tidy(logging.makeLogRecord({"msg": "plain", "args": {"a": 1}}))


def test_a_record_is_one_json_object() -> None:
    record = logging.makeLogRecord(
        {"name": "n", "levelname": "INFO", "msg": "a %s", "args": ("b\n",), "created": 0.5}
    )
    record.call_id = "c1"
    assert json.loads(JsonLines().format(record)) == {
        "time": "1970-01-01T00:00:00.500+00:00",
        "level": "info",
        "logger": "n",
        "message": "a b\n",
        "call_id": "c1",
    }


def test_an_exception_is_a_field_of_its_line() -> None:
    try:
        raise KeyError("lost")
    except KeyError:
        record = logging.makeLogRecord(
            {"exc_info": sys.exc_info(), "color_message": "for terminals"}
        )
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("KeyError: 'lost'")
    assert "color_message" not in json.loads(line)
