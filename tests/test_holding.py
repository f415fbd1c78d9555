"""Silences of a turn: broken soon at first, then from time to time, and never over words."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llmws_tutorial.messages import Metadata
from llmws_tutorial.server import HangUp, Piece
from llmws_tutorial.server.actions import Act
from llmws_tutorial.server.holding import STILL, Holding
from tests.virtual_time import run_virtually

NOTE = Metadata(metadata={})
BYE = Act("end_call", HangUp(), "Goodbye.", "Goodbye.")
Thinking = Callable[[Holding], Awaitable[None]]


def pieces(think: Thinking, *, may_act: bool = False) -> list[tuple[float, Piece]]:
    """What goes out, each piece with its time."""

    async def run() -> list[tuple[float, Piece]]:
        holding = Holding(may_act=may_act)
        now = asyncio.get_running_loop().time

        async def thinking() -> None:
            await think(holding)

        return [(round(now(), 2), piece) async for piece in holding.pieces(thinking())]

    return run_virtually(run())


def test_a_silence_is_broken_soon_and_then_from_time_to_time() -> None:
    async def think(holding: Holding) -> None:
        holding.put(NOTE)
        holding.work("One moment.")
        await asyncio.sleep(14)
        holding.begin()
        holding.say("Done.")

    assert pieces(think) == [
        (0, NOTE),
        (0.3, "One moment."),
        (6.3, f" {STILL}"),
        (12.3, f" {STILL}"),
        (14, " Done."),
    ]


def test_a_model_that_hangs_does_not_keep_the_caller_waiting_for_ever() -> None:
    async def think(holding: Holding) -> None:
        holding.work("One moment.")
        await asyncio.sleep(1)
        holding.begin()
        await asyncio.sleep(60)

    said = [(0.3, "One moment."), (6.3, f" {STILL}"), (12.3, f" {STILL}")]
    assert pieces(think) == said


def test_after_words_a_silence_may_be_longer() -> None:
    async def think(holding: Holding) -> None:
        holding.say("I look.")
        holding.work("One moment.")
        await asyncio.sleep(7)

    assert pieces(think) == [(0, "I look."), (6, f" {STILL}")]


def test_the_next_words_end_the_wait() -> None:
    async def think(holding: Holding) -> None:
        holding.work("One moment.")
        holding.say("\n")
        holding.say("Done.")
        await asyncio.sleep(20)

    assert pieces(think) == [(0, "\n"), (0, "Done.")]


def test_a_blank_is_put_between_two_texts_where_there_is_none() -> None:
    async def think(holding: Holding) -> None:
        for text in ("One.", "Two. ", "Three."):
            holding.begin()
            holding.say(text)

    assert [piece for _, piece in pieces(think)] == ["One.", " Two. ", "Three."]


def test_the_last_words_wait_for_an_action() -> None:
    async def think(holding: Holding) -> None:
        for text in ("So ", "bye", "."):
            holding.say(text)
        holding.calls()
        await asyncio.sleep(1)
        holding.act(BYE)

    assert pieces(think, may_act=True) == [(0, "So "), (1, HangUp()), (1, "bye.")]


def test_the_last_words_do_not_wait_for_long() -> None:
    async def think(holding: Holding) -> None:
        holding.say("So.")
        await asyncio.sleep(1)
        holding.act(BYE)

    assert pieces(think, may_act=True) == [(0.25, "So."), (1, HangUp()), (1, " Goodbye.")]


def test_the_last_words_go_out_before_a_tool_and_at_the_end() -> None:
    async def think(holding: Holding) -> None:
        holding.say("I look.")
        holding.work("One moment.")
        holding.begin()
        holding.say("Fine.")

    assert pieces(think, may_act=True) == [(0, "I look."), (0, " Fine.")]


def test_an_action_without_words_of_the_model_has_its_own() -> None:
    async def think(holding: Holding) -> None:
        holding.say(" ...")
        holding.act(BYE)

    assert [piece for _, piece in pieces(think, may_act=True)] == [HangUp(), "Goodbye."]


def test_what_the_thinking_raises_comes_behind_its_words() -> None:
    said: list[Piece] = []

    async def run() -> None:
        holding = Holding(may_act=True)

        async def think() -> None:
            holding.say("It is ")
            raise LookupError("gone")

        async for piece in holding.pieces(think()):
            said.append(piece)

    with pytest.raises(LookupError, match="gone"):
        run_virtually(run())
    assert said == ["It is "]


def test_whoever_stops_listening_stops_the_thinking() -> None:
    async def run() -> str:
        how = "not begun"
        holding = Holding()

        async def think() -> None:
            nonlocal how
            holding.put(NOTE)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                how = "cancelled"
                raise LookupError("while it stops") from None

        listening = holding.pieces(think())
        await anext(listening)
        task = asyncio.ensure_future(anext(listening))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        return how

    assert run_virtually(run()) == "cancelled"
