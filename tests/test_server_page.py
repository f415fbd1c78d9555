"""The code on docs/server.md, run as it stands there."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import connect

from llmws_tutorial.messages.signature import SIGNATURE_HEADER, sign
from llmws_tutorial.notebook import serve
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.server import Settings, create_app
from llmws_tutorial.simulator import CallRecord, place_call
from llmws_tutorial.simulator.llm_endpoint import create_endpoint
from llmws_tutorial.simulator.scripted_llm import CallTool, Say, Script, ScriptedLlm


def names_in_block(number: int) -> dict[str, Any]:
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "server.md").read_text(), re.S)
    names: dict[str, Any] = {}
    exec(blocks[number], names)
    return names


def call(app: Any) -> CallRecord:
    with serve(app, name="page", show_log=False) as server:
        return asyncio.run(place_call(server.websocket_url, ["That was all."]))


def test_the_first_server_answers() -> None:
    record = call(names_in_block(0)["app"])
    assert [said.content for said in record.transcript] == [
        "How may I help you?",
        "That was all.",
        "I see.",
    ]


def test_the_second_responder_hangs_up_once_its_farewell_is_spoken() -> None:
    record = call(create_app(names_in_block(1)["goodbye"], settings=Settings()))
    assert record.transcript[-1].content == "Thank you for calling. Good bye."
    assert record.disconnection_reason == "agent_hangup"
    farewell = [frame.data for frame in record.frames if frame.sender == "server"][-1]
    assert '"no_interruption_allowed":true' in str(farewell)


def test_a_note_out_of_turn_reaches_a_call() -> None:
    with (
        serve(names_in_block(2)["app"], name="page", show_log=False) as server,
        connect(f"{server.websocket_url}c1", proxy=None) as ws,
    ):
        assert [json.loads(ws.recv(5))["response_type"] for _ in range(2)] == ["config", "response"]
        with urlopen(Request(f"{server.url}ready/c1", b"")):
            pass
        assert json.loads(ws.recv(5))["content"] == "One moment: your table is free now."


@contextlib.contextmanager
def a_model(monkeypatch: pytest.MonkeyPatch, *scripts: Script) -> Iterator[None]:
    """A scripted model, where the settings lead to."""
    endpoint = create_endpoint(ScriptedLlm(scripts))
    with serve(endpoint, name="model", show_log=False) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}v1")
        monkeypatch.setenv("OPENAI_MODEL", "scripted")
        yield


def test_the_agent_over_a_model_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_model(monkeypatch, Script(steps=(Say("Until five."),))):
        record = call(names_in_block(3)["app"])
    assert [said.content for said in record.transcript] == [
        "Doctor Lee's clinic, good morning.",
        "That was all.",
        "Until five.",
    ]


def test_the_agent_of_the_clinic_looks_books_and_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    booking = {"day": "Monday", "name": "Ann"}
    scripts = [
        Script(times=1, steps=(CallTool("find_free_times"),)),
        Script(times=1, steps=(Say("On Monday at ten?"),)),
        Script(when="Yes", times=1, steps=(CallTool("book_appointment", booking),)),
        Script(when="Yes", times=1, steps=(CallTool("book_appointment", booking),)),
        Script(when="Yes", times=1, steps=(Say("You are booked."),)),
        Script(steps=(CallTool("end_call", {"farewell": "Goodbye, Ann."}),)),
    ]
    with a_model(monkeypatch, *scripts):
        page = names_in_block(4)
        with serve(page["app"], name="page", show_log=False) as server:
            says = ["When are you free?", "Yes, for Ann.", "Thanks, bye."]
            record = asyncio.run(place_call(server.websocket_url, says, speed=50))
    assert page["free"] == {"Tuesday": "three in the afternoon"}
    assert [said.content for said in record.transcript if said.role == "agent"] == [
        "Doctor Lee's clinic, how may I help you?",
        "On Monday at ten?",
        "You are booked.",
        "Goodbye, Ann.",
    ]
    assert record.disconnection_reason == "agent_hangup"


def test_the_app_with_a_webhook_takes_signed_events_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = b'{"event":"call_ended","call":{"call_id":"c1"}}'
    signed = {SIGNATURE_HEADER: sign(body, "your API key", time.time_ns() // 1_000_000)}
    with serve(names_in_block(5)["app"], name="page", show_log=False) as server:
        url = f"{server.url}webhook"
        with pytest.raises(HTTPError, match="401"):
            urlopen(Request(url, body))
        with urlopen(Request(url, body, signed)) as answer:
            assert answer.status == 204
        assert server.log.wait_for("taken")
    assert capsys.readouterr().out == "call_ended c1\n"
