"""What was heard: it grows word by word, and holds what was done in between."""

import pytest

from llmws_tutorial.messages import (
    ConfigFields,
    Entry,
    Request,
    ResponseRequired,
    UpdateOnly,
    Utterance,
    Word,
    unpack_entries,
    unpack_utterances,
)
from llmws_tutorial.simulator.transcript import Transcript
from tests.phone import asked, event, greeted, lines, new_call, pass_s, piece, say, settle, wants


def said_in(message: Request) -> list[str]:
    assert isinstance(message, UpdateOnly | ResponseRequired)
    return [said.content for said in unpack_utterances(message.transcript)]


def test_the_callers_words_grow_one_at_a_time() -> None:
    call = greeted()
    say(call, "Are you open?")
    *updates, request = call.take()
    assert [said_in(update)[-1] for update in updates] == ["Are", "Are you", "Are you open?"]
    assert said_in(request) == ["Hi.", "Are you open?"]


def test_the_agents_words_grow_one_at_a_time() -> None:
    call = new_call()
    call.receive(piece(0, "How are you?"))
    settle(call)
    assert [said_in(update) for update in call.take()] == [
        [],
        ["How"],
        ["How are"],
        ["How are you?"],
    ]


def test_every_word_has_its_time() -> None:
    call = greeted()
    say(call, "Are you?")
    first, second = call.transcript
    assert first.words == (Word(word="Hi.", start=0.25, end=0.75),)
    assert second.words == (
        Word(word="Are", start=0.75, end=1.25),
        Word(word="you?", start=1.25, end=1.75),
    )


def test_whose_turn_begins_is_said_once() -> None:
    call = new_call()
    call.receive(piece(0, "Hi there."))
    settle(call)
    say(call, "Hello? You?")
    updates = [message for message in call.take() if isinstance(message, UpdateOnly)]
    assert [update.turntaking for update in updates] == [
        *("agent_turn", None, None),
        *("user_turn", None),
    ]


def test_the_words_of_one_turn_are_one_utterance_also_over_a_short_pause() -> None:
    call = greeted()
    call.caller_says("Are you")
    call.advance(2.0)
    assert call.is_caller_talking
    say(call, "open?")
    assert lines(call) == ["agent: Hi.", "user: Are you open?"]


def test_words_that_are_added_in_mid_word_wait_for_their_turn() -> None:
    call = greeted()
    call.caller_says("Are you")
    pass_s(call, 0.25)
    say(call, "open?")
    assert lines(call)[-1] == "user: Are you open?"
    assert [word.end for word in call.transcript[-1].words] == [1.25, 1.75, 2.25]


def test_two_turns_of_one_speaker_are_two_utterances() -> None:
    call = asked("One?")
    say(call, "Two?")
    assert lines(call) == ["agent: Hi.", "user: One?", "user: Two?"]


def test_what_cannot_be_understood_is_a_literal_without_words() -> None:
    call = greeted()
    call.caller_mumbles()
    settle(call)
    assert call.transcript[-1] == Utterance(role="user", content="(unintelligible audio)")
    assert isinstance(call.take()[-1], ResponseRequired)


def test_a_request_may_have_an_empty_transcript() -> None:
    call = new_call()
    call.receive(piece(0, ""))
    call.caller_presses("1")
    settle(call)
    update, request = call.take()
    assert (said_in(update), said_in(request)) == ([], [])


def test_keys_and_tools_are_woven_in_where_they_happened() -> None:
    call = greeted()
    call.receive(wants(transcript_with_tool_calls=True))
    call.receive(event("tool_call_invocation", tool_call_id="t1", name="book", arguments="{}"))
    call.caller_presses("1#")
    call.receive(event("tool_call_result", tool_call_id="t1", content="done", successful=True))
    say(call, "Well?")
    request = call.take()[-1]
    assert isinstance(request, ResponseRequired)
    hi, *done, well = unpack_entries(request.transcript_with_tool_calls)
    assert (hi.content, well.content) == ("Hi.", "Well?")
    assert done == [
        Entry(role="tool_call_invocation", tool_call_id="t1", name="book", arguments="{}"),
        Entry(role="dtmf", digit="1"),
        Entry(role="dtmf", digit="#"),
        Entry(role="tool_call_result", tool_call_id="t1", content="done", successful=True),
    ]


def test_nothing_is_woven_into_a_message_unless_it_was_asked_for() -> None:
    call = greeted()
    call.caller_presses("1")
    [update] = call.take()
    assert isinstance(update, UpdateOnly)
    assert unpack_entries(update.transcript_with_tool_calls) == ()
    assert [entry.role for entry in call.heard.entries] == ["agent", "dtmf"]


@pytest.mark.parametrize("is_closed", [False, True])
def test_an_utterance_is_the_same_while_it_grows_and_when_it_is_packed(is_closed: bool) -> None:
    transcript = Transcript()
    word = Word(word="Hi", start=0, end=1)
    transcript.hear("user", "Hi", word)
    if is_closed:
        transcript.close("user", "agent")
    assert transcript.utterances == (Utterance(role="user", content="Hi", words=(word,)),)
    assert transcript.content_of("user") == ("" if is_closed else "Hi")
    assert set(transcript.as_fields(ConfigFields())) == {"transcript"}


def test_who_said_what_is_told_from_any_utterance_on_also_once_it_is_over() -> None:
    call = asked("One?")
    call.caller_says("Two three?")
    pass_s(call, 0.5)
    assert [tuple(one) for one in call.heard.said_since(0)] == [
        ("agent", "Hi.", 0.25, True),
        ("user", "One?", 0.75, True),
        ("user", "Two", 1.75, False),
    ]
    assert [one.content for one in call.heard.said_since(2)] == ["Two"]
    assert call.heard.said_since(3) == []


def test_two_who_speak_at_once_have_an_utterance_each() -> None:
    transcript = Transcript()
    for role, content in (("agent", "I"), ("user", "No"), ("agent", "I am"), ("user", "No no")):
        transcript.hear(role, content, None)
    assert [said.content for said in transcript.utterances] == ["I am", "No no"]
