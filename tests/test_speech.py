"""What may be spoken of a text that arrives in pieces, and how much of it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmws_tutorial.simulator.speech import Speech, sentences, word_starts


def speech_of(*pieces: str, ends_with_chunk: bool = True) -> Speech:
    """A text of which more is to come."""
    speech = Speech(ends_with_chunk=ends_with_chunk)
    for content in pieces:
        speech.add(content, is_last=False, is_protected=False)
    return speech


def spoken(speech: Speech) -> str:
    """Speak as far as there is something to speak."""
    while speech.next_word is not None:
        speech.hear()
    return speech.heard


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("Yes. And", "Yes."),
        ("Yes! No? And", "Yes! No?"),
        ("It costs 3.50 euros", ""),
        ('He said "Go." And', 'He said "Go."'),
        ("(Really?) And", "(Really?)"),
        ("你好。再", "你好。"),
        ("「好。」再", "「好。」"),
        ("好\uff1f再", "好\uff1f"),
        ("One moment", ""),
        ("", ""),
    ],
)
def test_a_voice_begins_with_the_first_whole_sentence(text: str, ready: str) -> None:
    speech = speech_of(text)
    assert speech.has_sentence is bool(ready)
    assert spoken(speech) == ready


def test_a_sentence_ends_with_its_chunk() -> None:
    assert spoken(speech_of("One moment.")) == "One moment."
    assert spoken(speech_of("One moment?  ")) == "One moment?"
    assert spoken(speech_of("One moment", ".")) == "One moment."


def test_if_so_chosen_a_sentence_does_not_end_with_its_chunk_but_with_the_blank_behind() -> None:
    assert spoken(speech_of("One moment.", ends_with_chunk=False)) == ""
    assert spoken(speech_of("One moment.", " Please", ends_with_chunk=False)) == "One moment."
    assert spoken(speech_of("It costs 3.", "50 euros", ends_with_chunk=False)) == ""


def test_a_text_without_any_end_is_ready_once_it_is_complete() -> None:
    speech = speech_of("One ", "moment")
    assert spoken(speech) == ""
    speech.add("", is_last=True, is_protected=False)
    assert (spoken(speech), speech.is_over) == ("One moment", True)


def test_white_space_is_no_sentence() -> None:
    speech = Speech()
    speech.add(" \n", is_last=True, is_protected=False)
    assert (speech.has_sentence, speech.is_over) == (False, True)


def test_what_was_spoken_is_cut_after_a_word() -> None:
    speech = speech_of("  I am here.  And so")
    assert [speech.hear(), speech.hear()] == ["I", "am"]
    assert (speech.heard, speech.words_heard, speech.next_word) == ("  I am", 2, "here.")


def test_each_sign_of_a_script_without_blanks_is_a_word() -> None:
    speech = speech_of("你好 ok。")
    assert [speech.hear() for _ in range(4)] == ["你", "好", "ok。", ""]
    assert speech.words_heard == 3


def test_a_text_that_has_run_dry_is_not_over_until_it_is_complete() -> None:
    speech = speech_of("One moment.")
    spoken(speech)
    assert (speech.next_word, speech.is_over, speech.hear()) == (None, False, "")
    assert speech.has_sentence


def test_protection_is_for_its_own_piece_only() -> None:
    speech = Speech()
    speech.add("Please listen. ", is_last=False, is_protected=True)
    speech.add("That is all.", is_last=True, is_protected=False)
    is_protected = []
    while speech.next_word:
        is_protected.append(speech.is_protected)
        speech.hear()
    assert is_protected == [True, True, False, False, False]
    assert not speech.is_protected


def test_a_speech_knows_what_may_be_spoken_and_where_its_next_word_begins() -> None:
    speech = speech_of("  I am. And so")
    assert (speech.ready, speech.next_at) == ("  I am.", 2)
    speech.hear()
    assert speech.next_at == 4
    speech.hear()
    assert speech.next_at is None


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("Yes", ["Yes"]),
        ("Yes. And so", ["Yes.", " And so"]),
        ('He said "Go!" It costs 3.50.', ['He said "Go!"', " It costs 3.50."]),
        ("好。再", ["好。", "再"]),
    ],
)
def test_a_text_is_cut_after_each_sentence(text: str, cut: list[str]) -> None:
    assert sentences(text) == cut


def test_the_starts_of_words_are_those_of_the_words_that_are_heard() -> None:
    assert word_starts(" I am 你好。") == [1, 3, 6, 7, 8]


@given(st.text("ab .!。你\n"))
def test_however_a_text_is_cut_its_words_are_the_same(text: str) -> None:
    speech, starts = speech_of(text), []
    speech.add("", is_last=True, is_protected=False)
    while (at := speech.next_at) is not None:
        starts.append(at)
        speech.hear()
    assert word_starts(text) == starts
    assert "".join(sentences(text)) == text


@given(st.lists(st.text("ab .!。\n", max_size=6), max_size=8), st.booleans())
def test_however_it_is_cut_in_the_end_all_is_heard(pieces: list[str], ends: bool) -> None:
    speech = Speech(ends_with_chunk=ends)
    for content in pieces:
        speech.add(content, is_last=False, is_protected=False)
        assert speech.text.startswith(spoken(speech))
    speech.add("", is_last=True, is_protected=False)
    assert spoken(speech) == "".join(pieces).rstrip()
    assert speech.is_over
