"""The command line: in this process for what it says, in processes of its own for Ctrl-C."""

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from fastapi import FastAPI, WebSocket
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from llmws_tutorial import __version__, cli
from llmws_tutorial.errors import LlmwsError
from llmws_tutorial.messages.schema import FOLDER
from llmws_tutorial.notebook import Server, serve
from llmws_tutorial.server.listener import DRAIN_S
from llmws_tutorial.simulator import place_call
from llmws_tutorial.simulator.llm_endpoint import create_endpoint
from llmws_tutorial.simulator.scripted_llm import Say, Script, ScriptedLlm
from llmws_tutorial.steps import step1, step3
from llmws_tutorial.terminal import talking
from tests.agents import agent_that

AGENT = Path(__file__).with_name("fake_ngrok.py")
TOKEN = "good-2Jx7secret"
GREETING = "agent: How may I help you?"
APOLOGY = "agent: I am sorry, can you say that again?"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the learner's own, an agent, no token, and a path that a command may change."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("NGROK_AUTHTOKEN", raising=False)
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(AGENT))


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(step3.app, name="finished", show_log=False) as running:
        yield running


def llmws(*arguments: str) -> int:
    """Run a command in this process; the result is its exit code."""
    main_thread = threading.main_thread().ident
    deadline = threading.Timer(60, signal.pthread_kill, (main_thread, signal.SIGINT))
    deadline.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["llmws", *arguments])
        try:
            with pytest.raises(SystemExit) as ended:
                cli.main()
        finally:
            deadline.cancel()
    return int(ended.value.code or 0)


def without_latency(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stdout; how long the answers took differs from run to run."""
    *lines, latency = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"llm: p50 \d+ ms, p95 \d+ ms \(\d\)", latency)
    return lines


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    [line] = capsys.readouterr().err.splitlines()
    return str(line)


@contextlib.contextmanager
def child(
    *arguments: str, stdin: int = subprocess.PIPE, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a process and a process group of its own, which does not outlive the test.

    Its output, both streams in one, is a pipe.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "llmws_tutorial", *arguments],
        env={**os.environ, **variables},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = threading.Timer(60, process.kill)  # ends a read that would wait for ever
    deadline.start()
    with process:
        try:
            yield process
            process.wait(timeout=30)
        finally:
            deadline.cancel()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """What it printed, up to a line that matches; the group of the match, if there is one."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.search(wanted, line):
            return found[found.lastindex or 0]
    raise AssertionError(f"no {wanted!r} in {''.join(lines)}")


def press_ctrl_c(process: subprocess.Popen[str]) -> str:
    """Interrupt it as a terminal would, the whole group; the result is what it printed then."""
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=30)[0]


@contextlib.contextmanager
def terminal() -> Iterator[int]:
    """A terminal to read from, at which nobody types: only there are questions asked."""
    ours, theirs = os.openpty()
    yield theirs
    os.close(ours)
    os.close(theirs)


def status_once_up(url: str) -> int:
    """The HTTP status of a page of a server that prints its URL a moment before it listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urlopen(url, timeout=20) as page:
                return int(page.status)
        except URLError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("--version") == 0
    assert capsys.readouterr().out == f"llmws {__version__}\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_command(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws(option) == 0
    shown = capsys.readouterr().out
    for command in ("lab", "test", "doctor", "demo", "serve", "call", "tunnel", "schema"):
        assert re.search(rf"^\W+{command} ", shown, re.MULTILINE)


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws() == 2
    assert "Usage: " in "".join(capsys.readouterr())


@pytest.mark.parametrize("arguments", [["--no-such"], ["no-such"], ["serve", "--step", "8"]])
def test_wrong_use_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws(*arguments) == 2
    assert "Usage: " in capsys.readouterr().err


def test_an_error_raised_on_purpose_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise LlmwsError("the line is cut")

    monkeypatch.setattr(cli, "examine", fail)
    assert llmws("doctor") == 2
    assert complaint(capsys) == "llmws: the line is cut"


def test_a_defect_is_shown_whole_and_asks_to_be_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("never expected")

    monkeypatch.setattr(cli, "examine", fail)
    assert llmws("doctor") == 4
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "Traceback (most recent call last):"
    assert shown[-2:] == [
        "ZeroDivisionError: never expected",
        "llmws: a defect of llmws itself; please report the lines above",
    ]


def test_the_demo_prints_a_whole_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("demo") == 0
    *said, summary = capsys.readouterr().out.splitlines()
    assert said == [GREETING, "user:  Hello, who is there?", APOLOGY, APOLOGY]
    assert re.fullmatch(r"\(\d+ frames, user_hangup\)", summary)


def test_the_doctor_is_content_without_a_tunnel(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("doctor") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("ok        Python")
    assert any(line.startswith("optional  ngrok token") for line in shown)


def test_the_doctor_fails_when_something_needed_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("llmws_tutorial.notebook.doctor.PACKAGES", ("no_such_package",))
    assert llmws("doctor") == 1
    assert "missing   no_such_package" in capsys.readouterr().out


def test_the_finished_server_is_served_until_ctrl_c() -> None:
    with child("serve", "--port", "0") as process:
        url = read_until(process, r"^calls arrive at (ws://127.0.0.1:\d+/llm-websocket/) ")
        record = asyncio.run(place_call(url, ["Hello"]))
        shown = press_ctrl_c(process)
    assert str(record).splitlines() == [GREETING, "user:  Hello", APOLOGY]
    assert shown.splitlines()[-1] == "stopped"
    assert (process.returncode, "Traceback" in shown) == (0, False)


def test_the_server_of_step_4_is_that_of_step_3() -> None:
    with child("serve", "--step", "4", "--port", "0") as process:
        url = read_until(process, r"(ws://127\.0\.0\.1:\d+/llm-websocket/)")
        assert str(asyncio.run(place_call(url, ["Hello?"]))).endswith(APOLOGY)
        press_ctrl_c(process)


def test_the_server_of_a_step_with_a_model_asks_it(tmp_path: Path) -> None:
    model = ScriptedLlm([Script(steps=(Say("We are open."),))])
    with serve(create_endpoint(model), name="model", show_log=False) as provider:
        settings = f"OPENAI_BASE_URL={provider.url}v1\nOPENAI_API_KEY=none\n"
        (tmp_path / ".env").write_text(settings)
        with child("serve", "--step", "5", "--port", "0") as process:
            url = read_until(process, r"(ws://127\.0\.0\.1:\d+/llm-websocket/)")
            record = asyncio.run(place_call(url, ["Are you open?"]))
            press_ctrl_c(process)
    assert str(record).endswith("agent: We are open.")


def test_the_server_of_a_step_with_a_model_wants_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert llmws("serve", "--step", "5") == 2
    assert "the server of step 5 asks a model: set OPENAI_API_KEY" in complaint(capsys)


def test_the_server_of_an_earlier_step_is_served() -> None:
    with child("serve", "--step", "1", "--port", "0") as process:
        url = read_until(process, r"(ws://\S+)")
        assert asyncio.run(place_call(url, timeout_s=0.1)).transcript == ()
        press_ctrl_c(process)


def test_an_open_call_does_not_keep_the_server_from_stopping() -> None:
    with child("serve", "--port", "0") as process:
        url = read_until(process, r"(ws://\S+)")
        with connect(f"{url}call", close_timeout=1) as call:
            assert call.recv(timeout=5)
            assert press_ctrl_c(process).splitlines()[-1] == "stopped"


SLOW = """
import asyncio
from llmws_tutorial.server import create_app

async def slow(turn):
    yield "Well. "
    await asyncio.sleep(SECONDS)
    yield "That is all."

app = create_app(slow)
"""


@pytest.mark.parametrize(("seconds", "is_heard"), [("1", True), ("30", False)])
def test_sigterm_lets_an_answer_end_closes_1012_and_exits_in_time(
    seconds: str, is_heard: bool
) -> None:
    Path("mine.py").write_text(SLOW.replace("SECONDS", seconds))
    with child("serve", "mine:app", "--port", "0") as process:
        url = read_until(process, r"(ws://\S+)")
        with connect(f"{url}c1", close_timeout=1) as call:
            while json.loads(call.recv(timeout=5)).get("content") != "Well. ":
                pass
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            call.send('{"interaction_type":"ping_pong","timestamp":12}')
            heard = []
            with contextlib.suppress(ConnectionClosedError):
                while True:
                    heard.append(json.loads(call.recv(timeout=10)))
            code = call.close_code
        shown = process.communicate(timeout=30)[0]
        assert time.monotonic() - began < DRAIN_S + 2
    assert {"response_type": "ping_pong", "timestamp": 12} in heard
    assert ("That is all." in str(heard), heard[-1].get("content_complete", False)) == (
        (is_heard, is_heard)
    )
    assert (code, process.returncode) == (1012, -signal.SIGTERM)
    assert "Traceback" not in shown


def test_log_lines_are_json_when_asked() -> None:
    Path("mine.py").write_text(SLOW.replace("SECONDS", "0"))
    with child("serve", "mine:app", "--port", "0", LLMWS_LOGS_JSON="1") as process:
        url = read_until(process, r"(ws://\S+)")
        with connect(f"{url}c1") as call:
            call.send("{}")
            while not json.loads(call.recv(timeout=5)).get("content_complete"):
                pass
        line = json.loads(read_until(process, r'^(.*"event": "ignored".*)$'))
        press_ctrl_c(process)
    assert line["message"] == "call 'c1': ignored, unknown interaction_type ''"
    assert (line["level"], line["call_id"]) == ("info", "c1")


def test_messages_may_be_as_long_as_the_settings_say() -> None:
    request = {"interaction_type": "response_required", "response_id": 1, "x": "x" * 70_000}
    Path("mine.py").write_text(SLOW.replace("SECONDS", "0"))
    for most, code in (("65536", 1009), ("131072", 1000)):
        with child("serve", "mine:app", "--port", "0", LLMWS_MESSAGE_BYTES=most) as process:
            url = read_until(process, r"(ws://\S+)")
            with connect(f"{url}c1") as call:
                call.send(json.dumps(request))
                with contextlib.suppress(ConnectionClosedError):
                    while json.loads(call.recv(timeout=5)).get("response_id") != 1:
                        pass
                    call.close(1000)
            assert call.close_code == code
            press_ctrl_c(process)


def test_where_others_can_call_a_secret_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert llmws("serve", "--host", "0.0.0.0", "--port", "0") == 2
    assert complaint(capsys).startswith("llmws: at 0.0.0.0 others can call: set LLMWS_SECRET")
    monkeypatch.setenv("LLMWS_SECRET", "s3cret")
    with child("serve", "--host", "0.0.0.0", "--port", "0") as process:
        assert read_until(process, r"calls arrive at (ws://0\.0\.0\.0:\d+/llm-websocket/) ")
        assert read_until(process, "an app of create_app wants LLMWS_SECRET next in the path")
        press_ctrl_c(process)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_at_home_no_secret_is_wanted(host: str) -> None:
    with child("serve", "--host", host, "--port", "0") as process:
        assert host in read_until(process, r"calls arrive at (\S+)")
        press_ctrl_c(process)


def test_an_address_of_another_machine_cannot_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMWS_SECRET", "s3cret")
        assert llmws("serve", "--host", "203.0.113.1") == 2
    assert complaint(capsys).startswith("llmws: port 3000 at 203.0.113.1 cannot be had (")


def test_a_server_can_be_stopped_before_it_has_started() -> None:
    with child("serve", "--port", "0") as process:
        read_until(process, "Ctrl-C")
        assert "Traceback" not in press_ctrl_c(process)
    assert process.returncode in (0, 130)


def test_an_app_in_the_current_folder_is_served(tmp_path: Path) -> None:
    Path("mine.py").write_text(
        "from fastapi import FastAPI\napp = FastAPI()\napp.get('/')(lambda: 'my own')\n"
    )
    with child("serve", "mine:app", "--port", "0") as process:
        port = read_until(process, r":(\d+)/")
        with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
            assert page.read() == b'"my own"'
        press_ctrl_c(process)


def test_an_app_is_served_on_the_port_that_was_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    with child("serve", "--port", str(port)) as process:
        assert read_until(process, r":(\d+)/") == str(port)
        press_ctrl_c(process)


def test_a_busy_port_is_one_line(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("serve", "--port", str(server.port)) == 2
    assert complaint(capsys).startswith(f"llmws: port {server.port} cannot be had")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("no_such_module:app", 'Could not import module "no_such_module"'),
        ("os:no_such_app", 'Attribute "no_such_app" not found in module "os"'),
        ("os", 'Import string "os" must be in format "<module>:<attribute>"'),
        ("os:name", "it is str, expected an app like FastAPI()"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    target: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("serve", target) == 2
    assert complaint(capsys) == f"llmws: cannot serve {target!r}: {why}"


@pytest.mark.parametrize("source", ["import no_such_module", "app = = 1", "app = 1 / 0"])
def test_a_module_that_cannot_be_imported_is_no_defect_of_llmws(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"broken{len(source)}"  # each its own: Python remembers modules
    Path(f"{name}.py").write_text(source)
    assert llmws("serve", f"{name}:app") == 2
    shown = capsys.readouterr().err
    assert f'{name}.py", line 1' in shown
    assert f"llmws: cannot serve '{name}:app': it cannot be imported: " in shown.splitlines()[-1]


def test_an_app_that_does_not_start_is_exit_code_2() -> None:
    Path("mine.py").write_text(
        "from fastapi import FastAPI\n"
        "async def fail(_):\n    raise RuntimeError('the database is away')\n    yield\n"
        "import contextlib\napp = FastAPI(lifespan=contextlib.asynccontextmanager(fail))\n"
    )
    with child("serve", "mine:app", "--port", "0") as process:
        shown = process.communicate(timeout=30)[0]
    assert process.returncode == 2
    assert "RuntimeError: the database is away" in shown
    assert shown.splitlines()[-1] == "llmws: the app did not start; the lines above say why"


def test_a_call_says_the_lines_that_it_is_given(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("call", server.websocket_url, "--say", "Hello?", "--say", " ") == 0
    assert without_latency(capsys) == [
        GREETING,
        "you:   Hello?",
        APOLOGY,
        "you:   (silent)",
        APOLOGY,
        "call over: user_hangup",
    ]


def test_a_caller_types_and_an_empty_line_is_silence(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hello?\n\n"))
    assert llmws("call", server.websocket_url) == 0
    assert without_latency(capsys) == [GREETING, APOLOGY, APOLOGY, "call over: user_hangup"]


def test_silence_asks_the_agent_for_a_reminder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def endpoint(ws: WebSocket, call_id: str) -> None:
        await ws.accept()
        done = {"content": "", "content_complete": True, "end_call": False}
        await ws.send_text(json.dumps({"response_id": 0, **done}))
        async for frame in ws.iter_text():
            request = json.loads(frame)
            asked.append(request["interaction_type"])
            if "response_id" in request:
                await ws.send_text(json.dumps({"response_id": request["response_id"], **done}))

    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    with serve(app, name="watching", show_log=False) as server:
        assert llmws("call", server.websocket_url) == 0
    assert [kind for kind in asked if kind != "update_only"] == ["reminder_required"]
    assert capsys.readouterr().out.splitlines()[:2] == ["agent: (silent)"] * 2


def test_a_line_is_answered_while_standard_input_stays_open(server: Server) -> None:
    with child("call", server.websocket_url) as process:
        assert process.stdin
        read_until(process, GREETING)
        process.stdin.write("Hello?\n")
        process.stdin.flush()
        read_until(process, re.escape(APOLOGY))
        shown = process.communicate(timeout=30)[0]  # closes standard input
    assert (process.returncode, shown.splitlines()[0]) == (0, "call over: user_hangup")


def test_ctrl_c_leaves_a_call_without_a_traceback(server: Server) -> None:
    with child("call", server.websocket_url) as process:
        read_until(process, GREETING)
        shown = press_ctrl_c(process)
    assert process.returncode == 130
    assert "Traceback" not in shown, shown


def test_an_agent_that_hangs_up_ends_a_call_although_nobody_stopped_typing() -> None:
    with (
        serve(agent_that(answers="Bye.", ends=True), name="polite", show_log=False) as server,
        child("call", server.websocket_url) as process,
    ):
        assert process.stdin
        process.stdin.write("Hello?\n")
        process.stdin.flush()
        read_until(process, "^agent: Bye.$")
        assert process.wait(10) == 0
        assert read_until(process, "call over: (.*)") == "agent_hangup"


def test_what_was_to_be_said_after_the_agent_hung_up_is_not_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = ["--say", "Hello?", "--say", "Still there?"]
    with serve(agent_that(ends=True), name="curt", show_log=False) as server:
        assert llmws("call", server.websocket_url, *lines) == 0
    assert without_latency(capsys) == [
        "agent: Hi.",
        "you:   Hello?",
        "agent: Yes.",
        "call over: agent_hangup",
    ]


def test_an_agent_that_hangs_up_at_once_is_told_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = agent_that(greets="Closed.", answers="Closed.", ends=True)
    with serve(app, name="closed", show_log=False) as server:
        assert llmws("call", server.websocket_url, "--say", "Hello?") == 0
    assert capsys.readouterr().out.splitlines() == ["agent: Closed.", "call over: agent_hangup"]


def test_a_server_that_leaves_is_heard_as_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def endpoint(ws: WebSocket, call_id: str) -> None:
        await ws.accept()
        await ws.close(1011)

    with serve(app, name="failing", show_log=False) as server:
        assert llmws("call", server.websocket_url, "--say", "Hello?") == 0
    closed = "(the socket closed with 1011)"
    assert capsys.readouterr().out == f"call over: error_llm_websocket_runtime {closed}\n"


def test_an_agent_that_keeps_silent_is_not_awaited_for_ever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(talking, "ANSWER_S", 0.1)
    with serve(step1.app, name="mute", show_log=False) as server:
        assert llmws("call", server.websocket_url, "--say", "Hello?") == 0
    assert "agent: (silent)" in capsys.readouterr().out.splitlines()


def test_frames_that_the_platform_would_drop_are_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serve(agent_that(slips=5), name="slipping", show_log=False) as server:
        assert llmws("call", server.websocket_url, "--say", "Hello?") == 0
    shown = capsys.readouterr().out.splitlines()
    [report] = [line for line in shown if line.startswith("dropped, ")]
    assert report.startswith("dropped, response_id 6 was never asked, the latest one is 1: '{")
    assert '"content": "Lost."' in report


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ws://127.0.0.1:{port}/llm-websocket/", "nothing answers"),
        ("nonsense", "cannot dial 'nonsense': expected ws://"),
        ("ftp://127.0.0.1/", "cannot dial 'ftp://127.0.0.1/': expected ws://"),
    ],
)
def test_a_call_that_never_comes_about_is_exit_code_3(
    url: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    assert llmws("call", url.format(port=port), "--say", "Hello?") == 3
    assert why in complaint(capsys)


def test_a_tunnel_without_a_token_is_exit_code_3(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("tunnel", "--port", str(server.port)) == 3
    assert complaint(capsys).startswith("llmws: no tunnel: NGROK_AUTHTOKEN is not set")


def test_a_tunnel_without_pyngrok_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "llmws_tutorial.notebook.ngrok_agent", None)
    assert llmws("tunnel") == 2
    assert complaint(capsys) == "llmws: tunnels are opened with pyngrok: pip install pyngrok"


def test_a_tunnel_is_open_until_ctrl_c(server: Server) -> None:
    with child("tunnel", "--port", str(server.port), NGROK_AUTHTOKEN=TOKEN) as process:
        assert "the tunnel is open" in read_until(process, ".*")
        url = read_until(process, r"^paste into the dashboard: (wss?://\S+/llm-websocket/)$")
        record = asyncio.run(place_call(url, ["Hello"]))
        assert press_ctrl_c(process) == "closed\n"
    assert str(record).splitlines()[-1] == APOLOGY
    assert process.returncode == 0
    with pytest.raises(LlmwsError, match="nothing answers"):
        asyncio.run(place_call(url))


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ([], "messages.schema.json"),
        (["--format", "jsonschema"], "messages.schema.json"),
        (["--format", "asyncapi"], "asyncapi.json"),
    ],
)
def test_a_schema_is_printed_as_it_is_committed(
    options: list[str], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("schema", *options) == 0
    assert capsys.readouterr().out == (FOLDER / file).read_text()


def test_a_format_that_does_not_exist_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("schema", "--format", "xml") == 2
    assert "jsonschema" in capsys.readouterr().err


def test_options_go_on_to_pytest_and_its_exit_code_comes_back() -> None:
    with child("test", "--collect-only", "-q", "tests/test_log.py") as process:
        shown = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert "tests/test_log.py::test_a_log_is_searched_iterated_and_printed" in shown


def test_the_exit_code_of_pytest_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    assert llmws("test", "no/such/folder") == 4
    assert "no/such/folder" in "".join(capfd.readouterr())


def test_ctrl_c_lets_pytest_say_what_it_ran(tmp_path: Path) -> None:
    slow = tmp_path / "test_slow.py"
    slow.write_text("import time\ndef test_slow():\n    print('begun')\n    time.sleep(30)\n")
    with child("test", "-s", str(slow)) as process:
        read_until(process, "begun")
        shown = press_ctrl_c(process)
    assert process.returncode == 2
    assert "! KeyboardInterrupt !" in shown
    assert "llmws_tutorial/cli.py" not in shown


def test_without_jupyterlab_lab_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)  # as if it were not there
    assert llmws("lab") == 2
    assert complaint(capsys) == (
        "llmws: the notebooks are opened with jupyterlab: python3 -m llmws_tutorial lab installs it"
    )


def test_lab_opens_step_00_and_ends_without_a_question(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    home = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = ["--no-browser", f"--port={port}"]
    with terminal() as stdin, child("lab", *options, stdin=stdin, **home) as process:
        url = read_until(process, rf"(http://127\.0\.0\.1:{port}/lab/tree/\S+)")
        assert "/lab/tree/notebooks/00_hear_it_first.ipynb?token=" in url
        assert status_once_up(url) == 200
        shown = press_ctrl_c(process)
    assert process.returncode == 0
    assert "[y/n]" not in shown.lower()


@pytest.mark.parametrize(("command", "folder"), [("lab", "notebooks"), ("test", "tests")])
def test_what_needs_the_clone_says_so(
    command: str,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "PROJECT", tmp_path)
    assert llmws(command) == 2
    said = complaint(capsys)
    assert said.startswith(f"llmws: there is no folder {folder}/ beside the installed package: ")
    assert said.endswith("clone the repository, and run python3 -m llmws_tutorial lab in it")


@pytest.mark.parametrize(
    ("program", "variable", "options"),
    [
        ("xdg-open", "DISPLAY", []),  # a desktop
        ("w3m", "TERM", ["--no-browser"]),  # a browser that would take the terminal
        ("no-browser-at-all", "TERM", ["--no-browser"]),
    ],
)
def test_lab_opens_a_browser_where_there_is_one_with_a_window(
    program: str,
    variable: str,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / program).write_text("#!/bin/sh\n")
    (tmp_path / program).chmod(0o755)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(variable, "some")
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # so that it looks again
    monkeypatch.setattr(webbrowser, "_browsers", {})
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert cli._options_of_this_machine() == options


def test_in_a_container_lab_runs_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    assert "--allow-root" in cli._options_of_this_machine()
