"""The agent's voice as a part of its own: how long words take, a sound that is late, a hush."""

import pytest

from llmws_tutorial.messages import UpdateOnly, Word
from llmws_tutorial.simulator import Call, Choices, State
from llmws_tutorial.simulator.latency import measure
from llmws_tutorial.simulator.voice import SteadyVoice
from tests.phone import PACE, LateVoice, interrupt, lines, part, pass_s, piece, say, settle


def asked(voice: LateVoice, *, letters: int = 0, **choices: float) -> Call:
    """A call in which request 1 is open, of whose answer the voice has so many letters."""
    call = Call(choices=Choices(**{**PACE, **choices}), voice=voice)
    call.receive(piece(0, ""))
    say(call, "Hello?")
    call.take()
    voice.letters = letters
    return call


def let_sound(call: Call, voice: LateVoice) -> None:
    voice.letters = 1000
    call.go_on()


def test_a_steady_voice_takes_the_same_time_for_every_word() -> None:
    voice, turn = SteadyVoice(delay_s=0.25, words_per_s=4), Call().answers.greeting
    assert (voice.delay_s(turn), voice.say(turn)) == (0.25, 0.25)


def test_a_word_takes_as_long_as_its_voice_says() -> None:
    call = asked(LateVoice(), letters=1000)
    call.receive(piece(1, "Yes. Certainly."))
    settle(call)
    assert call.transcript[-1].words == (
        Word(word="Yes.", start=1.125, end=1.625),
        Word(word="Certainly.", start=1.625, end=2.875),
    )


def test_while_its_voice_has_no_sound_the_agent_has_the_turn_and_the_server_owes_nothing() -> None:
    voice = LateVoice()
    call = asked(voice)
    call.receive(piece(1, "Yes."))
    pass_s(call, 60)
    assert (call.state, lines(call), call.take()) == (State.SPEAKING, ["user: Hello?"], [])
    assert call.waits_for_voice
    assert not any([call.waits_for_server, call.is_callers_turn, call.is_caller_talking])


def test_the_agents_turn_is_told_when_there_is_a_sound() -> None:
    voice = LateVoice()
    call = asked(voice)
    call.receive(piece(1, "Yes."))
    pass_s(call, 2)
    let_sound(call, voice)
    [update] = call.take()
    assert isinstance(update, UpdateOnly)
    assert update.turntaking == "agent_turn"
    settle(call)
    assert lines(call)[-1] == "agent: Yes."
    [waited] = measure(call.answers.turns, [])["tts"].values
    assert waited == 2125


def test_a_sentence_that_has_no_sound_yet_is_waited_for_within_a_turn() -> None:
    voice = LateVoice()
    call = asked(voice, letters=1)
    call.receive(piece(1, "Yes. Really."))
    pass_s(call, 5)
    assert (lines(call)[-1], call.waits_for_voice) == ("agent: Yes.", True)
    let_sound(call, voice)
    pass_s(call, 0.875)  # without another delay
    assert (lines(call)[-1], call.state) == ("agent: Yes. Really.", State.LISTENING)


def test_a_voice_that_has_spoken_all_there_is_waits_for_the_server() -> None:
    call = asked(LateVoice(), letters=1000)
    call.receive(part(1, "Yes."))
    settle(call)
    assert (call.state, call.waits_for_server, call.waits_for_voice) == (
        State.SPEAKING,
        True,
        False,
    )


def test_a_piece_that_comes_meanwhile_only_asks_again() -> None:
    voice = LateVoice()
    call = asked(voice)
    call.receive(part(1, "Yes. "))
    call.receive(piece(1, "Really."))
    assert voice.asked == ["Yes.", "Yes."]
    let_sound(call, voice)
    call.go_on()
    assert voice.asked == ["Yes."] * 3
    settle(call)
    assert lines(call)[-1] == "agent: Yes. Really."


def test_who_is_talked_over_before_the_first_sound_is_cut_and_hushed() -> None:
    voice = LateVoice()
    call = asked(voice)
    call.receive(piece(1, "Yes."))
    call.caller_says("Wait!")
    assert (call.state, voice.hushed) == (State.LISTENING, [call.answers.turns[1]])
    let_sound(call, voice)
    settle(call)
    assert (lines(call)[-1], call.state) == ("user: Wait!", State.AWAITING)
    assert (call.answers.turns[1].is_cut, call.answers.turns[1].voice_at_s) == (True, None)


def test_too_few_words_before_the_first_sound_do_not_stop_the_voice() -> None:
    voice = LateVoice()
    call = asked(voice, interruption_sensitivity=0.5)
    call.receive(piece(1, "Yes."))
    call.caller_says("Uh huh.")
    pass_s(call, 0.75)
    let_sound(call, voice)
    settle(call)
    assert (lines(call)[1:], voice.hushed) == (["user: Uh huh.", "agent: Yes."], [])
    assert (call.state, call.response_id) == (State.AWAITING, 2)


def test_an_answer_that_came_while_the_caller_talked_is_neither_asked_for_nor_hushed() -> None:
    voice = LateVoice()
    call = asked(voice)
    call.caller_says("And another thing.")
    call.receive(piece(1, "Yes."))
    let_sound(call, voice)
    settle(call)
    assert (voice.asked, voice.hushed, call.response_id) == ([], [], 2)


def test_an_agent_that_interrupts_itself_hushes_what_it_was_about_to_say() -> None:
    voice = LateVoice()
    call = asked(voice)
    call.receive(piece(1, "Yes."))
    call.receive(interrupt(7, "Listen."))
    assert (voice.asked, voice.hushed) == (["Yes.", "Listen."], [call.answers.turns[1]])
    let_sound(call, voice)
    settle(call)
    assert (lines(call)[-1], len(voice.hushed)) == ("agent: Listen.", 1)


def test_an_interrupt_in_place_of_an_answer_that_never_began_hushes_nothing() -> None:
    voice = LateVoice()
    call = asked(voice)
    call.receive(interrupt(7, "Listen."))
    assert voice.hushed == []


@pytest.mark.parametrize("letters", [0, 1, 1000])
def test_a_call_that_ends_in_mid_turn_hushes_it_and_a_late_sound_is_not_heard(letters: int) -> None:
    voice = LateVoice()
    call = asked(voice, letters=letters)
    call.receive(piece(1, "Yes. Really."))
    pass_s(call, 0.75)
    before = lines(call)
    call.hang_up()
    call.hang_up()
    let_sound(call, voice)
    settle(call)
    assert (lines(call), call.state) == (before, State.ENDED)
    assert voice.hushed == [call.answers.turns[1]]


@pytest.mark.parametrize("fields", [{}, {"end_call": True}])
def test_a_turn_that_was_spoken_whole_is_never_hushed(fields: dict[str, bool]) -> None:
    voice = LateVoice()
    call = asked(voice, letters=1000)
    call.receive(piece(1, "Yes.", **fields))
    settle(call)
    say(call, "Good.")
    call.hang_up()
    assert (lines(call)[1], voice.hushed) == ("agent: Yes.", [])


def test_an_answer_of_which_nothing_came_is_not_hushed_at_the_end() -> None:
    voice = LateVoice()
    asked(voice).hang_up()
    assert voice.hushed == []
