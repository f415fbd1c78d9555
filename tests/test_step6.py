"""Step 6 between a platform and a model that are both scripted: who is given up, and when.

What became of an answer is told from the provider's side, where a request that nobody closes costs
money. One server runs as a learner would run it, in a process of its own.
"""

import asyncio
import json
import queue
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import WebSocket
from starlette.types import Message
from websockets.sync.client import ClientConnection, connect

from llmws_tutorial.notebook import Server, check, serve
from llmws_tutorial.notebook.checking import cases_of
from llmws_tutorial.simulator.llm_endpoint import create_endpoint
from llmws_tutorial.simulator.playing import play
from llmws_tutorial.simulator.scenario import load
from llmws_tutorial.simulator.scripted_llm import Asked, Hang, Say, Script, ScriptedLlm
from llmws_tutorial.steps import step6
from tests.test_steps import Running, closing, heard, is_quiet, request, vanished

PATIENCE_S: Final = 30.0
CONFIG: Final = {"response_type": "config", "config": step6.CONFIG}
NO_MODEL: Final[Any] = None
TALE: Final = Script(when="tale", steps=(Say("Once upon a time. "), Hang()))
HOURS: Final = Script(when="open", steps=(Say("We open "), Say("at nine.")))
THREE: Final = Script(when="three of us", steps=(Say("A table for three, then."),))
TWO: Final = Script(when="table for two", steps=(Hang(),))
"""Whoever changes their mind interrupts an answer that has not begun: no piece can cross."""


@dataclass
class Provider:
    """The model's side: what was asked, and each request as soon as it has ended."""

    ended: "queue.SimpleQueue[Asked]" = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self.model = ScriptedLlm([TALE, HOURS, THREE, TWO], on_end=self.ended.put)

    def end_of(self, said: str) -> str:
        """Wait until the next request ends, which is to be this one; say how it ended."""
        asked = self.ended.get(timeout=PATIENCE_S)
        assert asked.said == said
        return asked.outcome


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    provider = Provider()
    with serve(create_endpoint(provider.model), name="model", show_log=False) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield provider


@pytest.fixture
def server(provider: Provider) -> Iterator[Server]:
    with serve(step6.app, name="step 6", show_log=False) as server:
        yield server


@pytest.fixture
def dial(server: Server) -> Callable[[str], ClientConnection]:
    return lambda call_id: connect(f"{server.websocket_url}{call_id}", proxy=None)


def frame(response_id: int, content: str, *, is_last: bool) -> dict[str, Any]:
    return {
        "response_type": "response",
        "response_id": response_id,
        "content": content,
        "content_complete": is_last,
        "end_call": False,
    }


def ask(ws: ClientConnection, response_id: int, said: str) -> None:
    transcript = [{"role": "user", "content": said}]
    ws.send(request("response_required", response_id, transcript=transcript))


def is_greeted(ws: ClientConnection) -> bool:
    return [heard(ws), heard(ws)] == [CONFIG, frame(0, step6.GREETING, is_last=True)]


def test_as_a_process_of_its_own_it_streams_what_the_model_says(
    provider: Provider, tmp_path: Path
) -> None:
    running = Running(6, tmp_path / "log")
    with running.dial() as ws:
        assert is_greeted(ws)
        ask(ws, 1, "When do you open?")
        assert [heard(ws) for _ in range(3)] == [
            frame(1, "We open ", is_last=False),
            frame(1, "at nine.", is_last=False),
            frame(1, "", is_last=True),
        ]
    assert "Traceback" not in running.stop()


def test_a_heartbeat_comes_back_as_it_was_while_an_answer_is_made(
    dial: Callable[[str], ClientConnection],
) -> None:
    with dial("call_heartbeat") as ws:
        assert is_greeted(ws)
        ask(ws, 1, "Tell me a tale.")
        assert heard(ws) == frame(1, "Once upon a time. ", is_last=False)
        ws.send(json.dumps({"interaction_type": "ping_pong", "timestamp": 1700000000000}))
        assert heard(ws) == {"response_type": "ping_pong", "timestamp": 1700000000000}


def test_a_newer_request_gives_the_older_answer_up(
    dial: Callable[[str], ClientConnection], provider: Provider
) -> None:
    with dial("call_newer") as ws:
        assert is_greeted(ws)
        ask(ws, 1, "Tell me a tale.")
        assert heard(ws) == frame(1, "Once upon a time. ", is_last=False)
        ask(ws, 2, "When do you open?")
        assert [heard(ws)["response_id"] for _ in range(3)] == [2, 2, 2]
        assert is_quiet(ws)
    assert provider.end_of("Tell me a tale.") == "aborted"
    assert provider.end_of("When do you open?") == "finished"


def test_an_update_gives_nothing_up(
    dial: Callable[[str], ClientConnection], provider: Provider
) -> None:
    with dial("call_update") as ws:
        assert is_greeted(ws)
        ask(ws, 1, "Tell me a tale.")
        heard(ws)
        ws.send(request("update_only"))
        assert is_quiet(ws)
        assert provider.model.running() == 1


def test_of_a_burst_of_requests_hardly_any_reaches_the_model(
    dial: Callable[[str], ClientConnection], provider: Provider
) -> None:
    with dial("call_burst") as ws:
        assert is_greeted(ws)
        for response_id in range(1, 51):
            ask(ws, response_id, "When do you open?")
        answers = iter(lambda: heard(ws), frame(50, "at nine.", is_last=False))
        assert [one for one in answers if one["response_id"] == 50] == [
            frame(50, "We open ", is_last=False)
        ]
    assert len(provider.model.asked) < 10


def test_a_request_that_a_newer_one_follows_at_once_costs_nothing(
    dial: Callable[[str], ClientConnection],
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(step6, "SETTLE_S", 1.0)
    with dial("call_settle") as ws:
        assert is_greeted(ws)
        ask(ws, 1, "Tell me a tale.")
        ws.send(json.dumps({"interaction_type": "ping_pong", "timestamp": 1}))
        assert heard(ws)["response_type"] == "ping_pong"  # so request 1 was read as well
        assert is_quiet(ws)
        ask(ws, 2, "When do you open?")
        assert heard(ws) == frame(2, "We open ", is_last=False)
    assert [asked.said for asked in provider.model.asked] == ["When do you open?"]


def test_whoever_hangs_up_in_an_answer_ends_it(
    dial: Callable[[str], ClientConnection], provider: Provider
) -> None:
    with dial("call_hang_up") as ws:
        assert is_greeted(ws)
        ask(ws, 1, "Tell me a tale.")
        heard(ws)
    assert provider.end_of("Tell me a tale.") == "aborted"


def test_a_bad_frame_ends_the_answer_with_the_call(
    dial: Callable[[str], ClientConnection], provider: Provider
) -> None:
    with dial("call_bad_frame") as ws:
        assert is_greeted(ws)
        ask(ws, 1, "Tell me a tale.")
        heard(ws)
        ws.send("Hello")
        assert closing(ws) == (1002, "Cannot parse incoming message.")
    assert provider.end_of("Tell me a tale.") == "aborted"


def test_a_reminder_is_a_nudge_and_asks_no_model(
    dial: Callable[[str], ClientConnection], provider: Provider
) -> None:
    with dial("call_reminder") as ws:
        assert is_greeted(ws)
        ws.send(request("reminder_required", 1))
        assert heard(ws) == frame(1, step6.NUDGE, is_last=True)
    assert provider.model.asked == []


def test_a_call_whose_line_broke_is_configured_again_and_not_greeted_again(
    dial: Callable[[str], ClientConnection], provider: Provider
) -> None:
    with dial("call_lost") as first:
        assert is_greeted(first)
        ask(first, 1, "Tell me a tale.")
        heard(first)
        first.socket.shutdown(socket.SHUT_RDWR)  # no close frame says why
    assert provider.end_of("Tell me a tale.") == "aborted"
    with dial("call_lost") as second:
        assert heard(second) == CONFIG
        ask(second, 2, "When do you open?")
        assert heard(second) == frame(2, "We open ", is_last=False)


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_call_that_was_hung_up_is_forgotten(
    code: int, dial: Callable[[str], ClientConnection], server: Server
) -> None:
    with dial("call_over") as ws:
        assert is_greeted(ws)
        ws.close(code)
    assert server.log.wait_for("call 'call_over': closed")
    assert "call_over" not in step6.greeted


def vanishes_behind_the_config() -> WebSocket:
    """A socket that takes one frame and no more."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        if len(sent) > 1:
            raise OSError("the line is dead")
        sent.append(message)

    return WebSocket({"type": "websocket"}, receive, send)


def test_a_call_that_could_not_be_greeted_will_be_when_it_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = step6.PatientClient(NO_MODEL)
    asyncio.run(step6.hold_call(vanishes_behind_the_config(), "call_vanished", client))
    assert "Error received in LLM websocket client: WebSocketDisconnect" in caplog.text
    assert "call_vanished" not in step6.greeted


def hangs_up_beside_a_heartbeat() -> WebSocket:
    """A socket whose peer has hung up by the time that its last heartbeat is returned."""
    ping = json.dumps({"interaction_type": "ping_pong", "timestamp": 1})
    coming: list[Message] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": ping},
        {"type": "websocket.disconnect", "code": 1000},
    ]

    async def receive() -> Message:
        return coming.pop(0)

    async def send(message: Message) -> None:
        if len(coming) == 1 and message["type"] == "websocket.send":
            raise OSError("the peer has gone")

    return WebSocket({"type": "websocket"}, receive, send)


def test_a_hang_up_that_crosses_a_heartbeat_is_one_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = step6.PatientClient(NO_MODEL)
    asyncio.run(step6.hold_call(hangs_up_beside_a_heartbeat(), "call_crossed", client))
    assert "call_crossed" not in step6.greeted
    assert "Error" not in caplog.text


@pytest.mark.parametrize("is_closed", [False, True])
def test_an_answer_for_a_line_that_is_gone_is_a_line_in_the_log(
    is_closed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer() -> None:
        ws = vanished([])
        await ws.accept()
        if is_closed:
            await ws.close()
        reminder: Any = {"interaction_type": "reminder_required", "response_id": 1}
        await step6.PatientClient(NO_MODEL).answer(reminder, ws)

    asyncio.run(answer())
    assert caplog.text.count("Error in answering: WebSocketDisconnect") == 1


class MisspeltClient(step6.PatientClient):
    async def draft_response(self, request: Any, ws: WebSocket) -> None:
        await self.say(ws, request["response"], "We open at nine.")  # it is response_id


def test_a_mistake_in_a_responder_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    asked: Any = {"interaction_type": "response_required", "response_id": 1}
    asyncio.run(MisspeltClient(NO_MODEL).answer(asked, vanished([])))
    assert "Error in answering: KeyError('response')" in caplog.text


@pytest.mark.parametrize(
    "name", ["interruption", "change_of_mind", "silence_and_reminder", "line_drop"]
)
def test_it_plays_the_scenarios_of_this_lesson(name: str, server: Server) -> None:
    outcome = asyncio.run(play(name, load(name), server.websocket_url))
    assert outcome.wrongs == ()
    assert [record.dropped for record in outcome.records] == [[]]


def test_what_a_server_need_not_do_is_named_and_not_counted(server: Server) -> None:
    lines = check("06", server).text.splitlines()
    seen = len(cases_of("06")) - 1
    assert f"{seen} of {seen} passed" in lines
    assert [line for line in lines if " not seen: " in line] == [
        "begin/3 not seen: expected a config that asks for call_details: a server need not"
    ]
