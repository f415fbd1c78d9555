"""What goes wrong around a tool: arguments are missing, or the model fails."""

import re
from typing import Final

from llmws_tutorial.checks.case import (
    OK,
    Case,
    Grade,
    Judge,
    Need,
    Ruling,
    Severity,
    failed,
    not_seen,
)
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Open
from llmws_tutorial.checks.rules import all_of, but_dropped, is_answered
from llmws_tutorial.simulator.llm_request import read_request
from llmws_tutorial.simulator.scripted_llm import CallTool, Say, Script

_BOOKS: Final = r"(?i)book|appoint|schedul|reserv|order"
_FIRST: Final = "Let me see. "
_LONG_S: Final = 20.0
"""How long a caller waits for a model that fails, at the very most."""
_LLM: Final = frozenset({Need.LLM})
_ONE_TURN: Final = (
    *(Open(), Greeted(), Ask(1, "I would like an appointment for tomorrow, please.")),
    Answered(1, within_s=_LONG_S),
)


def _where_offered(rule: Judge) -> Judge:
    """Rule only where the model could call a tool that books."""

    def judge(exchange: Exchange) -> Ruling:
        for asked in exchange.upstream[:1]:
            names = [function.name for function in read_request(asked.request).offered]
            if any(re.search(_BOOKS, name) for name in names):
                return rule(exchange)
        return not_seen("a server that offers the model a tool, such as book_appointment")

    return judge


def _says_more(exchange: Exchange) -> Ruling:
    turn = exchange.turn(1)
    said = turn.sent.split() if turn else []
    if said not in ([], _FIRST.split()):
        return OK
    got = f"only {_FIRST.strip()!r}" if said else "none"
    return failed("words after the call of the tool", got + but_dropped(exchange))


def _asks_again(exchange: Exchange) -> Ruling:
    if len(exchange.upstream) > 1:
        return OK
    return not_seen("a server that asks the model again with the result of a tool")


CASES: Final = (
    Case(
        id="tools/12",
        title="survives arguments that are missing",
        requirement="A tool call without the arguments that the tool requires still ends in words "
        "and a closed turn.",
        why="Models leave out what the caller did not say: the call goes on mute.",
        source="docs/protocol.md, section 10",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="check the arguments by the schema of the tool before you run it; tell the model what "
        "is missing, and ask again",
        step="07",
        needs=_LLM,
        scripts=(
            Script(steps=(Say(_FIRST), CallTool(_BOOKS, {}, otherwise="Very well."))),
            Script(steps=(Say("For which day, please?"),)),
        ),
        moves=_ONE_TURN,
        judge=_where_offered(all_of(is_answered(1), _says_more)),
    ),
    Case(
        id="tools/13",
        title="ends the turn when the model fails behind a tool",
        requirement="When the model answers HTTP 500 to the result of a tool, the turn ends.",
        why="What was asked for is done, and the caller never hears of it: the call goes on mute.",
        source="docs/protocol.md, section 10",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="catch the errors of the model around every question to it, also the one after a "
        "tool, and set content_complete in any case",
        step="07",
        needs=_LLM,
        scripts=(
            Script(steps=(Say(_FIRST), CallTool(_BOOKS, otherwise="Very well."))),
            Script(status=500),
        ),
        moves=_ONE_TURN,
        judge=_where_offered(all_of(_asks_again, is_answered(1))),
    ),
)
"""In the order of the lessons."""
