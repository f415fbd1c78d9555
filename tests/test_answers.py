"""Which ids take content: what is accepted, and how everything else is dropped."""

import re
from collections.abc import Callable

import pytest

from llmws_tutorial.simulator import Accepted, Call, Drop, State
from tests.phone import (
    asked,
    dropped,
    greeted,
    interrupt,
    lines,
    new_call,
    part,
    pass_s,
    piece,
    say,
    settle,
    speaking,
)


def test_an_answer_to_the_latest_request_is_spoken() -> None:
    call = asked()
    assert isinstance(call.receive(piece(1)), Accepted)
    settle(call)
    assert lines(call)[-1] == "agent: Yes."


def test_pieces_of_an_answer_are_joined_as_they_are() -> None:
    call = asked()
    for content in ("I", " am\n", "", "he", "re. "):
        call.receive(part(1, content))
    call.receive(piece(1, "Ok"))
    settle(call)
    assert lines(call)[-1] == "agent: I am\nhere. Ok"


def test_a_message_without_a_type_is_a_response() -> None:
    call = asked()
    call.receive('{"response_id": 1, "content": "Yes.", "content_complete": true}')
    assert call.answers.turns[-1].sent == "Yes."


@pytest.mark.parametrize(
    ("frame", "kind", "reason"),
    [
        (piece(0), Drop.STALE, "response_id 0 is not the latest one, 2"),
        (piece(1), Drop.STALE, "response_id 1 is not the latest one, 2"),
        (piece(3), Drop.UNKNOWN_ID, "response_id 3 was never asked, the latest one is 2"),
        (piece(-1), Drop.UNKNOWN_ID, "response_id -1 was never asked, the latest one is 2"),
    ],
)
def test_the_content_of_any_other_id_is_dropped(frame: str, kind: Drop, reason: str) -> None:
    call = new_call()
    say(call, "Hello?")  # before any greeting, so that id 0 is just an older one
    say(call, "Hello?")
    verdict = dropped(call, frame)
    assert (verdict.kind, verdict.reason) == (kind, reason)
    assert call.log[-1].text == f"dropped a frame: {reason}"


def test_content_after_the_end_of_its_answer_is_dropped() -> None:
    call = asked()
    call.receive(piece(1))
    verdict = dropped(call, piece(1, "More."))
    assert verdict.kind is Drop.AFTER_COMPLETE
    assert verdict.reason == "response_id 1 was already complete"


@pytest.mark.parametrize(
    ("frame", "kind", "reason"),
    [
        ("Hello", Drop.NOT_JSON, "not JSON: .*"),
        ("null", Drop.MISTYPED, "mistyped frame: .*"),
        (piece(1, content_complete="true"), Drop.MISTYPED, "mistyped frame: expected `bool`.*"),
        (piece(True), Drop.MISTYPED, "mistyped frame: expected `int`.*"),
        (piece(1).replace('"Yes."', "null"), Drop.MISTYPED, "mistyped frame: expected `str`.*"),
        ('{"response_id": 1}', Drop.MISTYPED, ".*missing required field `content`"),
        ('{"response_type": "confog"}', Drop.UNKNOWN_EVENT, "unknown response_type 'confog', .*"),
    ],
)
def test_a_frame_that_is_no_message_is_dropped_and_the_call_goes_on(
    frame: str, kind: Drop, reason: str
) -> None:
    call = asked()
    verdict = dropped(call, frame)
    assert verdict.kind is kind
    assert re.fullmatch(reason, verdict.reason)
    assert call.state is State.AWAITING


def test_a_binary_frame_ends_the_call_with_1007() -> None:
    call = asked()
    verdict = dropped(call, b"{}")
    assert verdict.kind is Drop.BINARY
    assert verdict.reason == "a binary frame, expected text: the platform closes with 1007"
    assert call.disconnection_reason == "error_llm_websocket_corrupt_payload"


def test_after_the_end_everything_is_dropped() -> None:
    call = asked()
    call.hang_up()
    assert dropped(call, piece(1)).kind is Drop.OVER
    assert dropped(call, b"\x00").reason == "the call is over"


def test_a_second_greeting_is_dropped() -> None:
    call = greeted()
    verdict = dropped(call, piece(0, "Hi again."))
    assert verdict.kind is Drop.SECOND_GREETING
    assert verdict.reason == "the call was greeted already: response_id 0 was complete"


def test_if_so_chosen_a_second_greeting_is_spoken() -> None:
    call = greeted(speaks_second_greeting=True)
    call.receive(part(0, "Hi. "))
    call.receive(piece(0, "Again."))
    settle(call)
    assert lines(call) == ["agent: Hi.", "agent: Hi. Again."]


def test_a_second_greeting_may_be_empty() -> None:
    call = greeted(speaks_second_greeting=True)
    assert isinstance(call.receive(piece(0, "")), Accepted)
    assert (call.is_callers_turn, lines(call)) == (True, ["agent: Hi."])


def with_an_open_request() -> Call:
    return asked(speaks_second_greeting=True)


def with_words_to_come() -> Call:
    call = with_an_open_request()
    call.receive(piece(1, "One two three."))
    pass_s(call, 1)
    return call


def with_an_interrupt_to_come() -> Call:
    call = greeted(speaks_second_greeting=True)
    call.receive(interrupt(7, "One two three."))
    return call


@pytest.mark.parametrize(
    "situation", [with_an_open_request, with_words_to_come, with_an_interrupt_to_come]
)
def test_no_second_greeting_comes_between(situation: Callable[[], Call]) -> None:
    call = situation()
    assert dropped(call, piece(0, "Hi again.")).kind is Drop.SECOND_GREETING


def test_a_second_greeting_that_was_cut_off_is_over() -> None:
    call = greeted(speaks_second_greeting=True)
    call.receive(part(0, "Hi again. "))
    pass_s(call, 0.75)
    call.caller_says("Stop!")
    assert isinstance(call.receive(piece(0, "Well?")), Accepted)
    settle(call)
    assert lines(call) == ["agent: Hi.", "agent: Hi", "user: Stop!"]
    assert dropped(call, piece(0)).kind is Drop.SECOND_GREETING


def test_an_interrupt_cancels_the_answer_in_flight() -> None:
    call = asked()
    call.receive(part(1, "I will "))
    call.receive(interrupt(7, "Wait."))
    verdict = dropped(call, piece(1, "look."))
    assert verdict.kind is Drop.CANCELLED
    assert verdict.reason == "an agent_interrupt has cancelled response_id 1"
    settle(call)
    assert (lines(call)[-1], call.state) == ("agent: Wait.", State.LISTENING)
    say(call, "Yes?")
    assert isinstance(call.receive(piece(2)), Accepted)


def test_an_interrupt_cancels_the_greeting_too() -> None:
    call = new_call()
    call.receive(interrupt(7, "Wait."))
    assert dropped(call, piece(0)).kind is Drop.CANCELLED
    settle(call)
    assert lines(call) == ["agent: Wait."]


def test_an_answer_that_was_complete_before_an_interrupt_was_complete() -> None:
    call = speaking("One two three.")
    call.receive(interrupt(7, "Wait."))
    assert dropped(call, piece(1)).kind is Drop.AFTER_COMPLETE


def test_the_agent_interrupts_itself() -> None:
    call = speaking("One two three.")
    call.receive(interrupt(7, "Wait."))
    settle(call)
    assert lines(call)[-2:] == ["agent: One", "agent: Wait."]
    assert [turn.is_cut for turn in call.answers.turns] == [False, True, False]


def test_the_agent_talks_over_the_caller_who_goes_on_and_is_answered_later() -> None:
    call = greeted()
    call.caller_says("I would like to")
    pass_s(call, 1)
    call.receive(interrupt(7, "Stop, please stop now."))
    settle(call)
    assert lines(call) == [
        "agent: Hi.",
        "user: I would like to",
        "agent: Stop, please stop now.",
    ]
    assert (call.state, call.response_id) == (State.AWAITING, 1)


def test_the_pieces_of_an_interrupt_are_joined() -> None:
    call = greeted()
    call.receive(interrupt(7, "", content_complete=False))
    call.receive(interrupt(7, "Wait ", content_complete=False))
    assert (call.state, call.answers.turns[-1].voice_at_s) == (State.SPEAKING, None)
    call.receive(interrupt(7, "here."))
    settle(call)
    assert lines(call) == ["agent: Hi.", "agent: Wait here."]
    assert dropped(call, interrupt(7)).kind is Drop.AFTER_COMPLETE


def test_an_interrupt_that_was_talked_over_does_not_begin_again() -> None:
    call = greeted()
    call.receive(interrupt(7, "Wait here. ", content_complete=False))
    pass_s(call, 0.75)
    call.caller_says("No!")
    assert isinstance(call.receive(interrupt(7, "Please.")), Accepted)
    settle(call)
    assert lines(call) == ["agent: Hi.", "agent: Wait", "user: No!"]


def test_a_later_interrupt_discards_the_earlier_ones() -> None:
    call = greeted()
    call.receive(interrupt(7, "One two.", content_complete=False))
    pass_s(call, 0.75)
    call.receive(interrupt(3, "Three."))
    verdict = dropped(call, interrupt(7))
    assert verdict.kind is Drop.STALE
    assert verdict.reason == "interrupt_id 7 was discarded when a later one came"
    settle(call)
    assert lines(call)[1:] == ["agent: One", "agent: Three."]


def test_an_empty_interrupt_only_silences_the_agent() -> None:
    call = speaking("One two three.")
    call.receive(interrupt(7, ""))
    assert (call.state, lines(call)[-1]) == (State.LISTENING, "agent: One")


def test_a_reminder_that_falls_due_does_not_disturb_an_interrupt() -> None:
    call = greeted()
    call.receive(interrupt(7, "Hold", content_complete=False))
    pass_s(call, 60)
    assert (call.state, call.take()) == (State.SPEAKING, [])


def test_the_ids_of_requests_begin_at_1_and_grow() -> None:
    call = greeted()
    ids = []
    for _ in range(3):
        say(call, "Hello?")
        ids.append(call.response_id)
    assert ids == [1, 2, 3]


def test_the_turns_are_kept_in_order_with_what_they_were_for() -> None:
    call = asked()
    call.receive(piece(1))
    pass_s(call, 20)
    call.receive(interrupt(9))
    turns = call.answers.turns
    assert [turn.kind for turn in turns] == ["greeting", "response", "reminder", "interrupt"]
    assert [turn.response_id for turn in turns] == [0, 1, 2, 9]
    assert call.answers.greeting is turns[0]
