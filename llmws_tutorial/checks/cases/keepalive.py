"""Heartbeats: they come back, in time, as they were, and whatever else goes on."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from llmws_tutorial.checks.case import (
    OK,
    Case,
    Company,
    Grade,
    Judge,
    Need,
    Ruling,
    Severity,
    failed,
    not_seen,
)
from llmws_tutorial.checks.exchange import Ended, Exchange, Got, Sent
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, ModelAsked, Open, Watch
from llmws_tutorial.messages import Ping, Pong, Response, read_request
from llmws_tutorial.simulator.scripted_llm import Say, Script, Wait
from llmws_tutorial.simulator.verdict import Drop

_LOST_S: Final = 5.0
_LATE_S: Final = 2.0
_BUSY_S: Final = 3.5
"""How long an answer must go on after a heartbeat to tell a late one from one held back."""


@dataclass(frozen=True)
class _Beat:
    """A heartbeat of the platform, and when it came back (None: never)."""

    sent: Sent
    back_s: float | None

    @property
    def took_s(self) -> float:
        return math.inf if self.back_s is None else self.back_s - self.sent.at_s


def _pings(exchange: Exchange) -> list[tuple[Sent, int]]:
    """The heartbeats that went out, with their timestamps."""
    read = [(sent, read_request(str(sent.data))) for sent in exchange.of(Sent)]
    return [(sent, message.timestamp) for sent, message in read if isinstance(message, Ping)]


def _pongs(exchange: Exchange) -> list[tuple[Got, int]]:
    """The heartbeats that came, with their timestamps."""
    got = exchange.of(Got)
    return [(one, one.message.timestamp) for one in got if isinstance(one.message, Pong)]


def _beats(exchange: Exchange) -> list[_Beat]:
    """Each heartbeat with its echo; in order, where no timestamp is one that was sent."""
    pings, left = _pings(exchange), _pongs(exchange)
    knows_them = bool({at for _, at in pings} & {at for _, at in left})
    beats = []
    for sent, timestamp in pings:
        echo = next((one for one in left if one[1] == timestamp or not knows_them), None)
        if echo is not None:
            left.remove(echo)
        beats.append(_Beat(sent, echo[0].at_s if echo else None))
    return beats


def _where_wanted(judge: Judge) -> Judge:
    """Rule only on a server whose config asks for heartbeats."""

    def rule(exchange: Exchange) -> Ruling:
        config = exchange.configs.get("a")
        if config is None or not config.auto_reconnect or not _pings(exchange):
            return not_seen("a config that asks for heartbeats: auto_reconnect true")
        return judge(exchange)

    return rule


def _is_never_silent(exchange: Exchange) -> Ruling:
    pings = _pings(exchange)
    times = [got.at_s for got, _ in _pongs(exchange)]
    end_s = exchange.of(Ended)[-1].at_s
    for before_s, after_s in pairwise([pings[0][0].at_s, *times, end_s]):
        if after_s - before_s > _LOST_S:
            got = f"none for {after_s - before_s:.1f} s"
            return failed("a ping_pong at least every 5 s", got, pings[0][0])
    return OK


def _is_in_time(exchange: Exchange) -> Ruling:
    for beat in _beats(exchange):
        if beat.back_s is not None and beat.took_s > _LATE_S:
            got = f"one after {beat.took_s:.1f} s"
            return failed("each ping_pong back within 2 s", got, beat.sent)
    return OK


def _beats_while_busy(exchange: Exchange) -> Ruling:
    turn = exchange.turn(1)
    beats = _beats(exchange)
    if turn is None or all(beat.back_s is None for beat in beats):
        return not_seen("heartbeats that come back at all (keepalive/1)")
    end_s = math.inf if turn.complete_at_s is None else turn.complete_at_s
    last_s = min(end_s, exchange.of(Ended)[-1].at_s) - _BUSY_S
    during = [beat for beat in beats if turn.asked_at_s < beat.sent.at_s <= last_s]
    if not during:
        return not_seen("an answer that takes as long as this model does")
    for beat in during:
        if beat.took_s > _LATE_S and (beat.back_s is None or beat.back_s >= end_s):
            late = "none" if beat.back_s is None else f"one after {beat.took_s:.1f} s, behind it"
            return failed("each ping_pong back while the answer is being made", late, beat.sent)
    return OK


def _is_unchanged(exchange: Exchange) -> Ruling:
    pings, pongs = _pings(exchange), _pongs(exchange)
    sent, back = {at for _, at in pings}, {at for _, at in pongs}
    if sent & back:
        return OK  # what else comes are heartbeats of its own
    for got, timestamp in pongs:
        return failed(f"the timestamp that was sent, such as {pings[0][1]}", str(timestamp), got)
    return OK


def _is_speech(got: Got) -> bool:
    """Whether a frame is an answer, be it one that cannot be read for want of an id."""
    if isinstance(got.message, Response):
        return bool(got.message.content)
    is_mistyped = got.dropped is not None and got.dropped.kind is Drop.MISTYPED
    return is_mistyped and '"content"' in str(got.data)


def _is_no_request(exchange: Exchange) -> Ruling:
    turn = exchange.turn(1)
    if turn is None or turn.complete_at_s is None:
        return OK  # whatever comes may belong to the answer
    after = [sent.at_s for sent, _ in _pings(exchange) if sent.at_s > turn.complete_at_s]
    for got in exchange.of(Got):
        if after and got.at_s >= after[0] and _is_speech(got):
            return failed("no speech: nothing was asked", "some, where only ping_pongs came", got)
    return OK


CASES: Final = (
    Case(
        id="keepalive/1",
        title="returns heartbeats",
        requirement="A server that asks for heartbeats is never without one for 5 s.",
        why="The platform takes the line for lost, dials again, and gives up at the third time.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="answer each ping_pong at once with a ping_pong, or leave auto_reconnect out",
        step="06",
        company=Company.TIMED,
        moves=(Open(), Greeted(), Watch(5.5)),
        judge=_where_wanted(_is_never_silent),
    ),
    Case(
        id="keepalive/2",
        title="returns heartbeats in time",
        requirement="A heartbeat that comes back does so within 2 s.",
        why="From there it is not far to the 5 s at which the line counts as lost.",
        source="docs/protocol.md, section 6",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="answer a ping_pong as soon as it is read, from the receive loop itself",
        step="06",
        company=Company.TIMED,
        moves=(Open(), Greeted(), Ask(1), Answered(1), Watch(5.5)),
        judge=_where_wanted(_is_in_time),
    ),
    Case(
        id="keepalive/3",
        title="returns heartbeats while it answers",
        requirement="Heartbeats come back also while an answer is being made.",
        why="A long answer, or a slow tool, costs the line.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="make each answer in a task of its own, so that the socket is read meanwhile; call "
        "the model asynchronously, or in a thread",
        step="06",
        needs=frozenset({Need.LLM}),
        scripts=(Script(steps=(Say("Let me see. "), *(Wait(1.5), Say("And so on. ")) * 5)),),
        company=Company.TIMED,
        moves=(Open(), Greeted(), Ask(1), ModelAsked(), Watch(8.0), Answered(1), Watch(1.0)),
        judge=_where_wanted(_beats_while_busy),
    ),
    Case(
        id="keepalive/4",
        title="returns the timestamp as it was",
        requirement="A heartbeat comes back with the timestamp that it was sent with.",
        why="The platform measures the time of the way by it.",
        source="docs/protocol.md, section 4",
        grade=Grade.REFERENCE,
        severity=Severity.ADVICE,
        fix="copy timestamp from the ping_pong; it is an integer, in milliseconds",
        step="06",
        moves=(Open(), Greeted(), Ask(1), Answered(1), Watch(2.5)),
        judge=_where_wanted(_is_unchanged),
    ),
    Case(
        id="keepalive/5",
        title="does not answer heartbeats with speech",
        requirement="A ping_pong asks for a ping_pong, and for no words.",
        why="The agent begins to speak every two seconds, or a frame is dropped each time.",
        source="docs/protocol.md, section 3",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="look at interaction_type before anything else; answer only response_required and "
        "reminder_required",
        step="06",
        company=Company.TIMED,
        moves=(Open(), Greeted(), Ask(1), Answered(1), Watch(4.5)),
        judge=_where_wanted(_is_no_request),
    ),
)
"""In the order of the lessons."""
