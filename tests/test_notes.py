"""The notes about tools: found in whatever a server sent, readable or not."""

import json
from typing import Any, Final

import pytest

from llmws_tutorial.checks.exchange import Exchange, Got
from llmws_tutorial.checks.notes import Note, invocations, notes, read_json, results
from llmws_tutorial.simulator.verdict import Dropped, read_frame

CALL: Final = {
    "response_type": "tool_call_invocation",
    "tool_call_id": "t1",
    "name": "book",
    "arguments": "{}",
}
RESULT: Final = {"response_type": "tool_call_result", "tool_call_id": "t1", "content": "done"}


def seen(*frames: dict[str, Any] | str | bytes) -> Exchange:
    exchange = Exchange(lambda: 0.0)
    for frame in frames:
        data = json.dumps(frame) if isinstance(frame, dict) else frame
        read = read_frame(data)
        if isinstance(read, Dropped):
            exchange.note(Got, data=data, dropped=read)
        else:
            exchange.note(Got, data=data, message=read)
    return exchange


def test_notes_are_told_apart_by_kind() -> None:
    exchange = seen(CALL, RESULT)
    assert [note.fields for note in notes(exchange)] == [CALL, RESULT]
    assert [note.fields for note in invocations(exchange)] == [CALL]
    assert [note.fields for note in results(exchange)] == [RESULT]


def test_a_mistyped_note_is_one() -> None:
    mistyped = {**RESULT, "content": {"day": "tomorrow"}}
    assert [note.fields for note in results(seen(mistyped))] == [mistyped]


@pytest.mark.parametrize(
    "frame",
    [
        "[1]",
        "null",
        b"{}",
        "no JSON",
        {"response_type": 5},
        {"response_type": "tool_call_other"},
        {"response_type": "response", "content": None},
        {"response_type": "metadata", "metadata": CALL},
    ],
)
def test_what_is_no_note_is_none(frame: dict[str, Any] | str | bytes) -> None:
    assert notes(seen(frame)) == []


@pytest.mark.parametrize("data", ["{", "[" * 100_000, ""])
def test_what_cannot_be_read_is_nothing(data: str) -> None:
    assert read_json(data) is None


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"name": "book", "arguments": '{"b": 1, "a": 2}'}, ("book", '{"a": 2, "b": 1}')),
        ({"name": "book", "arguments": '{"a":2,"b":1}'}, ("book", '{"a": 2, "b": 1}')),
        ({"name": "book", "arguments": {"a": 2, "b": 1}}, ("book", '{"a": 2, "b": 1}')),
        ({"name": "book", "arguments": "tomorrow"}, ("book", '"tomorrow"')),
        ({}, ("None", "null")),
    ],
)
def test_what_is_called_is_the_same_however_it_is_written(
    fields: dict[str, Any], what: tuple[str, str]
) -> None:
    assert Note(Got(at_s=0.0, data=""), fields).what == what
