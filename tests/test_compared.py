"""Two calls of the dashboard side by side."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from llmws_tutorial.dashboard.compared import compared
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.live_call import LiveCall
from llmws_tutorial.dashboard.speaker import Speaker
from llmws_tutorial.dashboard.view import CallView
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator import new_record
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.scenario import Step
from tests.sockets import served


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def keep_call(shelf: Shelf, answer: str, *says: str) -> str:
    """Keep a call to a server that greets and gives one answer to all; give its id."""

    async def talk(ws: ServerConnection) -> None:
        await ws.send(piece(0, "Hello."))
        async for frame in ws:
            asked = json.loads(frame)
            if asked["interaction_type"] == "response_required":
                await ws.send(piece(asked["response_id"], answer))

    async def call() -> str:
        async with asyncio.timeout(20), served(talk) as url:
            view = CallView(new_record(), url)
            live = LiveCall(view, Speaker(), tell=lambda _: None, shelf=shelf)
            await live.run(Caller([Step(say=text) for text in says]), speed=100)
            live.finish()
            live.keep()
            return view.record.call_id

    return asyncio.run(call())


def piece(response_id: int, content: str) -> str:
    return json.dumps(
        {
            "response_id": response_id,
            "content": content,
            "content_complete": True,
            "end_call": False,
        }
    )


def texts(told: dict[str, Any], side: str) -> list[tuple[str, str] | None]:
    turns = [pair[side] for pair in told["turns"]]
    return [turn and (turn["said"], turn["sent"]) for turn in turns]


def test_what_differs_is_told_in_words_and_turn_by_turn(shelf: Shelf) -> None:
    first, second = keep_call(shelf, "Yes.", "Is it open?"), keep_call(shelf, "No.", "Is it open?")
    told = compared(shelf, first, second)
    assert [(one["first"], one["second"]) for one in told["differences"]] == [("'Yes.'", "'No.'")]
    assert texts(told, "first") == [("", "Hello."), ("Is it open?", "Yes.")]
    assert texts(told, "second") == [("", "Hello."), ("Is it open?", "No.")]


def test_a_turn_brings_its_kind_its_id_and_how_long_it_took(shelf: Shelf) -> None:
    call = keep_call(shelf, "Yes.", "Is it open?")
    [greeting, answer] = [pair["first"] for pair in compared(shelf, call, call)["turns"]]
    assert (greeting["kind"], greeting["id"]) == ("greeting", 0)
    assert (answer["kind"], answer["id"]) == ("response", 1)
    assert 0 <= answer["first_sentence_ms"] < 5000


def test_beside_a_turn_that_the_other_call_lacks_there_is_nothing(shelf: Shelf) -> None:
    told = compared(shelf, keep_call(shelf, "Yes."), keep_call(shelf, "Yes.", "Is it open?"))
    assert texts(told, "first") == [("", "Hello."), None]


def test_a_call_whose_process_was_killed_has_differences_but_no_turns(shelf: Shelf) -> None:
    first, second = keep_call(shelf, "Yes.", "Is it open?"), keep_call(shelf, "No.", "Is it open?")
    shelf.path(second, ".json").unlink()
    told = compared(shelf, first, second)
    assert len(told["differences"]) == 1
    assert texts(told, "second") == [None, None]


def test_a_call_that_is_not_there_cannot_be_compared(shelf: Shelf) -> None:
    with pytest.raises(SetupError):
        compared(shelf, keep_call(shelf, "Yes."), "call_of_nobody")
