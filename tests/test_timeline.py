"""The picture of answers in time, from calls in memory: the same to the last digit each time.

``python -m tests.test_timeline`` draws the one of lesson 05 anew.
"""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import pytest

from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook import Timeline, timeline
from llmws_tutorial.notebook.refresh import NOTEBOOKS
from llmws_tutorial.simulator import CallRecord, new_record
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.memory import Server, converse
from llmws_tutorial.simulator.scenario import Step

PICTURE: Final = NOTEBOOKS / "pictures" / "05_streaming.svg"
ANSWER: Final = "Yes, we are. On Sunday we open at ten, and you need no appointment."
"""What the model of lesson 05 says, a word each tenth of a second."""


Pieces = list[tuple[float, str, bool]]
"""When each piece of an answer comes (seconds), what it says, whether it is the last."""
WORDS: Final = re.findall(r"\S+\s*", ANSWER)
COMPLETE_S: Final = 0.3 + len(WORDS) / 10
AT_ONCE: Final[Pieces] = [(COMPLETE_S, ANSWER, True)]
STREAMED: Final[Pieces] = [
    *((0.3 + number / 10, word, False) for number, word in enumerate(WORDS, start=1)),
    (COMPLETE_S, "", True),
]


def agent(pieces: Pieces) -> Server:
    def take(frame: str | None) -> Iterator[tuple[float, str]]:
        response_id = json.loads(frame).get("response_id") if frame else 0
        greeting = [(0.0, "How may I help you?", True)]
        for after_s, content, is_last in pieces if response_id else greeting:
            fields = {"response_id": response_id, "content": content, "content_complete": is_last}
            if response_id is not None:
                yield after_s, json.dumps(fields)

    return take


def call(pieces: Pieces, *, patience_s: float = 5) -> CallRecord:
    record = new_record()
    converse(
        agent(pieces), Caller([Step(say="Are you open on Sunday?")], patience_s=patience_s), record
    )
    return record


def compared() -> Timeline:
    return timeline(waiting=call(AT_ONCE), streaming=call(STREAMED))


def test_the_moments_are_those_of_the_record() -> None:
    assert str(compared()) == (
        "waiting: first chunk 1.7 s, first sentence 1.7 s, complete 1.7 s\n"
        "streaming: first chunk 0.4 s, first sentence 0.6 s, complete 1.7 s"
    )


def test_the_lesson_shows_to_who_only_reads_it_what_a_run_would_draw() -> None:
    assert PICTURE.read_text() == compared().draw(), "run: python -m tests.test_timeline"


def test_each_word_that_was_heard_is_drawn_and_none_overlaps_the_next() -> None:
    drawn = ET.fromstring(compared().draw())
    heard = [rect for rect in drawn.iter() if rect.get("class") == "heard"]
    assert len(heard) == 2 * len(ANSWER.split()) + 1  # and one in the legend
    rows: dict[str, list[tuple[float, float]]] = {}
    for rect in heard:
        start, width = float(rect.attrib["x"]), float(rect.attrib["width"])
        rows.setdefault(rect.attrib["y"], []).append((start, start + width))
    for row in rows.values():
        assert all(end < start for (_, end), (start, _) in pairwise(row))


def test_a_cell_shows_the_same_text_in_each_run() -> None:
    shown = compared()
    assert repr(shown) == "<Timeline of waiting and streaming>"
    assert shown._repr_html_() == f'<div class="llmws-timeline">\n{shown.draw()}</div>'


def test_a_name_cannot_break_the_picture() -> None:
    drawn = ET.fromstring(timeline(**{"</svg><b>": call(STREAMED)}).draw())
    assert "</svg><b>" in [text.text for text in drawn.iter()]


def test_an_answer_without_a_sentence_is_drawn_up_to_its_first_piece() -> None:
    [answer] = timeline(open=call([(0.5, "We are open on", False)])).answers
    assert (answer.first_chunk_s, answer.first_sentence_s, answer.complete_s) == (0.5, 0.5, 0.5)
    assert answer.words_s == ()


def test_the_seconds_of_a_long_answer_keep_apart() -> None:
    drawn = timeline(slow=call([(60.0, "At last.", True)], patience_s=90)).draw()
    places = [float(x) for x in re.findall(r'x="([\d.]+)" y="20"', drawn)]
    assert min(after - before for before, after in pairwise(places)) > 40


@pytest.mark.parametrize("record", [CallRecord("empty"), call([])], ids=["no call", "no answer"])
def test_a_call_without_an_answer_cannot_be_drawn(record: CallRecord) -> None:
    with pytest.raises(SetupError, match="the last answer of 'mute' never came"):
        timeline(mute=record)


if __name__ == "__main__":
    PICTURE.write_text(compared().draw())
