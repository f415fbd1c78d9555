"""The checks on tools: what each says about a server, and what it lets pass."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest

from llmws_tutorial.checks import Verdict, select
from llmws_tutorial.checks.exchange import Sent
from llmws_tutorial.checks.samples import tools
from llmws_tutorial.checks.samples.right import EXCUSE, Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.simulator.scripted_llm import CallTool, Script
from tests.judging import END, answering, finding_about, findings_about, ruling, words

CALL: Final = {
    "response_type": "tool_call_invocation",
    "tool_call_id": "t1",
    "name": "book",
    "arguments": "{}",
}
RESULT: Final = {"response_type": "tool_call_result", "tool_call_id": "t1", "content": "done"}
HOLD: Final = words("One moment. ")
NO_CALL: Final = (
    "not seen: expected a tool_call_invocation: the caller says "
    "'I would like an appointment for tomorrow, please.'"
)
NO_TOOL: Final = (
    "not seen: expected a server that offers the model a tool, such as book_appointment"
)
WITHOUT_MODEL: Final = [case.id for case in select("tools") if not case.needs]
WITH_MODEL: Final = [case.id for case in select("tools") if case.needs]


class OffersNothing(Right):
    """Has no tools."""

    def body(self, messages: list[Json]) -> Json:
        return {**super().body(messages), "tools": []}


class NotesNothing(Right):
    """Uses its tools, and tells the platform nothing of it."""

    async def note_call(self, call: SampleCall, name: str, arguments: str) -> str:
        return ""

    async def note_result(self, call: SampleCall, tool_call_id: str, content: str) -> None:
        pass


class TellsResultsAsText(NotesNothing):
    """Tells the model in the user's name what came of its tools."""

    def body(self, messages: list[Json]) -> Json:
        told = [
            {"role": "user", "content": f"{messages[0]['content']} {messages[1]['content']}"}
            if message["role"] == "tool" or "tool_calls" in message
            else message
            for message in messages
        ]
        return super().body(told)


class TakesItsTime(Right):
    """Has a slow model and a slow tool."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        async for piece in super().think(call, request, model):
            await asyncio.sleep(0.5)
            yield piece

    async def book(self, day: str) -> str:
        await asyncio.sleep(2)
        return await super().book(day)


class AnswersOneByOne(Right):
    """Gives every answer to its end before it begins the next."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        await self.answer(call, request)


class SpeaksForItself(Right):
    """Runs its tools, and says by itself what came of that."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        tool_calls: dict[int, Json] = {}
        body = self.body([{"role": "user", "content": request["transcript"][-1]["content"]}])
        async for text in self.read(model(body), tool_calls):
            yield text, {}
        if tool_calls:
            results = await self.use_tools(call, list(tool_calls.values()))
            yield f"I have {len(results)} answers for you.", {}


class SaysOnlyItsModelsWords(Right):
    """Does not know what a tool call is."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        body = self.body([{"role": "user", "content": request["transcript"][-1]["content"]}])
        async for text in self.read(model(body), {}):
            yield text, {}


class RefusesTheSecond(Right):
    """Runs a tool whenever it is called; the tool refuses what was done."""

    async def use_tool(self, call: SampleCall, name: str, arguments: str) -> str:
        tool_call_id = await self.note_call(call, name, arguments)
        is_new = not self.done
        self.done[call.call_id, name, arguments] = "booked"
        note = {"tool_call_id": tool_call_id, "content": "booked"}
        await call.send("tool_call_result", **note, successful=is_new)
        return "booked"


@pytest.mark.parametrize(
    ("case_id", "steps", "expected"),
    [
        ("tools/1", [HOLD, CALL, RESULT, END], "ok"),
        ("tools/1", [CALL, END], "ok"),
        ("tools/1", [{**CALL, "arguments": {}}, RESULT, END], "ok"),
        (
            "tools/1",
            [RESULT, CALL, END],
            "failed: expected a tool_call_invocation with the same tool_call_id before each "
            "result, got a result for 't1' without one",
        ),
        ("tools/1", [END], NO_CALL),
        ("tools/2", [CALL, END], "ok"),
        ("tools/2", [{**CALL, "arguments": {"day": "tomorrow"}}, END], "ok"),
        (
            "tools/2",
            [{**CALL, "arguments": "[1]"}, END],
            "failed: expected arguments that are a JSON object in a string, got '[1]'",
        ),
        (
            "tools/2",
            [{**CALL, "arguments": "day: 1"}, END],
            "failed: expected arguments that are a JSON object in a string, got 'day: 1'",
        ),
        ("tools/2", [END], NO_CALL),
        (
            "tools/3",
            [CALL, END],
            "failed: expected a new tool_call_id for each invocation, got 't1' again",
        ),
        (
            "tools/3",
            [END],
            "not seen: expected two tool_call_invocations, one in each of two calls",
        ),
        ("tools/4", [CALL, RESULT, END], "ok"),
        (
            "tools/4",
            [{**CALL, "arguments": {}}, END],
            "failed: expected notes that the platform can read, got mistyped frame: expected "
            "`str`, got `object` - at `$.arguments`",
        ),
        ("tools/4", [words("Hello", content_complete="true"), END], NO_CALL),
        ("tools/10", [CALL, RESULT, END], "ok"),
        ("tools/10", [CALL, {**RESULT, "tool_call_id": "t2"}, END], "ok"),
        ("tools/10", [CALL, RESULT], "ok"),
        (
            "tools/10",
            [CALL, END],
            "failed: expected a tool_call_result for each invocation, got none for 't1'",
        ),
        (
            "tools/10",
            [CALL, END, 0.1, RESULT],
            "not strict: expected each result before the turn is complete, got one after it",
        ),
        ("tools/10", [END], NO_CALL),
    ],
)
def test_notes_are_judged(case_id: str, steps: list[Any], expected: str) -> None:
    assert ruling(answering(*steps), case_id, has_model=False) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([CALL, 0.9, RESULT, HOLD, END], "ok"),
        ([HOLD, CALL, 4.0, RESULT, END], "ok"),
        ([CALL, 0.5, HOLD, 4.0, RESULT, END], "ok"),
        ([HOLD, 2.0, CALL, 4.0, RESULT, END], "ok"),
        ([CALL, END], "ok"),
        ([END], NO_CALL),
        ([CALL, 1.2, RESULT, END], "not strict: {}, got none for 1.2 s"),
        ([CALL, 2.0, RESULT, HOLD, END], "failed: {}, got none for 2 s"),
        ([words(" "), CALL, 2.0, HOLD, 1.0, RESULT, END], "failed: {}, got none for 2 s"),
        ([CALL, 60.0, RESULT, END], "failed: {}, got none for 5 s"),
    ],
)
def test_silence_is_measured(steps: list[Any], expected: str) -> None:
    said = ruling(answering(*steps), "tools/5", has_model=False)
    assert said == expected.format("expected words within 1 s of the invocation, or before it")


def test_only_a_model_is_told_which_script_is_meant() -> None:
    [case] = select("tools/1")
    for has_model in (True, False):
        said = finding_about(Right, case, has_model=has_model).exchange
        assert said is not None
        assert any("My number is" in str(sent.data) for sent in said.of(Sent)) is has_model


@pytest.mark.parametrize("case_id", WITHOUT_MODEL)
def test_a_server_without_a_model_shows_its_tools_as_well(case_id: str) -> None:
    assert ruling(Right, case_id, has_model=False) == "ok"


@pytest.mark.parametrize("server", [TakesItsTime, AnswersOneByOne])
def test_a_slow_server_has_no_finding(server: type[Right]) -> None:
    findings = findings_about(server, select("tools"))
    assert [str(found) for found in findings if found.verdict is not Verdict.OK] == []


@pytest.mark.parametrize("server", [OffersNothing, NotesNothing, TellsResultsAsText])
def test_what_a_server_does_not_show_is_no_failure(server: type[Right]) -> None:
    findings = findings_about(server, select("tools"))
    assert [str(found) for found in findings if found.verdict is Verdict.FAILED] == []


@pytest.mark.parametrize("case_id", ["tools/6", "tools/7", "tools/9", "tools/11"])
def test_without_tools_nothing_is_said_about_their_calls(case_id: str) -> None:
    assert ruling(OffersNothing, case_id) == NO_TOOL


@pytest.mark.parametrize(
    ("server", "case_id", "expected"),
    [
        (NotesNothing, "tools/6", "ok"),
        (SpeaksForItself, "tools/6", "ok"),
        (
            SaysOnlyItsModelsWords,
            "tools/6",
            "failed: expected words after the call of the tool, got none",
        ),
        (
            tools.WaitsForText,
            "tools/6",
            "failed: expected words after the result of the tool, got none",
        ),
        (NotesNothing, "tools/7", "ok"),
        (
            SaysOnlyItsModelsWords,
            "tools/7",
            "failed: expected the results of two tool calls, got none",
        ),
        (
            tools.RunsTheFirst,
            "tools/7",
            "failed: expected the results of two tool calls, got 1",
        ),
        (
            TellsResultsAsText,
            "tools/7",
            "not seen: expected notes of the results, or messages of role 'tool' to the model",
        ),
        (
            tools.RunsAgain,
            "tools/8",
            "failed: expected a tool that is not run again with the same arguments, got a second "
            "result of 'book'",
        ),
        (RefusesTheSecond, "tools/8", "ok"),
        (tools.RenamesResults, "tools/8", "ok"),
        (
            NotesNothing,
            "tools/8",
            "not seen: expected tool_call_invocation and tool_call_result of what is run",
        ),
        (
            OffersNothing,
            "tools/8",
            "not seen: expected a server that offers the model a tool which books, and asks it "
            "again",
        ),
        (
            tools.TriesForEver,
            "tools/9",
            "failed: expected a whole answer with response_id 1, got an answer without "
            "content_complete",
        ),
        (
            SaysOnlyItsModelsWords,
            "tools/9",
            "failed: expected words after the call of the tool, got only 'Let me see.'",
        ),
        (
            SaysOnlyItsModelsWords,
            "tools/11",
            "failed: expected words after the call of the tool, got only 'Let me see.'",
        ),
        (SpeaksForItself, "tools/11", "ok"),
    ],
)
def test_what_follows_a_models_call_is_judged(
    server: type[Right], case_id: str, expected: str
) -> None:
    assert ruling(server, case_id) == expected


def test_a_model_that_only_calls_tools_is_asked_three_times() -> None:
    [case] = select("tools/6")
    always = replace(case, scripts=(Script(steps=(CallTool("book"),)),))
    exchange = finding_about(Right, always).exchange
    assert exchange is not None
    turn = exchange.turn(1)
    assert turn is not None
    assert turn.sent == 3 * "One moment, please. " + EXCUSE


@pytest.mark.parametrize("case_id", WITH_MODEL)
def test_a_call_of_a_tool_is_only_judged_where_the_model_is_there(case_id: str) -> None:
    assert ruling(Right, case_id, has_model=False).startswith("not seen: expected --llm PORT")
