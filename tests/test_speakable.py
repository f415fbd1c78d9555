"""What nobody can say is taken out, wherever the text is cut into pieces."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmws_tutorial.server.speakable import Speakable

TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<", "thi"]
TEXTS = st.text("ab1 *_#`\n-.😀\t•", max_size=8) | st.sampled_from(TAGS)


def spoken(*pieces: str) -> str:
    speakable = Speakable()
    return "".join(map(speakable.take, pieces)) + speakable.end()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**bold** and *light* or _so_", "bold and light or so"),
        ("run `llmws`", "run llmws"),
        ("# Hours\nNine to five", "Hours Nine to five"),
        ("- one\n* two\n  • three", "one two three"),
        ("*Really?* Yes.", "Really? Yes."),
        ("Fine 😀, thanks", "Fine , thanks"),
        ("Fine\N{HEAVY BLACK HEART}\ufe0f\N{MAN}\u200d\N{STAFF OF AESCULAPIUS}!", "Fine!"),
        ("Fine \ud83d\ude00, \ud83dthanks", "Fine , thanks"),
        ("Done.\n", "Done."),
        ("One.\n\nTwo.", "One. Two."),
        ("<think>\nHm,\n</think>Yes.", "Yes."),
        ('Well. <tool_call>{"name": "book"}</tool_call> Now?', "Well.  Now?"),
        ('Well.\n<tool_call>{"name": "book", ', "Well. "),
        ("<think>One.</think>So.<think>Two", "So."),
    ],
)
def test_marks_that_nobody_says_are_gone(written: str, said: str) -> None:
    assert spoken(written) == said
    assert spoken(*written) == said


@pytest.mark.parametrize(
    "written",
    [
        *("5*3 is 15", "snake_case", "press #1", "dial *67", "press * now", "well - no"),
        *("twenty-four", "1 < 2", "<b> and <thinking>", "</think>"),
    ],
)
def test_what_may_have_a_meaning_stays(written: str) -> None:
    assert spoken(written) == spoken(*written) == written


@given(st.lists(TEXTS))
def test_it_does_not_matter_how_a_text_is_cut(pieces: list[str]) -> None:
    assert spoken(*pieces) == spoken("".join(pieces))


def test_a_thought_without_an_end_costs_no_more_with_every_word() -> None:
    speakable = Speakable()
    began_s = time.process_time()
    assert "".join(map(speakable.take, ["Well. <think>", *["And so on. "] * 20_000])) == "Well. "
    assert time.process_time() - began_s < 5  # all of it each time would take minutes
    assert speakable.take("</thi") + speakable.take("nk>Yes.") == "Yes."


@given(st.text("abc .,?!'", max_size=40))
def test_plain_words_are_out_as_soon_as_they_are_in(text: str) -> None:
    speakable = Speakable()
    assert [speakable.take(letter) for letter in f"a{text}"] == list(f"a{text}")
