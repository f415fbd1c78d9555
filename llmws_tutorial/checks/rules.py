"""What judges are made of: small rules about one thing each, joined."""

from collections.abc import Iterable
from typing import Final

from llmws_tutorial.checks.case import OK, Judge, Ruling, Verdict, failed, not_seen, not_strict
from llmws_tutorial.checks.exchange import Ended, Exchange, Got, Sent
from llmws_tutorial.messages import AgentInterrupt, Response
from llmws_tutorial.simulator.verdict import Drop

_RAISED: Final = (1006, 1011)
"""How a call ends when a handler raises."""
_BY_ITSELF: Final = ("call_details", "ping_pong")
"""What the platform sends by itself to a server whose config asks for it."""


def all_of(*judges: Judge) -> Judge:
    """Join rules: the first that is not satisfied decides."""

    def judge(exchange: Exchange) -> Ruling:
        rulings = (rule(exchange) for rule in judges)
        return next((ruling for ruling in rulings if ruling is not OK), OK)

    return judge


def once_it_speaks(rule: Judge) -> Judge:
    """The same rule, where the server says anything at all; else nothing is seen."""

    def judge(exchange: Exchange) -> Ruling:
        ruling = rule(exchange)
        if ruling is OK and not exchange.of(Got, None):
            return not_seen("a frame of the server: it says nothing at all")
        return ruling

    return judge


def stays_open(line: str = "a") -> Judge:
    """The server does not end the call."""

    def judge(exchange: Exchange) -> Ruling:
        end = exchange.ended(line)
        return OK if end is None else failed("an open call", _how(exchange, end), end)

    return judge


def is_answered(*response_ids: int, line: str = "a") -> Judge:
    """Each of these requests gets a whole answer under its own id."""

    def judge(exchange: Exchange) -> Ruling:
        for response_id in response_ids:
            turn = exchange.turn(response_id, line)
            if turn is None or turn.complete_at_s is None:
                expected = f"a whole answer with response_id {response_id}"
                return failed(expected, _instead(exchange, response_id, line))
        return OK

    return judge


def is_greeted(line: str = "a") -> Judge:
    """The first message comes, whole."""
    return is_answered(0, line=line)


def loses_nothing(*kinds: Drop, expected: str) -> Judge:
    """No words and no action are dropped for one of these reasons."""

    def judge(exchange: Exchange) -> Ruling:
        return worst(
            lost(got, expected, got.dropped.reason if got.dropped else "")
            for got in exchange.dropped(*kinds)
        )

    return judge


def worst(rulings: Iterable[Ruling]) -> Ruling:
    """The first failure, or else the first ruling, or else that all is well."""
    return min(rulings, key=lambda ruling: ruling.verdict is not Verdict.FAILED, default=OK)


def lost(got: Got, expected: str, what: str) -> Ruling:
    """Rule on a piece that is dropped: with an empty one nothing is lost."""
    piece = got.message
    if isinstance(piece, Response | AgentInterrupt) and not (
        piece.content or piece.end_call or piece.transfer_number or piece.digit_to_press
    ):
        return not_strict(expected, f"{what}, though an empty piece", got)
    return failed(expected, what, got)


def drops_nothing(*kinds: Drop, expected: str) -> Judge:
    """No frame is one that the platform drops for one of these reasons."""

    def judge(exchange: Exchange) -> Ruling:
        for got in exchange.dropped(*kinds):
            return failed(expected, got.dropped.reason if got.dropped else "", got)
        return OK

    return judge


def closes_1002(line: str = "a") -> Judge:
    """The server closes with 1002; to keep the call open will do."""

    def judge(exchange: Exchange) -> Ruling:
        end = exchange.ended(line)
        if end is None:
            return not_strict("a close with 1002", "an open call")
        if end.code != 1002:
            return failed("a close with 1002", str(end), end)
        return OK

    return judge


def but_dropped(exchange: Exchange, line: str = "a") -> str:
    """Say in words what the caller does not hear, because the platform drops it."""
    for got, piece in exchange.pieces(line):
        if got.dropped is not None and piece.content.strip():
            return f", but words that are dropped: {got.dropped.reason}"
    return ""


def _how(exchange: Exchange, end: Ended) -> str:
    """How a call ended, and after what, where nothing came but what no move sends."""
    kinds = [_kind(sent.data) for sent in exchange.of(Sent, end.line)]
    if end.code not in _RAISED or not kinds or not all(kinds):
        return str(end)
    return f"{end} after {' and '.join(dict.fromkeys(kinds))}"


def _kind(data: str | bytes) -> str:
    """What came by itself; empty for a frame that was sent by a move."""
    return next((kind for kind in _BY_ITSELF if f'"{kind}"' in str(data)), "")


def _instead(exchange: Exchange, response_id: int, line: str) -> str:
    """What came in the place of a whole answer, in words."""
    turn = exchange.turn(response_id, line)
    end = exchange.ended(line)
    if end is not None:
        return _how(exchange, end)
    if turn is not None and turn.sent:
        return "an answer without content_complete"
    odd = [got for got in exchange.of(Got, line) if got.dropped]
    return f"none, but a frame that is dropped: {odd[-1].dropped.reason}" if odd else "none"  # type: ignore[union-attr]
