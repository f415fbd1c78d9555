"""A caller who is heard by voice: words that are only guessed, pauses, noise, interruptions."""

from collections.abc import Callable
from typing import Any

import pytest

from llmws_tutorial.messages import ReminderRequired, ResponseRequired, UpdateOnly, Utterance
from llmws_tutorial.simulator import Call, State
from tests.phone import (
    MUMBLE,
    asked,
    greeted,
    interrupt,
    lines,
    new_call,
    part,
    pass_s,
    piece,
    settings,
    settle,
    speaking,
)

TEN = "One two three four five six seven eight nine ten."


def make_noise(call: Call, seconds: float = 0.5) -> None:
    """Let a sound be heard of which nobody makes a word, and half a second of silence."""
    call.caller_is_heard("")
    pass_s(call, seconds + 0.5)
    call.caller_is_heard("", silent_s=0.5)


def spoken(**choices: Any) -> Call:
    """A call in which the agent has said one word of ten."""
    call = asked(**choices)
    call.receive(piece(1, TEN))
    pass_s(call, 0.75)
    return call


def test_what_is_understood_grows_and_is_told_whenever_it_differs() -> None:
    call = greeted()
    for text in ("", "I", "I want", "I want", "I want tea"):
        call.caller_is_heard(text)
        pass_s(call, 0.25)
    updates = [message for message in call.take() if isinstance(message, UpdateOnly)]
    assert [update.turntaking for update in updates] == ["user_turn", None, None]
    assert call.transcript[-1] == Utterance(role="user", content="I want tea")
    assert call.is_caller_talking


def test_a_guess_is_revised_also_to_something_shorter() -> None:
    call = greeted()
    call.caller_is_heard("I want to three")
    call.caller_is_heard("A tea", silent_s=0.5)
    settle(call)
    assert (lines(call)[-1], call.heard.size) == ("user: A tea", len("Hi.A tea"))
    assert (call.state, call.response_id) == (State.AWAITING, 1)


def test_a_last_guess_without_a_word_leaves_the_one_before() -> None:
    call = greeted()
    call.caller_is_heard("Hello?")
    call.caller_is_heard("", silent_s=0.5)
    settle(call)
    assert (lines(call)[-1], call.response_id) == ("user: Hello?", 1)


def test_half_a_character_is_none() -> None:
    call = greeted()
    call.caller_is_heard("\ud800 yes")
    assert lines(call)[-1] == "user: ? yes"


@pytest.mark.parametrize(("silent_s", "asked_at_s"), [(0.0, 1.5), (0.25, 1.25), (0.75, 1.0)])
def test_the_silence_that_was_heard_already_is_part_of_the_pause(
    silent_s: float, asked_at_s: float
) -> None:
    call = greeted()
    call.caller_is_heard("Hello?")
    pass_s(call, 0.25)
    call.caller_is_heard("Hello?", silent_s=silent_s)
    settle(call)
    turn = call.answers.turns[-1]
    assert (turn.asked_at_s, turn.stopped_at_s) == (asked_at_s, 1.0 - silent_s)


def test_a_silence_longer_than_the_call_begins_with_it() -> None:
    call = new_call()
    call.caller_is_heard("Hello?", silent_s=60)
    call.advance(call.due_s)
    assert (call.answers.turns[-1].stopped_at_s, call.answers.turns[-1].asked_at_s) == (0.0, 0.0)


def test_who_goes_on_within_the_pause_goes_on_in_the_same_utterance() -> None:
    call = greeted()
    call.caller_is_heard("I want", silent_s=0.25)
    pass_s(call, 0.125)
    call.caller_is_heard("a")
    call.caller_is_heard("tea please", silent_s=0.25)
    settle(call)
    assert (lines(call)[-1], call.response_id) == ("user: I want tea please", 1)


def test_a_silence_after_no_voice_is_nothing() -> None:
    call = greeted()
    call.caller_is_heard("", silent_s=0.5)
    assert (call.is_callers_turn, call.take(), call.due_s) == (True, [], 10.75)


def test_what_is_heard_only_once_it_is_over_is_a_turn_too() -> None:
    call = greeted()
    call.caller_is_heard("Hello?", silent_s=0.5)
    settle(call)
    assert (lines(call)[-1], call.response_id) == ("user: Hello?", 1)


def test_a_mumble_is_a_turn_and_one_word() -> None:
    call = spoken(interruption_sensitivity=0.6)  # it takes two
    call.caller_is_heard("")
    call.caller_is_heard(MUMBLE, silent_s=0.5)
    assert (call.state, lines(call)[-1]) == (State.SPEAKING, f"user: {MUMBLE}")


def test_a_voice_before_the_greeting_is_answered_instead() -> None:
    call = new_call()
    call.caller_is_heard("Hello?")
    call.receive(piece(0, "Hi."))
    call.caller_is_heard("Hello?", silent_s=0.5)
    settle(call)
    assert (lines(call), call.state, call.response_id) == (["user: Hello?"], State.AWAITING, 1)


def test_a_voice_while_an_answer_is_awaited_makes_that_one_stale() -> None:
    call = asked()
    call.caller_is_heard("And")
    call.receive(piece(1))
    call.caller_is_heard("And you?", silent_s=0.5)
    settle(call)
    assert (lines(call)[-1], call.response_id) == ("user: And you?", 2)


@pytest.mark.parametrize("begun", [new_call, asked])
def test_what_came_during_a_noise_is_spoken_after_it(begun: Callable[[], Call]) -> None:
    call = begun()
    call.caller_is_heard("")
    call.receive(piece(call.response_id, "Yes."))
    pass_s(call, 1)
    assert call.speaking is None
    call.caller_is_heard("", silent_s=0.5)
    settle(call)
    assert (lines(call)[-1], call.state) == ("agent: Yes.", State.LISTENING)


def test_a_second_greeting_that_came_during_a_noise_is_spoken_after_it() -> None:
    call = greeted(speaks_second_greeting=True)
    call.caller_is_heard("")
    call.receive(piece(0, "Well?"))
    call.caller_is_heard("", silent_s=0.5)
    settle(call)
    assert (lines(call)[-1], call.is_callers_turn) == ("agent: Well?", True)


def test_a_noise_is_no_turn_and_silence_begins_anew_after_it() -> None:
    call = greeted()
    pass_s(call, 8.25)
    make_noise(call)  # until 9.5 s
    assert (call.is_callers_turn, call.take(), call.due_s) == (True, [], 19.5)
    call.advance(19.5)
    assert isinstance(call.take()[-1], ReminderRequired)


def test_no_reminder_comes_while_a_voice_is_heard() -> None:
    call = greeted()
    call.caller_is_heard("")
    call.receive(settings(reminder_trigger_ms=1))
    pass_s(call, 60)
    assert call.take() == []


def test_a_noise_within_the_pause_does_not_swallow_what_was_said_before() -> None:
    call = greeted()
    call.caller_is_heard("Hello?", silent_s=0.25)
    make_noise(call)
    settle(call)
    assert (lines(call)[-1], call.response_id) == ("user: Hello?", 1)


@pytest.mark.parametrize("is_before", [True, False])
def test_a_noise_does_not_swallow_pressed_keys(is_before: bool) -> None:
    call = greeted()
    if is_before:
        call.caller_presses("1")
    call.caller_is_heard("")
    if not is_before:
        call.caller_presses("1")
    call.caller_is_heard("", silent_s=0.25)
    settle(call)
    assert (call.state, call.response_id) == (State.AWAITING, 1)


def test_keys_are_answered_once() -> None:
    call = greeted()
    call.caller_presses("1")
    settle(call)
    call.receive(piece(1))
    settle(call)
    make_noise(call)
    settle(call)
    assert (call.state, call.response_id) == (State.LISTENING, 1)


def test_a_mere_sound_stops_a_sensitive_agent_and_it_is_the_callers_turn() -> None:
    call = spoken()
    call.caller_is_heard("")
    assert (call.state, lines(call)[-1]) == (State.LISTENING, "agent: One")
    pass_s(call, 1)
    call.caller_is_heard("", silent_s=0.5)
    assert (call.is_callers_turn, call.due_s) == (True, call.now_s + 9.5)


@pytest.mark.parametrize(
    ("sensitivity", "texts"),
    [
        (0.5, ["", "no", "no no", "no no no"]),
        (0.5, ["no no", "no", "no no no"]),  # what was taken back counts once
        (0.8, ["", "no"]),
    ],
)
def test_a_less_sensitive_agent_stops_once_enough_is_understood(
    sensitivity: float, texts: list[str]
) -> None:
    call = spoken(interruption_sensitivity=sensitivity)
    states = []
    for text in texts:
        call.caller_is_heard(text)
        states.append(call.state)
    assert states == [*[State.SPEAKING] * (len(texts) - 1), State.LISTENING]


@pytest.mark.parametrize("sensitivity", [0, 0.5])
def test_too_little_does_not_stop_the_agent_and_is_answered_later(sensitivity: float) -> None:
    call = spoken(interruption_sensitivity=sensitivity)
    call.caller_is_heard("Uh huh.", silent_s=0.5)
    settle(call)
    assert lines(call)[-2:] == [f"agent: {TEN}", "user: Uh huh."]
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_protected_speech_is_not_stopped_and_the_request_waits_until_it_is_over() -> None:
    call = speaking("One two three.", no_interruption_allowed=True)
    call.caller_is_heard("Stop stop stop!", silent_s=0.5)
    pass_s(call, 0.25)
    assert (call.state, call.response_id) == (State.SPEAKING, 1)
    settle(call)
    assert (lines(call)[-2], call.response_id) == ("agent: One two three.", 2)


def test_a_guess_that_was_taken_back_does_not_count_behind_protected_speech() -> None:
    call = asked(interruption_sensitivity=0.5)
    call.receive(part(1, "One two. ", no_interruption_allowed=True))
    call.receive(piece(1, "Three four five six."))
    pass_s(call, 0.75)
    call.caller_is_heard("no no no")
    call.caller_is_heard("Noah")
    pass_s(call, 1)
    before = call.state
    call.caller_is_heard("no no no")
    assert (before, call.state) == (State.SPEAKING, State.LISTENING)


def test_an_answer_that_is_owed_is_asked_for_after_a_noise_at_the_end_of_the_agents_turn() -> None:
    call = speaking("One two three four.", no_interruption_allowed=True)
    call.caller_is_heard("What?", silent_s=0.5)
    pass_s(call, 0.25)
    call.caller_is_heard("")
    pass_s(call, 2)
    assert (call.state, call.response_id) == (State.LISTENING, 1)
    call.caller_is_heard("", silent_s=0.5)
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_a_voice_over_an_agent_that_says_nothing_takes_the_turn() -> None:
    call = asked(interruption_sensitivity=0)
    call.receive(part(1, "One moment."))
    settle(call)
    call.caller_is_heard("")
    assert call.state is State.LISTENING


def test_a_voice_that_the_agent_has_talked_over_does_not_stop_it_but_the_next_one_does() -> None:
    call = greeted()
    call.caller_is_heard("I have")
    call.receive(interrupt(7, TEN))
    call.caller_is_heard("I have a question")
    pass_s(call, 1)
    call.caller_is_heard("I have a question", silent_s=0.25)
    assert call.state is State.SPEAKING
    call.caller_is_heard("")
    assert (call.state, lines(call)[-1]) == (State.LISTENING, "agent: One")


def test_a_voice_that_was_talked_over_is_answered_once_the_agent_is_done() -> None:
    call = greeted()
    call.caller_is_heard("I have a question")
    call.receive(interrupt(7))
    pass_s(call, 2)
    assert call.state is State.LISTENING
    call.caller_is_heard("I have a question", silent_s=0.5)
    call.advance(call.due_s)
    assert (call.state, call.response_id) == (State.AWAITING, 1)


def test_words_that_are_typed_while_a_voice_is_heard_wait_for_its_end() -> None:
    call = greeted()
    call.caller_is_heard("I want")
    call.caller_says("Please!")
    pass_s(call, 2)
    call.caller_is_heard("I want tea", silent_s=0.5)
    settle(call)
    assert lines(call)[-1] == "user: I want tea Please!"
    assert [word.word for word in call.transcript[-1].words] == ["Please!"]
    assert (call.answers.turns[-1].stopped_at_s, call.response_id) == (3.25, 1)


def test_a_voice_takes_the_mouth_from_words_that_were_typed() -> None:
    call = greeted()
    call.caller_says("One two")
    pass_s(call, 0.5)
    call.caller_is_heard("no")
    pass_s(call, 5)
    call.caller_is_heard("no no", silent_s=0.5)
    settle(call)
    assert (lines(call)[-1], call.response_id) == ("user: One no no two", 1)


def test_words_that_are_typed_over_a_voice_that_gave_way_stop_the_agent() -> None:
    call = greeted()
    call.caller_is_heard("I have")
    call.receive(interrupt(7, TEN))
    call.caller_says("Stop!")
    assert call.state is State.LISTENING


def test_a_call_that_ends_in_mid_voice_keeps_what_was_understood() -> None:
    call = greeted()
    call.caller_is_heard("I want")
    call.hang_up()
    call.caller_is_heard("I want tea")
    call.caller_is_heard("I want tea", silent_s=0.5)
    settle(call)
    assert (lines(call)[-1], call.is_caller_talking) == ("user: I want", False)


def test_after_a_voice_comes_a_request_like_any_other() -> None:
    call = greeted()
    call.caller_is_heard("Hello?", silent_s=0.5)
    settle(call)
    update, request = call.take()
    assert isinstance(update, UpdateOnly)
    assert isinstance(request, ResponseRequired)
    assert bytes(request.transcript) == bytes(call.heard.pack())
