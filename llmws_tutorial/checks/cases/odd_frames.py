"""The frames that the cases of `odd_input` send, and how they are sent."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Move, Open, Send

Frames = Mapping[str, str | bytes]
"""What is sent, each on a line of its own, by what it is in words."""
LINES: Final = "abcde"
"""The calls that they are sent on."""
_BOTH_S: Final = 12.0
"""How long a slow server may take for two answers, one after the other."""
_LEVELS: Final = 100_000
_LONG: Final = 900_000


def _frame(kind: str, **fields: Any) -> str:
    return json.dumps({"interaction_type": kind, **fields})


def _said(content: object = "Can you help me?", **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **fields}


def _request(*transcript: object, response_id: object = 1) -> str:
    return _frame("response_required", response_id=response_id, transcript=transcript)


_HELLO: Final = {"role": "agent", "content": "Hello, how may I help you?"}
BINARY: Final[Frames] = {"a binary frame": b'{"interaction_type": "update_only"}'}
NO_JSON: Final[Frames] = {"the text Hello": "Hello"}
NULL: Final[Frames] = {"null": "null"}
EMPTY: Final[Frames] = {"an empty text frame": ""}
NO_OBJECTS: Final[Frames] = {"a list": "[1]", "a number": "5", "a string": '"x"'}
UNKNOWN_EVENT: Final[Frames] = {
    "an unknown event": _frame("call_transferred", transferred_to="+15550100")
}
NO_EVENT: Final[Frames] = {"an object without fields": "{}"}
ROLES: Final[Frames] = {
    f"the role {role}": _request(_HELLO, {"role": role, "content": "One moment."}, _said())
    for role in ("transfer_target", "system", "bystander")
}
NOISE: Final[Frames] = {"(unintelligible audio)": _request(_HELLO, _said("(unintelligible audio)"))}
WORDS: Final[Frames] = {
    "an utterance without words": _request(_said()),
    "words that are null": _request(_said(words=None)),
    "an empty list of words": _request(_said(words=[])),
    "words without times": _request(_said(words=[{"word": "Can"}, {"word": "you"}])),
}
IDS: Final[Frames] = {
    "a request without response_id": _frame("response_required", transcript=[_said()]),
    "a response_id that is null": _request(_said(), response_id=None),
    "a response_id that is text": _request(_said(), response_id="1"),
    "a response_id that is true": _request(_said(), response_id=True),
}
TRANSCRIPTS: Final[Frames] = {
    "a request without transcript": _frame("response_required", response_id=1),
    "a transcript that is null": _frame("response_required", response_id=1, transcript=None),
    "a transcript that is text": _frame("response_required", response_id=1, transcript="Hello"),
    "a transcript that is an object": _frame("response_required", response_id=1, transcript={}),
}
UTTERANCES: Final[Frames] = {
    "an utterance that is text": _request("Hello"),
    "an utterance that is null": _request(None),
    "a content that is null": _request(_said(None)),
    "a content that is a number": _request(_said(7)),
}
SCRIPTS: Final[Frames] = {
    "emoji": _request(_said("Thanks \U0001f44d\U0001f3fd \U0001f469\u200d\U0001f52c!")),
    "text from right to left": _request(_said("\u0634\u0643\u0631\u0627 \u05ea\u05d5\u05d3\u05d4")),
    "combining characters": _request(_said("Cafe\u0301, Z\u0351\u036b\u0343algo")),
    "half a character": _request(_said("Half a smile: \ud83d")),
    "a NUL character": _request(_said("Nothing \u0000 here")),
}
NAN: Final[Frames] = {"a heartbeat at NaN": '{"interaction_type": "ping_pong", "timestamp": NaN}'}
DEEP: Final = (
    '{"interaction_type": "update_only", "transcript": ' + "[" * _LEVELS + "]" * _LEVELS + "}"
)
_MORE: Final = {
    "transcript": [
        _HELLO | {"confidence": 0.9},
        _said(words=[{"word": "Can", "start": 0.1, "end": 0.3, "speaker": 1}], language="en"),
    ],
    "timestamp": 1_700_000_000_000,
    "extra": {"deep": [None, {}]},
}
UNKNOWN_IN_UPDATE: Final = _frame("update_only", **_MORE)
UNKNOWN_IN_REQUEST: Final = _frame("response_required", response_id=1, **_MORE)
LONG: Final = _request(_said("hello " * (_LONG // 6)))
SPREAD: Final = _request(_HELLO, _said()).replace(', "', ',\n"', 2)
FACTS: Final = _frame(
    "call_details",
    call={
        "call_type": "phone_call",
        "call_id": "check_facts",
        "agent_id": "agent",
        "call_status": "ongoing",
        "direction": "inbound",
        "from_number": "+15550100",
        "to_number": "+15550101",
        "metadata": {},
        "retell_llm_dynamic_variables": {"name": "Ada"},
    },
)


def sent(frames: Frames) -> tuple[Move, ...]:
    """Send each frame on a call of its own, and a request right behind it."""
    return _on_lines(
        frames, lambda frame, line: (Send(frame, line=line), Ask(2, line=line)), Answered(2)
    )


def asked(frames: Frames) -> tuple[Move, ...]:
    """Ask by each frame, on a call of its own."""
    return _on_lines(
        frames, lambda frame, line: (Ask(1, frame=str(frame), line=line),), Answered(1)
    )


def asked_again(frames: Frames) -> tuple[Move, ...]:
    """Ask by each frame, on a call of its own; then ask as usual."""
    return _on_lines(
        frames,
        lambda frame, line: (Ask(1, frame=str(frame), line=line), Ask(2, line=line)),
        Answered(2, within_s=_BOTH_S),
    )


def _on_lines(
    frames: Frames, send: Callable[[str | bytes, str], tuple[Move, ...]], awaited: Answered
) -> tuple[Move, ...]:
    calls = tuple(zip(LINES, frames.values(), strict=False))
    return (
        *(Open(line=line) for line, _ in calls),
        *(Greeted(line=line) for line, _ in calls),
        *(move for line, frame in calls for move in send(frame, line)),
        *(replace(awaited, line=line) for line, _ in calls),
    )
