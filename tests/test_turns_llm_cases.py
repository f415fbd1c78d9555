"""Turns with a model behind them, judged: what fails, and above all what does not."""

from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from llmws_tutorial.checks.catalogue import select
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.checks.samples.turns_llm import CancelsLate, ReadsToTheEnd
from llmws_tutorial.errors import UpstreamBroken, UpstreamRefused
from tests.judging import findings_about

ALL = [case.id for case in select() if case.id.startswith("turns/") and case.needs]


def ruling(case_id: str, sample: type[Right]) -> str:
    """What a case says about a sample server, in words."""
    (found,) = findings_about(sample, select(case_id))
    return str(found.ruling)


class Whole(Right):
    """Speaks when the model is done, as with stream false."""

    async def read(
        self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
    ) -> AsyncIterator[str]:
        yield "".join([text async for text in super().read(chunks, tool_calls)])


class Impatient(Right):
    """Asks the model as soon as a request is there."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        assert self.model is not None
        async for piece in self.think(call, request, self.model):
            yield piece


class Sequential(Right):
    """Takes the next message when the answer is whole."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        await self.answer(call, request)


class Persistent(Right):
    """Asks again, three times, when the model fails before its first word."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        for _ in range(3):
            try:
                async for piece in super().think(call, request, model):
                    yield piece
            except UpstreamRefused:
                continue
            return
        raise UpstreamBroken("three times")


class Fills(Right):
    """Says a word before anything else."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        yield "Well. ", {}
        async for piece in super().pieces(call, request):
            yield piece


class Mute(Right):
    """Never takes a request."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        pass


@pytest.mark.parametrize("case_id", ALL)
@pytest.mark.parametrize("sample", [Whole, Impatient, Persistent, Fills])
def test_another_way_to_be_right_passes(sample: type[Right], case_id: str) -> None:
    assert ruling(case_id, sample) == "ok"


@pytest.mark.parametrize("case_id", [one for one in ALL if one != "turns/8"])
def test_a_sequential_server_fails_only_where_it_must(case_id: str) -> None:
    assert ruling(case_id, Sequential) == "ok"


@pytest.mark.parametrize(
    ("sample", "got"),
    [(Sequential, "one that ran to its end"), (ReadsToTheEnd, "one that runs on")],
)
def test_a_generation_that_nobody_waits_for_is_given_up(sample: type[Right], got: str) -> None:
    expected = "the first generation given up when the newer request came"
    assert ruling("turns/8", sample) == f"failed: expected {expected}, got {got}"


@pytest.mark.parametrize("case_id", ALL)
def test_a_server_that_asks_no_model_is_not_seen(case_id: str) -> None:
    assert ruling(case_id, Mute) == (
        "not seen: expected a server that asks this model: is OPENAI_BASE_URL set where it runs?"
    )


def test_an_excuse_has_words() -> None:
    class Silent(Right):
        async def answer(self, call: SampleCall, request: Json) -> None:
            async for _ in self.pieces(call, {**request}):
                pass

        async def think(
            self, call: SampleCall, request: Json, model: Model
        ) -> AsyncIterator[Piece]:
            try:
                async for piece in super().think(call, request, model):
                    yield piece
            except UpstreamRefused:
                await call.finish(request["response_id"], "...")

    assert ruling("turns/9", Silent) == (
        "failed: expected a few words of excuse, got a whole answer without a word"
    )


def test_the_words_of_the_model_arrive_whole() -> None:
    class FirstOnly(Right):
        async def read(
            self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
        ) -> AsyncIterator[str]:
            async for text in super().read(chunks, tool_calls):
                yield text.upper()
                return

    assert ruling("turns/11", FirstOnly) == (
        "failed: expected the words of the model, 'Yes, I can help you.', got 'YES, I CAN '"
    )


def test_ten_requests_are_not_ten_generations() -> None:
    assert ruling("turns/13", CancelsLate) == (
        "failed: expected at most 2 generations at once, got 10, for 10 requests"
    )


@pytest.mark.parametrize("case_id", ["turns/9", "turns/10", "turns/11", "turns/12", "turns/13"])
def test_no_judge_raises_at_a_call_that_never_was(case_id: str) -> None:
    (case,) = select(case_id)
    assert str(case.judge(Exchange(lambda: 0.0))).startswith("failed: expected a whole answer")
