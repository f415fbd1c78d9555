"""What goes out to one page: in order, several things at a time, and not without end."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from llmws_tutorial.dashboard.tab import AT_ONCE, Tab
from llmws_tutorial.dashboard.view import Event


class Wire:
    """The far end of a socket."""

    def __init__(self) -> None:
        self.messages: list[list[Event] | bytes] = []

    async def send_text(self, data: str) -> None:
        self.messages.append(json.loads(data))

    async def send_bytes(self, data: bytes) -> None:
        self.messages.append(data)


def sent(*does: Callable[[Tab], Any]) -> list[list[Event] | bytes]:
    """What goes out: whatever a step tells is written before the next one."""

    async def run() -> list[list[Event] | bytes]:
        tab, wire = Tab(), Wire()
        writing = asyncio.create_task(tab.write(wire))
        for do in does:
            do(tab)
            for _ in range(5):
                await asyncio.sleep(0)
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        return wire.messages

    return asyncio.run(run())


def numbers(count: int) -> list[Event]:
    return [{"type": "n", "n": number} for number in range(count)]


def test_things_told_one_after_another_go_out_one_by_one() -> None:
    one, two = numbers(2)
    assert sent(lambda tab: tab.tell(one), lambda tab: tab.tell(two)) == [[one], [two]]


def test_things_told_at_once_go_out_together_but_not_too_many() -> None:
    events = numbers(AT_ONCE + 1)
    assert sent(lambda tab: tab.tell_all(events)) == [events[:AT_ONCE], events[AT_ONCE:]]


def test_sound_keeps_its_place_among_what_is_told() -> None:
    one, two = numbers(2)

    def tell(tab: Tab) -> None:
        tab.tell(one)
        tab.play(7, b"\x01\x02")
        tab.tell(two)

    assert sent(tell) == [[one], b"\x07\x00\x00\x00\x01\x02", [two]]


def test_a_thing_is_told_as_it_was_then() -> None:
    rows = [1]

    def tell(tab: Tab) -> None:
        tab.tell({"type": "call", "frames": rows})
        rows.append(2)

    assert sent(tell) == [[{"type": "call", "frames": [1]}]]


def test_half_a_character_does_no_harm() -> None:
    assert sent(lambda tab: tab.tell({"type": "line", "text": "\ud800"})) == [
        [{"type": "line", "text": "\ud800"}]
    ]


def test_a_page_that_reads_nothing_is_lost_and_told_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llmws_tutorial.dashboard.tab.MOST_WAITING", 100)

    async def run() -> None:
        tab, wire = Tab(), Wire()
        tab.play(1, bytes(95))
        assert not tab.lost.is_set()
        tab.tell({"type": "drop"})
        assert tab.lost.is_set()
        tab.tell({"type": "late"})
        writing = asyncio.create_task(tab.write(wire))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert wire.messages == []

    asyncio.run(run())


def test_a_call_that_is_larger_than_all_that_may_wait_is_told_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llmws_tutorial.dashboard.tab.MOST_WAITING", 100)
    monkeypatch.setattr("llmws_tutorial.dashboard.tab.MOST_COUNTED", 50)
    call = {"type": "call", "frames": ["x" * 200]}
    assert sent(*[lambda tab: tab.tell(call)] * 3) == [[call]] * 3


def test_what_was_written_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmws_tutorial.dashboard.tab.MOST_WAITING", 100)
    messages = sent(*[lambda tab: tab.play(1, bytes(90))] * 3)
    assert len(messages) == 3
