"""How a call begins: the config, the first message, the facts of the call."""

from typing import Final

from llmws_tutorial.checks.case import BOTH, OK, Case, Grade, Ruling, Severity, failed, not_seen
from llmws_tutorial.checks.exchange import Exchange, Got
from llmws_tutorial.checks.moves import Greeted, Open, Watch
from llmws_tutorial.checks.rules import is_greeted
from llmws_tutorial.messages import Config, Response


def _configures_first(exchange: Exchange) -> Ruling:
    messages = [got for got in exchange.of(Got) if got.message is not None]
    if not any(isinstance(got.message, Config) for got in messages):
        return not_seen("a config: a server need not send one")
    for got in messages:
        if isinstance(got.message, Config):
            return OK
        if isinstance(got.message, Response):
            return failed("the config before the first message", "the first message", got)
    return OK


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
)
"""In the order of the lessons."""
