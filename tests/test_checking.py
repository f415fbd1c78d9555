"""`llmws check` and `llmws explain`, against servers on this machine."""

import contextlib
import json
import logging
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI, WebSocket

from llmws_tutorial import cli
from llmws_tutorial.checks import CASES, Profile, select
from llmws_tutorial.notebook import Server, serve
from llmws_tutorial.server import create_app
from llmws_tutorial.server.llm import LlmResponder
from llmws_tutorial.steps import step1, step3
from tests.sockets import free_port

NOWHERE = "ws://127.0.0.1:1/llm-websocket/"
URL_FIRST = "expected the URL first, llmws check ws://host/llm-websocket/"
OF_THE_GUIDE = select(profile=Profile.GUIDE)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of one's own, which is not at GitHub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("LLMWS_WEBHOOK_KEY", raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(step3.app, name="step 3", show_log=False) as running:
        yield running


@pytest.fixture(scope="module")
def unfinished() -> Iterator[Server]:
    with serve(step1.app, name="step 1", show_log=False) as running:
        yield running


def llmws(*arguments: str | Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["llmws", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def test_a_server_of_the_guide_passes_its_profile(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("check", server.websocket_url, "--profile", "guide-2024") == 0
    *_, summary = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{len(OF_THE_GUIDE)} ok in \d+\.\d s", summary)


def test_an_unfinished_server_is_told_what_to_mend(
    unfinished: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("check", unfinished.websocket_url, "begin/1", "--timeout", "0.2") == 1
    shown = capsys.readouterr().out
    assert "fix       send the begin message right after accepting the socket" in shown
    repeat = f"llmws check {unfinished.websocket_url} begin/1 --timeout 0.2"
    assert repeat in shown


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 0),
        (["--strict"], 1),
        (["--fail-on", "warning"], 0),
    ],
)
def test_what_is_not_strict_fails_with_strict_alone(
    server: Server, options: list[str], code: int
) -> None:
    assert llmws("check", server.websocket_url, "calls/7", *options) == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which server? expected its URL"),
        (["turns/1"], f"turns/1 is a check: {URL_FIRST} turns/1"),
        (["turns"], f"turns is a topic of checks: {URL_FIRST} turns"),
        (["turns/99"], "there is no check 'turns/99': did you mean turns/"),
        ([NOWHERE, "turns/99"], "there is no check 'turns/99': did you mean turns/"),
        ([NOWHERE, "nonsense"], "no check starts with 'nonsense', expected a topic"),
        ([NOWHERE, "input/21"], "no check in profile current starts with 'input/21'"),
        (["--list", "begn"], "there is no check 'begn': did you mean begin"),
        ([NOWHERE, "--header", "secret"], "the first --header has no colon"),
        ([NOWHERE, "turns/9"], "nothing can be checked: turns/9 cannot do without --llm PORT, and"),
        ([NOWHERE, "webhook", "turns/9"], "1:PORT/v1 and --webhook URL and --webhook-key KEY"),
        ([NOWHERE, "--timeout", "nan"], "--timeout is nan"),
        ([NOWHERE, "--junit", "none/x.xml"], "cannot write none/x.xml"),
        ([NOWHERE, "--html", "."], "cannot write ."),
        ([NOWHERE, "--webhook", "http://127.0.0.1:1/"], "--webhook wants the API key"),
        ([NOWHERE, "--webhook", "ftp://x/", "--webhook-key", "k"], "ftp"),
    ],
)
def test_wrong_use_is_found_before_anything_runs(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("check", *arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert "secret" not in line


def test_one_check_that_lacks_nothing_is_enough_to_run(server: Server) -> None:
    assert llmws("check", server.websocket_url, "begin/1", "turns/9") == 0


def test_a_url_that_cannot_be_dialled_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("check", "localhost:3000") == 3
    assert "cannot dial 'localhost:3000'" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("check", NOWHERE) == 3
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"no check could be tried at {NOWHERE}: cannot call 127.0.0.1:1")


def test_json_stands_alone_on_stdout(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("check", server.websocket_url, "begin", "--json") == 0
    printed = capsys.readouterr()
    data = json.loads(printed.out)
    assert (data["passed"], data["findings"][0]["id"]) == (True, "begin/1")
    assert "begin 1" in printed.err


def test_the_reports_are_written(unfinished: Server, tmp_path: Path) -> None:
    junit, html = tmp_path / "checks.xml", tmp_path / "checks.html"
    reports = ("--junit", junit, "--html", html, "--timeout", "0.2")
    assert llmws("check", unfinished.websocket_url, "begin/1", *reports) == 1
    assert ElementTree.parse(junit).getroot().get("failures") == "1"
    assert "<h2>Failed (1)</h2>" in html.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_report_that_cannot_be_written_is_one_line_below_what_was_found(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("check", server.websocket_url, "begin/1", "--html", "/dev/full") == 2
    printed = capsys.readouterr()
    assert "+ ok          begin 1" in printed.out
    assert printed.err == "llmws: cannot write /dev/full: no space left on device\n"


def test_a_report_is_written_also_when_nobody_reads_the_rest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    junit = tmp_path / "checks.xml"
    with os.fdopen(writing, "w", buffering=1) as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        assert llmws("check", server.websocket_url, "begin/1", "--json", "--junit", junit) == 1
        monkeypatch.undo()
        with contextlib.suppress(BrokenPipeError):
            nobody.close()
    assert len(ElementTree.parse(junit).getroot()) == 1


@pytest.mark.parametrize(
    ("at_github", "option"), [("false", "--github"), ("true", None), ("true", "--no-github")]
)
def test_github_gets_annotations_and_obeys_nothing_else(
    server: Server,
    at_github: str,
    option: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", at_github)
    llmws("check", server.websocket_url, "calls/7", *filter(None, [option]))
    first, *lines = capsys.readouterr().out.splitlines()
    if option == "--no-github":
        assert not any(line.startswith("::") for line in [first, *lines])
        return
    token = first.removeprefix("::stop-commands::")
    assert lines[lines.index(f"::{token}::") + 1].startswith("::notice title=calls/7%3A wants a ")


def test_headers_are_sent_and_their_values_kept_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[str] = []
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def mute(ws: WebSocket) -> None:
        seen.append(ws.headers["authorization"])
        await ws.accept()
        await ws.receive()

    with serve(app, name="mute", show_log=False) as server:
        given = ("--header", "Authorization: Bearer secret", "--timeout", "0.1")
        assert llmws("check", server.websocket_url, "begin/1", *given) == 1
    assert set(seen) == {"Bearer secret"}
    shown = capsys.readouterr().out
    assert "--header 'Authorization: ...'" in shown
    assert "secret" not in shown


def test_the_model_of_the_checks_is_behind_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with serve(create_app(LlmResponder("any")), name="agent", show_log=False) as server:
        assert llmws("check", server.websocket_url, "turns/8", "--llm", str(port)) == 0
    assert "+ ok          turns 8" in capsys.readouterr().out


FRAGILE = """
import json, os, sys
import uvicorn
from fastapi import FastAPI, WebSocket

app = FastAPI()

@app.websocket("/llm-websocket/{call_id}")
async def endpoint(ws: WebSocket, call_id: str):
    await ws.accept()
    await ws.send_json({"response_id": 0, "content": os.environ["OPENAI_BASE_URL"],
                        "content_complete": True})
    async for text in ws.iter_text():
        if text == "null":
            os._exit(1)
        if "response_id" in json.loads(text):
            answer = {"response_id": json.loads(text)["response_id"], "content": "Yes."}
            await ws.send_json({**answer, "content_complete": True})

uvicorn.run(app, port=int(sys.argv[1]), ws_max_size=2**20)
"""


ENDED = """
import os, pathlib, signal, sys, time
pathlib.Path("pid").write_text(str(os.getpid()))
os.kill(int(sys.argv[1]), signal.SIGTERM)
time.sleep(60)
"""


def test_a_server_that_we_start_is_started_again_when_a_check_takes_it_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fragile.py").write_text(FRAGILE)
    port, model = free_port(), free_port()
    start = shlex.join([sys.executable, "fragile.py", str(port)])
    url = f"ws://127.0.0.1:{port}/llm-websocket/"
    only = ("calls/5", "input/3", "input/10", "begin/1")
    assert llmws("check", url, *only, "--start", start, "--llm", str(model), "--json") == 1
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    verdicts = {name: one["verdict"] for name, one in found.items()}
    assert verdicts == dict(zip(only, ("failed", "failed", "ok", "ok"), strict=True))
    assert found["input/3"]["expected"] == "a server that is still there"


def test_whoever_ends_the_checks_ends_the_server_that_they_started(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(ENDED)
    url = f"ws://127.0.0.1:{free_port()}/llm-websocket/"
    before = signal.getsignal(signal.SIGTERM)
    start = shlex.join([sys.executable, "server.py", str(os.getpid())])
    assert llmws("check", url, "calls/1", "--start", start) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIG_DFL)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_asyncio_warns_of_stays_out_of_the_report(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("asyncio")
    level = log.level
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def cut(ws: WebSocket) -> None:
        log.warning("socket.send() raised exception.")
        log.error("a defect")
        await ws.accept()

    with serve(app, name="cut", show_log=False) as server:
        assert llmws("check", server.websocket_url, "begin/1") == 1
    assert {line.message for line in caplog.records if line.name == "asyncio"} == {"a defect"}
    assert log.level == level


def test_a_server_that_cannot_be_started_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"ws://127.0.0.1:{free_port()}/"
    assert llmws("check", url, "--start", f"{sys.executable} -c 'exit(7)'") == 2
    assert capsys.readouterr().err == "llmws: the server ended with 7\n"


def test_a_port_of_another_program_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert llmws("check", NOWHERE, "--llm", str(port)) == 2
    said = capsys.readouterr().err
    assert f"port {port} at 127.0.0.1 cannot be had" in said
    assert said.endswith("end the program that has it, or choose another port\n")


def test_ctrl_c_shows_what_was_found_so_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def interrupts(ws: WebSocket, call_id: str) -> None:
        await ws.accept()
        if call_id.startswith("check_calls_5"):  # it runs last, and alone
            os.kill(os.getpid(), signal.SIGINT)
        else:
            await ws.send_json({"response_id": 0, "content": "", "content_complete": True})
        await ws.receive()

    junit = tmp_path / "checks.xml"
    with serve(app, name="interrupts", show_log=False) as server:
        assert llmws("check", server.websocket_url, "begin/1", "calls/5", "--junit", junit) == 130
    shown = capsys.readouterr().out
    assert "+ ok          begin 1" in shown
    assert re.search(r"^1 ok, 1 not run in", shown, re.MULTILINE)
    assert len(ElementTree.parse(junit).getroot()) == 1


def test_the_checks_are_listed_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("check", "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [case.id for case in CASES]


def test_a_topic_is_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("check", "--list", "begin/1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "id": "begin/1",
            "title": "sends the first message",
            "severity": "breaks the call",
            "profiles": ["current", "guide-2024"],
            "needs": [],
        }
    ]


def test_a_check_is_explained_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("explain", "begin/1") == 0
    assert capsys.readouterr().out.startswith("# begin/1\n\n**Sends the first message.** ")


def test_at_a_terminal_a_check_is_explained_in_colours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert llmws("explain", "begin/1") == 0
    shown = capsys.readouterr().out
    assert "**" not in shown
    assert "\x1b[" in shown


def test_a_check_that_there_is_not_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmws("explain", "begin1") == 2
    assert "did you mean begin/1" in capsys.readouterr().err
