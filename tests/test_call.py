"""The platform's side of a call: how it begins, whose turn it is, what comes with time."""

import pytest

from llmws_tutorial.messages import CallDetails, ReminderRequired, ResponseRequired, UpdateOnly
from llmws_tutorial.simulator import Accepted, Call, State
from llmws_tutorial.simulator.timers import NEVER
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
    wants,
)


def test_a_call_is_mute_until_the_greeting() -> None:
    call = new_call()
    pass_s(call, 60)
    assert (call.state, call.transcript, call.waits_for_server) == (State.MUTE, (), True)
    assert isinstance(call.receive(piece(0, "Hi.")), Accepted)
    settle(call)
    assert (call.state, lines(call)) == (State.LISTENING, ["agent: Hi."])


def test_an_empty_greeting_lets_the_caller_speak_first() -> None:
    call = new_call()
    call.receive(piece(0, ""))
    assert (call.state, call.is_callers_turn, call.transcript) == (State.LISTENING, True, ())


def test_a_caller_who_does_not_wait_for_the_greeting_is_answered() -> None:
    call = new_call()
    say(call, "Hello?")
    assert (call.state, call.response_id) == (State.AWAITING, 1)


def test_a_request_carries_the_whole_transcript() -> None:
    call = asked()
    call.receive(piece(1))
    settle(call)
    call.take()
    say(call, "Good.")
    request = call.take()[-1]
    assert isinstance(request, ResponseRequired)
    assert [said.content for said in call.transcript] == ["Hi.", "Hello?", "Yes.", "Good."]
    assert bytes(request.transcript) == bytes(call.heard.pack())


def test_messages_are_handed_out_once() -> None:
    call = greeted()
    say(call, "Hello?")
    assert len(call.take()) == 2
    assert call.take() == []


def test_each_thing_happens_at_its_own_time_however_late_the_clock_is_asked() -> None:
    call = greeted()
    call.caller_says("Hello?")
    call.advance(500)
    assert call.transcript[-1].words[0].end == 1.25
    assert call.answers.turns[-1].asked_at_s == 1.75
    assert call.now_s == 500


def test_time_does_not_run_backwards() -> None:
    call = greeted()
    call.advance(0.25)
    assert call.now_s == 0.75


def test_who_is_waited_for() -> None:
    call = greeted()
    who = [(call.is_callers_turn, call.waits_for_server, call.is_caller_talking)]
    for act in (
        lambda: call.caller_says("Hello?"),
        lambda: pass_s(call, 0.75),  # the word is out, the pause is not over
        lambda: settle(call),
        lambda: call.receive(part(1, "One.")),
        lambda: settle(call),
        call.hang_up,
    ):
        act()
        who.append((call.is_callers_turn, call.waits_for_server, call.is_caller_talking))
    assert who == [
        (True, False, False),
        (False, False, True),
        (False, False, True),
        (False, True, False),
        (False, False, False),
        (False, True, False),
        (False, False, False),
    ]


def test_the_agents_turn_is_at_hand_while_it_speaks() -> None:
    call = asked()
    assert call.speaking is None
    call.receive(piece(1, "One two."))
    assert call.speaking is call.answers.turns[1]
    settle(call)
    assert call.speaking is None


@pytest.mark.parametrize("nothing", ["", "  \n"])
def test_who_says_nothing_does_nothing(nothing: str) -> None:
    call = greeted()
    call.caller_says(nothing)
    call.caller_presses(nothing.strip())
    assert (call.is_callers_turn, call.log, call.take()) == (True, [], [])


def test_pressed_keys_and_a_pause_ask_for_an_answer() -> None:
    call = greeted()
    call.caller_presses("42")
    settle(call)
    update, request = call.take()
    assert isinstance(update, UpdateOnly)
    assert isinstance(request, ResponseRequired)
    assert call.answers.turns[-1].stopped_at_s == 0.75
    assert call.log[-1].text == "the caller pressed 42"


def test_if_so_chosen_pressed_keys_ask_for_nothing() -> None:
    call = greeted(digits_end_turn=False)
    call.caller_presses("42")
    settle(call)
    assert (call.is_callers_turn, call.response_id) == (True, 0)


def test_who_presses_a_key_at_the_last_moment_is_not_reminded() -> None:
    call = greeted()
    pass_s(call, 9.75)
    call.caller_presses("1")
    settle(call)
    assert isinstance(call.take()[-1], ResponseRequired)
    assert call.response_id == 1


def test_who_has_spoken_may_be_reminded_again() -> None:
    call = greeted()
    for response_id in (1, 3):
        pass_s(call, 10)
        assert isinstance(call.take()[-1], ReminderRequired)
        call.receive(piece(response_id))
        settle(call)
        say(call, "Wait.")
        call.receive(piece(response_id + 1))
        settle(call)


def test_who_presses_keys_while_talking_is_asked_about_once() -> None:
    call = greeted()
    call.caller_says("My number is")
    pass_s(call, 0.5)
    call.caller_presses("42")
    settle(call)
    assert call.response_id == 1
    assert call.answers.turns[-1].stopped_at_s == 2.25


def test_keys_that_are_pressed_while_the_agent_speaks_are_answered_afterwards() -> None:
    call = asked()
    call.receive(piece(1, "Press one or two."))
    call.caller_presses("1")
    settle(call)
    assert lines(call)[-1] == "agent: Press one or two."
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def reconnected(**choices: object) -> Call:
    """A call whose server had asked for all, and whose line was lost while request 1 was open."""
    call = greeted(**choices)
    call.connected()
    call.receive(wants(call_details=True, transcript_with_tool_calls=True))
    say(call, "Hello?")
    call.take()
    call.connected(again=True)
    return call


def test_after_a_reconnect_nothing_is_sent_or_remembered_until_the_server_asks() -> None:
    call = reconnected()
    assert (call.take(), call.wishes.config.call_details) == ([], False)
    assert [line.text for line in call.log] == ["the socket is open", "the socket is open again"]
    assert isinstance(call.receive(piece(1)), Accepted)


def test_details_come_once_a_connection() -> None:
    call = reconnected()
    call.receive(wants(call_details=True))
    assert isinstance(call.take()[0], CallDetails)


def test_if_so_chosen_details_come_once_a_call() -> None:
    call = reconnected(details_once=True)
    call.receive(wants(call_details=True))
    assert call.take() == []


def test_if_so_chosen_the_config_is_remembered_and_details_come_by_themselves() -> None:
    call = reconnected(remembers_config=True)
    assert [type(message) for message in call.take()] == [CallDetails]
    assert call.wishes.config.transcript_with_tool_calls


def test_if_so_chosen_an_open_request_is_asked_anew() -> None:
    call = reconnected(asks_again_after_reconnect=True)
    [request] = call.take()
    assert isinstance(request, ResponseRequired)
    assert (request.response_id, call.state) == (2, State.AWAITING)


def test_a_reminder_is_asked_anew_as_a_reminder_and_not_counted_twice() -> None:
    call = greeted(asks_again_after_reconnect=True, reminder_max_count=2)
    pass_s(call, 10)
    call.connected(again=True)
    first, again = call.take()
    assert type(first) is type(again)
    call.receive(piece(2))
    pass_s(call, 12)
    assert call.response_id == 3


def test_nothing_is_asked_anew_when_no_request_is_open() -> None:
    call = greeted(asks_again_after_reconnect=True)
    call.connected(again=True)
    assert call.take() == []


def test_when_nothing_is_going_on_only_the_ends_are_due() -> None:
    call = asked()
    assert call.due_s == 601.25
    call.hang_up()
    assert call.due_s == NEVER


def test_a_voice_takes_its_time_only_before_its_first_word() -> None:
    call = asked(voice_s=3.0)
    call.receive(part(1, "One. "))
    pass_s(call, 3.5)
    call.receive(piece(1, "Two."))
    pass_s(call, 0.5)
    assert lines(call)[-1] == "agent: One. Two."


def test_sentences_end_with_their_chunk_only_if_so_chosen() -> None:
    for is_chosen in (True, False):
        call = asked(sentence_ends_with_chunk=is_chosen)
        call.receive(part(1, "One."))
        assert (call.state is State.SPEAKING) is is_chosen


def test_the_log_tells_an_interrupt() -> None:
    call = asked()
    call.receive(interrupt(7))
    assert [line.text for line in call.log] == ["the agent interrupts"]
