"""Turns with a model behind them, judged: what fails, and above all what does not."""

from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from llmws_tutorial.checks.catalogue import select
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.checks.samples.turns_llm import WRONG, NoticesAtTheNextPiece, ReadsToTheEnd
from llmws_tutorial.errors import UpstreamBroken, UpstreamRefused
from tests.judging import findings_about

WORDS = {
    "turns/20": "failed: expected a message of role 'assistant' with 'We close at half past "
    "nine.', got one of role 'user'",
    "turns/21": "not strict: expected a few words of excuse, got a whole answer without a word",
    "turns/22": "failed: expected the words of the model, 'I understand.', after the role "
    "transfer_target, got 'I am sorry, something went wrong. Can you say that again?'",
}
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
    assert ruling("turns/13", NoticesAtTheNextPiece) == (
        "failed: expected at most 2 generations at once, got 10, for 10 requests"
    )


@pytest.mark.parametrize("case_id", ["turns/9", "turns/10", "turns/11", "turns/12", "turns/13"])
def test_no_judge_raises_at_a_call_that_never_was(case_id: str) -> None:
    (case,) = select(case_id)
    assert str(case.judge(Exchange(lambda: 0.0))).startswith("failed: expected a whole answer")


@pytest.mark.parametrize("case_id", WORDS)
def test_a_failure_says_what_was_expected_and_what_came(case_id: str) -> None:
    assert ruling(case_id, WRONG[case_id]) == WORDS[case_id]


class TellsItAtOnce(Right):
    """Puts the whole conversation into one message."""

    def body(self, messages: list[Json]) -> Json:
        said = [f"{one['role']}: {one['content']}" for one in messages[:-1]]
        return super().body([{"role": "system", "content": "\n".join(said)}, messages[-1]])


class ForgetsItself(Right):
    """Tells the model only what the caller said."""

    def body(self, messages: list[Json]) -> Json:
        return super().body([one for one in messages if one["role"] == "user"])


class AnswersOnce(Right):
    """Asks the model once in a call."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        if request["response_id"] == 1:
            async for piece in super().pieces(call, request):
                yield piece


def test_a_conversation_may_be_told_in_one_text() -> None:
    assert ruling("turns/20", TellsItAtOnce) == "ok"


def test_the_model_knows_what_it_said_itself() -> None:
    assert ruling("turns/20", ForgetsItself) == (
        "failed: expected a message of role 'assistant' with 'We close at half past nine.', "
        "got none: only what the caller said"
    )


def test_who_asks_once_tells_nothing() -> None:
    assert ruling("turns/20", AnswersOnce) == ("not seen: expected a second question to the model")


def test_a_mute_model_is_not_asked_without_end() -> None:
    class AsksOn(Right):
        async def think(
            self, call: SampleCall, request: Json, model: Model
        ) -> AsyncIterator[Piece]:
            for _ in range(20):
                async for _piece in super().think(call, request, model):
                    pass
            yield "I give up.", {}

    assert ruling("turns/21", AsksOn) == (
        "failed: expected at most 5 questions to a model that says nothing, got 20"
    )


def test_other_words_than_those_of_the_model_tell_nothing_about_odd_transcripts() -> None:
    class Rephrases(Right):
        async def read(
            self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
        ) -> AsyncIterator[str]:
            async for _ in super().read(chunks, tool_calls):
                yield "Very well. "

    assert ruling("turns/22", Rephrases) == (
        "not seen: expected an answer in the words of the model"
    )


def test_words_of_the_model_that_are_dropped_are_named() -> None:
    class EndsTooSoon(Right):
        async def answer(self, call: SampleCall, request: Json) -> None:
            async for content, _ in self.pieces(call, request):
                await call.finish(request["response_id"], content)

    assert ruling("turns/11", EndsTooSoon) == (
        "failed: expected the words of the model, 'Yes, I can help you.', got 'Yes, I can ', "
        "but words that are dropped: response_id 1 was already complete"
    )
