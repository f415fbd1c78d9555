"""The stand-in in a terminal: a caller who types, scenarios that are played, calls played again."""

import asyncio
import io
import json
import os
import pty
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI, WebSocket
from rich.console import Console

from llmws_tutorial import cli
from llmws_tutorial.notebook import Server, serve
from llmws_tutorial.server import WebhookEvent, webhook_router
from llmws_tutorial.simulator import Frame, dialer, place_call
from llmws_tutorial.simulator.recording import read_recording
from llmws_tutorial.simulator.scenario import shipped
from llmws_tutorial.steps import step1, step3
from llmws_tutorial.terminal import talking
from tests.agents import agent_that

WRONG: Final = """\
scenario: Not what a dummy says
needs: an agent that sings
caller:
  - say: "Sing [bold] me a song."
    expect:
      said: la la la
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(step3.app, name="step 3", show_log=False) as running:
        yield running


def llmws(*arguments: str | Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["llmws", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


class Terminal:
    """A terminal in memory: what is typed goes in, what is shown comes out."""

    def __init__(self) -> None:
        self._keyboard, ours = pty.openpty()
        self._stdin = os.fdopen(ours)
        self.shown = io.StringIO()

    def llmws(self, *arguments: str) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", self._stdin)
            patch.setattr(sys, "stdout", self.shown)
            return llmws(*arguments)

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def close(self) -> None:
        os.close(self._keyboard)  # ends the thread that reads
        while any(thread.name == talking.READER for thread in threading.enumerate()):
            time.sleep(0.01)
        self._stdin.close()

    def when(self, pattern: str, then: Callable[[], None]) -> threading.Thread:
        """Do something as soon as something is shown."""

        def wait() -> None:
            deadline = time.monotonic() + 20
            while not re.search(pattern, self.shown.getvalue(), re.DOTALL):
                if time.monotonic() > deadline:
                    self.type("/bye\n")  # what is missing in the end says more than a hang
                    return
                time.sleep(0.01)
            then()

        thread = threading.Thread(target=wait)
        thread.start()
        return thread


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def test_at_a_terminal_words_appear_as_they_are_spoken_and_typing_interrupts(
    server: Server, terminal: Terminal
) -> None:
    first = terminal.when("help you", lambda: terminal.type("Hello?\n"))
    over = terminal.when("agent: I am", lambda: terminal.type("Stop.\n"))
    bye = terminal.when("not heard.*agent: I am.*again", lambda: terminal.type("/bye\n"))
    assert terminal.llmws("call", server.websocket_url, "--speed", "3") == 0
    for thread in (first, over, bye):
        thread.join()
    shown = terminal.shown.getvalue()
    assert shown.startswith(talking.HELP[:40])
    assert re.search(
        r"^agent: I am.* \| not heard: .*again\? \(first sentence \d+ ms\)$", shown, re.M
    )
    assert "\ncall over: user_hangup\n" in shown


def test_the_end_of_typing_hangs_up(server: Server, terminal: Terminal) -> None:
    bye = terminal.when("help you", lambda: terminal.type("\x04"))
    assert terminal.llmws("call", server.websocket_url, "--speed", "50") == 0
    bye.join()
    assert "call over: user_hangup" in terminal.shown.getvalue()


def test_an_agent_that_hangs_up_ends_a_call_at_a_terminal(terminal: Terminal) -> None:
    app = agent_that(greets="Closed.", answers="Closed.", ends=True)
    with serve(app, name="closed", show_log=False) as closed:
        assert terminal.llmws("call", closed.websocket_url, "--speed", "50") == 0
    lines = terminal.shown.getvalue().splitlines()[1:]
    assert re.fullmatch(r"agent: Closed. \(first sentence \d+ ms\)", lines[0])
    assert lines[1:] == ["call over: agent_hangup"]


@pytest.mark.parametrize("say", [[], ["Hello."]])
def test_a_terminal_obeys_no_agent(terminal: Terminal, say: list[str]) -> None:
    evil = "\x1b[2J\r [b]Hi\n\u202e\x9byou."
    app = agent_that(greets=evil, answers=evil, ends=True)
    with serve(app, name="painter", show_log=False) as painter:
        arguments = [part for text in say for part in ("--say", text)]
        assert terminal.llmws("call", painter.websocket_url, *arguments, "--speed", "50") == 0
    assert r"agent: \x1b[2J\r [b]Hi \u202e\x9byou." in terminal.shown.getvalue()


def test_a_failure_of_a_scenario_shows_what_a_terminal_would_obey(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def endpoint(ws: WebSocket, call_id: str) -> None:
        await ws.accept()
        note = {"tool_call_id": "t1", "name": "\x1b[2J[red]", "arguments": "\x9b"}
        await ws.send_text(json.dumps({"response_type": "tool_call_invocation", **note}))
        await ws.send_text('{"response_id": 0, "content": "Hi.", "content_complete": true}')
        await ws.receive()

    scenario = tmp_path / "book.yaml"
    scenario.write_text("scenario: a tool\ncaller: []\nexpect: {tool: {name: book}}\n")
    with serve(app, name="painter", show_log=False) as painter:
        assert llmws("run", scenario, "--url", painter.websocket_url) == 1
    assert r"got \x1b[2J[red](\x9b)" in capsys.readouterr().out


def test_of_many_long_dropped_frames_the_beginning_is_shown(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    record = asyncio.run(place_call(server.websocket_url))
    frame = Frame("server", "x" * 1_000_000, dropped="not JSON")
    record.frames += [frame] * (talking.MOST_DROPPED + 7)
    talking.show_end(record, Console(soft_wrap=True))
    *lines, more, end = capsys.readouterr().out.splitlines()
    assert len(lines) == talking.MOST_DROPPED
    assert lines[0].endswith("xxx… (1000002 characters)")
    assert len(lines[0]) < 600
    assert (more, end) == ("dropped, and 7 more", "call over: user_hangup")


def test_how_the_socket_closed_is_shown_where_it_is_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = dialer.new_record()
    record.call.socket_closed(1011)
    record.close_code, record.close_reason = 1011, "out \x1b of order"
    talking.show_end(record, Console(soft_wrap=True))
    record.close_reason = ""
    talking.show_end(record, Console(soft_wrap=True))
    over = "call over: error_llm_websocket_runtime (the socket closed with 1011"
    assert capsys.readouterr().out == f"{over}: out \\x1b of order)\n{over})\n"


def test_an_agent_that_says_nothing_is_shown_as_silent(terminal: Terminal) -> None:
    bye = terminal.when("silent", lambda: terminal.type("\x04"))
    with serve(agent_that(greets=""), name="mute", show_log=False) as mute:
        assert terminal.llmws("call", mute.websocket_url, "--speed", "50") == 0
    bye.join()
    assert "\nagent: (silent)\n" in terminal.shown.getvalue()


def test_of_an_agent_that_never_speaks_nothing_is_shown(terminal: Terminal) -> None:
    bye = terminal.when("hang up", lambda: terminal.type("\x04"))
    with serve(step1.app, name="mute", show_log=False) as mute:
        assert terminal.llmws("call", mute.websocket_url, "--speed", "50") == 0
    bye.join()
    assert "agent:" not in terminal.shown.getvalue()


@pytest.mark.parametrize(
    ("typed", "heard"),
    [("/mumble", "(unintelligible audio)"), ("/press 12#", None), ("/press x", "/press x")],
)
def test_commands_of_a_caller(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typed: str, heard: str | None
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n/bye\nnever said\n"))
    recording = tmp_path / "call.jsonl"
    assert llmws("call", server.websocket_url, "--record", recording) == 0
    [request] = [
        json.loads(frame.data)
        for frame in read_recording(recording)[0].frames
        if "response_required" in str(frame.data)
    ]
    said = [one["content"] for one in request["transcript"] if one["role"] == "user"]
    assert said == ([] if heard is None else [heard])


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text(WRONG)
    return "wrong.yaml"


def test_scenarios_are_played_and_a_table_says_how_it_went(
    server: Server, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("run", "greeting", wrong, "--url", server.websocket_url) == 1
    shown = capsys.readouterr().out
    assert re.search(r"^ok +greeting$", shown, re.M)
    assert f"failed {wrong}: Not what a dummy says\n" in shown
    assert "step 1: expected 'la la la' to be said, got 'I am sorry, can you" in shown
    assert "it needs an agent that sings\n" in shown
    assert re.search(r"│ greeting +│ ok +│ user_hangup +│ +1 │ +0 │", shown)
    assert shown.splitlines()[-1] == "1 of 2 scenarios passed"


def test_without_names_all_shipped_scenarios_are_played(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("run", "--url", server.websocket_url, "--speed", "inf", "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in data["scenarios"]] == list(shipped())


def test_json_is_alone_on_stdout(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("run", "greeting", "--url", server.websocket_url, "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["passed"] is True
    assert "1 of 1 scenarios passed" in shown.err


def test_junit_is_written(server: Server, wrong: str, tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    assert llmws("run", wrong, "--url", server.websocket_url, "--junit", report) == 1
    suite = ElementTree.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")


def test_a_report_that_cannot_be_written_is_a_mistake(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "none" / "junit.xml"
    assert llmws("run", "greeting", "--url", server.websocket_url, "--junit", report) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        llmws("run", "greeting", "question", "--url", "ws://127.0.0.1:1/x", "--speed", "inf") == 3
    )
    shown = capsys.readouterr().out
    assert shown.count("nothing answers (connection refused)") == 2
    assert "0 of 2 scenarios passed" in shown


def test_a_choice_reaches_the_stand_in(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--choice", "words_per_s=6", "--choice", "going_away_reason=x", "--json"]
    assert llmws("run", "greeting", "--url", server.websocket_url, *options) == 0
    [call] = json.loads(capsys.readouterr().out)["scenarios"][0]["calls"]
    [said] = call["transcript_object"]
    word = said["words"][0]
    assert word["end"] - word["start"] == pytest.approx(1 / 6, abs=0.002)


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ("loud", "a choice is 'loud', expected name=value"),
        ("loud=1", "there is no choice 'loud'"),
        ("voice_s=" + "[" * 100_000, "expected a number of at least 0"),
        ("words_per_s=0", "words_per_s is 0, expected a number above 0"),
    ],
)
def test_a_wrong_choice_is_a_mistake(
    server: Server, choice: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("call", server.websocket_url, "--say", "Hi", "--choice", choice) == 2
    assert why in capsys.readouterr().err


def test_a_call_is_recorded_and_played_again(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "call.jsonl"
    assert llmws("call", server.websocket_url, "--say", "Hello?", "--record", recording) == 0
    assert llmws("replay", recording, "--url", server.websocket_url) == 0
    with serve(agent_that(), name="other", show_log=False) as other:
        assert llmws("replay", recording, "--url", other.websocket_url) == 1
    assert "How may I help you?" in capsys.readouterr().out


def test_every_call_of_a_run_is_recorded(server: Server, tmp_path: Path) -> None:
    recording = tmp_path / "calls.jsonl"
    options = ["--url", server.websocket_url, "--record", str(recording)]
    assert llmws("run", "greeting", "two_calls", *options) == 0
    assert len(read_recording(recording)) == 3


def test_a_receiver_of_webhooks_is_told_about_a_call(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[WebhookEvent] = []
    app = FastAPI()
    app.include_router(webhook_router("key", told.append))
    monkeypatch.setenv("LLMWS_WEBHOOK_KEY", "key")
    with serve(app, name="receiver", show_log=False) as receiver:
        options = ["--say", "Hello?", "--webhook", f"{receiver.url}webhook"]
        assert llmws("call", server.websocket_url, *options) == 0
    assert [one.event for one in told] == ["call_started", "call_ended", "call_analyzed"]
    assert told[1].call["disconnection_reason"] == "user_hangup"
    assert told[2].call["call_analysis"] == {"call_successful": True}
    assert capsys.readouterr().out.count("webhook call_") == 3


def test_a_webhook_without_a_key_is_a_mistake(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        llmws("call", server.websocket_url, "--say", "Hi", "--webhook", "http://127.0.0.1:1") == 2
    )
    assert "the API key is blank" in capsys.readouterr().err
