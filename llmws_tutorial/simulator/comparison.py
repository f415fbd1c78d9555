"""Two calls compared by what the server meant, however it was cut into frames.

How fast it was does not count either. Both calls are read by the same rules, those of `Answers`, so
that a frame counts as dropped in both or in neither. An answer that the platform cut short is
compared as far as it went.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from llmws_tutorial.errors import PlatformProtocolError
from llmws_tutorial.messages import (
    AgentInterrupt,
    Config,
    Metadata,
    Ping,
    Pong,
    ReminderRequired,
    Request,
    Response,
    ResponseRequired,
    ToolCallInvocation,
    ToolCallResult,
    UnknownRequest,
    UpdateAgent,
    read_request,
)
from llmws_tutorial.simulator.answers import Answers
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.record import Frame
from llmws_tutorial.simulator.recording import Opened
from llmws_tutorial.simulator.turn import Turn
from llmws_tutorial.simulator.verdict import Drop, Dropped, read_frame

_NOTHING: Final = "nothing"
_SHOWN: Final = 80  # characters of each side in a difference
_BEFORE: Final = 20  # of them before the place where the two part
_Piece = Response | AgentInterrupt
_Note = Config | Metadata | Pong | ToolCallInvocation | ToolCallResult | UpdateAgent


@dataclass(frozen=True)
class Difference:
    """One thing that a server does otherwise.

    Attributes:
        where: what it is about, such as "answer 3, text".
        recorded: what the recording has.
        now: what the server does today.
    """

    where: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.where}: recorded {self.recorded}, now {self.now}"


@dataclass
class Answer:
    """All that a server sent under one id.

    Attributes:
        pieces: the frames, in order.
        open_s: for how long the platform waited, after its last piece, in vain (seconds).
    """

    pieces: list[_Piece] = field(default_factory=list)
    open_s: float = 0.0

    @property
    def text(self) -> str:
        """What is to be said."""
        return "".join(piece.content for piece in self.pieces)

    @property
    def is_complete(self) -> bool:
        """Whether its end was sent."""
        return any(piece.content_complete for piece in self.pieces)

    @property
    def actions(self) -> str:
        """What is to be done once it was spoken, in words."""
        found = dict.fromkeys("end_call" for piece in self.pieces if piece.end_call)
        for piece in self.pieces:
            if piece.transfer_number is not None:
                shows_caller = isinstance(piece, Response) and piece.show_transferee_as_caller
                whom = repr(piece.transfer_number) + " as the caller" * shows_caller
                found[f"transfer_number {whom}"] = None
            if piece.digit_to_press is not None:
                found[f"digit_to_press {piece.digit_to_press!r}"] = None
        return ", ".join(sorted(found)) or _NOTHING

    @property
    def protection(self) -> str:
        """How much of it the caller cannot talk over, in words."""
        marks = {piece.no_interruption_allowed for piece in self.pieces if piece.content}
        if marks == {True, False}:
            return "a part of it"
        return "all of it" if marks == {True} else "none of it"


class Meaning:
    """What a server said in one call.

    Attributes:
        answers: the greeting, each answer that was asked for, and each interrupt, by name.
        facts: all else that it said, in words, by what it is about, in order.
        heartbeats: how many of the platform's came back.
    """

    def __init__(self, events: Sequence[Opened | Frame], until_s: float = 0.0) -> None:
        """Read a call.

        Args:
            events: its openings and frames.
            until_s: when it ended (seconds of the call).
        """
        self.answers = {"greeting": Answer()}
        self.facts: dict[str, list[str]] = {}
        self.heartbeats = 0
        self._ids = Answers(Choices())
        self._names: dict[Turn, str] = {self._ids.greeting: "greeting"}
        self._complete: set[tuple[str, int]] = set()  # the ids whose end came in time
        self._latest = ("greeting", 0.0)  # what was asked for last; when anything of it happened
        self._interrupts = 0
        self._pings: set[int] = set()
        self._sockets = 0
        self._tools: dict[str, int] = {}  # the calls without a result: which fact each is, by id
        self._dropped: set[str] = set()
        for event in events:
            self._read(event)
        self._wait(until_s)
        if self._dropped:
            self.facts["dropped frames"] = ["; ".join(sorted(self._dropped))]

    def _read(self, event: Opened | Frame) -> None:
        if isinstance(event, Opened):
            self._sockets += 1
        elif event.sender == "platform":
            self._ask(event)
        else:
            match read_frame(event.data):
                case Dropped() as dropped:
                    self._dropped.add(dropped.reason)
                case Response() | AgentInterrupt() as piece:
                    self._take_piece(piece, event.at_s)
                case note:
                    self._take_note(note)

    def _ask(self, frame: Frame) -> None:
        request = request_of(frame)
        if isinstance(request, Ping):
            self._pings.add(request.timestamp)
        response_id = asked_by(request)
        if response_id is None or response_id <= self._ids.response_id:
            return  # a request that was sent again asks for nothing new
        self._wait(frame.at_s)
        self._ids.response_id = response_id - 1
        name = f"answer {response_id}"
        self._names[self._ids.ask("response", frame.at_s, None)] = name
        self.answers[name] = Answer()
        self._latest = name, frame.at_s

    def _wait(self, until_s: float) -> None:
        """Note for how long the latest answer has stood still without its end."""
        name, since_s = self._latest
        if not self.answers[name].is_complete:
            self.answers[name].open_s = until_s - since_s

    def _take_piece(self, piece: _Piece, at_s: float) -> None:
        turn = self._ids.judge(piece, at_s)
        if isinstance(turn, Dropped):
            self._drop(piece, turn.kind)
            return
        turn.take(piece, at_s)
        if piece.content_complete:
            self._complete.add(_id_of(piece))
        if turn not in self._names:
            self._interrupts += 1
            self._names[turn] = f"interrupt {self._interrupts}"
        name = self._names[turn]
        self.answers.setdefault(name, Answer()).pieces.append(piece)
        if name == self._latest[0]:
            self._latest = name, at_s

    def _drop(self, piece: _Piece, kind: Drop) -> None:
        """Note that a piece was dropped, unless that is a matter of a moment."""
        if kind in (Drop.STALE, Drop.CANCELLED):
            if _id_of(piece) in self._complete:
                kind = Drop.AFTER_COMPLETE  # it only came after the next request
            elif not piece.content_complete:
                return  # it was on its way when the next request was
        name = "an interrupt" if isinstance(piece, AgentInterrupt) else f"id {piece.response_id}"
        self._dropped.add(f"{name}: {kind.value}")

    def _take_note(self, note: _Note) -> None:
        match note:
            case Pong(timestamp=timestamp) if timestamp in self._pings:
                self.heartbeats += 1
            case Pong():
                self._dropped.add("a heartbeat that was not sent")
            case Config(config=config):
                where = f"config of connection {self._sockets}"
                if repr(config) not in self.facts.get(where, [])[-1:]:
                    self._add(where, repr(config))
            case UpdateAgent(agent_config=settings):
                self._add("agent settings", repr(settings))
            case Metadata(metadata=metadata):
                self._add("metadata", json.dumps(metadata, sort_keys=True))
            case ToolCallInvocation(tool_call_id=tool_call_id, name=name, arguments=arguments):
                self._add("tool call", f"{name!r} with {_as_json(arguments)}")
                self._tools[tool_call_id] = len(self.facts["tool call"]) - 1
            case result:
                self._take_result(result)

    def _take_result(self, note: ToolCallResult) -> None:
        worked = {None: "", True: ", successful", False: ", failed"}[note.successful]
        result = f"result {note.content!r}{worked}"
        if (place := self._tools.pop(note.tool_call_id, None)) is None:
            self._add("tool result without a call", result)
        else:
            self.facts["tool call"][place] += f", {result}"

    def _add(self, where: str, words: str) -> None:
        self.facts.setdefault(where, []).append(words)


def compare(
    recorded: Meaning,
    now: Meaning,
    *,
    patience_s: float,
    ignore_content: bool = False,
    is_whole: bool = True,
) -> Iterator[Difference]:
    """Say what a server does otherwise: its answers first, then all else.

    Args:
        recorded: what it said then.
        now: what it says today.
        patience_s: how long an answer must have stood still to count as one without an end; one
            that the platform cut short before may go on today.
        ignore_content: whether other words are no difference, as long as there are some.
        is_whole: whether the recording has all that the server said then.
    """
    for name in {**recorded.answers, **now.answers}:
        never = Answer(open_s=math.inf if is_whole else 0.0)
        pair = _Pair(name, recorded.answers.get(name, never), now.answers.get(name, Answer()))
        yield from pair.differences(patience_s, ignore_content)
    for where in {**recorded.facts, **now.facts}:
        both = zip_longest(recorded.facts.get(where, []), now.facts.get(where, []))
        for number, (then, today) in enumerate(both, 1):
            if then != today and (is_whole or then is not None):
                which = f"{where} ({number})" if number > 1 else where
                yield _differ(which, then or _NOTHING, today or _NOTHING)
    if now.heartbeats < recorded.heartbeats:
        yield Difference("heartbeats", str(recorded.heartbeats), str(now.heartbeats))


def request_of(frame: Frame) -> Request | UnknownRequest | None:
    """Read a frame of the platform; None when it was garbled on purpose."""
    if isinstance(frame.data, str):
        with contextlib.suppress(PlatformProtocolError):
            return read_request(frame.data)
    return None


def asked_by(request: Request | UnknownRequest | None) -> int | None:
    """The id that wants an answer; None when the platform only tells something."""
    if isinstance(request, ResponseRequired | ReminderRequired):
        return request.response_id
    return None


@dataclass(frozen=True)
class _Pair:
    """One answer as it was and as it is."""

    name: str
    then: Answer
    now: Answer

    def differences(self, patience_s: float, ignore_content: bool) -> Iterator[Difference]:
        then, now = self.then, self.now
        was_cut_short = not then.is_complete and then.open_s < patience_s
        if not then.pieces or not now.pieces:
            if (then.pieces or now.pieces) and not was_cut_short:
                yield self._differ("", *(_said(answer) for answer in (then, now)))
            return
        if not (self._has_words_alike() if ignore_content else self._has_same_words()):
            yield self._differ(", text", repr(then.text), repr(now.text))
        if then.is_complete != now.is_complete and not was_cut_short:
            yield self._differ(", end", *(_end(answer) for answer in (then, now)))
        if then.is_complete and now.is_complete:
            if then.actions != now.actions:
                yield self._differ(", actions", then.actions, now.actions)
            if then.protection != now.protection and then.text and now.text:
                yield self._differ(", no_interruption_allowed", then.protection, now.protection)

    def _has_same_words(self) -> bool:
        """Whether the texts agree, as far as both go."""
        then, now = self.then, self.now
        return (
            then.text == now.text
            or (not then.is_complete and now.text.startswith(then.text))
            or (not now.is_complete and then.text.startswith(now.text))
        )

    def _has_words_alike(self) -> bool:
        """Whether both say something, or both nothing."""
        are_complete = self.then.is_complete and self.now.is_complete
        return not are_complete or bool(self.then.text.strip()) is bool(self.now.text.strip())

    def _differ(self, part: str, then: str, now: str) -> Difference:
        return _differ(f"{self.name}{part}", then, now)


def _said(answer: Answer) -> str:
    return repr(answer.text) if answer.pieces else _NOTHING


def _end(answer: Answer) -> str:
    return "complete" if answer.is_complete else "never complete"


def _differ(where: str, then: str, now: str) -> Difference:
    """A difference that is not too long to read: else cut around the place where the two part."""
    if max(len(then), len(now)) <= _SHOWN:
        return Difference(where, then, now)
    pairs = enumerate(zip(then, now, strict=False))
    parts_at = next((at for at, (one, other) in pairs if one != other), min(len(then), len(now)))
    begins = max(parts_at - _BEFORE, 0)
    return Difference(where, _cut(then, begins), _cut(now, begins))


def _cut(words: str, begins: int) -> str:
    shown = words[begins : begins + _SHOWN]
    return "..." * (begins > 0) + shown + "..." * (begins + _SHOWN < len(words))


def _id_of(piece: _Piece) -> tuple[str, int]:
    if isinstance(piece, AgentInterrupt):
        return "interrupt", piece.interrupt_id
    return "answer", piece.response_id


def _as_json(arguments: str) -> str:
    """The same arguments always in the same form; what is no JSON stays as it is."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return repr(arguments)
