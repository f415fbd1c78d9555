"""What the cases about endings say of servers, wrong ones and others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from llmws_tutorial.checks import CASES, select
from llmws_tutorial.checks.moves import HangUp
from llmws_tutorial.checks.samples.endings import WRONG
from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from tests.judging import findings_about, ruling

GIVEN_UP = "failed: expected a generation that is given up with the call, got "
OWN_END = "failed: expected a call that the caller ends, or an answer with end_call, got "
WORDS = {
    "endings/1": GIVEN_UP + "one that ran to its end",
    "endings/2": GIVEN_UP + "one that runs on",
    "endings/3": "failed: expected a whole answer with response_id 1, got none",
    "endings/4": OWN_END + "the server closed with 1000 '', a deliberate hang-up",
    "endings/5": "failed: expected an open socket until the farewell was spoken, "
    "got the server closed with 1000 ''",
    "endings/6": "not strict: expected a close that is answered with a close, got none",
    "endings/7": "failed: expected an open socket, got cannot call the app: it refused the "
    "socket (HTTP 403); is the route /llm-websocket/{call_id} defined, and does the path hold "
    "the secret, if any?",
}
ALL = [case.id for case in CASES if case.topic == "endings"]


@pytest.mark.parametrize("case_id", WORDS)
def test_a_failure_says_what_was_expected_and_what_came(case_id: str) -> None:
    assert ruling(WRONG[case_id], case_id) == WORDS[case_id]


def test_the_lost_connection_is_given_back_where_nobody_hangs_up() -> None:
    [case] = select("endings/3")
    patient = replace(case, moves=tuple(move for move in case.moves if move != HangUp()))
    [finding] = findings_about(WRONG["endings/3"], [patient])
    assert str(finding.ruling) == "ok"


class NotesTheCall(Right):
    """Asks the model for a summary of a call that is over."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        self.request = request
        await super().take_request(call, request)

    async def leave(self, call: SampleCall) -> None:
        await super().leave(call)
        await asyncio.sleep(0.1)
        if self.model is not None:
            async for _ in self.think(call, self.request, self.model):
                pass


@pytest.mark.parametrize("case_id", ["endings/1", "endings/2"])
def test_what_is_asked_after_the_call_is_no_generation_for_it(case_id: str) -> None:
    assert ruling(NotesTheCall, case_id) == "ok"


class Falls(Right):
    """Ends the call with its first answer, in a way that is no hang-up."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        await super().answer(call, request)
        await call.close(1011)


def test_only_a_close_with_1000_is_deliberate() -> None:
    assert ruling(Falls, "endings/4") == OWN_END + "the server closed with 1011 ''"


class SaysNothingOfAnEnd(Right):
    """Says goodbye, and leaves it to the caller to hang up."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        yield "Goodbye!", {}


def test_without_end_call_there_is_nothing_to_see() -> None:
    said = "not seen: expected an answer with end_call to a caller who says goodbye"
    assert ruling(SaysNothingOfAnEnd, "endings/5") == said


class Batches(Right):
    """Gathers all that the model says, and gives it up with the call."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        texts: list[str] = []
        fields: Json = {}
        async for text, more in super().think(call, request, model):
            texts.append(text)
            fields |= more
        yield "".join(texts), fields


class TakesStock(Right):
    """Has a few seconds of work to do when a call is over."""

    async def leave(self, call: SampleCall) -> None:
        await super().leave(call)
        await asyncio.sleep(3)


@pytest.mark.parametrize("server", [Batches, TakesStock])
@pytest.mark.parametrize("case_id", ALL)
def test_other_right_servers_are_right(server: type[Right], case_id: str) -> None:
    assert ruling(server, case_id) == "ok"
