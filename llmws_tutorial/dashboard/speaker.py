"""The agent's voice in a call that is heard: sentence by sentence, on one page.

The call decides what is heard, the page only plays: a piece of a turn (a sentence, mostly) becomes
sound as soon as it may be spoken, the page gets it, and is told when to begin and when to stop.
How long the words of a piece take comes from its sound, so what the transcript says was heard.

There are three ways to speak, by `VoiceKind`:

========  ==============================  ====================================================
kit       the kit's own voice             word times are shares of the sound's length
browser   the browser's own voice         the page tells how many words it has begun
captions  nobody: the page plays a tone   all words take the same time
========  ==============================  ====================================================

What a page is told, in this order: ``piece`` (its text, and where in it each word begins), its
sound as a binary message (kit only), ``speak`` when its moment has come, and ``hush``: stop at
once and forget every piece. Numbers of pieces grow: once one is to be spoken, those before it are
over. ``speak`` has `offset_s`, where in the sound to begin (negative: so long after now), and
`from_word`, which the browser's own voice goes by: it cannot begin in the middle of a sound.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Protocol, cast

from llmws_tutorial.dashboard.commands import VoiceKind
from llmws_tutorial.dashboard.mouth import LONGEST, RATE
from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.simulator.speech import sentences, word_starts
from llmws_tutorial.simulator.turn import Turn

WORDS_PER_S: Final = 3.0
"""How fast words are where no sound says it."""
PAUSE_S: Final = 0.25
"""The pause between two pieces of a turn, where the kit's voice speaks (seconds)."""
REPORT_S: Final = 2.5
"""How long nothing may be known of the browser's voice until it counts as over (seconds)."""
AHEAD: Final = 3
"""How many pieces are made to sound ahead of time, the current one included."""
_WINDOW: Final = 10 * LONGEST  # how much is cut at once: there may be a million characters
_log: Final = logging.getLogger(__name__)


class Listener(Protocol):
    """The page that the sound comes to."""

    def tell(self, event: Event) -> None:
        """Tell it something."""
        ...

    def play(self, piece: int, sound: bytes) -> None:
        """Give it the sound of a piece, to be kept until it is to be spoken."""
        ...


class Sounding(Protocol):
    """Turns text into sound; may take its time."""

    def sound(self, text: str) -> bytes:
        """Speak a piece: mono PCM, int16, at 24 kHz; empty when it cannot be spoken."""
        ...


@dataclass(eq=False)
class Piece:
    """A part of a turn that is spoken in one go.

    Attributes:
        number: its number in the call, as the page knows it.
        text: what is to be spoken.
        at: where it begins in the turn's text.
        starts: where each of its words begins in it.
        words_s: how long each word takes, as far as known (seconds).
        seconds: how long all of it takes, as far as known.
        sound: how it sounds; None while nobody has spoken it.
        work: the work of making it sound, while that goes on.
        began_s: when its sound began, or will (seconds of the event loop); None before.
        is_prepared: whether it sounds, or is being made to.
        is_over: whether nothing more of it is to be heard.
    """

    number: int
    text: str
    at: int
    starts: list[int]
    words_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    sound: bytes | None = None
    work: "asyncio.Future[bytes] | None" = None
    began_s: float | None = None
    is_prepared: bool = False
    is_over: bool = False

    def share(self, seconds: float) -> None:
        """Give each word its share of a time, by its length and the pause that follows it."""
        edges = [0, *self.starts[1:], len(self.text)]
        lengths = [end - start + 1 for start, end in pairwise(edges)]
        self.words_s = [seconds * length / sum(lengths) for length in lengths]
        self.seconds = seconds

    def pace(self) -> None:
        """Let each word whose time is not known take the same."""
        self.words_s += [1 / WORDS_PER_S] * (len(self.starts) - len(self.words_s))


class Speaker:
    """Speaks the turns of one call, in pieces, on the page that listens.

    One turn has the voice at a time, and never gets it back once another has it.

    Attributes:
        kind: how it speaks.
        mouth: the kit's own voice, if it is there.
        listener: the page that the sound comes to; None: nobody listens.
        go_on: called when a word can be spoken that could not before.
    """

    def __init__(self, kind: VoiceKind = "captions", mouth: Sounding | None = None) -> None:
        """Prepare to speak.

        Args:
            kind: how to speak; may be set until the first word.
            mouth: the kit's own voice; without one, `kind` is another.
        """
        self.kind = kind
        self.mouth = mouth
        self.listener: Listener | None = None
        self.go_on: Callable[[], None] = lambda: None
        self._turn: Turn | None = None  # that has the voice
        self._pieces: list[Piece] = []  # of this turn
        self._place = 0  # of the piece that is spoken
        self._cut_to = 0  # in the turn's text
        self._count = 0  # of the pieces of all turns
        self._worker = ThreadPoolExecutor(1, "llmws voice")  # one after another, in order
        self._alarm: asyncio.TimerHandle | None = None

    def delay_s(self, turn: Turn) -> float:
        """Nothing more: whoever has waited for the sound has waited long enough."""
        return 0.0

    def say(self, turn: Turn) -> float | None:
        """Begin the next word of a turn; None when its sound is not there yet."""
        if turn is not self._turn:
            self._forget()
            self._turn, self._pieces, self._place, self._cut_to = turn, [], 0, 0
        at = cast(int, turn.speech.next_at)  # there is a next word, or nobody would ask
        self._cut(turn.speech.ready, at)
        place = bisect_right(self._pieces, at, key=lambda piece: piece.at) - 1
        piece = self._pieces[place]
        for done in self._pieces[self._place : place]:
            done.is_over, done.sound = True, None
        self._place = place
        for coming in self._pieces[place : place + AHEAD]:
            self._prepare(coming)
        if piece.began_s is None and (piece.words_s or self.kind == "browser"):
            self._begin(piece, after=self._pieces[place - 1] if place else None)
        number = bisect_right(piece.starts, at - piece.at) - 1
        return piece.words_s[number] if number < len(piece.words_s) else None

    def hush(self, turn: Turn) -> None:
        """Stop in mid-word, and forget what was to come."""
        self._forget()
        self._tell({"type": "hush"})

    def report(self, number: int, words: int) -> None:
        """Take how many words of a piece the browser's own voice has begun."""
        found = [piece for piece in self._pieces if piece.number == number]
        if self.kind != "browser" or not found or found[0].is_over or found[0].began_s is None:
            return
        piece = found[0]
        known = min(words, len(piece.starts))
        if known <= len(piece.words_s):
            return  # who tells nothing new is not waited for
        self._stop_alarm()
        piece.words_s = [*[0.0] * (known - 1), 1 / WORDS_PER_S]  # the last one is being spoken
        self.go_on()
        if known < len(piece.starts):
            self._set_alarm(piece)

    def listen(self, listener: Listener | None) -> None:
        """Let the sound come to another page, from where it is."""
        self._tell({"type": "hush"})
        self.listener = listener
        if self._turn is None or self._turn.speech.is_over:
            return
        for piece in self._pieces:
            if piece.is_prepared and not piece.is_over:
                self._hand_over(piece)

    def close(self) -> None:
        """Stop for good."""
        self._forget()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _cut(self, ready: str, at: int) -> None:
        """Cut what may be spoken by now into pieces, up to a few behind the next word."""
        while self._cut_to < len(ready):
            if len(self._pieces) >= AHEAD and self._pieces[-AHEAD].at > at:
                return
            for text, starts in _first_parts(ready, self._cut_to):
                if starts:
                    self._pieces.append(Piece(self._count, text, self._cut_to, starts))
                    self._count += 1
                self._cut_to += len(text)

    def _forget(self) -> None:
        """Drop the pieces of the turn that has the voice: it does not have it any more."""
        self._stop_alarm()
        for piece in self._pieces[self._place :]:
            piece.is_over, piece.sound = True, None
            if piece.work is not None:
                piece.work.cancel()

    def _prepare(self, piece: Piece) -> None:
        if piece.is_prepared:
            return
        piece.is_prepared = True
        if self.kind == "kit" and self.mouth is not None:
            loop = asyncio.get_running_loop()
            piece.work = loop.run_in_executor(self._worker, self.mouth.sound, piece.text[:LONGEST])
            piece.work.add_done_callback(lambda done: self._sounds(piece, done))
            return
        if self.kind != "browser":
            piece.pace()
        self._hand_over(piece)

    def _sounds(self, piece: Piece, done: "asyncio.Future[bytes]") -> None:
        """Take the sound of a piece; what cannot be spoken is shown for as long."""
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            _log.error("the kit's voice failed in piece %d", piece.number, exc_info=error)
        if piece.is_over:
            return
        piece.sound = b"" if error is not None else done.result()
        if piece.sound:
            piece.share(len(piece.sound) / 2 / RATE)
        else:
            piece.pace()
        self._hand_over(piece)
        self.go_on()

    def _hand_over(self, piece: Piece) -> None:
        """Give a piece to the page that listens, and let it begin where the call is."""
        if self.listener is None or (self.kind == "kit" and piece.sound is None):
            return
        self._tell(
            {
                "type": "piece",
                "piece": piece.number,
                "text": piece.text[:LONGEST],
                "starts": piece.starts,
                "voice": self.kind,
            }
        )
        if piece.sound:
            self.listener.play(piece.number, piece.sound)
        if piece.began_s is not None:
            self._tell_to_speak(piece, piece.began_s)

    def _begin(self, piece: Piece, *, after: Piece | None) -> None:
        """Begin a piece, a pause after the sound of the one before it."""
        now_s = asyncio.get_running_loop().time()
        piece.began_s = now_s
        if after is not None and after.began_s is not None and self.kind == "kit":
            piece.began_s = max(after.began_s + after.seconds + PAUSE_S, now_s)
            piece.words_s[0] += piece.began_s - now_s
        self._tell_to_speak(piece, piece.began_s)
        if self.kind == "browser":
            self._set_alarm(piece)

    def _tell_to_speak(self, piece: Piece, began_s: float) -> None:
        offset_s = round(asyncio.get_running_loop().time() - began_s, 3)
        heard_to = 0 if self._turn is None else len(self._turn.heard)
        from_word = sum(piece.at + start < heard_to for start in piece.starts)
        self._tell(
            {"type": "speak", "piece": piece.number, "offset_s": offset_s, "from_word": from_word}
        )

    def _set_alarm(self, piece: Piece) -> None:
        """Do not wait for ever for a page that says nothing of its progress, or is not there."""
        patience_s = 0.0 if self.listener is None else REPORT_S
        self._alarm = asyncio.get_running_loop().call_later(patience_s, self._assume, piece)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _assume(self, piece: Piece) -> None:
        piece.pace()
        self.go_on()

    def _tell(self, event: Event) -> None:
        if self.listener is not None:
            self.listener.tell(event)


def _first_parts(text: str, begin: int) -> list[tuple[str, list[int]]]:
    """Cut the first sentences of what follows in a text; with each part, where its words begin."""
    window = text[begin : begin + _WINDOW]
    parts = [part for sentence in sentences(window) for part in _short(sentence)]
    if begin + len(window) == len(text):
        return parts
    if len(parts) > 1:
        return parts[:-1]  # the last one may go on
    starts = word_starts(text[begin:])
    end = [*starts, len(text) - begin, len(text) - begin][1]
    return [(text[begin : begin + end], starts[:1])]


def _short(sentence: str) -> Iterator[tuple[str, list[int]]]:
    """Cut what is too long for one go between two words; only a single word stays too long."""
    begin, starts = 0, list[int]()
    for start, end in pairwise([*word_starts(sentence), len(sentence)]):
        if starts and end - begin > LONGEST:
            yield sentence[begin:start], starts
            begin, starts = start, []
        starts.append(start - begin)
    yield sentence[begin:], starts
