"""What the agent is to say in one answer: sent, ready to be spoken, heard.

Text arrives in pieces, and a voice begins with a whole sentence. So three marks run through the
text, one after another: heard up to here, ready to be spoken up to here, sent up to here.
"""

import re
from itertools import pairwise
from typing import Final

_CLOSING: Final = "[\"')\\]\u201d\u2019\u00bb\u300d\u300f]*"  # quotes and brackets, also wide ones
_WIDE: Final = "\u3002\uff1f\uff01"  # the full stop, question and exclamation mark of Chinese
_SENTENCE_END: Final = re.compile(rf"[.?!]{_CLOSING}(?=\s)|[{_WIDE}]{_CLOSING}")
_CHUNK_END: Final = re.compile(rf"[.?!{_WIDE}]{_CLOSING}\s*\Z")
_WORD: Final = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # written without blanks: each sign is a word
    "|[^\\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_LONGEST_END: Final = 8
"""How far back the end of a sentence can begin that only a new chunk makes one."""


def sentences(text: str) -> list[str]:
    """Cut a text after each sentence; joined again the pieces are the text."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    edges = [0, *ends, len(text)]
    return [text[start:end] for start, end in pairwise(edges) if start < end]


def word_starts(text: str) -> list[int]:
    """Where each word of a text begins, as they are spoken one by one."""
    return [found.start() for found in _WORD.finditer(text)]


class Speech:
    """The text of one answer, on its way from sent to heard.

    Attributes:
        text: everything that was sent so far.
        is_complete: whether nothing more will come.
        words_heard: how many words were spoken so far.
    """

    def __init__(self, *, ends_with_chunk: bool = True) -> None:
        self.text = ""
        self.is_complete = False
        self.words_heard = 0
        self._ends_with_chunk = ends_with_chunk
        self._ready_to = 0
        self._heard_to = 0
        self._protected: list[tuple[int, int]] = []

    @property
    def heard(self) -> str:
        """What was spoken so far, cut after a word."""
        return self.text[: self._heard_to]

    @property
    def ready(self) -> str:
        """What may be spoken so far: whole sentences, or all once nothing more comes."""
        return self.text[: self._ready_to]

    @property
    def has_sentence(self) -> bool:
        """Whether there was ever enough to begin to speak."""
        return self.words_heard > 0 or self._next() is not None

    @property
    def next_word(self) -> str | None:
        """The next word that may be spoken; None when the text has run dry."""
        found = self._next()
        return found[0] if found else None

    @property
    def next_at(self) -> int | None:
        """Where in the text the next word begins that may be spoken; None: it has run dry."""
        found = self._next()
        return found.start() if found else None

    @property
    def is_over(self) -> bool:
        """Whether all of it was spoken, and nothing more will come."""
        return self.is_complete and self._next() is None

    @property
    def is_protected(self) -> bool:
        """Whether the caller cannot talk over the next word."""
        found = self._next()
        at = found.start() if found else -1
        return any(start <= at < end for start, end in self._protected)

    def add(self, content: str, *, is_last: bool, is_protected: bool) -> None:
        """Take one piece, as it came; pieces are joined without a blank."""
        before = len(self.text)
        self.text += content
        self.is_complete = is_last
        if is_protected:
            self._protected.append((before, len(self.text)))
        if is_last:
            self._ready_to = len(self.text)
            return
        searched_from = max(self._ready_to, before - _LONGEST_END)
        for end in _SENTENCE_END.finditer(self.text, searched_from):
            self._ready_to = end.end()
        if self._ends_with_chunk and _CHUNK_END.search(self.text, searched_from):
            self._ready_to = len(self.text)

    def hear(self) -> str:
        """Speak the next word; the answer is that word, empty when the text has run dry."""
        found = self._next()
        if found is None:
            return ""
        self._heard_to = found.end()
        self.words_heard += 1
        return found[0]

    def _next(self) -> re.Match[str] | None:
        return _WORD.search(self.text, self._heard_to, self._ready_to)
