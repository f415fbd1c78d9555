"""The caller's mouth: the words to come, and how many were over the agent's."""

from collections import deque
from collections.abc import Sequence

from llmws_tutorial.simulator.speech import Speech


class Mouth:
    """The words that a caller has yet to say.

    Attributes:
        words_over: how many words of this go count as said over the agent, if it speaks.
        stopped_at_s: when the last word was out (seconds of the call); None before the first.
    """

    def __init__(self) -> None:
        self.words_over = 0
        self.stopped_at_s: float | None = None
        self._words: deque[str] = deque()
        self._before: str | None = None
        self._understood = 0

    @property
    def is_busy(self) -> bool:
        """Whether there are words left, or a voice is heard."""
        return self.has_words or self.is_voiced

    @property
    def has_words(self) -> bool:
        """Whether there are words left."""
        return bool(self._words)

    @property
    def is_voiced(self) -> bool:
        """Whether a voice is heard, whose words only a recogniser knows."""
        return self._before is not None

    def open(self, before: str) -> None:
        """Begin to sound.

        Args:
            before: what the open utterance says already.
        """
        self._before, self._understood = before, 0

    def understand(self, words: Sequence[str], now_s: float) -> str:
        """Take all words that were made out of the voice so far.

        Returns:
            What the open utterance says with them.
        """
        self.words_over += max(len(words) - self._understood, 0)
        self._understood = max(len(words), self._understood)
        self.stopped_at_s = now_s
        return " ".join([*(self._before or "").split(), *words])

    def close(self) -> None:
        """Stop to sound."""
        self._before = None

    def take(self, words: Sequence[str]) -> None:
        """Get more words to say."""
        self._words.extend(words)

    def say(self, now_s: float) -> str:
        """Finish one word; the answer is that word."""
        self.words_over += 1
        self.stopped_at_s = now_s
        if self._before is not None:  # typed while a voice is heard
            self._before = f"{self._before} {self._words[0]}"
        return self._words.popleft()

    def talks_over(self, speech: Speech, needed: float, now_s: float) -> bool:
        """Whether enough is said over the agent to make it stop.

        Args:
            speech: what the agent says.
            needed: how many words it takes; with none it is enough to begin.
            now_s: the time (seconds of the call).
        """
        if speech.is_over or speech.is_protected:
            return False
        if speech.next_word is None:
            needed = 0  # the agent holds the turn and says nothing: there is nothing to talk over
        if not self.is_busy:
            return now_s == self.stopped_at_s and self.words_over >= max(needed, 1)
        return self.words_over >= needed

    def give_way(self) -> None:
        """Let none of the words that are left count as talking over the agent: it began."""
        self.words_over = -len(self._words)

    def shut(self) -> None:
        """Forget what is left."""
        self._words.clear()
        self.close()
