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
from llmws_tutorial.simulator.scenario import Step
from llmws_tutorial.simulator.turn import Turn

FAREWELL: Final = ("You are booked. ", "Thank you for calling. ", "Goodbye!")
"""What the agent of exercise 07.3 says, piece by piece."""
_LONG_S: Final = 2.0
_FIRST: Final = asyncio.FIRST_COMPLETED


@exercise("07.1")
def _judge_description(answer: Any) -> Ruling:
    """A description is right when a model could call the tool by it."""
    if not isinstance(answer, dict) or answer.get("type") != "function":
        return failed("a tool, as tool(...) writes it", repr(answer))
    function = answer["function"]
    schema = function["parameters"]
    kinds = {name: what["type"] for name, what in schema["properties"].items()}
    expected = ("cancel_appointment", {"day": "string", "time": "string"}, ["day", "time"])
    ruling = differs(expected, (function["name"], kinds, sorted(schema["required"])))
    if ruling is OK and len(function["description"].split()) < 3:
        description = repr(function["description"])
        return failed("a description that tells a model when to call it", description)
    return ruling


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
    turn = asyncio.create_task(once(runs, "ten", work))
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
    news, *farewell = [_talked_over(answer, words) for words in (1, 4, 7)]
    for turn in farewell:
        if turn.is_cut:
            return failed("a farewell that nobody cuts off", f"one cut after {turn.heard!r}")
    if not news.is_cut:
        return failed("a first piece that can be talked over", "one that nobody can stop")
    return OK if farewell[0].has_acted else failed("a call that ends", "a line that stays open")


def _talked_over(fields: list[dict[str, Any]], words: int) -> Turn:
    """The farewell in a call whose caller speaks again after some words of it."""

    def server(frame: str | None) -> Iterator[str]:
        asked = {"response_id": 0} if frame is None else json.loads(frame)
        if frame is None:
            yield _piece(0, "Hello!", is_last=True)
        elif "response_id" in asked:
            for number, content in enumerate(FAREWELL):
                is_last = number == len(FAREWELL) - 1
                yield _piece(asked["response_id"], content, is_last=is_last, **fields[number])

    steps = [Step(say="That was all."), Step(say="One more thing.", after_words=words)]
    record = new_record("farewell")
    converse(server, Caller(steps), record)
    return record.turns[1]


def _piece(response_id: int, content: str, *, is_last: bool, **fields: Any) -> str:
    return json.dumps(
        {
            "response_type": "response",
            "response_id": response_id,
            "content": content,
            "content_complete": is_last,
            **fields,
        }
    )
