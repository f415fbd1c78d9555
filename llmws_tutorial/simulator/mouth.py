"""The caller's mouth: words to come, or a voice, then the pause that ends a turn.

There are two ways to speak. Words that are known take their time one after another; of a voice
only a recogniser knows the words, and later other ones. One mouth cannot do both: while a voice is
heard, known words wait.
"""

from collections import deque
from collections.abc import Sequence

from llmws_tutorial.simulator.speech import Speech
from llmws_tutorial.simulator.timers import Timer, Timers


class Mouth:
    """What a caller is saying.

    Attributes:
        word_s: how long a word takes (seconds).
        words_over: how many words of this go count as said over the agent, if it speaks.
        stopped_at_s: when the last word was out (seconds of the call); None before the first.
    """

    def __init__(self, timers: Timers, *, word_s: float) -> None:
        """Begin with a mouth that is shut.

        Args:
            timers: take when a word is out, and when the pause is over.
            word_s: how long a word takes (seconds).
        """
        self.word_s = word_s
        self.words_over = 0
        self.stopped_at_s: float | None = None
        self._timers = timers
        self._words: deque[str] = deque()
        self._before: str | None = None  # what was said before this voice; None without a voice
        self._understood = 0  # how many words the voice has by now
        self._gave_way = False  # the agent has talked over this voice

    @property
    def is_talking(self) -> bool:
        """Whether there is more to come, or the pause behind it is not over."""
        return self.is_busy or Timer.END_OF_TURN in self._timers

    @property
    def is_busy(self) -> bool:
        """Whether there are words left, or a voice is heard."""
        return bool(self._words) or self.is_voiced

    @property
    def is_voiced(self) -> bool:
        """Whether a voice is heard, whose words only a recogniser knows."""
        return self._before is not None

    def take(self, words: Sequence[str], now_s: float) -> None:
        """Get more words to say."""
        self._begin()
        self._words.extend(words)
        if Timer.CALLER_WORD not in self._timers:
            self.go_on(now_s)

    def say(self, now_s: float) -> str:
        """Finish one word; the answer is that word."""
        self.words_over += 1
        self.stopped_at_s = now_s
        return self._words.popleft()

    def go_on(self, now_s: float) -> None:
        """Begin the next word, if there is one and no voice has the mouth."""
        if self._words and not self.is_voiced:
            self._timers.set(Timer.CALLER_WORD, now_s + self.word_s)

    def open(self, before: str) -> None:
        """Let a voice be heard; words that are left wait until it stops.

        Args:
            before: what the caller's open utterance says already.
        """
        self._begin()
        self._timers.stop(Timer.CALLER_WORD)
        self._before, self._understood, self._gave_way = before, 0, False

    def understand(self, words: Sequence[str]) -> str:
        """Take all words that are made out of the voice by now, be they more or fewer.

        Returns:
            What the caller's open utterance says with them.
        """
        if not self._gave_way:
            self.words_over += len(words) - self._understood
        self._understood = len(words)
        return " ".join([self._before, *words] if self._before else words)

    def close(self, now_s: float) -> None:
        """Let the voice end."""
        self._before = None
        self.go_on(now_s)

    def pause(self, length_s: float, now_s: float, *, silent_s: float = 0.0) -> None:
        """Begin the pause that ends a turn.

        Args:
            length_s: how long it is (seconds).
            now_s: the time (seconds of the call).
            silent_s: how much of it is over already.
        """
        self.stopped_at_s = max(now_s - silent_s, 0.0)
        self._timers.set(Timer.END_OF_TURN, now_s + max(length_s - silent_s, 0.0))

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
        if self._words or (self.is_voiced and not self._gave_way):
            return self.words_over >= needed
        return now_s == self.stopped_at_s and self.words_over >= max(needed, 1)

    def give_way(self) -> None:
        """Let nothing that was begun count as talking over the agent: it began."""
        self.words_over = -len(self._words)
        self._gave_way = True  # of a voice; the next one is counted again

    def shut(self) -> None:
        """Forget what is left."""
        self._words.clear()
        self._before = None

    def _begin(self) -> None:
        if not self.is_talking:
            self.words_over = 0
        self._timers.stop(Timer.END_OF_TURN)
