"""What the cases of the call itself say of servers, wrong ones and others."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import WebSocket

from llmws_tutorial.checks import in_memory, judge, select
from llmws_tutorial.checks.samples.calls import WRONG
from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right, last_words
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.steps import step3
from tests.judging import ruling
from tests.virtual_time import run_virtually

WORDS = {
    "calls/1": "failed: expected an open call, got the server closed with 1000 ''",
    "calls/2": "failed: expected an open call, got the server closed with 1008 ''",
    "calls/3": "failed: expected no word of what another caller has said, got 58213",
    "calls/4": "failed: expected a whole answer with response_id 1, got none",
    "calls/5": "failed: expected a whole answer with response_id 1, got none",
    "calls/6": "failed: expected an open call, got the server closed with 1000 ''",
    "calls/7": "failed: expected a refusal at a wrong secret, got an open socket",
    "calls/8": "not strict: expected a refusal of a browser's socket, got an open socket",
    "calls/9": "failed: expected a question to the model while it still writes for another call, "
    "got one when that answer was done",
    "calls/10": "failed: expected no word of another caller in what the model is told, "
    "got Bartholomew",
}


@pytest.mark.parametrize("case_id", WORDS)
def test_a_failure_says_what_was_expected_and_what_came(case_id: str) -> None:
    assert ruling(WRONG[case_id], case_id) == WORDS[case_id]


class SharesIds(Right):
    """Answers each call under the id that was asked last in any."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        self.last = request["response_id"]
        await super().take_request(call, request)

    async def answer(self, call: SampleCall, request: Json) -> None:
        await super().answer(call, {**request, "response_id": self.last})


def test_an_id_of_another_call_is_found() -> None:
    said = "failed: expected in this call only answers to 7, got one to 1"
    assert ruling(SharesIds, "calls/3") == said


def test_a_path_without_a_secret_could_be_better() -> None:
    async def run() -> str:
        async with in_memory(step3.app) as transport:
            [finding] = await judge(transport, select("calls/7"))
        return str(finding.ruling)

    assert run_virtually(run()) == (
        "not strict: expected a secret in the path, /llm-websocket/<secret>/{call_id}, "
        "got a path that anybody can guess"
    )


class ClosesFirst(Right):
    """Lets everybody in, and shows the wrong ones out at once."""

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        if self.lets_in(ws, secret):
            await super().take_call(ws, secret, call_id)
        else:
            await ws.accept()
            await ws.close(1008)


@pytest.mark.parametrize("case_id", ["calls/7", "calls/8"])
def test_a_socket_that_is_closed_before_a_word_was_said_is_refused(case_id: str) -> None:
    assert ruling(ClosesFirst, case_id) == "ok"


class GreetsFirst(Right):
    """Lets everybody in, and shows the wrong ones out after a greeting."""

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        await ws.accept()
        await SampleCall(ws, call_id).finish(0, "Hello.")
        await ws.close(1008)


def test_a_socket_that_is_closed_after_a_greeting_is_not_refused() -> None:
    assert ruling(GreetsFirst, "calls/7") == WORDS["calls/7"]
    assert ruling(GreetsFirst, "calls/8") == WORDS["calls/8"]


class Slow(Right):
    """Takes four seconds for everything that it says, one word at a time."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        for word in ("Let ", "me ", "see. ", "Yes."):
            await asyncio.sleep(1)
            await call.say(request["response_id"], word)
        await call.finish(request["response_id"])


@pytest.mark.parametrize("case_id", [case.id for case in select("calls") if not case.needs])
def test_a_slow_server_is_right(case_id: str) -> None:
    assert ruling(Slow, case_id) == "ok"


class Waits(Right):
    """Reads nothing while it answers, and says no first message."""

    async def greet(self, call: SampleCall) -> None:
        await call.finish(0)

    async def take_request(self, call: SampleCall, request: Json) -> None:
        await self.answer(call, request)


@pytest.mark.parametrize("case_id", WORDS)
def test_a_server_that_does_one_thing_after_the_other_is_right(case_id: str) -> None:
    assert ruling(Waits, case_id) == "ok"


class AnswersByItself(Right):
    """Asks the model only where no name and no timetable is mentioned."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        said = last_words(request.get("transcript"))
        if "name?" in said or "train at nine" in said:
            yield "That I cannot say.", {}
            return
        async for piece in super().pieces(call, request):
            yield piece


class WaitsForMore(Right):
    """Leaves a caller two seconds to go on before it asks the model."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        await asyncio.sleep(2)
        async for piece in super().pieces(call, request):
            yield piece


class GivesUpSoon(Right):
    """Takes three seconds of the model at most, and one answer at a time."""

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.turn = asyncio.Lock()

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        async with self.turn, asyncio.timeout(3):
            async for piece in super().pieces(call, request):
                yield piece


@pytest.mark.parametrize("sample", [AnswersByItself, WaitsForMore, GivesUpSoon])
def test_two_calls_may_share_a_model_in_many_ways(sample: type[Right]) -> None:
    assert ruling(sample, "calls/9") == "ok"


def test_what_the_model_is_not_asked_tells_it_nothing() -> None:
    said = "not seen: expected a question to the model in the words of the caller"
    assert ruling(AnswersByItself, "calls/10") == said
    assert ruling(WaitsForMore, "calls/10") == "ok"


@pytest.mark.parametrize("case_id", ["calls/1", "begin/3"])
def test_an_end_at_what_no_move_sends_says_what_that_was(case_id: str) -> None:
    class WantsANumber(Right):
        async def take(self, call: SampleCall, message: Json) -> None:
            if message["interaction_type"] == "call_details":
                message["call"]["from_number"]
            await super().take(call, message)

    assert ruling(WantsANumber, case_id) == (
        "failed: expected an open call, got the server dropped the connection without a close "
        "frame (1006): the app raised KeyError('from_number') after call_details and ping_pong"
    )
