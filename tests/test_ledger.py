"""What was done in each call is remembered, and not for ever."""

import asyncio
from typing import Any

import pytest

from llmws_tutorial.errors import ToolError
from llmws_tutorial.messages import Entry, Utterance
from llmws_tutorial.server import Turn, ledger
from llmws_tutorial.server.ledger import INTERRUPTED, CallMemory, Ledger, Run
from llmws_tutorial.server.toolbox import Tool
from tests.virtual_time import run_virtually

TURN = Turn(1, "c1")


def tool(has_effect: bool = True, takes_s: float = 1.0, error: BaseException | None = None) -> Tool:
    async def book(day: str = "Monday") -> str:
        """Book."""
        await asyncio.sleep(takes_s)
        if error:
            raise error
        return day

    return Tool(book, has_effect=has_effect)


def start(memory: CallMemory, what: Tool, written: str = "{}") -> Run:
    return memory.start(Run(what, what.read(written), TURN))


def test_a_run_is_found_while_it_runs_and_when_it_has_worked() -> None:
    async def run() -> None:
        memory, book = CallMemory(), tool()
        first = start(memory, book)
        assert memory.find(book, book.read('{"day": "monday"}')) is first
        await first.wait()
        assert memory.find(book, book.read("{}")) is first
        assert memory.find(book, book.read('{"day": "Tuesday"}')) is None
        assert memory.find(tool(), book.read("{}")) is None

    run_virtually(run())


def test_a_run_that_failed_or_changes_nothing_is_not_found() -> None:
    async def run() -> None:
        memory = CallMemory()
        for what in (tool(error=ToolError("full")), tool(has_effect=False)):
            await start(memory, what).wait()
            assert memory.find(what, what.read("{}")) is None

    run_virtually(run())


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), ValueError("a secret")])
def test_whatever_a_tool_raises_is_a_failure(error: BaseException) -> None:
    async def run() -> Any:
        book = tool(error=error)
        begun = start(CallMemory(), book)
        await begun.wait()
        return begun.outcome

    outcome = run_virtually(run())
    assert (outcome.successful, outcome.content) == (False, "It failed. Tell the caller so.")


def test_a_tool_that_cancels_itself_was_interrupted() -> None:
    async def run() -> Any:
        begun = start(CallMemory(), tool(error=asyncio.CancelledError()))
        await begun.wait()
        return begun.outcome

    assert run_virtually(run()).content == INTERRUPTED


def test_notes_that_have_gone_out_are_not_due_again() -> None:
    async def run() -> None:
        memory = CallMemory()
        begun = start(memory, tool())
        assert list(memory.overdue()) == [begun.call]
        memory.sent(begun.call)
        assert list(memory.overdue()) == []
        await begun.wait()
        assert list(memory.overdue()) == [begun.result]
        memory.sent("words")
        memory.sent(begun.result)
        assert (list(memory.overdue()), memory.has_news()) == ([], False)

    run_virtually(run())


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_run_is_told_where_it_was_started(after: int) -> None:
    async def run() -> list[str]:
        memory = CallMemory()
        begun = start(memory, tool())
        begun.after = after
        said = [Utterance(role="user", content=text) for text in ("One.", "Two.")]
        turn = Turn(2, "c1")
        vars(turn)["transcript"] = tuple(said)
        await begun.wait()
        return [entry.role for entry in memory.woven(turn)]

    roles = run_virtually(run())
    assert roles.index("tool_call_invocation") == min(after, 2)
    assert roles.index("tool_call_result") == min(after, 2) + 1


def test_a_run_is_told_between_no_other_call_and_its_result() -> None:
    async def run() -> list[str]:
        memory = CallMemory()
        begun = start(memory, tool())
        begun.after = 2
        notes = [
            Entry(role=role, tool_call_id="other", name="look", content=role)
            for role in ("tool_call_invocation", "tool_call_result")
        ]
        said = [Entry(role="user", content=text) for text in ("One.", "Two.")]
        turn = Turn(2, "c1")
        vars(turn)["transcript_with_tool_calls"] = (said[0], *notes, said[1])
        await begun.wait()
        return [entry.content for entry in memory.woven(turn)]

    told = ["One.", "tool_call_invocation", "tool_call_result", "Two.", "", "Monday"]
    assert run_virtually(run()) == told


def test_of_too_many_runs_one_that_goes_on_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_RUNS", 2)

    async def run() -> None:
        memory = CallMemory()
        goes_on, ended = start(memory, tool(takes_s=9)), start(memory, tool(takes_s=0))
        await ended.wait()
        last = start(memory, tool(takes_s=0))
        await asyncio.gather(goes_on.wait(), last.wait())
        assert memory.runs == [goes_on, last]
        assert goes_on.outcome == last.outcome

    run_virtually(run())


def test_of_too_many_runs_those_without_an_effect_are_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "MOST_RUNS", 2)

    async def run() -> tuple[list[bool], int]:
        memory, books, looks = CallMemory(), tool(takes_s=0), tool(has_effect=False, takes_s=0)
        for what in (books, looks, looks):
            await start(memory, what).wait()
        kept = [one.tool.has_effect for one in memory.runs]
        for _ in range(3):
            start(memory, tool(takes_s=99))
        left = len(memory.runs)
        for one in memory.runs:
            one.give_up()
        await asyncio.sleep(0)
        return kept, left

    assert run_virtually(run()) == ([True, False], 2)


def test_calls_are_forgotten_after_the_longest_call_and_what_they_run_is_stopped() -> None:
    async def run() -> None:
        kept = Ledger()
        first = kept.of("a")
        begun = start(first, tool(takes_s=99_999))
        await asyncio.sleep(7000)
        assert kept.of("a") is first
        await asyncio.sleep(7000)
        assert kept.of("a") is first
        await asyncio.sleep(7201)
        kept.of("b")
        assert begun.outcome
        assert kept.of("a") is not first

    run_virtually(run())


def test_of_too_many_calls_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_REMEMBERED", 2)

    async def run() -> None:
        kept = Ledger()
        one, other = kept.of("a"), kept.of("b")
        assert kept.of("a") is one
        kept.of("c")
        assert kept.of("a") is one
        assert kept.of("b") is not other

    run_virtually(run())
