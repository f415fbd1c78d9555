"""Draw when the last answer of a call came, and when it was heard.

A call's record has the moments of each turn. Drawn one below the other, with the request at the
left, the answers of two servers show what a caller would notice first: how long it is quiet.
"""

import html
from dataclasses import dataclass
from typing import Final

from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator import CallRecord

_LEFT: Final = 110
_WIDTH: Final = 640
_TOP: Final = 46
_ROW: Final = 86
_FOOT: Final = 34
_MOST_SECONDS: Final = 12  # that are numbered: more would run into one another
_STYLE: Final = (
    ".llmws-timeline text{font:13px sans-serif;fill:#1f2937}"
    ".llmws-timeline .small{font-size:12px;fill:#4b5563}"
    ".llmws-timeline .page{fill:#f9fafb}"
    ".llmws-timeline .second{stroke:#d1d5db}"
    ".llmws-timeline .quiet{fill:#e5e7eb}"
    ".llmws-timeline .sent{fill:#93c5fd}"
    ".llmws-timeline .sentence{fill:#b45309}"
    ".llmws-timeline .heard{fill:#059669}"
)
_LEGEND: Final = (
    ("quiet", "nothing sent yet"),
    ("sent", "chunks are sent"),
    ("sentence", "first sentence is there"),
    ("heard", "a word is heard"),
)


@dataclass(frozen=True)
class Answer:
    """One answer in time: seconds since it was asked for.

    Attributes:
        name: what the picture calls it.
        first_chunk_s: when its first piece came.
        first_sentence_s: when there was enough to begin to speak.
        complete_s: when its last piece came.
        words_s: when each word that was heard began and ended.
    """

    name: str
    first_chunk_s: float
    first_sentence_s: float
    complete_s: float
    words_s: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        return (
            f"{self.name}: first chunk {self.first_chunk_s:.1f} s, "
            f"first sentence {self.first_sentence_s:.1f} s, complete {self.complete_s:.1f} s"
        )


@dataclass(frozen=True)
class Timeline:
    """Answers in time, as a cell shows them. Made by `timeline`.

    Attributes:
        answers: what is drawn, from the top.
    """

    answers: tuple[Answer, ...]

    def __repr__(self) -> str:
        return f"<Timeline of {' and '.join(answer.name for answer in self.answers)}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self.answers))

    def _repr_html_(self) -> str:
        return f'<div class="llmws-timeline">\n{self.draw()}</div>'

    def draw(self) -> str:
        """Draw it as SVG."""
        width, bottom = _LEFT + _WIDTH + 30, _TOP + _ROW * len(self.answers)
        ends_s = [end for answer in self.answers for _, end in answer.words_s]
        longest_s = max([1.0, *ends_s, *(answer.complete_s for answer in self.answers)])
        scale, every_s = _Scale(_WIDTH / longest_s), 1 + int(longest_s / _MOST_SECONDS)
        parts = [
            f'<rect class="page" width="{width}" height="{bottom + _FOOT}" rx="8"/>',
            *(
                scale.draw_second(second, bottom)
                for second in range(0, int(longest_s) + 1, every_s)
            ),
            *(scale.draw(answer, _TOP + _ROW * row) for row, answer in enumerate(self.answers)),
            *(_draw_meaning(index, bottom + 12) for index in range(len(_LEGEND))),
        ]
        drawn = "\n".join(parts)
        return f"""\
<svg class="llmws-timeline" xmlns="http://www.w3.org/2000/svg" \
viewBox="0 0 {width} {bottom + _FOOT}" width="{width}" height="{bottom + _FOOT}" role="img">
<title>{html.escape("; ".join(map(str, self.answers)))}</title>
<style>{_STYLE}</style>
{drawn}
</svg>
"""


@dataclass(frozen=True)
class _Scale:
    """What draws a time where it belongs."""

    per_s: float

    def x(self, at_s: float) -> float:
        return round(_LEFT + at_s * self.per_s, 1)

    def draw_second(self, second: int, bottom: int) -> str:
        x = self.x(second)
        return (
            f'<line class="second" x1="{x}" y1="28" x2="{x}" y2="{bottom}"/>'
            f'<text class="small" x="{x}" y="20" text-anchor="middle">{second} s</text>'
        )

    def draw(self, answer: Answer, top: int) -> str:
        x = self.x(answer.first_sentence_s)
        told = str(answer).removeprefix(f"{answer.name}: ")
        return "\n".join(
            [
                f'<text x="20" y="{top + 13}">{html.escape(answer.name)}</text>',
                self._bar("quiet", (0.0, answer.first_chunk_s), top),
                self._bar("sent", (answer.first_chunk_s, answer.complete_s), top),
                *(self._bar("heard", word_s, top + 24) for word_s in answer.words_s),
                f'<rect class="sentence" x="{x - 2}" y="{top - 4}" width="4" height="26"/>',
                f'<text class="small" x="{_LEFT}" y="{top + 59}">{told}</text>',
            ]
        )

    def _bar(self, kind: str, span_s: tuple[float, float], top: int) -> str:
        left, right = map(self.x, span_s)
        width = max(round(right - left - 1, 1), 1)  # words that follow one another stay apart
        return f'<rect class="{kind}" x="{left}" y="{top}" width="{width}" height="18"/>'


def timeline(**calls: CallRecord) -> Timeline:
    """Draw the last answer of each call: when it came, and when it was heard.

    Args:
        calls: the records of calls, by the names that the picture shows.

    Raises:
        SetupError: when the last answer of one never came.
    """
    return Timeline(tuple(_answer(name, call) for name, call in calls.items()))


def _answer(name: str, call: CallRecord) -> Answer:
    turn = call.turns[-1] if call.turns else None
    if turn is None or turn.first_piece_at_s is None:
        raise SetupError(f"the last answer of {name!r} never came, expected one to draw")
    asked_s, first_s = turn.asked_at_s, turn.first_piece_at_s

    def since(at_s: float | None) -> float:
        return round((first_s if at_s is None else at_s) - asked_s, 3)

    said = call.transcript[-1]  # the caller's, when nothing of the answer was heard
    heard = said.words if said.role == "agent" else ()
    return Answer(
        name,
        first_chunk_s=since(first_s),
        first_sentence_s=since(turn.first_sentence_at_s),
        complete_s=since(turn.complete_at_s),
        words_s=tuple((since(word.start), since(word.end)) for word in heard),
    )


def _draw_meaning(index: int, top: int) -> str:
    kind, meaning = _LEGEND[index]
    x = 20 + index * 190
    return (
        f'<rect class="{kind}" x="{x}" y="{top}" width="{4 if kind == "sentence" else 14}" '
        f'height="12"/><text class="small" x="{x + 20}" y="{top + 10}">{meaning}</text>'
    )
