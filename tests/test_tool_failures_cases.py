"""The checks on what goes wrong around a tool: what each says about a server, and lets pass."""

import json
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.checks.samples.tool_failures import WRONG
from tests.judging import ruling

WORDS = {
    "tools/12": "failed: expected a whole answer with response_id 1, got an answer without "
    "content_complete",
    "tools/13": "failed: expected a whole answer with response_id 1, got an answer without "
    "content_complete",
    "tools/14": "failed: expected the words of the model, 'We close at nine.', got 'I am sorry, "
    "something went wrong. Can you say that again?'",
}


@pytest.mark.parametrize("case_id", WORDS)
def test_a_failure_says_what_was_expected_and_what_came(case_id: str) -> None:
    assert ruling(WRONG[case_id], case_id) == WORDS[case_id]


class ChecksArguments(Right):
    """Tells the model what is missing."""

    async def use_tool(self, call: SampleCall, name: str, arguments: str) -> str:
        if "day" not in json.loads(arguments):
            return "The day is missing."
        return await super().use_tool(call, name, arguments)


@pytest.mark.parametrize("sample", [Right, ChecksArguments])
@pytest.mark.parametrize("case_id", WORDS)
def test_a_server_may_tell_the_model_or_the_caller(case_id: str, sample: type[Right]) -> None:
    assert ruling(sample, case_id) == "ok"


class OffersNothing(Right):
    """Offers the model no tool."""

    def body(self, messages: list[Json]) -> Json:
        return {**super().body(messages), "tools": []}


@pytest.mark.parametrize("case_id", WORDS)
def test_without_a_tool_there_is_nothing_to_see(case_id: str) -> None:
    assert ruling(OffersNothing, case_id) == (
        "not seen: expected a server that offers the model a tool, such as book_appointment"
    )


class Finishes(Right):
    """Ends the turn where the model calls a tool."""

    last = ""

    async def use_tools(self, call: SampleCall, tool_calls: list[Json]) -> list[Json]:
        raise RuntimeError

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        try:
            async for content, fields in super().think(call, request, model):
                if content != self.hold()[0]:
                    yield content, fields
        except RuntimeError:
            await call.finish(request["response_id"])
            yield self.last, {}


class FinishesTooSoon(Finishes):
    """Says something behind the end of the turn."""

    last = "Done."


def test_the_words_before_a_tool_are_not_enough() -> None:
    only = "failed: expected words after the call of the tool, got only 'Let me see.'"
    assert ruling(Finishes, "tools/12") == only
    assert ruling(FinishesTooSoon, "tools/12") == (
        f"{only}, but words that are dropped: response_id 1 was already complete"
    )


class ReadsNotesAsWords(Right):
    """Takes each entry of the woven transcript for something that was said."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        woven = request["transcript_with_tool_calls"]
        async for piece in super().think(call, {**request, "transcript": woven}, model):
            yield piece


def test_a_note_in_the_transcript_is_no_reason_to_fall_silent() -> None:
    assert ruling(ReadsNotesAsWords, "tools/14") == WORDS["tools/14"]


class Rephrases(Right):
    """Says the same whatever the model says."""

    async def read(
        self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
    ) -> AsyncIterator[str]:
        async for _ in super().read(chunks, tool_calls):
            yield "Very well. "


def test_other_words_than_those_of_the_model_tell_nothing_about_the_next_turn() -> None:
    assert ruling(Rephrases, "tools/14") == (
        "not seen: expected an answer in the words of the model behind a tool"
    )


def test_a_model_that_is_not_asked_again_cannot_fail() -> None:
    assert ruling(Finishes, "tools/13") == (
        "not seen: expected a server that asks the model again with the result of a tool"
    )
