"""A caller who speaks at any moment: nothing is done twice, and the notes stay whole."""

import asyncio
import json
from collections.abc import AsyncGenerator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmws_tutorial.messages import ResponseRequired, ToolCallInvocation, ToolCallResult
from llmws_tutorial.server import Piece, Toolbox, Turn, end_call
from llmws_tutorial.server.tools import ToolResponder
from llmws_tutorial.simulator.llm_request import read_request
from llmws_tutorial.simulator.scripted_llm import CallTool, Say, Script, ScriptedLlm, Step, Wait
from tests.calling import Caller, calling, virtually
from tests.scripted_provider import provider_of, settled

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from(["Well. ", "I see", "."]).map(Say),
    st.sampled_from([0.01, 0.2, 1.0]).map(Wait),
    st.sampled_from(
        [
            CallTool("book", {"day": "Monday"}),
            CallTool("book", {"day": " MONDAY "}),
            CallTool("book", {"day": "Tuesday"}),
            CallTool("book", "{"),
            CallTool("look"),
            CallTool("end_call"),
            CallTool("nothing", is_invented=True),
        ]
    ),
)
ANSWERS = st.lists(st.lists(STEPS, max_size=3).map(tuple), min_size=1, max_size=6)
PAUSES = st.lists(st.sampled_from([0.0, 0.005, 0.05, 0.4, 2.0, 20.0]), min_size=1, max_size=5)
TAKES = st.sampled_from([0.0, 0.5, 3.0, 12.0])
CHECKED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Desk:
    """A desk that keeps what it did, and how often at once."""

    def __init__(self, takes_s: float, fails: bool) -> None:
        self.started: list[str] = []
        self.done: list[str] = []
        self.tools = Toolbox()

        @self.tools.add(says="I book.", has_effect=True)
        async def book(day: str) -> str:
            """Book."""
            self.started.append(day.casefold())
            await asyncio.sleep(takes_s)
            if fails and len(self.started) == 1:
                raise ValueError
            self.done.append(day.casefold())
            return day

        @self.tools.add()
        async def look() -> str:
            """Look."""
            await asyncio.sleep(takes_s)
            return "seen"


async def talk(desk: Desk, model: ScriptedLlm, pauses: list[float], weaves: bool) -> Caller:
    """Speak after each pause, whatever the agent does; then wait for a last answer."""
    agent = ToolResponder(provider_of(model), tools=desk.tools, can=(end_call,))
    async with calling(agent) as caller:
        caller.weaves = weaves
        for number, pause_s in enumerate(pauses):
            kind = "reminder_required" if pause_s == 20.0 else "response_required"
            await caller.say(f"Words {number}.", kind)
            await caller.hear_for(pause_s)
        await asyncio.sleep(100)
        model.scripts = [Script(steps=(Say("The end."),))]
        assert "The end." in await caller.ask("And now?")
    return caller


@CHECKED
@given(ANSWERS, PAUSES, TAKES, st.booleans(), st.booleans())
def test_nothing_is_done_twice_and_the_notes_stay_whole(
    answers: list[tuple[Step, ...]],
    pauses: list[float],
    takes_s: float,
    fails: bool,
    weaves: bool,
) -> None:
    desk = Desk(takes_s, fails)
    model = ScriptedLlm([Script(steps=steps, times=1) for steps in answers])
    caller = virtually(talk(desk, model, pauses, weaves))
    assert len(desk.done) == len(set(desk.done))
    assert len(desk.started) - len(desk.done) <= fails
    for asked in model.asked:
        read_request(asked.request)
        assert asked.outcome in ("finished", "aborted")
    called = [note["tool_call_id"] for note in caller.of("tool_call_invocation")]
    settled = [
        note["tool_call_id"] for note in caller.of("tool_call_result") if "successful" in note
    ]
    assert len(set(called)) == len(called)
    assert sorted(settled) == sorted(called)
    seen: set[str] = set()
    for _, frame in caller.frames:
        if frame["response_type"] == "tool_call_invocation":
            json.loads(frame["arguments"])
            seen.add(frame["tool_call_id"])
        elif frame["response_type"] == "tool_call_result":
            assert frame["tool_call_id"] in seen


def test_a_tool_that_was_started_for_a_dead_turn_is_announced_by_the_next() -> None:
    desk = Desk(1.0, fails=False)
    book = CallTool("book", {"day": "Monday"})
    model = ScriptedLlm([Script(times=1, steps=(Say("Well."), book)), Script(steps=(Say("Yes."),))])

    async def run() -> list[Piece]:
        agent = ToolResponder(provider_of(model), tools=desk.tools)
        first, second = (
            agent(Turn(number, "c1", _request=ResponseRequired(response_id=number)))
            for number in (1, 2)
        )
        assert isinstance(first, AsyncGenerator)
        assert isinstance(second, AsyncGenerator)
        assert await anext(first) == "Well."
        await asyncio.sleep(0.5)  # the socket takes its time, and then the turn is dead
        await first.aclose()
        pieces = [piece async for piece in second]
        await settled()
        return pieces

    call, line, result, words = virtually(run())
    assert isinstance(call, ToolCallInvocation)
    assert isinstance(result, ToolCallResult)
    assert (call.tool_call_id, line, words) == (result.tool_call_id, "One moment, please.", " Yes.")
    assert desk.done == ["monday"]
