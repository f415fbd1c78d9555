"""What the cases about lost lines say of servers, wrong ones and others."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from llmws_tutorial.checks import CASES
from llmws_tutorial.checks.samples.reconnect import WRONG
from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from tests.judging import ruling

REFUSED = (
    "failed: expected an open socket, got cannot call the app: it refused the socket (HTTP 403); "
    "is the route /llm-websocket/{call_id} defined, and does the path hold the secret, if any?"
)
WORDS = {
    "reconnect/1": "failed: expected a whole answer with response_id 3, got none",
    "reconnect/2": "failed: expected no first message on the new socket, got another one",
    "reconnect/3": "failed: expected the config again on the new socket, got none",
    "reconnect/4": "failed: expected a whole answer with response_id 141, got none, but a frame "
    "that is dropped: response_id 0 is not the latest one, 141",
    "reconnect/5": REFUSED,
    "reconnect/6": "failed: expected a question to the model with what the caller said before "
    "the line was lost, got one that begins behind it",
}
ALL = [case.id for case in CASES if case.topic == "reconnect"]


@pytest.mark.parametrize("case_id", WORDS)
def test_a_failure_says_what_was_expected_and_what_came(case_id: str) -> None:
    assert ruling(WRONG[case_id], case_id) == WORDS[case_id]


class NeverGreets(Right):
    """Says no first message at all."""

    async def greet(self, call: SampleCall) -> None:
        pass


class GreetsTheSecond(Right):
    """Has the first message ready only when the call comes again."""

    async def greet(self, call: SampleCall) -> None:
        if call.call_id in self.done_once:
            await super().greet(call)
        self.done_once.add(call.call_id)

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.done_once: set[str] = set()


class SaysNothingTwice(Right):
    """Lets the caller speak first, on each socket."""

    async def greet(self, call: SampleCall) -> None:
        await call.finish(0)


@pytest.mark.parametrize("server", [NeverGreets, GreetsTheSecond, SaysNothingTwice])
def test_only_a_greeting_that_is_heard_twice_is_one_too_many(server: type[Right]) -> None:
    assert ruling(server, "reconnect/2") == "ok"


class WishesNothing(Right):
    """Sends no config."""

    async def configure(self, call: SampleCall) -> None:
        call.facts.set()


def test_a_server_without_config_cannot_forget_it() -> None:
    said = "not seen: expected a config: a server need not send one"
    assert ruling(WishesNothing, "reconnect/3") == said


class WishesLess(Right):
    """Sends another config on the second socket."""

    async def configure(self, call: SampleCall) -> None:
        if call.call_id in self.greeted:
            await call.send("config", config={"call_details": True})
        else:
            await super().configure(call)


def test_another_config_is_not_the_same() -> None:
    assert ruling(WishesLess, "reconnect/3") == (
        "failed: expected the config of before, ConfigFields(auto_reconnect=True, "
        "call_details=True, transcript_with_tool_calls=True), got ConfigFields(call_details=True)"
    )


class AsksNobody(Right):
    """Answers by itself from the second request on."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        if request["response_id"] > 1:
            self.model = None
        await super().take_request(call, request)


def test_what_the_model_is_not_asked_cannot_be_judged() -> None:
    said = "not seen: expected a question to the model after the line was lost"
    assert ruling(AsksNobody, "reconnect/6") == said


class AsksAtOnce(Right):
    """Asks the model as soon as a request is there."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        assert self.model is not None
        async for piece in self.think(call, request, self.model):
            yield piece


def test_a_question_in_the_moment_of_the_new_socket_counts() -> None:
    assert ruling(AsksAtOnce, "reconnect/6") == "ok"


class Remembers(Right):
    """Keeps the conversations itself, by the id of the call."""

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.said: dict[str, list[Json]] = {}

    async def take_request(self, call: SampleCall, request: Json) -> None:
        said = self.said.setdefault(call.call_id, [])
        said.extend(request["transcript"][-1:])
        await super().take_request(call, {**request, "transcript": list(said)})


class Waits(Right):
    """Reads nothing while it answers, slowly."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        await asyncio.sleep(1)
        await self.answer(call, request)


class TakesOver(Right):
    """Ends the older socket of a call when there is a newer one."""

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.calls: dict[str, SampleCall] = {}

    async def configure(self, call: SampleCall) -> None:
        older = self.calls.get(call.call_id)
        self.calls[call.call_id] = call
        await super().configure(call)
        if older is not None and older.code is None:
            await older.close(1001)


@pytest.mark.parametrize("server", [Remembers, Waits, TakesOver])
@pytest.mark.parametrize("case_id", ALL)
def test_other_right_servers_are_right(server: type[Right], case_id: str) -> None:
    assert ruling(server, case_id) == "ok"
