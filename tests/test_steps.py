"""The three step servers against a client that knows the guide and nothing of this package.

Each runs as a learner would run it, ``uvicorn llmws_tutorial.steps.stepN:app``, in a process of
its own; what is sent and received is compared frame by frame.
"""

import asyncio
import contextlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
from fastapi import WebSocket
from starlette.types import Message
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from llmws_tutorial.steps import step2, step3

GREETING: Final = {
    "response_id": 0,
    "content": "How may I help you?",
    "content_complete": True,
    "end_call": False,
}
PATIENCE_S: Final = 30.0
MOMENT_S: Final = 0.2
NOT_JSON: Final = ("Hello", "", "{", "NaN", '{"response_id": Infinity}', "[" * 100_000)
NOT_AN_OBJECT: Final = ("null", "[]", "1", '"response_required"', "true")


class Running:
    """A step's server in a process of its own, and what it has logged."""

    def __init__(self, step: int, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = f"127.0.0.1:{listener.getsockname()[1]}"
            app = f"llmws_tutorial.steps.step{step}:app"
            with log.open("w") as output:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "uvicorn", app, "--fd", str(listener.fileno())],
                    pass_fds=[listener.fileno()],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        self._log = log

    def dial(self, call_id: str = "call_1") -> ClientConnection:
        url = f"ws://{self.address}/llm-websocket/{call_id}"
        return connect(url, proxy=None, open_timeout=PATIENCE_S)

    def stop(self) -> str:
        """End the server; the result is everything that it logged."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        return self._log.read_text()


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(3, tmp_path_factory.mktemp("step3") / "log")
    yield running
    assert "Traceback" not in running.stop()


def request(kind: str, response_id: int | None = None, **fields: object) -> str:
    ids = {} if response_id is None else {"response_id": response_id}
    said = [{"role": "user", "content": "Is anybody there?"}]
    return json.dumps({**ids, "transcript": said, "interaction_type": kind, **fields})


def apology(response_id: int) -> dict[str, Any]:
    said = "I am sorry, can you say that again?"
    return {**GREETING, "response_id": response_id, "content": said}


def heard(ws: ClientConnection) -> Any:
    return json.loads(ws.recv(PATIENCE_S))


def is_quiet(ws: ClientConnection) -> bool:
    with contextlib.suppress(TimeoutError):
        ws.recv(MOMENT_S)
        return False
    return True


def closing(ws: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        ws.recv(PATIENCE_S)
    assert closed.value.rcvd
    return closed.value.rcvd.code, closed.value.rcvd.reason


def test_step_1_logs_what_arrives_and_says_nothing(tmp_path: Path) -> None:
    running = Running(1, tmp_path / "log")
    with running.dial() as ws:
        ws.send("Hello")
        assert is_quiet(ws)
        ws.send("\n{not json")
        assert is_quiet(ws)
    logged = running.stop()
    assert "call 'call_1': received 'Hello'" in logged
    assert r"call 'call_1': received '\n{not json'" in logged
    assert "call 'call_1': closed" in logged


@pytest.mark.parametrize("step", [1, 2])
def test_a_step_without_wiring_logs_a_binary_frame_as_an_error(step: int, tmp_path: Path) -> None:
    running = Running(step, tmp_path / "log")
    with running.dial() as ws:
        ws.send(b"\x00")
        with pytest.raises(ConnectionClosed):
            ws.recv(PATIENCE_S)
    logged = running.stop()
    assert "Error received in LLM websocket client:" in logged
    assert "Traceback" not in logged


def test_step_2_is_not_wired_yet(tmp_path: Path) -> None:
    running = Running(2, tmp_path / "log")
    with running.dial() as ws:
        ws.send(request("response_required", 1))
        assert is_quiet(ws)
    assert "response_required" in running.stop()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_the_other_routes_go_on_as_before(step: int, tmp_path: Path) -> None:
    running = Running(step, tmp_path / "log")
    with urlopen(f"http://{running.address}/", timeout=PATIENCE_S) as page:
        assert (page.status, page.read()) == (200, b"Hello World!")
    running.stop()


def test_the_greeting_comes_first_and_unasked(wired: Running) -> None:
    with wired.dial() as ws:
        assert heard(ws) == GREETING
        assert is_quiet(ws)


def test_every_request_gets_the_apology_and_an_update_gets_nothing(wired: Running) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.send(request("update_only"))
        assert is_quiet(ws)
        ws.send(request("response_required", 1))
        assert heard(ws) == apology(1)
        ws.send(request("reminder_required", 2))
        assert heard(ws) == apology(2)
        assert is_quiet(ws)


def test_requests_that_arrive_at_once_are_answered_in_order(wired: Running) -> None:
    with wired.dial() as ws:
        heard(ws)
        for response_id in range(1, 51):
            ws.send(request("response_required", response_id))
        assert [heard(ws) for _ in range(50)] == [apology(number) for number in range(1, 51)]


@pytest.mark.parametrize(
    "odd",
    [
        {"transcript": []},
        {"transcript": None},
        {"transcript": [{"role": "transfer_target", "content": "(unintelligible audio)"}]},
        {"timestamp": 1, "call": {"call_type": "web_call"}},
        {"interaction_type": "something_new"},
    ],
)
def test_a_message_that_is_odd_keeps_the_call(wired: Running, odd: dict[str, Any]) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.send(request("response_required", 1, **odd))
        ws.send(request("response_required", 2))
        assert apology(2) in (heard(ws), heard(ws))


def test_a_frame_as_long_as_an_hours_call_is_answered(wired: Running) -> None:
    said = [{"role": "user", "content": "and then " * 1000}] * 100
    with wired.dial() as ws:
        heard(ws)
        ws.send(request("response_required", 1, transcript=said))
        assert heard(ws) == apology(1)


def test_a_binary_frame_closes_with_the_guides_reason(wired: Running) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.send(request("response_required", 1).encode())
        assert closing(ws) == (1002, "Cannot find corresponding Retell LLM.")


@pytest.mark.parametrize("text", [*NOT_JSON, *NOT_AN_OBJECT], ids=lambda text: text[:20] or "empty")
def test_text_that_is_no_json_object_closes_with_the_guides_reason(
    wired: Running, text: str
) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.send(text)
        assert closing(ws) == (1002, "Cannot parse incoming message.")


@pytest.mark.parametrize("bad", [Frame(Opcode.BINARY, b"\x00"), Frame(Opcode.TEXT, b"Hello")])
def test_nothing_is_parsed_after_the_close(bad: Frame, tmp_path: Path) -> None:
    """The bad frame and a request leave as one segment: the server holds both when it closes."""
    good = Frame(Opcode.TEXT, request("response_required", 1).encode())
    running = Running(3, tmp_path / "log")
    with running.dial() as ws:
        heard(ws)
        ws.socket.sendall(b"".join(frame.serialize(mask=True) for frame in (bad, good)))
        assert closing(ws)[0] == 1002
    assert "Error in sending a response" not in running.stop()


def test_two_calls_do_not_mix(wired: Running) -> None:
    with wired.dial("call_1") as one, wired.dial("call_2") as two:
        assert heard(one) == heard(two) == GREETING
        one.send(request("response_required", 5))
        assert heard(one) == apology(5)
        assert is_quiet(two)
        two.send("Hello")
        assert closing(two)[0] == 1002
        one.send(request("response_required", 6))
        assert heard(one) == apology(6)


def test_a_caller_who_vanishes_harms_nobody(tmp_path: Path) -> None:
    running = Running(3, tmp_path / "log")
    with running.dial() as ws:
        heard(ws)
        for response_id in range(1, 100):
            ws.send(request("response_required", response_id))
        ws.socket.shutdown(socket.SHUT_RDWR)
    with running.dial("call_2") as ws:
        assert heard(ws) == GREETING
    logged = running.stop()
    assert "call 'call_1': closed" in logged
    assert "Traceback" not in logged


def test_a_line_break_in_a_call_id_forges_no_log_line(tmp_path: Path) -> None:
    running = Running(3, tmp_path / "log")
    with running.dial("a%0AINFO:%20forged") as ws:
        assert heard(ws) == GREETING
    assert not re.search(r"^INFO:\s+forged", running.stop(), re.MULTILINE)


def vanished(sent: list[str]) -> WebSocket:
    """A socket that is accepted and then takes nothing more: every send fails."""

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if message["type"] == "websocket.send":
            raise OSError("the line is dead")

    return WebSocket({"type": "websocket"}, receive, send)


def test_a_greeting_that_cannot_be_sent_is_logged_and_nothing_follows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[str] = []
    asyncio.run(step3.llm_websocket(vanished(sent), "call_1"))
    assert "Error received in LLM websocket client: WebSocketDisconnect" in caplog.text
    assert sent == ["websocket.accept", "websocket.send"]


def test_an_answer_that_cannot_be_sent_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def answer() -> None:
        ws = vanished([])
        await ws.accept()
        asked = step2.Request(transcript=[], interaction_type="response_required")
        await step2.LLMDummyMock().draft_response(asked, ws)

    asyncio.run(answer())
    assert "Error in sending a response: WebSocketDisconnect" in caplog.text
