"""The platform's side of a call: its table, and what it drops."""

import json
import re

import pytest

from llmws_tutorial.messages import (
    ReminderRequired,
    ResponseRequired,
    UpdateOnly,
    unpack_utterances,
)
from llmws_tutorial.simulator import call as call_module
from llmws_tutorial.simulator.call import TRANSITIONS, Call, Dropped, Event, Noted, Spoken, State

WORDS = {
    "the greeting is whole": Event.WHOLE,
    "the answer is whole": Event.WHOLE,
    "the caller finishes": Event.TURN,
    "the caller is silent": Event.SILENCE,
    "somebody hangs up": Event.HANG_UP,
}


def frame(
    response_id: int, content: str = "Yes.", *, complete: bool = True, end: bool = False
) -> str:
    return json.dumps(
        {
            "response_id": response_id,
            "content": content,
            "content_complete": complete,
            "end_call": end,
        }
    )


def greeted() -> Call:
    call = Call()
    call.receive(frame(0, "How may I help you?"))
    return call


def asked(text: str = "Hello?") -> Call:
    call = greeted()
    for word in text.split():
        call.caller_says(word)
    call.caller_finishes()
    return call


def heard(call: Call) -> list[tuple[str, str]]:
    return [(said.role, said.content) for said in call.transcript]


def has_ended(call: Call) -> bool:
    return call.state is State.ENDED


def dropped(call: Call, data: str | bytes) -> str:
    before = heard(call)
    verdict = call.receive(data)
    assert heard(call) == before
    assert isinstance(verdict, Dropped)
    return verdict.reason


def test_the_table_in_the_docstring_is_the_table_that_runs() -> None:
    drawn: dict[tuple[State, Event], State] = {}
    rows = re.findall(r"^    (\S.*?) {2,}(\S.*?) {2,}([A-Z]+)", str(call_module.__doc__), re.M)
    for state, event, following in rows:
        states = set(State) - {State.ENDED} if state == "any but ENDED" else {State[state]}
        drawn |= {(one, WORDS[event]): State[following] for one in states}
    assert drawn == TRANSITIONS


def test_a_call_is_mute_until_the_greeting() -> None:
    call = Call()
    assert call.state is State.MUTE
    assert isinstance(call.receive(frame(0, "How may I help you?")), Spoken)
    assert (call.state, heard(call)) == (State.LISTENING, [("agent", "How may I help you?")])


def test_an_empty_greeting_lets_the_caller_speak_first() -> None:
    call = Call()
    assert isinstance(call.receive(frame(0, "")), Spoken)
    assert (call.state, heard(call)) == (State.LISTENING, [])


def test_the_callers_words_grow_one_at_a_time() -> None:
    call = greeted()
    updates = [call.caller_says("Are"), call.caller_says("you"), call.caller_says("open?")]
    assert [unpack_utterances(update.transcript)[-1].content for update in updates] == [
        "Are",
        "Are you",
        "Are you open?",
    ]
    assert all(isinstance(update, UpdateOnly) for update in updates)


def test_the_ids_of_requests_start_at_1_and_grow() -> None:
    call = greeted()
    first = call.caller_finishes()
    call.receive(frame(1))
    second = call.caller_is_silent()
    assert (first.response_id, second.response_id) == (1, 2)
    assert (type(first), type(second)) == (ResponseRequired, ReminderRequired)


def test_a_request_carries_the_whole_transcript() -> None:
    call = asked("Hello?")
    call.receive(frame(1, "Yes."))
    request = call.caller_finishes()
    assert [said.content for said in unpack_utterances(request.transcript)] == [
        "How may I help you?",
        "Hello?",
        "Yes.",
    ]


def test_pieces_of_an_answer_are_joined_as_they_are() -> None:
    call = asked()
    call.receive(frame(1, "I am ", complete=False))
    assert call.state is State.AWAITING
    call.receive(frame(1, "", complete=False))
    call.receive(frame(1, "here."))
    assert (call.state, heard(call)[-1]) == (State.LISTENING, ("agent", "I am here."))


def test_two_turns_of_one_speaker_are_two_utterances() -> None:
    call = asked()
    call.receive(frame(1, "Yes."))
    call.caller_is_silent()
    call.receive(frame(2, "Are you there?"))
    assert heard(call)[-2:] == [("agent", "Yes."), ("agent", "Are you there?")]


def test_a_new_request_kills_the_older_one() -> None:
    call = asked()
    call.caller_says("Quick!")
    call.caller_finishes()
    assert dropped(call, frame(1)) == "response_id 1 is not the latest one, 2"
    assert isinstance(call.receive(frame(2)), Spoken)


def test_an_update_does_not_kill_the_open_request() -> None:
    call = asked()
    call.update()
    assert isinstance(call.receive(frame(1)), Spoken)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(2), "response_id 2 is not the latest one, 1"),
        (frame(0), "response_id 0 is not the latest one, 1"),
        ("Hello", "not JSON: .*"),
        ("null", "mistyped frame: .*"),
        ('{"response_type": "confog"}', "unknown response_type 'confog', expected one of .*"),
        (frame(1).replace("true", '"true"'), "mistyped frame: expected `bool`.*"),
    ],
)
def test_what_does_not_fit_is_dropped_with_a_reason(data: str, reason: str) -> None:
    call = asked()
    assert re.fullmatch(reason, dropped(call, data))
    assert call.state is State.AWAITING


def test_content_after_the_end_of_an_answer_is_dropped() -> None:
    call = asked()
    call.receive(frame(1))
    assert dropped(call, frame(1, "One more thing.")) == "response_id 1 was already complete"


def test_what_says_nothing_is_noted() -> None:
    call = greeted()
    verdict = call.receive('{"response_type":"config","config":{"auto_reconnect":true}}')
    assert isinstance(verdict, Noted)
    assert heard(call) == [("agent", "How may I help you?")]


def test_a_binary_frame_ends_the_call_as_corrupt() -> None:
    call = greeted()
    assert "expected text: the platform closes with 1007" in dropped(call, b"\x00")
    assert call.disconnection_reason == "error_llm_websocket_corrupt_payload"


def test_end_call_hangs_up_once_the_answer_is_whole() -> None:
    call = asked()
    call.receive(frame(1, "Good ", complete=False, end=True))
    assert not has_ended(call)
    call.receive(frame(1, "bye."))
    assert has_ended(call)
    assert call.disconnection_reason == "agent_hangup"
    assert heard(call)[-1] == ("agent", "Good bye.")


def test_end_call_of_a_dead_answer_is_forgotten() -> None:
    call = asked()
    call.receive(frame(1, "Good ", complete=False, end=True))
    call.caller_says("Wait!")
    call.caller_finishes()
    call.receive(frame(2))
    assert call.state is State.LISTENING


def test_after_the_end_everything_is_dropped() -> None:
    call = asked()
    call.hang_up()
    assert dropped(call, frame(1)) == "the call is over"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, "agent_hangup"),
        (1002, "error_llm_websocket_runtime"),
        (1005, "error_llm_websocket_open"),
        (1006, "error_llm_websocket_runtime"),
        (1007, "error_llm_websocket_corrupt_payload"),
        (1011, "error_llm_websocket_runtime"),
    ],
)
def test_how_the_socket_closes_is_why_the_call_ended(code: int, reason: str) -> None:
    call = greeted()
    call.socket_closed(code)
    assert call.disconnection_reason == reason


def test_the_first_reason_stays() -> None:
    call = greeted()
    call.hang_up()
    call.socket_closed(1011)
    assert call.disconnection_reason == "user_hangup"


def test_what_the_table_does_not_hold_cannot_happen() -> None:
    call = asked()
    with pytest.raises(ValueError, match="the caller is silent, but the call is waiting for"):
        call.caller_is_silent()
