"""The agent's voice in a call that is heard: sentence by sentence, on the page that listens.

The call decides what is heard, the page only plays: a piece of a turn (a sentence, mostly) becomes
sound as soon as it may be spoken, the page gets it, and is told when to begin and when to stop.
How long the words of a piece take comes from its sound, so what the transcript says was heard.

There are three ways to speak, by `VoiceKind`:

========  ==============================  ====================================================
kit       the kit's own voice             word times are shares of the sound's length
browser   the browser's own voice         the page tells how many words it has begun
captions  nobody: the page plays a tone   all words take the same time
========  ==============================  ====================================================
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from llmws_tutorial.dashboard.commands import VoiceKind
from llmws_tutorial.dashboard.mouth import RATE
from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.simulator.speech import sentences, word_starts
from llmws_tutorial.simulator.turn import Turn

WORDS_PER_S: Final = 3.0
"""How fast words are where no sound says it."""
PAUSE_S: Final = 0.25
"""The pause after a piece that was spoken by the kit's voice."""
REPORT_S: Final = 2.5
"""How long the browser's voice may be silent about its progress before it is no more asked."""
AHEAD: Final = 3
"""How many pieces are made to sound ahead of time, the current one included."""
_MOST_CHARACTERS: Final = 400  # of a piece


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
        starts: where each of its words begins in the turn's text.
        words_s: how long each word takes, as far as known (seconds).
        sound: how it sounds; None while nobody has spoken it.
        began_s: when it began (seconds of the event loop); None before.
        is_hushed: whether it was stopped.
        is_prepared: whether it is being made to sound.
    """

    number: int
    text: str
    starts: list[int]
    words_s: list[float] = field(default_factory=list)
    sound: bytes | None = None
    began_s: float | None = None
    is_hushed: bool = False
    is_prepared: bool = False

    @property
    def seconds(self) -> float:
        """How long it takes, as far as known."""
        return sum(self.words_s)

    def share(self, seconds: float) -> None:
        """Give each word its share of a time, by its length."""
        edges = [*self.starts[1:], self.starts[0] + len(self.text)]
        lengths = [end - start + 1 for start, end in zip(self.starts, edges, strict=True)]
        self.words_s = [seconds * length / sum(lengths) for length in lengths]


class Speaker:
    """Speaks the turns of one call, in pieces, on the page that listens.

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
        self._pieces: list[Piece] = []
        self._of_turn: dict[Turn, list[Piece]] = {}
        self._cut_to: dict[Turn, int] = {}
        self._worker = ThreadPoolExecutor(1, "llmws voice")  # one after another, in order
        self._alarm: asyncio.TimerHandle | None = None

    def delay_s(self, turn: Turn) -> float:
        """Nothing more: whoever has waited for the sound has waited long enough."""
        return 0.0

    def say(self, turn: Turn) -> float | None:
        """Begin the next word of a turn; None when its sound is not there yet."""
        self._cut(turn)
        at = cast(int, turn.speech.next_at)  # there is a next word, or nobody would ask
        pieces = self._of_turn.get(turn, [])
        place = bisect_right(pieces, at, key=lambda piece: piece.starts[0]) - 1
        if place < 0:
            return None
        piece = pieces[place]
        for coming in pieces[place : place + AHEAD]:
            self._prepare(coming)
        number = bisect_right(piece.starts, at) - 1
        if piece.began_s is None and (piece.words_s or self.kind == "browser"):
            self._begin(piece)
        return piece.words_s[number] if number < len(piece.words_s) else None

    def hush(self, turn: Turn) -> None:
        """Stop in mid-word, and forget what was to come."""
        self._stop_alarm()
        for piece in self._of_turn.get(turn, []):
            piece.is_hushed = True
        self._tell({"type": "hush"})

    def report(self, number: int, words: int) -> None:
        """Take how many words of a piece the browser's own voice has begun."""
        if self.kind != "browser" or not 0 <= number < len(self._pieces):
            return
        piece = self._pieces[number]
        self._stop_alarm()
        known = min(words, len(piece.starts))
        if known > len(piece.words_s):  # the last of them is being spoken, the others were
            piece.words_s = [*[0.0] * (known - 1), 1 / WORDS_PER_S]
            self.go_on()
        if known < len(piece.starts):
            self._set_alarm(piece)

    def listen(self, listener: Listener | None) -> None:
        """Let the sound come to another page, from where it is."""
        if self.listener is not None:
            self.listener.tell({"type": "hush"})
        self.listener = listener
        for piece in self._pieces:
            if piece.is_prepared and not piece.is_hushed and not self._is_over(piece):
                self._hand_over(piece)

    def close(self) -> None:
        """Stop for good."""
        self._stop_alarm()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _cut(self, turn: Turn) -> None:
        """Cut what may be spoken by now into pieces, and have them spoken."""
        done = self._cut_to.get(turn, 0)
        ready = turn.speech.ready
        for text in _short(sentences(ready[done:])):
            starts = [done + start for start in word_starts(text)]
            done += len(text)
            if starts:
                piece = Piece(len(self._pieces), text, starts)
                self._pieces.append(piece)
                self._of_turn.setdefault(turn, []).append(piece)
        self._cut_to[turn] = done

    def _prepare(self, piece: Piece) -> None:
        if piece.is_prepared:
            return
        piece.is_prepared = True
        if self.kind == "kit" and self.mouth is not None:
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._worker, self.mouth.sound, piece.text)
            work.add_done_callback(lambda done: self._sounds(piece, done))
            return
        if self.kind == "captions":
            piece.words_s = [1 / WORDS_PER_S] * len(piece.starts)
        self._hand_over(piece)

    def _sounds(self, piece: Piece, done: "asyncio.Future[bytes]") -> None:
        """Take the sound of a piece; what cannot be spoken is shown for as long."""
        if done.cancelled() or piece.is_hushed:
            return
        piece.sound = b"" if done.exception() else done.result()
        if piece.sound:
            piece.share(len(piece.sound) / 2 / RATE)
            piece.words_s[-1] += PAUSE_S
        else:
            piece.words_s = [1 / WORDS_PER_S] * len(piece.starts)
        self._hand_over(piece)
        self.go_on()

    def _hand_over(self, piece: Piece) -> None:
        """Give a piece to the page that listens, and let it begin where the call is."""
        if self.listener is None or (self.kind == "kit" and piece.sound is None):
            return
        self.listener.tell(
            {"type": "piece", "piece": piece.number, "text": piece.text, "voice": self.kind}
        )
        if piece.sound:
            self.listener.play(piece.number, piece.sound)
        if piece.began_s is not None:
            passed_s = asyncio.get_running_loop().time() - piece.began_s
            self._tell({"type": "speak", "piece": piece.number, "offset_s": round(passed_s, 3)})

    def _begin(self, piece: Piece) -> None:
        piece.began_s = asyncio.get_running_loop().time()
        self._tell({"type": "speak", "piece": piece.number, "offset_s": 0.0})
        if self.kind == "browser":
            self._set_alarm(piece)

    def _is_over(self, piece: Piece) -> bool:
        if piece.began_s is None:
            return False
        return asyncio.get_running_loop().time() >= piece.began_s + piece.seconds

    def _set_alarm(self, piece: Piece) -> None:
        """Do not wait for ever for a page that says nothing of its progress."""
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(REPORT_S, self._assume, piece)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _assume(self, piece: Piece) -> None:
        missing = len(piece.starts) - len(piece.words_s)
        piece.words_s += [1 / WORDS_PER_S] * missing
        self.go_on()

    def _tell(self, event: Event) -> None:
        if self.listener is not None:
            self.listener.tell(event)


def _short(texts: list[str]) -> list[str]:
    """Cut what is too long for one go after a blank, or anywhere if there is none."""
    pieces = []
    for whole in texts:
        text = whole
        while len(text) > _MOST_CHARACTERS:
            cut = text.rfind(" ", 0, _MOST_CHARACTERS) + 1 or _MOST_CHARACTERS
            pieces.append(text[:cut])
            text = text[cut:]
        pieces.append(text)
    return pieces
