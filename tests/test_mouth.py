"""Talking over the agent: what it takes to stop it, and what is left of its turn."""

from typing import Any

import pytest

from llmws_tutorial.simulator import Call, State
from llmws_tutorial.simulator.mouth import Mouth
from llmws_tutorial.simulator.speech import Speech
from llmws_tutorial.simulator.timers import Timer, Timers
from tests.phone import (
    asked,
    interrupt,
    lines,
    part,
    pass_s,
    piece,
    say,
    settings,
    settle,
    speaking,
)


def spoken(**choices: Any) -> Call:
    """A call at 2.75 s: the agent has said one word of ten."""
    call = asked(**choices)
    call.receive(piece(1, "One two three four five six seven eight nine ten."))
    pass_s(call, 0.75)
    return call


def test_words_are_said_one_after_another() -> None:
    timers = Timers()
    mouth = Mouth(timers, word_s=0.5)
    mouth.take(["Are", "you"], 1.0)
    mouth.take(["open?"], 1.25)
    said = []
    while mouth.is_busy:
        _, at_s = timers.pop(9.0) or (None, 0.0)
        said.append((at_s, mouth.say(at_s)))
        mouth.go_on(at_s)
    assert said == [(1.5, "Are"), (2.0, "you"), (2.5, "open?")]
    assert (mouth.stopped_at_s, timers.pop(9.0)) == (2.5, None)


def test_who_has_said_all_talks_until_the_pause_is_over() -> None:
    timers = Timers()
    mouth = Mouth(timers, word_s=0.5)
    mouth.pause(0.5, 3.0, silent_s=0.25)
    assert (mouth.is_busy, mouth.is_talking, mouth.stopped_at_s) == (False, True, 2.75)
    assert timers.pop(9.0) == (Timer.END_OF_TURN, 3.25)
    assert not mouth.is_talking


def test_a_voice_goes_on_where_the_caller_was_and_the_latest_guess_counts() -> None:
    mouth = Mouth(Timers(), word_s=0.5)
    mouth.open("I want")
    told = []
    for guess in ("a", "eighty please", "tea", "tea please now"):
        told.append((mouth.understand(guess.split()), mouth.words_over))
    assert told == [
        ("I want a", 1),
        ("I want eighty please", 2),
        ("I want tea", 1),
        ("I want tea please now", 3),
    ]


def test_each_voice_is_counted_anew() -> None:
    mouth = Mouth(Timers(), word_s=0.5)
    for _ in range(2):
        mouth.open("")
        mouth.understand(["no", "no"])
        mouth.close(1.0)
        assert mouth.words_over == 2


def test_a_mouth_that_is_shut_forgets_what_was_left() -> None:
    mouth = Mouth(Timers(), word_s=0.5)
    mouth.take(["Are", "you"], 0.0)
    mouth.open("")
    mouth.shut()
    assert (mouth.is_busy, mouth.is_voiced, mouth.stopped_at_s) == (False, False, None)


def test_what_was_said_a_while_ago_is_not_said_over_the_agent() -> None:
    mouth, speech = Mouth(Timers(), word_s=0.5), Speech()
    speech.add("Well, well.", is_last=True, is_protected=False)
    mouth.take(["No"], 0.5)
    mouth.say(1.0)
    assert mouth.talks_over(speech, 1, 1.0)
    assert not mouth.talks_over(speech, 1, 1.1)


def test_at_full_sensitivity_the_agent_stops_as_soon_as_the_caller_begins() -> None:
    call = spoken()
    call.caller_says("Stop!")
    assert (call.state, call.speaking) == (State.LISTENING, None)
    settle(call)
    assert lines(call)[-2:] == ["agent: One", "user: Stop!"]
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_an_interrupted_turn_was_sent_whole_and_heard_in_part() -> None:
    call = spoken()
    say(call, "Stop!")
    turn = call.answers.turns[1]
    assert turn.sent == "One two three four five six seven eight nine ten."
    assert (turn.heard, turn.words_heard, turn.is_cut) == ("One", 1, True)
    assert [word.word for word in call.transcript[2].words] == ["One"]


def test_if_so_chosen_the_transcript_shows_also_what_was_not_heard() -> None:
    call = spoken(shows_unheard_words=True)
    say(call, "Stop!")
    assert lines(call)[2] == "agent: One two three four five six seven eight nine ten."
    assert call.answers.turns[1].heard == "One"


def test_of_an_answer_that_is_cut_before_its_first_word_nothing_is_shown() -> None:
    call = asked(shows_unheard_words=True)
    call.receive(piece(1, "One two."))
    pass_s(call, 0.25)
    say(call, "Stop!")
    assert lines(call) == ["agent: Hi.", "user: Hello?", "user: Stop!"]


@pytest.mark.parametrize(
    ("sensitivity", "needed"), [(0.9, 1), (0.8, 1), (0.6, 2), (0.5, 3), (0.2, 4), (0.01, 5)]
)
def test_a_less_sensitive_agent_stops_after_some_words(sensitivity: float, needed: int) -> None:
    call = spoken(interruption_sensitivity=sensitivity)
    call.caller_says("no " * needed)
    pass_s(call, needed / 2 - 0.1)
    before = call.state
    pass_s(call, 0.1)
    assert (before, call.state) == (State.SPEAKING, State.LISTENING)


def test_a_share_of_words_is_not_rounded_up_for_a_crumb() -> None:
    call = spoken(interruption_sensitivity=0.7, needed_words=10)
    call.caller_says("no no no")
    pass_s(call, 1.5)
    assert call.state is State.LISTENING


def test_fewer_words_than_needed_do_not_stop_the_agent_and_are_answered_later() -> None:
    call = spoken(interruption_sensitivity=0.5)
    say(call, "Uh huh.")
    assert lines(call)[-2:] == [
        "agent: One two three four five six seven eight nine ten.",
        "user: Uh huh.",
    ]
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_each_go_of_the_caller_is_counted_anew() -> None:
    call = spoken(interruption_sensitivity=0.5)
    call.caller_says("Uh huh.")
    pass_s(call, 1.5)
    assert not call.is_caller_talking
    call.caller_says("Uh huh.")
    pass_s(call, 1)
    assert call.state is State.SPEAKING


def test_who_goes_on_within_the_pause_is_still_in_the_same_go() -> None:
    call = spoken(interruption_sensitivity=0.5)
    call.caller_says("Uh huh.")
    pass_s(call, 1.25)
    call.caller_says("Wait!")
    pass_s(call, 0.5)
    assert call.state is State.LISTENING


def test_words_that_were_said_to_a_silent_agent_do_not_count() -> None:
    call = asked("I have said five words", interruption_sensitivity=0.1)
    call.receive(piece(1, "One two three four."))
    pass_s(call, 0.75)
    call.caller_says("Well")
    pass_s(call, 0.5)
    assert call.state is State.SPEAKING


def test_at_no_sensitivity_nobody_stops_the_agent() -> None:
    call = spoken(interruption_sensitivity=0)
    say(call, "no " * 6)
    assert lines(call)[2] == "agent: One two three four five six seven eight nine ten."


def test_protected_speech_is_not_stopped_and_the_request_waits_until_it_is_over() -> None:
    call = speaking("One two three.", no_interruption_allowed=True)
    call.take()
    call.caller_says("Stop!")
    pass_s(call, 0.75)
    assert (call.state, call.response_id) == (State.SPEAKING, 1)
    settle(call)
    assert lines(call)[-2:] == ["agent: One two three.", "user: Stop!"]
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_if_so_chosen_what_is_said_over_protected_speech_is_no_request() -> None:
    call = asked(answers_after_protected=False)
    call.receive(piece(1, "One two three four.", no_interruption_allowed=True))
    pass_s(call, 0.75)
    say(call, "Stop!")
    assert lines(call)[-2:] == ["agent: One two three four.", "user: Stop!"]
    assert (call.state, call.response_id) == (State.LISTENING, 1)
    assert call.is_callers_turn


def test_a_protected_part_is_spoken_and_the_part_behind_it_is_cut() -> None:
    call = asked()
    call.receive(part(1, "One two. ", no_interruption_allowed=True))
    call.receive(piece(1, "Three four."))
    pass_s(call, 0.75)
    call.caller_says("no no no no")
    pass_s(call, 0.4)
    assert (call.state, lines(call)[2]) == (State.SPEAKING, "agent: One")
    settle(call)
    assert lines(call)[-2:] == ["agent: One two.", "user: no no no no"]


def test_an_unprotected_part_is_cut_also_before_a_protected_one() -> None:
    call = asked()
    call.receive(part(1, "One two. "))
    call.receive(piece(1, "Three four.", no_interruption_allowed=True))
    pass_s(call, 0.75)
    say(call, "Stop!")
    assert lines(call)[-2:] == ["agent: One", "user: Stop!"]


def test_what_was_asked_over_protected_speech_is_asked_once() -> None:
    call = asked()
    call.receive(part(1, "One two three. ", no_interruption_allowed=True))
    call.receive(piece(1, "Four five six."))
    pass_s(call, 0.75)
    call.caller_says("What?")
    pass_s(call, 1.25)  # it is owed, and the protected part has just been said
    call.caller_says("Stop!")
    settle(call)
    assert call.response_id == 2
    call.receive(piece(2, "Yes."))
    settle(call)
    assert (call.state, call.response_id) == (State.LISTENING, 2)


def test_a_caller_who_speaks_again_is_asked_about_once_that_is_said_too() -> None:
    call = speaking("One two three four five.", no_interruption_allowed=True)
    call.caller_says("What?")
    pass_s(call, 1.75)  # an answer is owed, and the agent is at its last word
    call.caller_says("Are you open?")
    pass_s(call, 1)
    assert (call.state, call.response_id) == (State.LISTENING, 1)
    settle(call)
    assert lines(call)[-2:] == ["user: What?", "user: Are you open?"]
    assert call.response_id == 2


def test_an_agent_that_says_nothing_cannot_be_talked_over_and_gives_the_turn_away() -> None:
    call = asked(interruption_sensitivity=0)
    call.receive(part(1, "One moment."))
    settle(call)
    assert call.state is State.SPEAKING
    say(call, "Hello?")
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_an_agent_that_runs_dry_under_the_callers_words_gives_the_turn_away() -> None:
    call = asked(interruption_sensitivity=0.1)
    call.receive(part(1, "One moment."))
    pass_s(call, 0.75)
    call.caller_says("What did you")
    pass_s(call, 0.5)
    assert call.state is State.LISTENING


def test_words_that_the_agent_has_talked_over_do_not_stop_it_but_new_ones_do() -> None:
    call = asked()
    call.caller_says("I have")
    call.receive(interrupt(7, "One two three four."))
    pass_s(call, 1)
    before = call.state
    call.caller_says("Stop!")
    assert (before, call.state) == (State.SPEAKING, State.LISTENING)


def test_an_answer_is_held_while_the_caller_talks_and_is_never_heard() -> None:
    call = asked()
    call.caller_says("And another thing.")
    call.receive(piece(1, "Yes."))
    settle(call)
    assert lines(call) == ["agent: Hi.", "user: Hello?", "user: And another thing."]
    assert call.answers.turns[1].voice_at_s is None
    assert call.response_id == 2


def test_sensitivity_can_change_in_mid_word() -> None:
    call = spoken(interruption_sensitivity=0)
    call.caller_says("no no")
    call.receive(settings(interruption_sensitivity=1))
    pass_s(call, 0.5)
    assert call.state is State.LISTENING
