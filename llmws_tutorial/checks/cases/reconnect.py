"""A lost line: the same call comes again on a new socket."""

import json
from itertools import takewhile
from typing import Final

from llmws_tutorial.checks.case import (
    OK,
    Case,
    Grade,
    Need,
    Ruling,
    Severity,
    failed,
    not_seen,
)
from llmws_tutorial.checks.exchange import Event, Exchange, Got, Opened
from llmws_tutorial.checks.moves import Answered, Ask, Drop, Greeted, Open, Watch
from llmws_tutorial.checks.rules import is_answered
from llmws_tutorial.messages import BEGIN_RESPONSE_ID, Config, ConfigFields, Response
from llmws_tutorial.simulator.scripted_llm import Say, Script

_LATE_ID: Final = 141
_NAME: Final = "Wilhelmina"


def _late_request() -> str:
    """A request in the middle of a conversation that a new process knows nothing of."""
    said = (
        ("agent", "Hello, how may I help you?"),
        ("user", "I have a question about my bill."),
        ("agent", "What would you like to know?"),
        ("user", "Why is it higher than last month?"),
    )
    transcript = [{"role": role, "content": content} for role, content in said]
    return json.dumps(
        {
            "interaction_type": "response_required",
            "response_id": _LATE_ID,
            "transcript": transcript,
        }
    )


def _sockets(exchange: Exchange) -> tuple[list[Event], list[Event]]:
    """What happened before the call came again, and what happened from then on."""
    before = list(takewhile(lambda event: not _is_again(event), exchange.events))
    return before, exchange.events[len(before) :]


def _is_again(event: Event) -> bool:
    return isinstance(event, Opened) and event.again


def _greetings(events: list[Event]) -> list[tuple[Event, Response]]:
    """The pieces of a first message among these events."""
    return [
        (event, event.message)
        for event in events
        if isinstance(event, Got)
        and isinstance(event.message, Response)
        and event.message.response_id == BEGIN_RESPONSE_ID
    ]


def _does_not_greet_again(exchange: Exchange) -> Ruling:
    before, after = map(_greetings, _sockets(exchange))
    if not any(response.content_complete for _, response in before):
        return OK  # the caller has not been greeted yet
    for got, response in after:
        if response.content:
            return failed("no first message on the new socket", "another one", got)
    return OK


def _config(events: list[Event]) -> tuple[Event, ConfigFields] | None:
    """The config that holds after these events."""
    found = [
        (event, event.message.config)
        for event in events
        if isinstance(event, Got) and isinstance(event.message, Config)
    ]
    return found[-1] if found else None


def _configures_again(exchange: Exchange) -> Ruling:
    first, second = map(_config, _sockets(exchange))
    if first is None:
        return not_seen("a config: a server need not send one")
    if second is None:
        return failed("the config again on the new socket", "none")
    if second[1] != first[1]:
        return failed(f"the config of before, {first[1]}", str(second[1]), second[0])
    return OK


def _remembers(exchange: Exchange) -> Ruling:
    again = [event for event in exchange.of(Opened) if event.again]
    asked = [
        one for one in exchange.upstream if again and exchange.seconds_of(one.at_s) >= again[0].at_s
    ]
    if not asked:
        return not_seen("a question to the model after the line was lost")
    if any(_NAME in json.dumps(one.request) for one in asked):
        return OK
    expected = "a question to the model with what the caller said before the line was lost"
    return failed(expected, "one that begins behind it")


CASES: Final = (
    Case(
        id="reconnect/1",
        title="takes a call up again",
        requirement="After a lost line the same call comes on a new socket, and is answered there.",
        why="The platform dials again within a moment, and the caller never knows; or the call "
        "is over.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="forget everything about a socket when it ends, in a finally; accept a call id that "
        "was there before, and go on with the ids of the requests",
        step="06",
        moves=(
            Open(),
            Greeted(),
            Ask(1),
            Answered(1),
            Ask(2, "And what else?"),
            Drop(),
            Watch(),
            Open(),
            Ask(3, "Are you still there?"),
            Answered(3),
        ),
        judge=is_answered(3),
    ),
    Case(
        id="reconnect/2",
        title="does not greet again",
        requirement="On the new socket of a call that was greeted there is no first message.",
        why="In the middle of a sentence the agent would say hello again.",
        source="docs/protocol.md, section 6",
        grade=Grade.FIELD,
        severity=Severity.WARNING,
        fix="remember the call ids that were greeted, for an hour, outside of the socket",
        step="06",
        moves=(Open(), Greeted(), Drop(), Watch(), Open(), Watch(0.5)),
        judge=_does_not_greet_again,
    ),
    Case(
        id="reconnect/3",
        title="sends its config again",
        requirement="On the new socket the config comes again, and is the same.",
        why="Without it there are no heartbeats any more: the next lost line is noticed by nobody.",
        source="docs/protocol.md, section 6",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="send the config on each socket, right after accepting it",
        step="06",
        moves=(Open(), Greeted(), Drop(), Watch(), Open(), Ask(1), Answered(1), Watch()),
        judge=_configures_again,
    ),
    Case(
        id="reconnect/4",
        title="takes up a call that it never saw",
        requirement="A request with a high id and a long past is answered by a server that saw "
        "nothing of it.",
        why="After a restart, or behind a load balancer, the new socket finds another process.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="take the id from the request and the past from its transcript, not from memory",
        step="06",
        moves=(Open(), Ask(_LATE_ID, frame=_late_request()), Answered(_LATE_ID)),
        judge=is_answered(_LATE_ID),
    ),
    Case(
        id="reconnect/5",
        title="takes a new socket while the old one looks open",
        requirement="A second socket of a call is taken, and answered, before the first has ended.",
        why="A line that breaks tells nobody: the platform has dialled again long before you know.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="let the newest socket of a call id replace the older one; never refuse it",
        step="06",
        moves=(
            Open(),
            Greeted(),
            Ask(1),
            Answered(1),
            Drop(silently=True),
            Open(),
            Ask(2, "Are you still there?"),
            Answered(2),
        ),
        judge=is_answered(2),
    ),
    Case(
        id="reconnect/6",
        title="remembers what was said before",
        requirement="After a lost line the model is told what the caller said before it.",
        why="The agent asks again for what it was told a minute ago.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="make the model's messages from the transcript of the request: it is always whole",
        step="06",
        needs=frozenset({Need.LLM}),
        scripts=(Script(steps=(Say("Thank you."),)),),
        moves=(
            Open(),
            Greeted(),
            Ask(1, f"My name is {_NAME}."),
            Answered(1),
            Drop(),
            Watch(),
            Open(),
            Ask(2, "What is my name?"),
            Answered(2),
        ),
        judge=_remembers,
    ),
)
"""In the order of the lessons."""
