"""The wire: one table of frames serves reading and writing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmws_tutorial.errors import PlatformProtocolError, ServerProtocolError
from llmws_tutorial.messages import (
    ReminderRequired,
    Request,
    Response,
    ResponseRequired,
    UpdateOnly,
    Utterance,
    read_request,
    read_response,
    write,
)

HELLO = Utterance(role="user", content="Hello")
REQUESTS: list[tuple[str, Request]] = [
    (
        '{"interaction_type":"update_only","transcript":[]}',
        UpdateOnly(transcript=()),
    ),
    (
        '{"interaction_type":"response_required","response_id":1,'
        '"transcript":[{"role":"user","content":"Hello"}]}',
        ResponseRequired(response_id=1, transcript=(HELLO,)),
    ),
    (
        '{"interaction_type":"reminder_required","response_id":7,'
        '"transcript":[{"role":"transfer_target","content":"(unintelligible audio)"}]}',
        ReminderRequired(
            response_id=7,
            transcript=(Utterance(role="transfer_target", content="(unintelligible audio)"),),
        ),
    ),
]
RESPONSES: list[tuple[str, Response]] = [
    (
        '{"response_id":0,"content":"How may I help you?",'
        '"content_complete":true,"end_call":false}',
        Response(response_id=0, content="How may I help you?", content_complete=True),
    ),
    (
        '{"response_id":3,"content":"","content_complete":false,"end_call":true}',
        Response(response_id=3, content="", content_complete=False, end_call=True),
    ),
]
BAD: list[tuple[str, str]] = [
    ("Hello", "not JSON"),
    ("", "not JSON"),
    ('{"response_id":NaN}', "not JSON"),
    ('{"transcript":' + "[" * 100_000, "not JSON"),
    ('"\ud800"', "not JSON"),
    ("null", "mistyped frame"),
    ("[1]", "mistyped frame"),
    ("{}", "mistyped frame"),
]
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(("frame", "message"), REQUESTS)
def test_requests_are_read_and_written(frame: str, message: Request) -> None:
    assert read_request(frame) == message
    assert write(message) == frame


@pytest.mark.parametrize(("frame", "message"), RESPONSES)
def test_responses_are_read_and_written(frame: str, message: Response) -> None:
    assert read_response(frame) == message
    assert write(message) == frame


@pytest.mark.parametrize(("frame", "problem"), BAD)
def test_a_bad_frame_is_blamed_on_its_sender(frame: str, problem: str) -> None:
    with pytest.raises(ServerProtocolError, match=problem):
        read_response(frame)
    with pytest.raises(PlatformProtocolError, match=problem):
        read_request(frame)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("response_id", True, "expected `int`, got `bool`"),
        ("response_id", "1", "expected `int`, got `str`"),
        ("content", None, "expected `str`, got `null`"),
        ("content_complete", "true", "expected `bool`, got `str`"),
        ("end_call", 1, "expected `bool`, got `int`"),
    ],
)
def test_a_mistyped_field_is_named(field: str, value: Any, problem: str) -> None:
    frame = json.loads(RESPONSES[0][0]) | {field: value}
    with pytest.raises(ServerProtocolError, match=rf"{problem} - at `\$.{field}`"):
        read_response(json.dumps(frame))


@pytest.mark.parametrize("field", ["response_id", "content", "content_complete"])
def test_a_missing_field_is_named(field: str) -> None:
    frame = json.loads(RESPONSES[0][0])
    del frame[field]
    with pytest.raises(ServerProtocolError, match=f"missing required field `{field}`"):
        read_response(json.dumps(frame))


def test_unknown_fields_are_survived() -> None:
    frame, message = REQUESTS[1]
    assert read_request(json.dumps(json.loads(frame) | {"timestamp": 1, "words": []})) == message


def test_an_unknown_event_of_the_platform_is_named() -> None:
    with pytest.raises(PlatformProtocolError, match="'ping_pong'"):
        read_request('{"interaction_type":"ping_pong","timestamp":1}')


def test_the_type_of_a_response_may_be_said() -> None:
    frame, message = RESPONSES[0]
    assert read_response(json.dumps(json.loads(frame) | {"response_type": "response"})) == message


def test_another_event_of_the_server_is_named() -> None:
    with pytest.raises(ServerProtocolError, match="unknown response_type 'confog'"):
        read_response('{"response_type":"confog"}')


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        HELLO.content = "Bye"  # type: ignore[misc]


@given(st.integers(0, 2**53), texts, st.booleans(), st.booleans())
def test_what_is_written_can_be_read(n: int, text: str, complete: bool, end: bool) -> None:
    message = Response(response_id=n, content=text, content_complete=complete, end_call=end)
    assert read_response(write(message)) == message


@given(st.text())
def test_no_text_raises_anything_else(frame: str) -> None:
    with pytest.raises(ServerProtocolError):
        read_response(frame)
    with pytest.raises(PlatformProtocolError):
        read_request(frame)
