"""Play scenarios against a server, each with its calls at once."""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import CallFacts
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.choices import choose
from llmws_tutorial.simulator.dialer import act, new_record
from llmws_tutorial.simulator.endings import OPEN
from llmws_tutorial.simulator.judge import judge
from llmws_tutorial.simulator.record import CallRecord
from llmws_tutorial.simulator.recording import Recorder
from llmws_tutorial.simulator.scenario import CallOf, Scenario
from llmws_tutorial.simulator.webhooks import Webhooks
from llmws_tutorial.simulator.witness import witnessed

SPEED: Final = 20.0
"""How many times faster than on a phone people are, unless it is said otherwise."""
_VARIABLE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario.

    Attributes:
        name: the scenario, as it was asked for.
        scenario: its content.
        records: its calls, in the order of their numbers.
        wrongs: what was not as expected; empty when all was.
        took_s: how long it took (seconds of the wall).
    """

    name: str
    scenario: Scenario
    records: tuple[CallRecord, ...]
    wrongs: tuple[str, ...]
    took_s: float

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.wrongs


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How scenarios are played.

    Attributes:
        speed: how many times faster than on a phone people are.
        choices: settings of the stand-in by name; those of a scenario come first.
        recorder: where every frame goes; None: nowhere.
        webhooks: who is told about each call; None: nobody.
    """

    speed: float = SPEED
    choices: Mapping[str, Any] = field(default_factory=dict)
    recorder: Recorder | None = None
    webhooks: Webhooks | None = None


async def play(name: str, scenario: Scenario, url: str, manner: Manner | None = None) -> Outcome:
    """Play one scenario; whatever the server does is an outcome, never an error.

    Args:
        name: what to call it.
        scenario: what happens.
        url: where the server's calls live; ``{{name}}`` in it is filled with the call's variables.
        manner: how to play it; None takes the defaults.

    Raises:
        CannotConnect: when the URL cannot be dialled at all.
        SetupError: when there is no such choice.
    """
    manner = manner or Manner()
    started_s = time.monotonic()
    calls = [
        _call(scenario.for_call(number), url, manner) for number in range(1, scenario.calls + 1)
    ]
    played = await asyncio.gather(*calls)
    wrongs = [
        f"call {number}: {wrong}" if scenario.calls > 1 else wrong
        for number, (_, found) in enumerate(played, 1)
        for wrong in found
    ]
    records = tuple(record for record, _ in played)
    return Outcome(name, scenario, records, tuple(wrongs), time.monotonic() - started_s)


def cast(scenario: Scenario, choices: Mapping[str, Any] | None = None) -> tuple[CallRecord, Caller]:
    """Prepare one call of a scenario: its record, and the caller who knows the script.

    Args:
        scenario: what happens.
        choices: settings of the stand-in by name; those of the scenario come first.

    Raises:
        SetupError: when there is no such choice.
    """
    call_id = f"call_{secrets.token_hex(8)}"
    facts = _facts(scenario.call or CallOf(), call_id)
    record = new_record(call_id, facts, choose({**(choices or {}), **scenario.choices}))
    return record, Caller(scenario.steps, patience_s=scenario.patience_s)


async def _call(scenario: Scenario, url: str, manner: Manner) -> tuple[CallRecord, list[str]]:
    about = scenario.call or CallOf()
    record, caller = cast(scenario, manner.choices)
    async with witnessed(record, manner.recorder, manner.webhooks):
        try:
            await act(fill(url, about.variables), record, caller, speed=manner.speed)
        except CannotConnect as error:
            if not error.stage:  # no server is meant by such a URL
                raise
            record.call.fail(OPEN, str(error))
            return record, [str(error)]
    # on a thread: a search may take its time
    return record, await asyncio.to_thread(judge, scenario, record, caller.begun)


def fill(url: str, variables: Mapping[str, str]) -> str:
    """Put the variables of a call in the place of each ``{{name}}`` in a URL."""
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), url)


def _facts(about: CallOf, call_id: str) -> CallFacts:
    return CallFacts(
        call_type=about.type,
        call_id=call_id,
        agent_id=about.agent_id,
        call_status="ongoing",
        direction=about.direction,
        from_number=about.from_number,
        to_number=about.to_number,
        metadata=about.metadata or None,
        retell_llm_dynamic_variables=about.variables,
    )
