"""What a page is told of a call: rows that are small however large the call is.

A frame is a row with its size and the part that says something; whoever opens the row asks for all
of it. A turn is told again whenever it has changed, with the text that is new.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from llmws_tutorial.simulator import CallRecord, Frame, State
from llmws_tutorial.simulator.turn import Turn

SHOWN: Final = 200
"""How many characters of a frame its row shows."""
MOST_TEXT: Final = 20_000
"""How many characters of one utterance a page shows."""

Event = dict[str, Any]
"""What a page is told: a JSON object with the field ``type``."""


class _Peek(msgspec.Struct):
    """The fields of a frame that its row shows; all else is skipped unread."""

    interaction_type: str | None = None
    response_type: str | None = None
    response_id: int | None = None
    interrupt_id: int | None = None
    turntaking: str | None = None
    content: str | None = None
    content_complete: bool | None = None
    name: str | None = None
    transcript: list[msgspec.Raw] | None = None


_peek: Final = msgspec.json.Decoder(_Peek)
_entry: Final = msgspec.json.Decoder(dict[str, Any])


def row(frame: Frame, number: int) -> Event:
    """Tell of one frame in a row.

    Args:
        frame: the frame.
        number: its place in the call (0 and up).
    """
    told: Event = {
        "n": number,
        "at_s": round(frame.at_s, 3),
        "sender": frame.sender,
        "size": len(frame.data),
        "dropped": frame.dropped,
        "kind": "binary" if isinstance(frame.data, bytes) else "not a message",
        "says": "" if isinstance(frame.data, bytes) else frame.data[:SHOWN],
        "id": None,
    }
    if isinstance(frame.data, str):
        try:
            peek = _peek.decode(frame.data)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return told
        kind = peek.interaction_type or peek.response_type
        if kind is not None or frame.sender == "server":
            told |= {"kind": kind or "response", "says": _says(peek), "id": _id(peek)}
    return told


def whole(frame: Frame) -> str:
    """All of a frame, as text; bytes as their hexadecimal digits."""
    return frame.data if isinstance(frame.data, str) else frame.data.hex(" ")


def turn_of(turn: Turn, number: int) -> Event:
    """Tell of one turn of the agent: what was sent and heard of it, and how long things took."""
    return {
        "n": number,
        "kind": turn.kind,
        "id": turn.response_id,
        "asked_at_s": round(turn.asked_at_s, 3),
        "sent": turn.sent[:MOST_TEXT],
        "size": len(turn.sent),
        "heard_to": min(len(turn.heard), MOST_TEXT),
        "words_heard": turn.words_heard,
        "is_complete": turn.complete_at_s is not None,
        "is_cut": turn.is_cut,
        "is_over": turn.speech.is_over,
        "action": None if turn.action is None else turn.action.name,
        "has_acted": turn.has_acted,
        "first_chunk_ms": _ms(turn.asked_at_s, turn.first_piece_at_s),
        "first_sentence_ms": _ms(turn.asked_at_s, turn.first_sentence_at_s),
        "complete_ms": _ms(turn.asked_at_s, turn.complete_at_s),
        "tts_ms": _ms(turn.ready_at_s, turn.voice_at_s),
        "e2e_ms": _ms(turn.stopped_at_s, turn.voice_at_s),
    }


@dataclass(eq=False)
class CallView:
    """One call as pages see it: what has changed since they were told, and all of it.

    Attributes:
        record: the call.
        url: the server that was dialled, as it was typed.
        title: the scenario's, if one is played; else empty.
        stage: how far the dialling has come, in words; empty once the call is open.
        trouble: why the call did not come about; empty otherwise.
        rows: a row for each frame.
        items: the conversation: each utterance of the caller and turn of the agent, in order.
    """

    record: CallRecord
    url: str
    title: str = ""
    stage: str = ""
    trouble: str = ""
    rows: list[Event] = field(default_factory=list)
    items: list[Event] = field(default_factory=list)
    _turns: list[tuple[Any, ...]] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)  # of the items, by what they are
    _said: int = 0  # how many utterances are told and over
    _logged: int = 0
    _status: Event = field(default_factory=dict)

    @property
    def marks(self) -> tuple[Any, ...]:
        """Something that differs whenever `changes` would tell anything."""
        call, turns = self.record.call, self.record.turns
        latest = [_mark(turn) for turn in turns[-2:]]
        return (
            call.state,
            call.heard.size,
            len(call.log),
            len(turns),
            call.is_caller_talking,
            *latest,
        )

    def add(self, frame: Frame) -> Event:
        """Take one frame, and tell of it."""
        told = row(frame, len(self.rows))
        self.rows.append(told)
        return {"type": "frame", "call_id": self.record.call_id, **told}

    def changes(self) -> list[Event]:
        """Everything but frames that is new since the last time, as events."""
        events = [*self._new_items(), *self._new_lines()]
        if (status := self.status()) != self._status:
            self._status = status
            events.append(status)
        return events

    def snapshot(self) -> Event:
        """All that was told so far, for a page that has just come."""
        return {
            "type": "call",
            "call_id": self.record.call_id,
            "url": self.url,
            "title": self.title,
            "started_ms": self.record.started_ms,
            "frames": self.rows,
            "items": self.items,
            "log": [self._line(number) for number in range(self._logged)],
            "status": self.status(),
        }

    def status(self) -> Event:
        """Where the call stands."""
        call = self.record.call
        return {
            "type": "status",
            "call_id": self.record.call_id,
            "state": call.state.name.lower(),
            "says": self.stage or call.state.value,
            "is_open": self.record.connections > 0 and call.state is not State.ENDED,
            "is_over": call.state is State.ENDED or bool(self.trouble),
            "is_callers_turn": call.is_callers_turn,
            "is_caller_talking": call.is_caller_talking,
            "trouble": self.trouble,
            "ended": self.record.disconnection_reason,
            "close_code": self.record.close_code,
            "connections": self.record.connections,
            "transferred_to": call.transferred_to,
            "pressed": list(call.pressed),
            "latency": {
                name: {
                    "p50": part.percentile(50),
                    "p95": part.percentile(95),
                    "num": len(part.values),
                }
                for name, part in self.record.latency.items()
            },
        }

    def _new_items(self) -> list[Event]:
        changed: dict[str, Event] = {}
        said = self.record.call.heard.said_since(self._said)
        for number, (role, content) in enumerate(said, self._said):
            if role == "user":
                told = {"role": "user", "sent": content[:MOST_TEXT], "size": len(content)}
                changed |= self._put(f"said {number}", told)
        self._said += max(len(said) - 2, 0)  # one of each side may still grow
        for number, turn in enumerate(self.record.turns):
            mark = _mark(turn)
            if number == len(self._turns):
                self._turns.append(())
            if self._turns[number] != mark:
                self._turns[number] = mark
                changed |= self._put(f"turn {number}", {"role": "agent", **turn_of(turn, number)})
        return [
            {"type": "item", "call_id": self.record.call_id, **item} for item in changed.values()
        ]

    def _put(self, key: str, told: Event) -> dict[str, Event]:
        """Put an item into its place; empty when it was there just so."""
        place = self._places.setdefault(key, len(self.items))
        item = {"place": place, "at_s": round(self.record.call.now_s, 3), **told}
        if place == len(self.items):
            self.items.append(item)
            return {key: item}
        item["at_s"] = self.items[place]["at_s"]
        if item == self.items[place]:
            return {}
        self.items[place] = item
        return {key: item}

    def _new_lines(self) -> list[Event]:
        first, self._logged = self._logged, len(self.record.log)
        return [self._line(number) for number in range(first, self._logged)]

    def _line(self, number: int) -> Event:
        line = self.record.log[number]
        told = {"n": number, "at_s": line.at_s, "text": line.text}
        return {"type": "line", "call_id": self.record.call_id, **told}


def _mark(turn: Turn) -> tuple[Any, ...]:
    """Something that differs whenever the turn has changed."""
    spoken = turn.words_heard, turn.speech.is_over, turn.voice_at_s, turn.is_cut, turn.has_acted
    return turn.complete_at_s, len(turn.sent), *spoken


def _says(peek: _Peek) -> str:
    """The part of a message that tells it from its neighbours."""
    if peek.transcript:
        entry = _entry.decode(peek.transcript[-1])
        return f"{entry.get('role')}: {str(entry.get('content'))[-SHOWN:]}"
    said = peek.content if peek.content is not None else peek.name
    return str(said or peek.turntaking or "")[:SHOWN]


def _id(peek: _Peek) -> int | None:
    return peek.response_id if peek.response_id is not None else peek.interrupt_id


def _ms(from_s: float | None, to_s: float | None) -> float | None:
    return None if from_s is None or to_s is None else round((to_s - from_s) * 1000, 1)
