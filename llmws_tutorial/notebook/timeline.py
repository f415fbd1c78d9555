"""Draw how the last turn of a call went in time: what came when, and when it was heard."""

import html
from dataclasses import dataclass
from typing import Final

from llmws_tutorial.simulator import CallRecord
from llmws_tutorial.simulator.turn import Turn

_LEFT: Final = 130
_WIDTH: Final = 640
_ROW: Final = 84
_TOP: Final = 40
_STYLE: Final = (
    ".llmws-timeline text{font:13px sans-serif;fill:#1f2937}"
    ".llmws-timeline .small{font-size:12px;fill:#4b5563}"
    ".llmws-timeline .page{fill:#f9fafb}"
    ".llmws-timeline .scale{stroke:#d1d5db}"
    ".llmws-timeline .wait{fill:#e5e7eb}"
    ".llmws-timeline .writes{fill:#93c5fd}"
    ".llmws-timeline .mark{stroke:#b45309;stroke-width:3}"
    ".llmws-timeline .word{fill:#059669}"
)


@dataclass(frozen=True)
class Timeline:
    """The last turns of some calls, drawn one below the other. Made by `timeline`.

    Attributes:
        calls: the records, by what they are called.
    """

    calls: dict[str, CallRecord]

    def __repr__(self) -> str:
        return f"<Timeline of {' and '.join(self.calls)}>"

    def _repr_html_(self) -> str:
        return f'<div class="llmws-timeline">{self.svg}</div>'

    @property
    def svg(self) -> str:
        """The picture: a row for each call, its request on the left."""
        longest_s = max(_last_s(call) for call in self.calls.values())
        height = _TOP + _ROW * len(self.calls) + 34
        rows = [
            _row(name, call, top=_TOP + _ROW * index, scale=_WIDTH / longest_s)
            for index, (name, call) in enumerate(self.calls.items())
        ]
        width = _LEFT + _WIDTH + 30
        return "\n".join(
            [
                f'<svg class="llmws-timeline" xmlns="http://www.w3.org/2000/svg" role="img" '
                f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
                f"<title>{html.escape(self._told())}</title>",
                f"<style>{_STYLE}</style>",
                f'<rect class="page" width="{width}" height="{height}" rx="8"/>',
                *_seconds(longest_s, height - 34),
                *rows,
                *_legend(height - 14),
                "</svg>",
            ]
        )

    def _told(self) -> str:
        """The picture in words, for who does not see it."""
        return "; ".join(f"{name}: {_in_words(call.turns[-1])}" for name, call in self.calls.items())


def timeline(**calls: CallRecord) -> Timeline:
    """Draw the last turn of each call: the request, what was sent when, and what was heard.

    Args:
        calls: records of calls that have ended, by the names that the picture shows.
    """
    return Timeline(calls)


def _row(name: str, call: CallRecord, *, top: int, scale: float) -> str:
    turn = call.turns[-1]

    def x(at_s: float) -> float:
        return round(_LEFT + (at_s - turn.asked_at_s) * scale, 1)

    def bar(kind: str, start_s: float, end_s: float, *, y: int, height: int) -> str:
        width = round(x(end_s) - x(start_s), 1)
        return f'<rect class="{kind}" x="{x(start_s)}" y="{y}" width="{width}" height="{height}"/>'

    first_s, sentence_s, complete_s = _moments(turn)
    words = [bar("word", start, end, y=top + 26, height=14) for start, end in _spoken(call)]
    parts = [
        f'<text x="16" y="{top + 14}">{html.escape(name)}</text>',
        bar("wait", turn.asked_at_s, first_s, y=top + 4, height=14),
        bar("writes", first_s, complete_s, y=top + 4, height=14),
        *words,
        f'<line class="mark" x1="{x(sentence_s)}" y1="{top}" x2="{x(sentence_s)}" y2="{top + 44}"/>',
        f'<text class="small" x="{_LEFT}" y="{top + 60}">{_in_words(turn)}</text>',
    ]
    return "\n".join(parts)


def _moments(turn: Turn) -> tuple[float, float, float]:
    """First chunk, first sentence, complete; what never came counts as asked for."""
    asked_s = turn.asked_at_s
    first_s = turn.first_piece_at_s or asked_s
    sentence_s = turn.first_sentence_at_s or first_s
    return first_s, sentence_s, turn.complete_at_s or sentence_s


def _in_words(turn: Turn) -> str:
    first, sentence, complete = (at_s - turn.asked_at_s for at_s in _moments(turn))
    return f"first chunk {first:.1f} s, first sentence {sentence:.1f} s, complete {complete:.1f} s"


def _spoken(call: CallRecord) -> list[tuple[float, float]]:
    """When each word of the last turn sounded (seconds of the call)."""
    said = [one for one in call.transcript if one.role == "agent"][-1]
    return [
        (word.start, word.end)
        for word in said.words or ()
        if word.start is not None and word.end is not None
    ]


def _last_s(call: CallRecord) -> float:
    turn = call.turns[-1]
    ends = [end_s for _, end_s in _spoken(call)]
    return max(_moments(turn)[-1], *ends) - turn.asked_at_s


def _seconds(longest_s: float, bottom: int) -> list[str]:
    marks = []
    for second in range(int(longest_s) + 1):
        x = round(_LEFT + second * _WIDTH / longest_s, 1)
        marks.append(f'<line class="scale" x1="{x}" y1="28" x2="{x}" y2="{bottom}"/>')
        marks.append(f'<text class="small" x="{x}" y="20" text-anchor="middle">{second} s</text>')
    return marks


def _legend(y: int) -> list[str]:
    entries = (
        ("wait", "request, nothing yet"),
        ("writes", "your server sends"),
        ("mark", "the first sentence is there"),
        ("word", "the caller hears a word"),
    )
    drawn = []
    for index, (kind, meaning) in enumerate(entries):
        x = 16 + index * 190
        shape = (
            f'<line class="mark" x1="{x + 7}" y1="{y - 12}" x2="{x + 7}" y2="{y + 2}"/>'
            if kind == "mark"
            else f'<rect class="{kind}" x="{x}" y="{y - 11}" width="14" height="12"/>'
        )
        drawn.append(f'{shape}<text class="small" x="{x + 20}" y="{y}">{meaning}</text>')
    return drawn
