"""`llmws dashboard` in a terminal: what it refuses, what it prints, how it ends."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from llmws_tutorial import cli
from llmws_tutorial.dashboard.access import TOKEN_HEADER
from llmws_tutorial.dashboard.proxy import TOKEN_VARIABLE
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.notebook.runtime import _servers, bind
from llmws_tutorial.terminal import dashboard
from tests.pages import visiting

ADDRESS: Final = re.compile(
    r"make a web call at (http://127\.0\.0\.1:(\d+)/)(#\S+)? \(Ctrl-C stops\)"
)
TIMEOUT_S: Final = 30


def llmws(*arguments: str) -> Any:
    """The exit code of a command in this process."""
    sys.argv = ["llmws", *arguments]
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.fixture(autouse=True)
def own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test makes of the command line is undone."""
    monkeypatch.setattr(sys, "argv", ["llmws"])
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser with a window was sent to."""
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.BackgroundBrowser("some"))
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The apps that were served, each of which ends with Ctrl-C at once."""
    apps: list[Any] = []

    def run(app: Any, listener: socket.socket, *, log_config: None) -> None:
        apps.append(app)
        raise KeyboardInterrupt

    monkeypatch.setattr(dashboard, "run", run)
    return apps


@contextmanager
def started(
    *options: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], re.Match[str]]]:
    """The command as a process of its own, and the line that it prints first."""
    command = [sys.executable, "-m", "llmws_tutorial", "dashboard", "--port=0", "--no-browser"]
    with subprocess.Popen(
        [*command, *options],
        cwd=PROJECT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            first = ADDRESS.match(process.stdout.readline())
            assert first
            yield process, first
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], by: signal.Signals) -> str:
    """What a process still prints once it gets a signal."""
    process.send_signal(by)
    return process.communicate(timeout=TIMEOUT_S)[0]


def status(url: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(url, headers=named), timeout=TIMEOUT_S) as answer:
            return int(answer.status)
    except HTTPError as refusal:
        refusal.close()
        return refusal.code


async def call_and_wait_for_a_frame(address: str) -> str:
    """Make a call as a page would, until a line of the log and a frame; give its id."""
    async with visiting(address) as page:
        hello = await page.until("hello", runs_here=True)
        assert "no model" in hello["about"]
        await page.ask("call", url=hello["url"])
        call_id = str((await page.until("call"))["call_id"])
        await page.until("server_line", call_id=call_id)
        await page.until("frame", call_id=call_id)
        return call_id


def test_a_url_that_cannot_be_dialled_is_refused_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert llmws("dashboard", "ftp://host/") == 3
    assert capsys.readouterr().err.startswith("llmws: cannot dial 'ftp://host/': expected ws://")


def test_a_busy_port_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with bind(0) as other:
        port = str(other.getsockname()[1])
        assert llmws("dashboard", "--port", port, "--calls", str(tmp_path)) == 2
    assert capsys.readouterr().err == (
        f"llmws: port {port} cannot be had: another program has it, perhaps another dashboard; "
        "end that, or take a free port with --port 0\n"
    )


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("a_file/calls", "not a directory"),
        ("~nobody-has-this-name/calls", "could not determine home directory"),
    ],
)
def test_a_folder_that_cannot_be_made_is_told_before_the_first_call(
    folder: str,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a_file").touch()
    assert llmws("dashboard", "--port=0", "--calls", folder) == 2
    said = capsys.readouterr().err
    assert said == f"llmws: cannot keep calls in {folder}: {why}; choose a folder with --calls\n"


def test_the_page_is_opened_with_the_token_that_is_printed(
    opened: list[str], served: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmws("dashboard", "--port=0", "--calls", str(tmp_path / "calls")) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert opened == [re.findall(r"http://127\.0\.0\.1:\d+/#[\w-]{32}", first)[0]]
    assert last == "stopped"
    assert len(served) == 1
    assert (tmp_path / "calls").stat().st_mode & 0o777 == 0o700


def test_the_server_of_step_3_ends_with_the_page(
    opened: list[str], served: list[Any], tmp_path: Path
) -> None:
    llmws("dashboard", "--port=0", "--calls", str(tmp_path))
    assert not _servers["agent"].is_running


def test_with_a_url_of_your_own_no_server_is_started(
    opened: list[str], served: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "serve", None)
    url = "ws://127.0.0.1:9/llm-websocket/"
    assert llmws("dashboard", url, "--port=0", "--calls", str(tmp_path)) == 0
    assert len(served) == 1


@pytest.mark.parametrize("option", ["--no-browser", "--browser"])
def test_no_browser_is_opened_unasked_or_where_there_is_none(
    option: str,
    opened: list[str],
    served: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("w3m"))
    llmws("dashboard", "--port=0", "--calls", str(tmp_path), option)
    assert len(served) == 1
    assert opened == []


def test_a_token_that_was_given_is_not_printed(tmp_path: Path) -> None:
    with started("--calls", str(tmp_path), **{TOKEN_VARIABLE: "given"}) as (process, first):
        headers = {TOKEN_HEADER: "given"}
        assert first[3] is None
        assert status(f"{first[1]}calls/call_none.jsonl") == 403
        assert status(f"{first[1]}calls/call_none.jsonl", **headers) == 404
        assert "given" not in ended(process, signal.SIGINT)


def test_a_host_that_is_allowed_is_let_in_and_no_other(tmp_path: Path) -> None:
    with started("--calls", str(tmp_path), "--allow-host=Lab.test") as (_, first):
        assert status(first[1]) == 200
        assert status(first[1], Host="lab.test:8000") == 200
        assert status(first[1], Host="evil.test") == 403


@pytest.mark.parametrize(
    ("by", "last", "code"), [(signal.SIGINT, "stopped\n", 0), (signal.SIGTERM, "", -signal.SIGTERM)]
)
def test_a_signal_ends_it_and_the_call_that_goes_on_is_kept(
    by: signal.Signals, last: str, code: int, tmp_path: Path
) -> None:
    with started("--calls", str(tmp_path)) as (process, first):
        call_id = asyncio.run(call_and_wait_for_a_frame(first[1] + first[3]))
        assert ended(process, by) == last
        assert process.returncode == code
    assert json.loads((tmp_path / f"{call_id}.json").read_text())["summary"]["frames"] >= 1
    assert (tmp_path / f"{call_id}.jsonl").read_text().count("\n") >= 1
