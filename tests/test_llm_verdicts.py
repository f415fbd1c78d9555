"""The checks on models, tools and actions, over both responders."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from llmws_tutorial.checks import (
    Case,
    Conditions,
    Finding,
    Profile,
    Verdict,
    in_memory,
    judge,
    select,
)
from llmws_tutorial.checks.case import Need
from llmws_tutorial.server import Responder, Settings, create_app
from llmws_tutorial.server.actions import end_call, press_digits, transfer
from llmws_tutorial.server.llm import LlmResponder
from llmws_tutorial.server.provider import Provider
from llmws_tutorial.server.settings import ModelSettings
from llmws_tutorial.server.toolbox import Toolbox
from llmws_tutorial.server.tools import ToolResponder
from llmws_tutorial.simulator.llm_endpoint import served
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm

TOOLS = Toolbox()
QUICK = Settings(first_piece_s=2, next_piece_s=3)


@TOOLS.add(says="Let me book that for you.", has_effect=True)
async def book_appointment(day: str) -> str:
    """Book an appointment."""
    return f"booked for {day}"


def talks(provider: Provider) -> Responder:
    return LlmResponder(provider)


def acts(provider: Provider) -> Responder:
    can = (end_call, transfer("+15555550100"), press_digits)
    return ToolResponder(provider, tools=TOOLS, can=can)


Make = Callable[[Provider], Responder]
NO_TOOLS: Final = [case.id for case in select("tools")]
OPEN: Final = ["calls/7", "begin/3"]
"""No secret is set here, and the facts of the call are not asked for."""
NO_ACTIONS: Final = ["endings/5", *(f"actions/{number}" for number in range(1, 7))]
"""What can only be seen of a responder that acts."""


async def findings(make: Make, cases: Sequence[Case]) -> list[Finding]:
    model = ScriptedLlm(now_s=asyncio.get_running_loop().time)
    async with served(model) as url:
        provider = Provider("m", settings=ModelSettings(base_url=url))
        app = create_app(make(provider), settings=QUICK)
        async with in_memory(app) as transport:
            return await judge(transport, cases, Conditions(llm=model))


@pytest.mark.parametrize(
    ("make", "unseen"), [(talks, [*NO_TOOLS, *NO_ACTIONS]), (acts, [])], ids=["talks", "acts"]
)
def test_the_checks_find_nothing_wrong(make: Make, unseen: list[str]) -> None:
    cases = [case for case in select(profile=Profile.CURRENT) if case.needs <= {Need.LLM}]
    found = asyncio.run(findings(make, cases))
    wrong = {one.case.id: one.ruling for one in found if one.ruling.verdict is not Verdict.OK}
    assert set(wrong) == {*OPEN, *unseen}, wrong
    assert Verdict.FAILED not in {ruling.verdict for ruling in wrong.values()}
