"""What a turn can end with: a hang-up, a transfer, keys that are pressed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from llmws_tutorial.checks.case import (
    OK,
    Case,
    Grade,
    Ruling,
    Severity,
    failed,
    not_seen,
    not_strict,
)
from llmws_tutorial.checks.exchange import Exchange, Got
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Open, Watch
from llmws_tutorial.checks.notes import read_json
from llmws_tutorial.messages import AgentInterrupt, Response
from llmws_tutorial.simulator.scripted_llm import CallTool, Say, Script
from llmws_tutorial.simulator.verdict import Drop

_BYE: Final = "Goodbye."
_AGAIN: Final = "Sorry? Yes, goodbye."
_HUMAN: Final = "Please put me through to a human."
_PRESS: Final = "Please press one."
_NUMBERS: Final = ("number", "phone_number", "transfer_number", "to", "destination")
_DIGITS: Final = ("digit", "digits", "digit_to_press", "key")
_HANG_UP: Final = CallTool(r"(?i)end_?call|hang_?up|good_?bye|(end|finish)_?conversation")
_TRANSFER: Final = CallTool(
    r"(?i)transfer|human|operator|forward", dict.fromkeys(_NUMBERS, "+15555550100")
)
_KEYS: Final = CallTool(r"(?i)press|digit|dtmf", dict.fromkeys(_DIGITS, "1"))
_SPEAK: Final = Script(steps=(Say("Very well."),))
_FAREWELL: Final = (Open(), Greeted(), Ask(1, _BYE), Answered(1), Watch())
_LINK: Final = re.compile(r"(sips?|tel):\S+", re.IGNORECASE)
_E164: Final = re.compile(r"\+[1-9]\d{1,14}")
_EXTENSION: Final = re.compile(r"\s*(;ext=|,+|ext\.?|x|#)\s*\d+$", re.IGNORECASE)
_DIALLED: Final = re.compile(r"\+?\d{2,15}")
_PRESSED: Final = re.compile(r"[0-9*#A-DWP,]+", re.IGNORECASE)


@dataclass(frozen=True)
class _Piece:
    """A piece of a turn, and what it asks for: by field, a value that is not empty."""

    got: Got
    message: Response | AgentInterrupt
    actions: dict[str, str]

    @property
    def turn(self) -> tuple[str, str, int]:
        """Which turn of which call it belongs to."""
        if isinstance(self.message, Response):
            return self.got.line, "response", self.message.response_id
        return self.got.line, "interrupt", self.message.interrupt_id

    @property
    def counts(self) -> bool:
        return self.got.dropped is None

    @property
    def has_words(self) -> bool:
        return bool(self.message.content.strip())


def _pieces(exchange: Exchange) -> Iterator[_Piece]:
    for got in exchange.of(Got, None):
        if isinstance(got.message, Response | AgentInterrupt):
            asked = {
                "end_call": "true" if got.message.end_call else "",
                "transfer_number": got.message.transfer_number or "",
                "digit_to_press": got.message.digit_to_press or "",
            }
            yield _Piece(got, got.message, {name: asked[name] for name in asked if asked[name]})


def _turns(exchange: Exchange) -> list[list[_Piece]]:
    """The pieces that count, turn by turn, of the turns that ask for something."""
    turns: dict[tuple[str, str, int], list[_Piece]] = {}
    for piece in _pieces(exchange):
        if piece.counts:
            turns.setdefault(piece.turn, []).append(piece)
    return [turn for turn in turns.values() if any(piece.actions for piece in turn)]


def _unseen(said: str) -> Ruling:
    return not_seen(f"an action: the caller says {said!r}")


def _hangs_up_with_words(exchange: Exchange) -> Ruling:
    ends = [turn for turn in _turns(exchange) if any("end_call" in piece.actions for piece in turn)]
    for turn in ends:
        if not any(piece.has_words for piece in turn):
            return failed("words in the turn of end_call", "none", _acting(turn).got)
    return OK if ends else not_seen(f"an end_call: the caller says {_BYE!r}")


def _acting(turn: list[_Piece]) -> _Piece:
    """The first piece of a turn that asks for an action."""
    return next(piece for piece in turn if piece.actions)


def _acts_once(exchange: Exchange) -> Ruling:
    turns = _turns(exchange)
    for turn in turns:
        names: dict[str, Got] = {}
        for piece in turn:
            for name in piece.actions:
                names.setdefault(name, piece.got)
        if len(names) > 1:
            return failed("one action in a turn", " and ".join(names), list(names.values())[-1])
    return OK if turns else _unseen(_HUMAN)


def _protects(exchange: Exchange) -> Ruling:
    turns = _turns(exchange)
    for turn in turns:
        words = [piece for piece in turn if piece.has_words]
        behind = turn.index(_acting(turn))
        after = [piece for piece in words if piece in turn[behind:]]
        for piece in after or words[-1:]:
            if not piece.message.no_interruption_allowed:
                rule = failed if after else not_strict
                expected = "no_interruption_allowed with the words of an action"
                return rule(expected, f"{piece.message.content!r} without it", piece.got)
    return OK if turns else _unseen(_BYE)


def _offers_it_again(exchange: Exchange) -> Ruling:
    turns = {turn[0].turn: _acting(turn).got for turn in _turns(exchange)}
    if ("a", "response", 1) not in turns or exchange.ended():
        return not_seen(f"an action and an open call: the caller says {_BYE!r}")
    if ("a", "response", 2) in turns:
        return OK
    asked = [one for one in exchange.upstream if one.script and _HANG_UP in one.script.steps]
    if len(asked) == 1:
        return not_seen("a server that asks the model again when the caller speaks again")
    second = exchange.turn(2)
    got = "an answer without it" if second and second.sent else "no answer"
    return failed("the action again, in the next answer", got)


def _can_be_done(exchange: Exchange) -> Ruling:
    for got in exchange.dropped(Drop.MISTYPED):
        fields = read_json(got.data)
        for name in ("transfer_number", "digit_to_press"):
            value = fields.get(name) if isinstance(fields, dict) else None
            if value is not None and not isinstance(value, str):
                return failed(f"{name} as a string", repr(value), got)
    pieces = [piece for piece in _pieces(exchange) if piece.actions]
    for piece in pieces:
        number, digits = map(piece.actions.get, ("transfer_number", "digit_to_press"))
        if digits and not _PRESSED.fullmatch(digits):
            expected = "a digit_to_press of 0-9, * and #"
            return failed(expected, repr(digits), piece.got)
        if number and not _LINK.fullmatch(number):
            plain = _EXTENSION.sub("", number.strip())
            if not _DIALLED.fullmatch(re.sub(r"[\s().-]", "", plain)):
                return failed("a transfer_number that can be dialled", repr(number), piece.got)
            if not _E164.fullmatch(plain):
                expected = "a transfer_number such as '+15555550100'"
                return not_strict(expected, repr(number), piece.got)
    asks = any(piece.actions.keys() - {"end_call"} for piece in pieces)
    return OK if asks else _unseen(f"{_HUMAN} ... {_PRESS}")


def _comes_in_time(exchange: Exchange) -> Ruling:
    pieces = [piece for piece in _pieces(exchange) if piece.actions]
    for piece in pieces:
        if piece.got.dropped is not None:
            expected = "an action before its turn is complete"
            return failed(expected, piece.got.dropped.reason, piece.got)
    for turn in _turns(exchange):
        if not any(piece.message.content_complete for piece in turn):
            expected = "content_complete in the turn of an action"
            return failed(expected, "a turn that stays open", _acting(turn).got)
    return OK if pieces else _unseen(_BYE)


def _stays_on_the_line(exchange: Exchange) -> Ruling:
    for piece in _pieces(exchange):
        if "end_call" in piece.actions:
            expected = "end_call only when the conversation is over"
            return failed(expected, "end_call in an ordinary answer", piece.got)
    return OK


def _can_be_interrupted(exchange: Exchange) -> Ruling:
    acting = {turn[0].turn for turn in _turns(exchange)}
    for piece in _pieces(exchange):
        is_ordinary = piece.turn[1] == "response" and piece.turn[2] > 0 and piece.turn not in acting
        if is_ordinary and piece.has_words and piece.message.no_interruption_allowed:
            expected = "an answer that the caller can interrupt"
            return not_strict(expected, "no_interruption_allowed in an ordinary one", piece.got)
    return OK


CASES: Final[tuple[Case, ...]] = (
    Case(
        id="actions/1",
        title="hangs up with words",
        requirement="An end_call comes with something to say in its turn.",
        why="Without words the line goes dead at once: the caller takes it for a fault.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="put the farewell into the content of the frame that has end_call",
        step="07",
        scripts=(Script(steps=(_HANG_UP,)), _SPEAK),
        moves=_FAREWELL,
        judge=_hangs_up_with_words,
    ),
    Case(
        id="actions/2",
        title="asks for one action a turn",
        requirement="A turn asks for one of end_call, transfer_number and digit_to_press.",
        why="Only one is done: end_call wins, and the caller is cut off instead of put through.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="take the first action that the model asks for, and leave the others",
        step="07",
        scripts=(Script(steps=(_TRANSFER, _HANG_UP)), _SPEAK),
        moves=(Open(), Greeted(), Ask(1, _HUMAN), Answered(1), Watch()),
        judge=_acts_once,
    ),
    Case(
        id="actions/3",
        title="protects the words of an action",
        requirement="The content that goes with an action has no_interruption_allowed.",
        why="A cough of the caller throws the action away: the call does not end, nobody is put "
        "through.",
        source="docs/protocol.md, section 5",
        grade=Grade.FIELD,
        severity=Severity.WARNING,
        fix="set no_interruption_allowed on the first frame of the farewell and all after it",
        step="07",
        scripts=(
            Script(when=_BYE, steps=(_HANG_UP,)),
            Script(when=_HUMAN, steps=(_TRANSFER,)),
            _SPEAK,
        ),
        moves=(
            *(Open(), Greeted(), Ask(1, _BYE), Answered(1)),
            *(Open(line="b"), Greeted(line="b"), Ask(1, _HUMAN, line="b")),
            *(Answered(1, line="b"), Watch()),
        ),
        judge=_protects,
    ),
    Case(
        id="actions/4",
        title="offers a lost action again",
        requirement="When the caller spoke over a farewell, the next answer has the action again.",
        why="The first one was thrown away: the agent has said goodbye, and the call goes on.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="keep the action until the call ends; send it again in the answer to a new request",
        step="07",
        scripts=(
            Script(when=_BYE, steps=(_HANG_UP,)),
            Script(when=_AGAIN, steps=(_HANG_UP,)),
            _SPEAK,
        ),
        moves=(
            *(Open(), Greeted(), Ask(1, _BYE), Answered(1)),
            *(Ask(2, _AGAIN), Answered(2), Watch()),
        ),
        judge=_offers_it_again,
    ),
    Case(
        id="actions/5",
        title="asks for what can be done",
        requirement="A transfer_number can be dialled, and a digit_to_press is on a telephone.",
        why="The transfer fails after it was announced, and the caller is left in between.",
        source="docs/protocol.md, section 4",
        grade=Grade.KIT,
        severity=Severity.ERROR,
        fix="look numbers up in a list of your own, in the form +15555550100; never take the "
        "model's word",
        step="07",
        scripts=(
            Script(when=_HUMAN, steps=(_TRANSFER,)),
            Script(when=_PRESS, steps=(_KEYS,)),
            _SPEAK,
        ),
        moves=(
            *(Open(), Greeted(), Ask(1, _HUMAN), Answered(1)),
            *(Open(line="b"), Greeted(line="b"), Ask(1, _PRESS, line="b")),
            *(Answered(1, line="b"), Watch()),
        ),
        judge=_can_be_done,
    ),
    Case(
        id="actions/6",
        title="completes the turn of an action",
        requirement="An action comes while its turn is open, and then the turn is completed.",
        why="An action behind the end is dropped; one in a turn without an end waits for ever.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="put the action into the last frame with words, then set content_complete",
        step="07",
        scripts=(Script(steps=(_HANG_UP,)), _SPEAK),
        moves=_FAREWELL,
        judge=_comes_in_time,
    ),
    Case(
        id="actions/7",
        title="stays on the line",
        requirement="Neither an ordinary answer nor a first reminder has end_call.",
        why="The caller is cut off in mid-conversation.",
        source="docs/protocol.md, section 4",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="set end_call only where the conversation is over",
        step="07",
        moves=(
            *(Open(), Greeted(), Ask(1), Answered(1)),
            *(Ask(2, "", "reminder_required"), Answered(2), Watch()),
        ),
        judge=_stays_on_the_line,
    ),
    Case(
        id="actions/8",
        title="lets itself be interrupted",
        requirement="An ordinary answer has no no_interruption_allowed.",
        why="The caller says stop, and the agent talks on to the end.",
        source="docs/protocol.md, section 4",
        grade=Grade.KIT,
        severity=Severity.ADVICE,
        fix="set no_interruption_allowed only for the words of an action",
        step="07",
        moves=(Open(), Greeted(), Ask(1), Answered(1), Ask(2, "I see."), Answered(2)),
        judge=_can_be_interrupted,
    ),
)
"""In the order of the lessons."""
