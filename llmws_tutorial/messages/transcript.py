"""What was said: utterances, and the transcript with tool calls woven in.

The platform sends the whole call again with every message, so most transcripts are never read.
They travel as raw JSON, and are turned into objects when somebody asks.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, TypeVar

import msgspec


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """One word and when it was spoken.

    Attributes:
        word: the word as text.
        start: when it began (seconds of the call's audio; None when unknown).
        end: when it ended (seconds of the call's audio; None when unknown).

    Source: docs/protocol.md, section 3 [ref].
    """

    word: str = ""
    start: float | None = None
    end: float | None = None


class Utterance(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True
):
    """What one side said in one go.

    Attributes:
        role: ``agent`` or ``user``; the platform also sends others, which must be survived.
        content: the words as text; may be the literal ``(unintelligible audio)``.
        words: the same words with their times, when the platform knows them.

    Source: docs/protocol.md, section 3 [ref].
    """

    role: str
    content: str
    words: tuple[Word, ...] = ()


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """One entry of the transcript with tool calls: said, or done between.

    Attributes:
        role: what it is: ``agent`` and ``user`` spoke; ``tool_call_invocation``,
            ``tool_call_result``, ``dtmf``, ``node_transition``, ``sms`` and ``injected``
            happened. Others must be survived.
        content: the words, or what the tool returned.
        words: the words with their times.
        tool_call_id: which call of a tool this is about.
        name: the tool that was called.
        arguments: what it was called with: a JSON object, as a string.
        successful: whether the tool worked; None when not reported.
        digit: the key that the caller pressed.

    Source: docs/protocol.md, section 3 [ref, sdk].
    """

    role: str
    content: str = ""
    words: tuple[Word, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    successful: bool | None = None
    digit: str | None = None


_Said = TypeVar("_Said", Utterance, Entry)
_utterances: Final = msgspec.json.Decoder(tuple[Utterance, ...])
_entries: Final = msgspec.json.Decoder(tuple[Entry, ...])
_anything: Final = msgspec.json.Decoder()
_encoder: Final = msgspec.json.Encoder()


def _list_of(name: str) -> Any:
    """Tell the JSON Schema what raw JSON holds."""
    items = {"$ref": f"#/$defs/{name}"}
    return msgspec.Meta(extra_json_schema={"type": "array", "items": items})


RawTranscript = Annotated[msgspec.Raw, _list_of("Utterance")]
"""The JSON of a list of utterances."""
RawEntries = Annotated[msgspec.Raw, _list_of("Entry")]
"""The JSON of a list of entries."""


Packed = msgspec.Raw
"""JSON that is written already: of one utterance or entry, or of a list of them."""


def pack(said: Iterable[Utterance | Entry | Packed]) -> Packed:
    """Turn utterances or entries into the raw JSON that a message carries."""
    return msgspec.Raw(_encoder.encode(tuple(said)))


def pack_one(said: Utterance | Entry) -> Packed:
    """Turn one utterance or entry into raw JSON, once for many messages."""
    return msgspec.Raw(_encoder.encode(said))


def unpack_utterances(raw: msgspec.Raw) -> tuple[Utterance, ...]:
    """Read a raw transcript; an utterance that cannot be read is left out."""
    try:
        return _utterances.decode(raw)
    except msgspec.ValidationError:
        return tuple(_readable(raw, Utterance))


def unpack_entries(raw: msgspec.Raw) -> tuple[Entry, ...]:
    """Read a raw transcript with tool calls; an entry that cannot be read is left out."""
    try:
        return _entries.decode(raw)
    except msgspec.ValidationError:
        return tuple(_readable(raw, Entry))


def _readable(raw: msgspec.Raw, kind: type[_Said]) -> Iterator[_Said]:
    items = _anything.decode(raw)
    for item in items if isinstance(items, list) else ():
        # an exception for each of half a million items would hold up every other call
        if isinstance(item, dict) and isinstance(item.get("role"), str):
            with contextlib.suppress(msgspec.ValidationError):
                yield msgspec.convert(item, kind)
