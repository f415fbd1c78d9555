"""Who speaks the agent's words: when the first sounds, and how long each takes.

A call asks its voice for every word, and goes on when that word is over. A real voice needs a
moment until a sentence has a sound; until then it has no answer, and whoever holds the call tells
it to `Call.go_on` once there is one. It is the agent's turn from the first word that is asked for:
a caller who talks over it before there was a sound cuts it as well.
"""

from typing import Protocol

from llmws_tutorial.simulator.turn import Turn


class Voice(Protocol):
    """Speaks what the agent says, word by word, and is told when to stop."""

    def delay_s(self, turn: Turn) -> float:
        """How long it is until a turn's first sound (seconds); asked once a turn."""
        ...

    def say(self, turn: Turn) -> float | None:
        """Begin the next word of a turn, the one at `Speech.next_at`.

        Returns:
            How long it takes (seconds); None when its sound is not there yet: then the same word
            is asked for again, at the latest when the call is told to go on.
        """
        ...

    def hush(self, turn: Turn) -> None:
        """Stop: of a turn that has begun, and is not over, nothing more is ever heard."""
        ...


class SteadyVoice:
    """A voice without a sound: each word takes as long as any other."""

    def __init__(self, *, delay_s: float, words_per_s: float) -> None:
        self._delay_s = delay_s
        self._word_s = 1 / words_per_s

    def delay_s(self, turn: Turn) -> float:
        """How long it takes until the first sound: always the same."""
        return self._delay_s

    def say(self, turn: Turn) -> float:
        """Begin the next word; all words take the same time."""
        return self._word_s

    def hush(self, turn: Turn) -> None:
        """Stop: there is no sound to stop."""
