"""The caller's mouth: what is about to be said, word by word, and how much of it over the agent."""

from collections import deque
from collections.abc import Sequence


class Mouth:
    """The words that a caller has yet to say.

    Attributes:
        words_over: how many words of this go were said while the agent could have been cut.
        stopped_at_s: when the last word was out (seconds of the call); None before the first.
    """

    def __init__(self) -> None:
        self.words_over = 0
        self.stopped_at_s: float | None = None
        self._words: deque[str] = deque()

    @property
    def is_busy(self) -> bool:
        """Whether there are words left."""
        return bool(self._words)

    def take(self, words: Sequence[str]) -> None:
        """Get more words to say."""
        self._words.extend(words)

    def say(self, now_s: float) -> str:
        """Finish one word; the answer is that word."""
        self.words_over += 1
        self.stopped_at_s = now_s
        return self._words.popleft()

    def give_way(self) -> None:
        """Let none of the words that are left count as talking over the agent: it began."""
        self.words_over = -len(self._words)

    def shut(self) -> None:
        """Forget what is left."""
        self._words.clear()
