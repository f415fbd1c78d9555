"""What was heard in a call so far, word by word, and what was done in between.

An utterance grows while its speaker speaks, and is packed once it is over: a call of an hour is
sent whole with every message, and only its last words are new.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from llmws_tutorial.messages import (
    ConfigFields,
    Entry,
    Packed,
    Utterance,
    Word,
    pack,
    pack_one,
    unpack_entries,
    unpack_utterances,
)

UNINTELLIGIBLE: Final = "(unintelligible audio)"
"""What a transcript says where the caller could not be understood."""


class Heard(NamedTuple):
    """An utterance as it is by now.

    Attributes:
        role: who speaks.
        content: what was said so far.
        began_s: when its first word began (seconds of the call); None when nobody knows.
        is_over: whether nothing more comes.
    """

    role: str
    content: str
    began_s: float | None
    is_over: bool


class _Said:
    """One utterance: growing while it has words of its own, packed from then on."""

    __slots__ = ("began_s", "content", "packed", "role", "words")

    def __init__(self, role: str, began_s: float | None) -> None:
        self.role = role
        self.began_s = began_s
        self.content = ""
        self.words: list[Word] = []
        self.packed: Packed | None = None

    def pack(self) -> Packed:
        if self.packed is not None:
            return self.packed
        return pack_one(Utterance(role=self.role, content=self.content, words=tuple(self.words)))

    def close(self) -> None:
        self.packed = self.pack()
        self.words = []


class Transcript:
    """The utterances of a call, oldest first; also with what was done woven in.

    Attributes:
        size: how much was said and done so far (characters, without the times of words).
    """

    def __init__(self) -> None:
        self.size = 0
        self._said: list[_Said] = []
        self._woven: list[_Said | Packed] = []
        self._open: dict[str, _Said] = {}

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """What was said, as objects."""
        return unpack_utterances(self.pack())

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was said and done, as objects."""
        return unpack_entries(self.pack_woven())

    def said_since(self, number: int) -> list[Heard]:
        """Who said what, from an utterance on (0 and up)."""
        return [
            Heard(said.role, said.content, said.began_s, said.packed is not None)
            for said in self._said[number:]
        ]

    def hear(self, role: str, content: str, word: Word | None) -> None:
        """Let a speaker's open utterance be this long now; the first word opens one."""
        said = self._open.get(role)
        if said is None:
            said = self._open[role] = _Said(role, None if word is None else word.start)
            self._said.append(said)
            self._woven.append(said)
        self.size += len(content) - len(said.content)
        said.content = content
        if word is not None:
            said.words.append(word)

    def content_of(self, role: str) -> str:
        """What a speaker's open utterance says so far; empty when there is none."""
        said = self._open.get(role)
        return said.content if said else ""

    def close(self, *roles: str) -> None:
        """End the open utterances of these speakers: their next word begins another."""
        for role in roles:
            if said := self._open.pop(role, None):
                said.close()

    def weave(self, entry: Entry) -> None:
        """Note what was done at this point of the call."""
        packed = pack_one(entry)
        self._woven.append(packed)
        self.size += memoryview(packed).nbytes

    def pack(self) -> Packed:
        """What was said, as a message carries it."""
        return pack(said.pack() for said in self._said)

    def pack_woven(self) -> Packed:
        """What was said and done, as a message carries it."""
        return pack(self._packed(self._woven))

    def as_fields(self, config: ConfigFields) -> dict[str, Packed]:
        """What was said as the fields of a message, with what was done if wanted."""
        fields = {"transcript": self.pack()}
        if config.transcript_with_tool_calls:
            fields["transcript_with_tool_calls"] = self.pack_woven()
        return fields

    @staticmethod
    def _packed(items: Iterable["_Said | Packed"]) -> Iterable[Packed]:
        return (item.pack() if isinstance(item, _Said) else item for item in items)
