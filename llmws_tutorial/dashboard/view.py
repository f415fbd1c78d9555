"""What a page is told of a call: rows that are small however large the call is.

A frame is a row with its size and the part that says something; whoever opens the row asks for all
of it. An utterance or a turn is told again whenever it has changed. Whatever a server or a caller
may say, an event stays small: texts are cut to the lengths below.
"""

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

import msgspec

from llmws_tutorial.simulator import CallRecord, Frame, State
from llmws_tutorial.simulator.turn import Turn

SHOWN: Final = 200
"""How many characters of a frame its row shows."""
MOST_TEXT: Final = 20_000
"""How many characters of one utterance a page shows."""
MOST_LINE: Final = 2_000
"""How many characters of a line of the log a page shows."""

Event = dict[str, Any]
"""What a page is told: a JSON object with the field ``type``."""


class _Peek(msgspec.Struct):
    """The fields of a frame that its row shows, of whatever type; all else is skipped unread."""

    interaction_type: Any = None
    response_type: Any = None
    response_id: Any = None
    interrupt_id: Any = None
    turntaking: Any = None
    content: Any = None
    name: Any = None
    transcript: msgspec.Raw = msgspec.Raw(b"[]")


class _Entry(msgspec.Struct):
    """An utterance in a transcript."""

    role: str
    content: str


_peek: Final = msgspec.json.Decoder(_Peek)
_entries: Final = msgspec.json.Decoder(list[msgspec.Raw])
_entry: Final = msgspec.json.Decoder(_Entry)


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
        "dropped": frame.dropped and frame.dropped[:SHOWN],
        "kind": "binary" if isinstance(frame.data, bytes) else "not a message",
        "says": "" if isinstance(frame.data, bytes) else frame.data[:SHOWN],
        "id": None,
    }
    if isinstance(frame.data, str):
        try:
            told |= _message(frame.data, frame.sender)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return told  # its text says what it is
    return told


def whole(frame: Frame) -> str:
    """All of a frame, as text; bytes as their hexadecimal digits."""
    return frame.data if isinstance(frame.data, str) else frame.data.hex(" ")


def turn_of(turn: Turn, number: int) -> Event:
    """Tell of one turn of the agent: its text, and how long things took."""
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
    """One call as pages see it: all of it, and what has changed since they were told.

    Attributes:
        record: the call.
        url: the server that was dialled, as it was typed.
        title: the scenario's, if one is played; else empty.
        stage: how far the dialling has come, in words; empty once the call is open.
        likely_fix: what may help if that lasts; empty where nobody knows.
        trouble: why the call did not come about; empty otherwise.
        rows: a row for each frame.
        items: the conversation: each utterance of the caller and turn of the agent, in order.
    """

    record: CallRecord
    url: str
    title: str = ""
    stage: str = ""
    likely_fix: str = ""
    trouble: str = ""
    rows: list[Event] = field(default_factory=list)
    items: list[Event] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)  # of the items, by what they are
    _over: int = 0  # how many utterances are told to their end
    _begun: int = 0  # how many turns are told at all
    _moving: dict[int, Turn] = field(default_factory=dict)  # those that may still change
    _logged: int = 0
    _status: Event = field(default_factory=dict)

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
            "likely_fix": self.likely_fix,
            "is_open": self.record.connections > 0 and call.state is not State.ENDED,
            "is_over": call.state is State.ENDED or bool(self.trouble),
            "is_callers_turn": call.is_callers_turn,
            "is_caller_talking": call.is_caller_talking,
            "trouble": self.trouble,
            "ended": self.record.disconnection_reason,
            "close_code": self.record.close_code,
            "connections": self.record.connections,
            "transferred_to": call.transferred_to and call.transferred_to[:SHOWN],
            "pressed": [keys[:SHOWN] for keys in call.pressed[-SHOWN:]],
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
        """Utterances and turns that are new or have changed, in the order in which they began."""
        found = sorted([*self._utterances(), *self._turns()], key=lambda one: one[0])
        items = [self._put(key, at_s, told) for at_s, key, told in found]
        call_id = self.record.call_id
        return [{"type": "item", "call_id": call_id, **item} for item in items if item is not None]

    def _utterances(self) -> list[tuple[float, str, Event]]:
        """What the caller said that is not told to its end."""
        call = self.record.call
        said = call.heard.said_since(self._over)
        found = [
            (
                call.now_s if one.began_s is None else one.began_s,
                f"said {number}",
                {"role": "user", "sent": one.content[:MOST_TEXT], "size": len(one.content)},
            )
            for number, one in enumerate(said, self._over)
            if one.role == "user"
        ]
        self._over += sum(1 for _ in takewhile(lambda one: one.is_over, said))
        return found

    def _turns(self) -> list[tuple[float, str, Event]]:
        """The turns of the agent that may have changed."""
        turns = self.record.turns
        self._moving |= {number: turns[number] for number in range(self._begun, len(turns))}
        self._begun = len(turns)
        found = [
            (turn.asked_at_s, f"turn {number}", {"role": "agent", **turn_of(turn, number)})
            for number, turn in self._moving.items()
        ]
        self._moving = {n: turn for n, turn in self._moving.items() if not _is_settled(turn)}
        return found

    def _put(self, key: str, at_s: float, told: Event) -> Event | None:
        """Put an item into its place; None when it was there just so."""
        place = self._places.setdefault(key, len(self.items))
        if place == len(self.items):
            self.items.append({"place": place, "at_s": round(at_s, 3), **told})
            return self.items[place]
        before = self.items[place]
        self.items[place] = {"place": place, "at_s": before["at_s"], **told}
        return None if self.items[place] == before else self.items[place]

    def _new_lines(self) -> list[Event]:
        first, self._logged = self._logged, len(self.record.log)
        return [self._line(number) for number in range(first, self._logged)]

    def _line(self, number: int) -> Event:
        line = self.record.log[number]
        told = {"n": number, "at_s": line.at_s, "text": line.text[:MOST_LINE]}
        return {"type": "line", "call_id": self.record.call_id, **told}


def _is_settled(turn: Turn) -> bool:
    """Whether nothing about a turn can change any more."""
    return turn.complete_at_s is not None and (turn.is_cut or turn.speech.is_over)


def _message(text: str, sender: str) -> Event:
    """What a row shows of a frame that is a message; empty when it is none that we know of."""
    peek = _peek.decode(text)
    if sender == "platform":
        if not isinstance(peek.interaction_type, str):
            return {}
        says, name = _last_words(peek.transcript) or peek.turntaking, peek.interaction_type
    else:
        says = peek.name if peek.content is None else peek.content
        name = "response" if peek.response_type is None else peek.response_type
    number = peek.interrupt_id if peek.response_id is None else peek.response_id
    return {
        "kind": str(name)[:SHOWN],
        "says": "" if says is None else str(says)[:SHOWN],
        "id": number if type(number) is int else None,
    }


def _last_words(transcript: msgspec.Raw) -> str:
    """Who said what last; empty when nobody has said a word."""
    entries = _entries.decode(transcript)
    if not entries:
        return ""
    entry = _entry.decode(entries[-1])
    return f"{entry.role}: {entry.content[-(SHOWN - len(entry.role) - 2) :]}"


def _ms(from_s: float | None, to_s: float | None) -> float | None:
    return None if from_s is None or to_s is None else round((to_s - from_s) * 1000, 1)
