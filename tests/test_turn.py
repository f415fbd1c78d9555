"""One turn of the agent: when it is spoken, and what is done once it was."""

import pytest

from llmws_tutorial.simulator import State
from llmws_tutorial.simulator.log import LogLine
from llmws_tutorial.simulator.turn import Action
from tests.phone import (
    asked,
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


def test_a_turn_knows_its_times() -> None:
    call = asked()
    pass_s(call, 0.25)
    call.receive(part(1, "One"))
    pass_s(call, 0.25)
    call.receive(part(1, " two. Three"))
    pass_s(call, 0.25)
    call.receive(piece(1, "."))
    turn = call.answers.turns[-1]
    assert (turn.asked_at_s, turn.stopped_at_s) == (1.75, 1.25)
    assert (turn.first_piece_at_s, turn.first_sentence_at_s, turn.ready_at_s) == (2.0, 2.25, 2.25)
    assert turn.first_sentence_ms == 500
    assert (turn.voice_at_s, turn.complete_at_s) == (2.5, 2.5)


def test_a_turn_of_which_nothing_came_has_no_times() -> None:
    turn = asked().answers.turns[-1]
    assert (turn.first_piece_at_s, turn.first_sentence_ms, turn.complete_at_s) == (None, None, None)
    assert (turn.ready_at_s, turn.voice_at_s) == (None, None)
    assert (turn.sent, turn.heard, turn.action) == ("", "", None)


def test_an_open_answer_holds_the_turn_and_goes_on_under_the_same_id() -> None:
    call = asked()
    call.receive(part(1, "One moment. "))
    pass_s(call, 60)
    assert (call.state, call.response_id) == (State.SPEAKING, 1)
    assert call.waits_for_server
    call.receive(piece(1, "It is noon."))
    settle(call)
    assert lines(call)[-1] == "agent: One moment. It is noon."
    assert call.state is State.LISTENING


def test_an_answer_that_is_never_complete_holds_the_call_until_the_caller_speaks() -> None:
    call = asked()
    call.receive(part(1, "Never"))
    call.take()
    pass_s(call, 300)
    assert (call.state, call.take()) == (State.AWAITING, [])
    say(call, "Hello?")
    assert call.response_id == 2


def test_an_empty_answer_says_nothing_and_gives_the_turn_back() -> None:
    call = asked()
    call.receive(piece(1, ""))
    assert (call.state, lines(call)[-1]) == (State.LISTENING, "user: Hello?")
    assert call.is_callers_turn


def test_an_empty_answer_while_the_caller_talks_gives_the_turn_back() -> None:
    call = asked()
    call.caller_says("Are you there?")
    call.receive(piece(1, ""))
    assert call.state is State.LISTENING
    settle(call)
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_end_call_hangs_up_once_all_was_spoken() -> None:
    call = asked()
    call.receive(part(1, "Good ", end_call=True))
    call.receive(piece(1, "bye."))
    pass_s(call, 1)
    assert call.state is State.SPEAKING
    pass_s(call, 0.25)
    assert call.disconnection_reason == "agent_hangup"
    assert lines(call)[-1] == "agent: Good bye."
    assert call.answers.turns[-1].has_acted


def test_end_call_with_empty_content_hangs_up_at_once() -> None:
    call = asked()
    call.receive(piece(1, "", end_call=True))
    assert call.disconnection_reason == "agent_hangup"


def test_end_call_of_an_answer_that_is_never_complete_does_not_hang_up() -> None:
    call = asked()
    call.receive(part(1, "Good bye.", end_call=True))
    pass_s(call, 300)
    assert call.state is State.SPEAKING


def test_an_action_is_forgotten_when_the_caller_talks_over_it() -> None:
    call = speaking("Good bye, good bye.", end_call=True)
    say(call, "Wait!")
    assert call.state is State.AWAITING
    assert "end_call is forgotten: the agent was interrupted" in [line.text for line in call.log]
    assert not call.answers.turns[1].has_acted


def test_an_action_that_comes_after_the_agent_was_cut_is_never_done() -> None:
    call = asked()
    call.receive(part(1, "Good bye. "))
    pass_s(call, 0.75)
    call.caller_says("Wait!")
    call.receive(piece(1, "Bye.", end_call=True))
    settle(call)
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_an_action_is_forgotten_when_the_agent_interrupts_itself() -> None:
    call = speaking("Good bye, good bye.", transfer_number="+15551234567")
    call.receive(interrupt(7, "Wait."))
    settle(call)
    assert (call.state, call.transferred_to) == (State.LISTENING, None)


def test_a_protected_farewell_hangs_up_however_long_the_caller_talks() -> None:
    call = speaking("Good bye.", end_call=True, no_interruption_allowed=True)
    call.caller_says("Wait, wait, wait, wait!")
    settle(call)
    assert call.disconnection_reason == "agent_hangup"
    assert lines(call)[2] == "agent: Good bye."


def test_a_farewell_that_is_protected_only_at_its_end_is_cut_before() -> None:
    call = asked()
    call.receive(part(1, "Well then. "))
    call.receive(piece(1, "Bye.", end_call=True, no_interruption_allowed=True))
    pass_s(call, 0.75)
    say(call, "Wait!")
    assert (call.state, lines(call)[2]) == (State.AWAITING, "agent: Well")


def test_transfer_number_transfers_once_all_was_spoken() -> None:
    call = asked()
    call.receive(piece(1, "One moment.", transfer_number="+15551234567"))
    before = call.transferred_to
    settle(call)
    assert (before, call.transferred_to) == (None, "+15551234567")
    assert call.disconnection_reason == "call_transfer"


def test_digits_are_pressed_once_all_was_spoken_and_the_call_goes_on() -> None:
    call = asked()
    call.receive(piece(1, "One moment.", digit_to_press="1#"))
    assert call.pressed == []
    settle(call)
    assert (call.pressed, call.state) == (["1#"], State.LISTENING)


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        (("end_call", "transfer_number", "digit_to_press"), Action("end_call")),
        (("transfer_number", "digit_to_press"), Action("transfer_number", "2")),
        (("digit_to_press",), Action("digit_to_press", "3")),
    ],
)
def test_of_several_actions_one_is_done(fields: tuple[str, ...], action: Action) -> None:
    values = {"end_call": True, "transfer_number": "2", "digit_to_press": "3"}
    call = asked()
    for name in reversed(fields):
        call.receive(part(1, "", **{name: values[name]}))
    assert call.answers.turns[-1].action == action
    call.receive(piece(1, ""))
    assert (call.disconnection_reason == "agent_hangup") is (action.name == "end_call")
    assert (call.transferred_to == "2") is (action.name == "transfer_number")
    assert (call.pressed == ["3"]) is (action.name == "digit_to_press")


def test_the_last_number_that_was_sent_is_the_one() -> None:
    call = asked()
    call.receive(part(1, "", transfer_number="1"))
    call.receive(piece(1, "", transfer_number="2"))
    assert call.transferred_to == "2"


def test_the_greeting_and_an_interrupt_can_act_too() -> None:
    call = new_call()
    call.receive(piece(0, "", digit_to_press="5"))
    call.receive(interrupt(7, "", end_call=True))
    assert (call.pressed, call.disconnection_reason) == (["5"], "agent_hangup")


def test_speech_goes_on_at_once_when_more_text_comes_in_time() -> None:
    call = asked()
    call.receive(part(1, "One. "))
    pass_s(call, 0.5)
    call.receive(piece(1, "Two."))
    settle(call)
    words = call.transcript[-1].words
    assert [(word.start, word.end) for word in words] == [(2.0, 2.5), (2.5, 3.0)]


def test_a_line_of_the_log_shows_its_time() -> None:
    assert str(LogLine(12.5, "the socket is open")) == "  12.500 the socket is open"
    assert greeted().log == []
