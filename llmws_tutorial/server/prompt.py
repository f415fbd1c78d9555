"""What a model is told: how to speak, and what was said and done so far."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from llmws_tutorial.messages import Entry, Utterance
from llmws_tutorial.server.settings import BUDGET

Message = dict[str, Any]
"""One message to a model, or one tool that it may call, as it goes over the wire."""

VOICE_PROMPT: Final = (
    "You are a friendly agent on a phone call. What you write is spoken aloud: use short, plain "
    "sentences without markdown, lists, emoji or links, and write numbers, dates and times as "
    "words. Answer in one or two sentences, then let the caller speak. Ask one thing at a time.\n"
    "The caller's words come from speech recognition and may be wrong: go by what was most likely "
    "meant. When they make no sense, or where the text says (unintelligible audio), ask once more "
    "in other words.\n"
    "Never say that you have done something, or will do it, unless a tool has done it. Say so when "
    "you do not know something. Text in parentheses is a note to you, and was not spoken."
)
STEPS: Final = 4
"""The oldest is cut a quarter of the budget at a time, so that a provider's cache of what was the
same in the last request holds for many turns."""

BEGINS: Final = "(The call begins.)"
LEFT_OUT: Final = "(The beginning of the call is left out.)"
SILENT: Final = "(The caller has not answered yet.)"
"""Notes to the model, in the place of what was not said."""
NO_RESULT: Final = "(no result)"
NUDGE: Final = (
    "The caller has been silent for a while. Ask in one short sentence whether they are still "
    "there or need anything else; do not repeat your last answer."
)
BROKEN_OFF: Final = "..."
_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class _Said:
    """What one side said in one go."""

    role: str
    text: str

    @property
    def size(self) -> int:
        return len(self.text) + 1


@dataclass(frozen=True)
class _Used:
    """Tools that were called in one go, by id, and what they returned."""

    calls: dict[str, dict[str, str]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """An upper bound of what it adds to a request."""
        calls = sum(len(call["name"]) + len(call["arguments"]) for call in self.calls.values())
        results = sum(len(self.results.get(call_id, NO_RESULT)) for call_id in self.calls)
        return calls + results + len(BROKEN_OFF)


def conversation(transcript: Iterable[Utterance | Entry], *, budget: int = BUDGET) -> list[Message]:
    """The transcript as any model takes it: user and assistant in turn.

    The user is first, and last unless a tool's result is. Whoever is not the agent counts as the
    user; utterances in a row become one. Tool calls stand with their results.

    Args:
        transcript: what was said, or said and done, oldest first.
        budget: how much is told (characters, `LEAST_BUDGET` or more); the newest is kept.
    """
    units = list(_units(transcript))
    kept = _newest(units, budget - len(LEFT_OUT) - len(SILENT))
    talk = _Talk()
    talk.say("user", BEGINS if kept is units else LEFT_OUT)
    for unit in kept:
        if isinstance(unit, _Said):
            talk.say(unit.role, unit.text)
        else:
            talk.use(unit)
    if talk.role == "assistant":
        talk.say("user", SILENT)
    return talk.messages


def _units(transcript: Iterable[Utterance | Entry]) -> Iterator[_Said | _Used]:
    """What can be kept or left out, each as a whole."""
    used: dict[str, _Used] = {}
    last: _Used | None = None
    for entry in transcript:
        call_id = getattr(entry, "tool_call_id", None)
        if entry.role == "tool_call_invocation" and isinstance(entry, Entry):
            if call_id and entry.name and call_id not in used:
                if last is None or last.results:
                    last = _Used()
                    yield last
                used[call_id] = last
                last.calls[call_id] = _function(entry.name, entry.arguments or "")
        elif entry.role == "tool_call_result":
            if call_id in used:
                used[call_id].results[call_id] = entry.content
        elif said := _said(entry):
            last = None
            yield said


def _said(entry: Utterance | Entry) -> _Said | None:
    """Who said what; nothing where nothing was said."""
    text = entry.content.strip()
    digit = getattr(entry, "digit", None)
    if digit:
        text = f"pressed {digit} {text}".rstrip()
    if not text:
        return None
    if entry.role == "agent":
        return _Said("assistant", text)
    return _Said("user", text if entry.role == "user" else f"({entry.role}) {text}")


def _function(name: str, arguments: str) -> dict[str, str]:
    """A call as strict providers take it: a name of few letters, and JSON in a string."""
    try:
        is_object = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        is_object = False
    return {"name": _NAME.sub("_", name)[:64], "arguments": arguments if is_object else "{}"}


def _newest(units: list[_Said | _Used], budget: int) -> Sequence[_Said | _Used]:
    """Those that fit, without the oldest; what is cut grows in steps, as the call does."""
    sizes = [unit.size for unit in units]
    total, step = sum(sizes), budget // STEPS
    if total <= budget:
        return units
    cut = -(-(total - budget) // step) * step
    first = next((n for n, end in enumerate(accumulate(sizes)) if end - sizes[n] >= cut), None)
    if first is not None:
        return units[first:]
    last = units[-1]
    return [_Said(last.role, last.text[1 - budget :])] if isinstance(last, _Said) else []


def note(text: str) -> Entry:
    """What the model is told beside what was said."""
    return Entry(role="user", content=f"({text})")


class _Talk:
    """Messages as they are put together.

    Attributes:
        messages: those that there are.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []

    @property
    def role(self) -> str:
        """Whose message the last one is; empty when there is none."""
        return self.messages[-1]["role"] if self.messages else ""

    def say(self, role: str, text: str) -> None:
        if role == self.role:
            self.messages[-1]["content"] += f" {text}"
            return
        if role == "user" and self.role == "tool":  # some templates want an answer in between
            self.messages.append({"role": "assistant", "content": BROKEN_OFF})
        self.messages.append({"role": role, "content": text})

    def use(self, used: _Used) -> None:
        ids = {call_id: _short(call_id) for call_id in used.calls}
        if self.role != "assistant":
            self.messages.append({"role": "assistant", "content": None})
        self.messages[-1]["tool_calls"] = [
            {"id": ids[call_id], "type": "function", "function": function}
            for call_id, function in used.calls.items()
        ]
        for call_id in used.calls:
            content = used.results.get(call_id, NO_RESULT)
            self.messages.append({"role": "tool", "tool_call_id": ids[call_id], "content": content})


def _short(call_id: str) -> str:
    """An id as every provider takes it: some want exactly nine letters and digits."""
    return hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:9]
