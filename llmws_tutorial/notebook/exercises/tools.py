"""The exercises of step 07: tools and actions."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

from llmws_tutorial.checks.case import OK, Ruling, failed
from llmws_tutorial.notebook.exercises.registry import differs, exercise, finish
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.dialer import new_record
from llmws_tutorial.simulator.memory import converse
from llmws_tutorial.simulator.record import CallRecord
from llmws_tutorial.simulator.scenario import Step

FAREWELL: Final = ("You are booked. ", "Thank you for calling. ", "Goodbye!")
"""What the agent of exercise 07.3 says, piece by piece."""
_LONG_S: Final = 2.0
_FIRST: Final = asyncio.FIRST_COMPLETED


@exercise("07.1")
def _judge_description(answer: Any) -> Ruling:
    """A description is right when a model could call the tool by it."""
    try:
        described, description = _described(answer)
    except (AttributeError, KeyError, TypeError):
        return failed("a tool, as tool(...) writes it", repr(answer))
    expected = ("cancel_appointment", {"day": "string", "time": "string"}, ["day", "time"])
    ruling = differs(expected, described)
    if ruling is OK and len(description.split()) < 3:
        return failed("a description that tells a model when to call it", repr(description))
    return ruling


def _described(tool: Any) -> tuple[tuple[str, dict[str, str], list[str]], str]:
    """What a model calls a tool by, and what it is told of it."""
    if tool["type"] != "function":
        raise TypeError("a description is of a function")
    function = tool["function"]
    schema = function["parameters"]
    kinds = {name: what["type"] for name, what in schema["properties"].items()}
    return (function["name"], kinds, sorted(schema["required"])), function["description"]


class _Work:
    """Something with an effect, which lasts until it may end."""

    def __init__(self) -> None:
        self.times = 0
        self.is_cut = False
        self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> str:
        self.times += 1
        self.has_begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.is_cut = True
            raise
        return "booked"


@exercise("07.2")
def _judge_once(answer: Any) -> Ruling:
    async def run() -> Ruling:
        async with asyncio.timeout(_LONG_S):
            return await _try_out(answer)

    return finish(run())


async def _try_out(once: Any) -> Ruling:
    """A turn dies while its work goes on; then two turns want the same, and a third another."""
    runs: dict[str, Any] = {}
    work, other = _Work(), _Work()
    turn = asyncio.ensure_future(once(runs, "ten", work))
    await asyncio.wait([turn, asyncio.create_task(work.has_begun.wait())], return_when=_FIRST)
    turn.cancel()
    await asyncio.wait([turn])
    if work.is_cut:
        return failed("work that goes on when its turn dies", "work that was cut off with it")
    asyncio.get_running_loop().call_soon(work.may_end.set)
    other.may_end.set()
    turns = [once(runs, "ten", work), once(runs, "ten", work), once(runs, "noon", other)]
    ruling = differs(["booked"] * 3, await asyncio.gather(*turns))
    return ruling if ruling is not OK else differs("once each", _counted(work, other))


def _counted(work: _Work, other: _Work) -> str:
    if (work.times, other.times) == (1, 1):
        return "once each"
    return f"{work.times} times for one key, {other.times} for another"


@exercise("07.3")
def _judge_farewell(answer: Any) -> Ruling:
    """The fields are right when a caller can talk over the news, and not over the farewell."""
    are_fields = isinstance(answer, list) and all(isinstance(one, dict) for one in answer)
    if not are_fields or len(answer) != len(FAREWELL):
        return failed("a list of three dicts: the fields of each piece", repr(answer))
    records = [_talked_over(answer, words) for words in (1, 4, 7)]
    if dropped := [frame.dropped for record in records for frame in record.dropped]:
        return failed("fields that the platform takes", f"{dropped[0]}")
    news, *farewell = [record.turns[1] for record in records]
    for turn in farewell:
        if turn.is_cut:
            return failed("a farewell that nobody cuts off", f"one cut after {turn.heard!r}")
    if not news.is_cut:
        return failed("a first piece that can be talked over", "one that nobody can stop")
    return OK if farewell[0].has_acted else failed("a call that ends", "a line that stays open")


def _talked_over(fields: list[dict[str, Any]], words: int) -> CallRecord:
    """A call with the farewell, whose caller speaks again after some words of it."""

    def server(frame: str | None) -> Iterator[str]:
        asked = {"response_id": 0} if frame is None else json.loads(frame)
        if frame is None:
            yield _piece(0, "Hello!", {}, is_last=True)
        elif "response_id" in asked:
            for number, content in enumerate(FAREWELL):
                is_last = number == len(FAREWELL) - 1
                yield _piece(asked["response_id"], content, fields[number], is_last=is_last)

    steps = [Step(say="That was all."), Step(say="One more thing.", after_words=words)]
    record = new_record("farewell")
    converse(server, Caller(steps), record)
    return record


def _piece(response_id: int, content: str, fields: dict[str, Any], *, is_last: bool) -> str:
    """A frame with some fields; its id, its content and where it ends are not asked for."""
    of_any_piece = {
        "response_type": "response",
        "response_id": response_id,
        "content": content,
        "content_complete": is_last,
    }
    return json.dumps({**fields, **of_any_piece})
