"""How a call begins: the config, the first message, the facts of the call."""

from typing import Final

from llmws_tutorial.checks.case import BOTH, OK, Case, Grade, Ruling, Severity, failed, not_seen
from llmws_tutorial.checks.exchange import Exchange, Got
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Open, Send, Watch
from llmws_tutorial.checks.rules import (
    all_of,
    is_answered,
    is_greeted,
    loses_nothing,
    once_it_speaks,
    stays_open,
)
from llmws_tutorial.messages import Config, Response
from llmws_tutorial.simulator.verdict import Drop


def _configures_first(exchange: Exchange) -> Ruling:
    seen = [got for got in exchange.of(Got) if isinstance(got.message, Config | Response)]
    if not any(isinstance(got.message, Config) for got in seen):
        return not_seen("a config: a server need not send one")
    if isinstance(seen[0].message, Config):
        return OK
    return failed("the config before the first message", "the first message", seen[0])


def _asks_for_facts(exchange: Exchange) -> Ruling:
    config = exchange.configs.get("b")
    if config is None or not config.call_details:
        return not_seen("a config that asks for call_details: a server need not")
    return OK


def _greets_nevertheless(exchange: Exchange) -> Ruling:
    """A server that greets at all does so in the call without facts as well."""
    if exchange.responses(0) or not exchange.responses(0, "b"):
        return OK
    return failed("a first message", "none, though a call with facts is greeted")


CASES: Final = (
    Case(
        id="begin/1",
        title="sends the first message",
        requirement="The first message has response_id 0 and is complete.",
        why="The agent stays mute until it comes: the caller hears nothing and hangs up.",
        source="guide, step 2; docs/protocol.md, section 2",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="send the begin message right after accepting the socket, with response_id 0 and "
        "content_complete true; empty content lets the caller speak first",
        step="02",
        profiles=BOTH,
        moves=(Open(), Greeted()),
        judge=is_greeted(),
    ),
    Case(
        id="begin/2",
        title="sends its config before the first message",
        requirement="A config, if there is one, comes before the first message.",
        why="It takes effect on arrival: what was sent before it goes without.",
        source="docs/protocol.md, section 2",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="send the config first of all, right after accepting the socket",
        step="06",
        moves=(Open(), Greeted(), Watch()),
        judge=_configures_first,
    ),
    Case(
        id="begin/3",
        title="takes facts of the call that are missing",
        requirement="A server that asks for call_details greets and answers also when each field "
        "of them is missing.",
        why="A web call has no numbers and a test call no metadata: such calls are mute or lost.",
        source="docs/protocol.md, section 3",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="give each field of call a default where you read it, and greet without a name if "
        "there is none",
        step="06",
        moves=(
            Open(line="b"),
            Greeted(line="b"),
            Open(),
            Send('{"interaction_type": "call_details", "call": {}}'),
            Greeted(),
            Ask(1),
            Answered(1),
        ),
        judge=all_of(_asks_for_facts, stays_open(), _greets_nevertheless, is_answered(1)),
    ),
    Case(
        id="begin/4",
        title="greets once",
        requirement="Nothing with response_id 0 follows a first message that is complete.",
        why="A second greeting is not spoken: what it says is lost.",
        source="docs/protocol.md, section 5",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="greet at one place only: at once, or when call_details came; say everything else "
        "under the id of a request",
        step="02",
        profiles=BOTH,
        moves=(Open(), Greeted(), Watch(), Ask(1), Answered(1), Watch()),
        judge=once_it_speaks(loses_nothing(Drop.SECOND_GREETING, expected="one first message")),
    ),
)
"""In the order of the lessons."""
