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
_DONE: Final = "You are booked for tomorrow."
_NEXT: Final = "We close at nine."
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


def _goes_on(exchange: Exchange) -> Ruling:
    first, second = (exchange.turn(response_id) for response_id in (1, 2))
    if second is None or second.complete_at_s is None or _NEXT in second.sent:
        return OK
    if first is None or _DONE not in first.sent:
        return not_seen("an answer in the words of the model behind a tool")
    return failed(f"the words of the model, {_NEXT!r}", repr(second.sent))


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
    Case(
        id="tools/14",
        title="answers the turn after a tool",
        requirement="After a turn with a tool the next request is answered by the model as well.",
        why="From the first tool on the agent says nothing but its excuse.",
        source="docs/protocol.md, section 3",
        grade=Grade.SDK,
        severity=Severity.ERROR,
        fix="look into your log for what raises: in transcript_with_tool_calls an invocation has "
        "no content, and a model wants a result for each tool call that it is told of",
        step="07",
        needs=_LLM,
        scripts=(
            Script(when="tomorrow, please.", steps=(CallTool(_BOOKS, otherwise="Very well."),)),
            Script(when="tomorrow, please.", steps=(Say(_DONE),)),
            Script(steps=(Say(_NEXT),)),
        ),
        moves=(*_ONE_TURN, Ask(2, "Thank you. When do you close?"), Answered(2)),
        judge=_where_offered(all_of(is_answered(2), _goes_on)),
    ),
)
"""In the order of the lessons."""
