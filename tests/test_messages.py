"""The wire: one table of frames serves reading and writing."""

import contextlib
import gc
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmws_tutorial.errors import ForeignFrame, PlatformProtocolError, ServerProtocolError
from llmws_tutorial.messages import (
    AgentConfig,
    AgentInterrupt,
    CallDetails,
    CallFacts,
    Config,
    ConfigFields,
    Entry,
    Metadata,
    Ping,
    Pong,
    ReminderRequired,
    Request,
    Response,
    ResponseRequired,
    ServerMessage,
    ToolCallInvocation,
    ToolCallResult,
    UnknownRequest,
    UpdateAgent,
    UpdateOnly,
    Utterance,
    Word,
    pack,
    read_request,
    read_response,
    unpack_entries,
    unpack_utterances,
    write,
)

HELLO = Utterance(role="user", content="Hello", words=(Word(word="Hello", start=0.5, end=0.75),))
LOST = Utterance(role="transfer_target", content="(unintelligible audio)")
ASKED = Entry(role="tool_call_invocation", tool_call_id="t1", name="book", arguments='{"day":1}')
REQUESTS: list[tuple[str, Request]] = [
    ('{"interaction_type":"ping_pong","timestamp":1700000000000}', Ping(timestamp=1700000000000)),
    (
        '{"interaction_type":"call_details","call":{"call_type":"web_call","call_id":"c1",'
        '"metadata":{"a":[1]},"retell_llm_dynamic_variables":{"name":"Anna"}}}',
        CallDetails(
            call=CallFacts(
                call_type="web_call",
                call_id="c1",
                metadata={"a": [1]},
                retell_llm_dynamic_variables={"name": "Anna"},
            )
        ),
    ),
    (
        '{"interaction_type":"update_only","transcript":[],"turntaking":"user_turn"}',
        UpdateOnly(transcript=pack(()), turntaking="user_turn"),
    ),
    (
        '{"interaction_type":"response_required","response_id":1,"transcript":[{"role":"user",'
        '"content":"Hello","words":[{"word":"Hello","start":0.5,"end":0.75}]}]}',
        ResponseRequired(response_id=1, transcript=pack([HELLO])),
    ),
    (
        '{"interaction_type":"reminder_required","response_id":7,"transcript":'
        '[{"role":"transfer_target","content":"(unintelligible audio)"}],'
        '"transcript_with_tool_calls":[{"role":"tool_call_invocation","tool_call_id":"t1",'
        '"name":"book","arguments":"{\\"day\\":1}"}]}',
        ReminderRequired(
            response_id=7, transcript=pack([LOST]), transcript_with_tool_calls=pack([ASKED])
        ),
    ),
]
RESPONSES: list[tuple[str, ServerMessage]] = [
    (
        '{"response_type":"config","config":{"auto_reconnect":true}}',
        Config(config=ConfigFields(auto_reconnect=True)),
    ),
    ('{"response_type":"ping_pong","timestamp":12}', Pong(timestamp=12)),
    (
        '{"response_type":"response","response_id":0,"content":"How may I help you?",'
        '"content_complete":true}',
        Response(response_id=0, content="How may I help you?", content_complete=True),
    ),
    (
        '{"response_type":"response","response_id":3,"content":"","content_complete":false,'
        '"no_interruption_allowed":true,"transfer_number":"+15551234567",'
        '"show_transferee_as_caller":true,"digit_to_press":"1"}',
        Response(
            response_id=3,
            content="",
            content_complete=False,
            no_interruption_allowed=True,
            transfer_number="+15551234567",
            show_transferee_as_caller=True,
            digit_to_press="1",
        ),
    ),
    (
        '{"response_type":"agent_interrupt","interrupt_id":1,"content":"Wait.",'
        '"content_complete":true,"end_call":true}',
        AgentInterrupt(interrupt_id=1, content="Wait.", content_complete=True, end_call=True),
    ),
    (
        '{"response_type":"tool_call_invocation","tool_call_id":"t1","name":"book",'
        '"arguments":"{}"}',
        ToolCallInvocation(tool_call_id="t1", name="book", arguments="{}"),
    ),
    (
        '{"response_type":"tool_call_result","tool_call_id":"t1","content":"ok",'
        '"successful":false}',
        ToolCallResult(tool_call_id="t1", content="ok", successful=False),
    ),
    (
        '{"response_type":"update_agent","agent_config":{"responsiveness":0.5,'
        '"reminder_max_count":0}}',
        UpdateAgent(agent_config=AgentConfig(responsiveness=0.5, reminder_max_count=0)),
    ),
    ('{"response_type":"metadata","metadata":{"a":1}}', Metadata(metadata={"a": 1})),
]
GREETING = RESPONSES[2][0]
GARBAGE = ["Hello", "", '{"a":NaN}', '{"a":' + "[" * 100_000, '"\ud800"', "null", "[1]", "1"]
MISTYPED: list[tuple[str, Any, str]] = [
    ("response_id", True, "expected `int`, got `bool`"),
    ("response_id", "1", "expected `int`, got `str`"),
    ("response_id", 1.0, "expected `int`, got `float`"),
    ("content", None, "expected `str`, got `null`"),
    ("content_complete", "true", "expected `bool`, got `str`"),
    ("end_call", 1, "expected `bool`, got `int`"),
]
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(("frame", "message"), REQUESTS)
def test_requests_are_read_and_written(frame: str, message: Request) -> None:
    assert read_request(frame) == message
    assert write(message) == frame


@pytest.mark.parametrize(("frame", "message"), RESPONSES)
def test_responses_are_read_and_written(frame: str, message: ServerMessage) -> None:
    assert read_response(frame) == message
    assert write(message) == frame


def test_the_table_holds_every_message() -> None:
    assert {type(message) for _, message in REQUESTS} == set(Request.__args__)
    assert {type(message) for _, message in RESPONSES} == set(ServerMessage.__args__)


def test_a_frame_of_the_first_guide_is_a_response() -> None:
    frame = json.loads(GREETING)
    del frame["response_type"]
    assert read_response(json.dumps(frame | {"end_call": False})) == RESPONSES[2][1]


@pytest.mark.parametrize("frame", GARBAGE)
def test_garbage_is_not_the_platforms_and_never_a_response(frame: str) -> None:
    with pytest.raises(ForeignFrame, match=r"^(not JSON: |expected a JSON object, got )"):
        read_request(frame)
    with pytest.raises(ServerProtocolError, match=r"^(not JSON|mistyped frame): "):
        read_response(frame)


@pytest.mark.parametrize(("field", "value", "problem"), MISTYPED)
def test_a_mistyped_field_is_named(field: str, value: Any, problem: str) -> None:
    frame = json.loads(GREETING) | {field: value}
    with pytest.raises(ServerProtocolError, match=rf"{problem} - at `\$.{field}`"):
        read_response(json.dumps(frame))


@pytest.mark.parametrize("field", ["response_id", "content", "content_complete"])
def test_a_missing_field_is_named(field: str) -> None:
    frame = json.loads(GREETING)
    del frame[field]
    with pytest.raises(ServerProtocolError, match=f"missing required field `{field}`"):
        read_response(json.dumps(frame))


@pytest.mark.parametrize(
    "frame",
    [
        '{"interaction_type":"response_required","transcript":[]}',
        '{"interaction_type":"response_required","response_id":"1"}',
        '{"interaction_type":"ping_pong","timestamp":true}',
        '{"interaction_type":7}',
    ],
)
def test_an_odd_message_of_the_platform_is_not_foreign(frame: str) -> None:
    with pytest.raises(PlatformProtocolError, match="mistyped frame") as caught:
        read_request(frame)
    assert type(caught.value) is PlatformProtocolError


def test_unknown_fields_are_survived() -> None:
    frame, message = REQUESTS[3]
    assert read_request(
        json.dumps(json.loads(frame) | {"timestamp": 1}, separators=(",", ":"))
    ) == (message)


@pytest.mark.parametrize("kind", [{}, {"interaction_type": "new"}])
def test_an_unknown_event_of_the_platform_is_kept(kind: dict[str, str]) -> None:
    fields = {**kind, "x": [1, None]}
    unknown = UnknownRequest(interaction_type=kind.get("interaction_type", ""), fields=fields)
    assert read_request(json.dumps(fields)) == unknown


def test_an_unknown_event_of_the_server_is_named() -> None:
    with pytest.raises(
        ServerProtocolError, match="unknown response_type 'confog', expected one of"
    ):
        read_response('{"response_type":"confog"}')


def test_a_transcript_is_read_when_it_is_asked_for() -> None:
    request = read_request(REQUESTS[4][0])
    assert isinstance(request, ReminderRequired)
    assert unpack_utterances(request.transcript) == (LOST,)
    assert unpack_entries(request.transcript_with_tool_calls) == (ASKED,)


@pytest.mark.parametrize(
    ("transcript", "said"),
    [
        ([{"role": 7, "content": "a"}, {"role": "user", "content": "Hi"}, "?"], ["Hi"]),
        ([{"role": "user"}], []),
        ([{"role": "user", "content": "Hi", "mood": "good"}], ["Hi"]),
        (None, []),
        ("Hi", []),
        ({}, []),
    ],
)
def test_what_cannot_be_read_of_a_transcript_is_left_out(transcript: Any, said: list[str]) -> None:
    frame = {"interaction_type": "response_required", "response_id": 1, "transcript": transcript}
    request = read_request(json.dumps(frame))
    assert isinstance(request, ResponseRequired)
    assert [utterance.content for utterance in unpack_utterances(request.transcript)] == said


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (Response(response_id=True, content="", content_complete=True), "`int`, got `bool`"),
        (Response(response_id=1, content=7, content_complete=True), "`str`, got `int`"),  # type: ignore[arg-type]
        (UpdateAgent(agent_config=AgentConfig(responsiveness=1.5)), "`float` <= 1.0"),
        (UpdateAgent(agent_config=AgentConfig(reminder_trigger_ms=0)), "`float` > 0.0"),
        (UpdateAgent(agent_config=AgentConfig(reminder_max_count=-1)), "`int` >= 0"),
        (ToolCallInvocation(tool_call_id="t", name="n", arguments={}), "`str`, got `object`"),  # type: ignore[arg-type]
    ],
)
def test_nothing_wrong_is_written(message: ServerMessage, problem: str) -> None:
    with pytest.raises(ServerProtocolError, match=f"mistyped message: expected {problem}"):
        write(message)


def test_a_request_shows_what_was_said() -> None:
    request = ResponseRequired(
        response_id=1, transcript=pack([Utterance(role="user", content="Hi")])
    )
    said = "(Utterance(role='user', content='Hi'),)"
    assert repr(request) == f"ResponseRequired(response_id=1, transcript={said})"
    assert repr(UpdateOnly(turntaking="user_turn")) == "UpdateOnly(turntaking='user_turn')"


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        HELLO.content = "Bye"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83d", "\ufffd"),
        (r"\ude00\uD83D", "\ufffd\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\u00e9\n", "é\n"),
    ],
)
def test_half_a_character_is_replaced_and_a_whole_one_is_not(escaped: str, text: str) -> None:
    frame = (
        '{"interaction_type":"response_required","response_id":1,'
        f'"transcript":[{{"role":"user","content":"{escaped}"}}]}}'
    )
    for bad in ("", r'"x":"\udfff",'):
        request = read_request(frame.replace("{", "{" + bad, 1))
        assert isinstance(request, ResponseRequired)
        assert unpack_utterances(request.transcript)[0].content == text


def test_facts_that_are_mistyped_do_not_spoil_the_others() -> None:
    call = {"from_number": 7, "call_id": "c1", "retell_llm_dynamic_variables": {"a": 1}, "new": 1}
    frame = {"interaction_type": "call_details", "call": call}
    assert read_request(json.dumps(frame)) == CallDetails(call=CallFacts(call_id="c1"))


@pytest.mark.parametrize(
    "frame",
    [
        '{"interaction_type":"zebra","x":[' + "[0]," * 1000 + "0]}",
        '{"interaction_type":"ping_pong","timestamp":"' + "x" * 1000 + '"}',
        '{"interaction_type":"update_only","x":"\\ud800' + "x" * 1000 + '"}',
        "[" * 1000,
    ],
)
def test_a_frame_that_is_odd_is_forgotten_at_once(frame: str) -> None:
    """By its last reference: the server looks for garbage that is in a cycle only rarely."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            outcome(frame)
        assert gc.collect() < 10
    finally:
        gc.enable()


@given(st.integers(0, 2**53), texts, st.booleans(), st.booleans())
def test_what_is_written_can_be_read(n: int, text: str, complete: bool, end: bool) -> None:
    message = Response(response_id=n, content=text, content_complete=complete, end_call=end)
    assert read_response(write(message)) == message


@given(st.text())
def test_no_text_raises_anything_else(frame: str) -> None:
    with pytest.raises(ServerProtocolError):
        read_response(frame)
    with pytest.raises(ForeignFrame):
        read_request(frame)


@given(st.recursive(st.none() | st.booleans() | st.integers() | texts, st.lists, max_leaves=9))
def test_a_transcript_of_anything_is_survived(anything: Any) -> None:
    raw = msgspec.Raw(json.dumps(anything).encode())
    assert isinstance(unpack_utterances(raw), tuple)
    assert unpack_entries(raw) == ()


deep: list[Any] = []
deep.append(deep)
names = st.sampled_from(
    ["interaction_type", "response_id", "transcript", "timestamp", "call", "turntaking", "words"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.sampled_from([kind.__struct_config__.tag for kind in Request.__args__]),
    lambda inner: st.lists(inner) | st.dictionaries(names | st.text(), inner),
    max_leaves=12,
)  # fmt: skip


@given(values)
def test_any_json_is_foreign_or_odd_or_a_request(value: Any) -> None:
    request = outcome(json.dumps(value))
    if isinstance(value, dict):
        assert request is not ForeignFrame
    else:
        assert request is ForeignFrame
    if isinstance(request, ResponseRequired | ReminderRequired | UpdateOnly):
        unpack_utterances(request.transcript)
        unpack_entries(request.transcript_with_tool_calls)


def outcome(frame: str) -> Request | UnknownRequest | type[PlatformProtocolError]:
    try:
        return read_request(frame)
    except PlatformProtocolError as error:
        return type(error)


@given(names, values)
def test_an_event_with_any_field_is_odd_or_a_request(name: str, value: Any) -> None:
    for frame, request in REQUESTS:
        found = outcome(json.dumps(json.loads(frame) | {name: value}))
        assert found is not ForeignFrame
        assert (
            name == "interaction_type"
            or found is PlatformProtocolError
            or (type(found) is type(request))
        )


@given(values)
def test_what_is_written_is_strict_json(value: Any) -> None:
    with contextlib.suppress(ServerProtocolError):  # half a character is not written at all
        frame = write(Metadata(metadata={"value": value}))
        assert json.loads(frame, parse_constant=pytest.fail)["metadata"].keys() == {"value"}


@pytest.mark.parametrize("value", ["\ud800", object(), {(1, 2): 3}, deep])
def test_what_json_cannot_hold_is_not_written(value: Any) -> None:
    with pytest.raises(ServerProtocolError, match="no JSON can hold it: "):
        write(Metadata(metadata={"value": value}))


def test_what_is_no_message_is_not_written() -> None:
    with pytest.raises(ServerProtocolError, match="expected a message, got int"):
        write(7)  # type: ignore[arg-type]
