"""What the cases about heartbeats say of servers, wrong ones and others."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from llmws_tutorial.checks import CASES
from llmws_tutorial.checks.samples.keepalive import WRONG
from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from tests.judging import ruling

SPEECH = "failed: expected no speech: nothing was asked, got some, where only ping_pongs came"
BUSY = "failed: expected each ping_pong back while the answer is being made, got "
WORDS = {
    "keepalive/1": "failed: expected a ping_pong at least every 5 s, got none for 5.5 s",
    "keepalive/2": "failed: expected each ping_pong back within 2 s, got one after 3.0 s",
    "keepalive/3": BUSY + "one after 5.5 s, behind it",
    "keepalive/5": SPEECH,
}
ALL = [case.id for case in CASES if case.topic == "keepalive"]


@pytest.mark.parametrize("case_id", WORDS)
def test_a_failure_says_what_was_expected_and_what_came(case_id: str) -> None:
    assert ruling(WRONG[case_id], case_id) == WORDS[case_id]


def test_a_changed_timestamp_is_shown_beside_the_one_that_was_sent() -> None:
    said = ruling(WRONG["keepalive/4"], "keepalive/4")
    pattern = r"failed: expected the timestamp that was sent, such as (\d{10})\d{3}, got \1"
    assert re.fullmatch(pattern, said)


class WishesNone(Right):
    """Asks for no heartbeats."""

    async def configure(self, call: SampleCall) -> None:
        await call.send("config", config={"call_details": True})


class WishesNothing(Right):
    """Sends no config."""

    async def configure(self, call: SampleCall) -> None:
        call.facts.set()


@pytest.mark.parametrize("server", [WishesNone, WishesNothing])
@pytest.mark.parametrize("case_id", ALL)
def test_who_asks_for_no_heartbeats_need_not_return_any(server: type[Right], case_id: str) -> None:
    said = "not seen: expected a config that asks for heartbeats: auto_reconnect true"
    assert ruling(server, case_id) == said


class NeverBeats(Right):
    """Returns no heartbeat, ever."""

    async def pong(self, call: SampleCall, ping: Json) -> None:
        pass


def test_heartbeats_that_never_come_fail_one_case() -> None:
    assert ruling(NeverBeats, "keepalive/1") == WORDS["keepalive/1"]
    assert {ruling(NeverBeats, f"keepalive/{number}") for number in (2, 4, 5)} == {"ok"}
    said = "not seen: expected heartbeats that come back at all (keepalive/1)"
    assert ruling(NeverBeats, "keepalive/3") == said


class StopsAfterOne(Right):
    """Returns the first heartbeat only."""

    async def pong(self, call: SampleCall, ping: Json) -> None:
        if not call.facts.is_set() or call not in self.beaten:
            self.beaten.add(call)
            await super().pong(call, ping)

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.beaten: set[SampleCall] = set()


def test_heartbeats_that_stop_are_found_while_it_answers_and_while_it_does_not() -> None:
    assert ruling(StopsAfterOne, "keepalive/1") == WORDS["keepalive/1"]
    assert ruling(StopsAfterOne, "keepalive/3") == BUSY + "none"


class AnswersAtOnce(Right):
    """Asks the model, and does not wait for it."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        async for piece in super().think(call, request, model):
            yield piece
            return


def test_an_answer_that_is_there_at_once_holds_nothing_back() -> None:
    said = "not seen: expected an answer that takes as long as this model does"
    assert ruling(AnswersAtOnce, "keepalive/3") == said


class SpeaksInOrder(Right):
    """Answers a heartbeat with whatever id it holds, be it none."""

    async def pong(self, call: SampleCall, ping: Json) -> None:
        await super().pong(call, ping)
        await call.send("response", response_id=ping.get("response_id"), content="Pardon?")


def test_speech_without_an_id_is_speech() -> None:
    assert ruling(SpeaksInOrder, "keepalive/5") == SPEECH


class NeverEnds(Right):
    """Leaves each answer open."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        async for content, _ in self.pieces(call, request):
            await call.say(request["response_id"], content)


class BeatsByItself(Right):
    """Sends heartbeats of its own beside those that it returns."""

    async def pong(self, call: SampleCall, ping: Json) -> None:
        await super().pong(call, {"timestamp": 1})
        await super().pong(call, ping)


class Streams(Right):
    """Returns heartbeats half a second late, and updates the agent at each."""

    async def pong(self, call: SampleCall, ping: Json) -> None:
        await asyncio.sleep(0.5)
        await call.send("update_agent", agent_config={"responsiveness": 1})
        await super().pong(call, ping)


class SaysNothing(Right):
    """Completes the answer that was complete with an empty piece, at each heartbeat."""

    async def pong(self, call: SampleCall, ping: Json) -> None:
        await super().pong(call, ping)
        await call.finish(0)


@pytest.mark.parametrize("server", [NeverEnds, BeatsByItself, Streams, SaysNothing])
@pytest.mark.parametrize("case_id", ALL)
def test_other_right_servers_are_right(server: type[Right], case_id: str) -> None:
    assert ruling(server, case_id) == "ok"
