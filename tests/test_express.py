"""The steps in JavaScript against their twins in Python; each runs as a learner runs it."""

import asyncio
import contextlib
import difflib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import nbformat
import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from llmws_tutorial.checks import judge
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.notebook.checking import cases_of
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.simulator import place_call
from llmws_tutorial.steps import step3
from tests.raw_peer import TEXT, UPGRADE, Peer, frame
from tests.test_steps import (
    GREETING,
    NOT_AN_OBJECT,
    NOT_JSON,
    apology,
    closing,
    heard,
    is_quiet,
    request,
)

EXPRESS: Final = PROJECT / "examples" / "express"
PATIENCE_S: Final = 5.0
STOP_S: Final = 2.0
A_SCREEN: Final = 70
"""How many lines a step may change, so that one reads them in one go."""
NO_MASK: Final = b"\x81\x02{}"
BROKEN: Final = """
import express from "express";
import { serve } from "./serve.mjs";
serve(express(), async (ws, callId) => { if (callId === "bad") throw new Error("no model"); });
"""
every_step = pytest.mark.parametrize("step", [1, 2, 3])


class Running:
    """A program of the example in a process of its own, and what it has logged."""

    def __init__(self, program: Path) -> None:
        node = shutil.which("node")
        assert node
        self.process = subprocess.Popen(
            [node, program.name],
            cwd=program.parent,
            env={**os.environ, "PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        [self.url] = re.findall(r"^Serving calls at (ws://127\.0\.0\.1:\d+/llm-websocket/)$", line)
        self.address = self.url.split("/")[2]

    def dial(self, call_id: str = "call_1") -> ClientConnection:
        return connect(f"{self.url}{call_id}", proxy=None)

    @contextlib.contextmanager
    def dial_raw(self, first: bytes = b"") -> Iterator[Peer]:
        """A call whose first frames leave together with its handshake."""
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port)), PATIENCE_S) as connected:
            peer = Peer(connected)
            peer.socket.sendall(f"{UPGRADE.format('raw')}\r\n".encode() + first)
            while not peer.got.endswith(b"\r\n\r\n"):
                peer.got += peer.socket.recv(1)
            yield peer

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """End the program, which must go in time and in peace; the result is what it logged."""
        self.process.send_signal(how)
        logged, _ = self.process.communicate(timeout=STOP_S)
        assert self.process.returncode == 0, logged
        return logged


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, with the packages that its lock file names."""
    npm = shutil.which("npm")
    assert npm, "this test needs Node.js 20 or newer, with npm"
    folder = tmp_path_factory.mktemp("examples") / "express"
    shutil.copytree(EXPRESS, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=folder, check=True, timeout=300)
    return folder


@contextlib.contextmanager
def running(program: Path) -> Iterator[Running]:
    server = Running(program)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


@pytest.fixture(scope="module")
def wired(installed: Path) -> Iterator[Running]:
    with running(installed / "step3.mjs") as server:
        yield server
        server.stop()


@pytest.fixture
def neighbour(wired: Running) -> Iterator[None]:
    """Another call, which must be alive when the test is over."""
    with wired.dial("neighbour") as ws:
        assert heard(ws) == GREETING
        yield
        ws.send(request("response_required", 7))
        assert heard(ws) == apology(7)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "built"), [(1, "01"), (2, "01"), (3, "03")])
def test_a_step_passes_the_checks_of_what_it_has_built(
    installed: Path, step: int, built: str
) -> None:
    """As its twin in Python; what step 2 holds is not wired to its server yet."""
    with running(installed / f"step{step}.mjs") as server:
        findings = asyncio.run(judge(Sockets(server.url), cases_of(built)))
    assert [str(finding) for finding in findings if not finding.passed] == []


@pytest.mark.slow
@every_step
def test_the_other_routes_go_on_as_before(installed: Path, step: int) -> None:
    with running(installed / f"step{step}.mjs") as server:
        with urlopen(f"http://{server.address}/", timeout=PATIENCE_S) as page:
            assert (page.status, page.read()) == (200, b"Hello World!")
        server.stop(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2])
def test_a_step_without_wiring_logs_what_arrives_and_says_nothing(
    installed: Path, step: int
) -> None:
    with running(installed / f"step{step}.mjs") as server:
        with server.dial("a%0Aforged") as ws:
            ws.send("Hello\nforged")
            assert is_quiet(ws)
        logged = server.stop()
    assert 'call "a%0Aforged": received "Hello\\nforged"\n' in logged
    assert 'call "a%0Aforged": closed\n' in logged


@pytest.mark.slow
def test_a_caller_hears_the_greeting_and_the_apology(wired: Running) -> None:
    record = asyncio.run(asyncio.wait_for(place_call(wired.url, ["Are you open?"]), 30))
    assert str(record).splitlines() == [
        "agent: How may I help you?",
        "user:  Are you open?",
        "agent: I am sorry, can you say that again?",
    ]


@pytest.mark.slow
def test_the_frames_are_those_of_the_twin(wired: Running) -> None:
    with wired.dial() as ws:
        assert heard(ws) == GREETING
        ws.send(request("update_only"))
        assert is_quiet(ws)
        ws.send(request("reminder_required", 1))
        assert heard(ws) == apology(1)
        ws.send(request("response_required"))
        assert "response_id" not in heard(ws)


@pytest.mark.slow
def test_many_requests_at_once_are_answered_in_order(wired: Running) -> None:
    with wired.dial() as ws:
        heard(ws)
        for response_id in range(1, 501):
            ws.send(request("response_required", response_id))
        assert [heard(ws)["response_id"] for _ in range(500)] == [*range(1, 501)]


@pytest.mark.slow
def test_a_request_that_comes_with_the_handshake_is_answered_after_the_greeting(
    wired: Running,
) -> None:
    with wired.dial_raw(frame(TEXT, request("response_required", 1).encode())) as peer:
        assert [json.loads(peer.read()[1]) for _ in range(2)] == [GREETING, apology(1)]


@pytest.mark.slow
@pytest.mark.usefixtures("neighbour")
@pytest.mark.parametrize("text", [*NOT_JSON, *NOT_AN_OBJECT], ids=lambda text: text[:20] or "empty")
def test_text_that_is_no_json_object_closes_its_own_call(wired: Running, text: str) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.send(text)
        assert closing(ws) == (1002, "Cannot parse incoming message.")


@pytest.mark.slow
@pytest.mark.usefixtures("neighbour")
def test_a_binary_frame_closes_its_own_call(wired: Running) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.send(request("response_required", 1).encode())
        assert closing(ws) == (1002, "Cannot find corresponding Retell LLM.")


@pytest.mark.slow
@pytest.mark.parametrize("bad", [Frame(Opcode.BINARY, b"\x00"), Frame(Opcode.TEXT, b"Hello")])
def test_nothing_is_read_after_the_close(installed: Path, bad: Frame) -> None:
    """So many requests behind the bad frame that some are held back when the loop is left."""
    good = Frame(Opcode.TEXT, request("response_required", 1).encode())
    with running(installed / "step3.mjs") as server:
        with server.dial() as ws:
            heard(ws)
            ws.socket.sendall(b"".join(one.serialize(mask=True) for one in [bad, *100 * [good]]))
            assert closing(ws)[0] == 1002
            ws.recv_events_thread.join(PATIENCE_S)
            assert not ws.recv_events_thread.is_alive()  # the server has closed TCP as well
        logged = server.stop()
    assert 'call "call_1": Cannot ' in logged
    assert "Error" not in logged


@pytest.mark.slow
@pytest.mark.parametrize(
    "odd",
    [
        '"transcript":null',
        '"transcript":[{"role":"transfer_target","content":""}]',
        f'"transcript":{"[" * 100_000}{"]" * 100_000}',
        f'"transcript":[{{"role":"user","content":"{"x" * 1_000_000}"}}]',
        '"__proto__":null,"call":{"call_type":"web_call"}',
    ],
    ids=["none", "role", "levels", "long", "unknown"],
)
def test_a_message_that_is_odd_is_answered(wired: Running, odd: str) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.send(f'{{"interaction_type":"response_required","response_id":1,{odd}}}')
        assert heard(ws) == apology(1)


@pytest.mark.slow
@pytest.mark.parametrize("odd", ["{}", '{"interaction_type":"something_new"}'])
def test_an_event_that_is_unknown_keeps_the_call(wired: Running, odd: str) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.send(odd)
        ws.send(request("response_required", 2))
        assert apology(2) in (heard(ws), heard(ws))


@pytest.mark.slow
@pytest.mark.usefixtures("neighbour")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (NO_MASK, 1002),
        (b"\xc1\x80" + bytes(4), 1002),
        (frame(TEXT, b'"\xff"'), 1007),
        (frame(TEXT, b" " * (2**20 + 1)), 1009),
    ],
    ids=["no mask", "a reserved bit", "no UTF-8", "too long"],
)
def test_a_broken_frame_closes_its_own_call(wired: Running, data: bytes, code: int) -> None:
    with wired.dial() as ws:
        heard(ws)
        ws.socket.sendall(data)
        assert closing(ws)[0] == code


@pytest.mark.slow
@pytest.mark.usefixtures("neighbour")
def test_a_frame_that_is_broken_on_a_closing_call_harms_nobody(wired: Running) -> None:
    with wired.dial_raw() as peer:
        peer.send(TEXT, b"Hello")
        assert peer.close_code() == 1002
        peer.socket.sendall(NO_MASK)
        assert peer.rest() == b""


@pytest.mark.slow
@pytest.mark.usefixtures("neighbour")
def test_a_caller_who_vanishes_harms_nobody(wired: Running) -> None:
    with wired.dial() as ws:
        heard(ws)
        for response_id in range(1, 100):
            ws.send(request("response_required", response_id))
        ws.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
@pytest.mark.usefixtures("neighbour")
def test_a_caller_who_never_listens_is_not_read_from_for_ever(wired: Running) -> None:
    asked = frame(TEXT, request("response_required", 1).encode())
    with wired.dial_raw() as peer:
        assert peer.push(100 * asked, 50_000_000) < 50_000_000


@pytest.mark.slow
@pytest.mark.usefixtures("neighbour")
@pytest.mark.parametrize(
    "path", ["", "llm-websocket", "llm-websocket/", "llm-websocket/a/b", "other/call_1", "/"]
)
def test_a_path_of_no_call_is_refused_before_the_upgrade(wired: Running, path: str) -> None:
    with (
        pytest.raises(InvalidStatus, match="404"),
        connect(f"ws://{wired.address}/{path}", proxy=None),
    ):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("neighbour")
def test_who_resets_the_connection_while_being_refused_harms_nobody(wired: Running) -> None:
    """Often: what the server has read when the reset comes is a matter of luck."""
    host, port = wired.address.split(":")
    nowhere = UPGRADE.replace("llm-websocket/{}", "nowhere")
    for number in range(300):
        with socket.create_connection((host, int(port)), PATIENCE_S) as connected:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connected.sendall(f"{nowhere}\r\n".encode() + bytes(number % 3 * 60_000))


@pytest.mark.slow
def test_a_responder_that_fails_drops_its_own_call(installed: Path) -> None:
    broken = installed / "broken.mjs"
    broken.write_text(BROKEN)
    with running(broken) as server:
        with server.dial("good") as good, server.dial("bad") as bad:
            assert is_dropped(bad)
            assert good.ping().wait(PATIENCE_S)
        assert "Error received in LLM websocket client: Error: no model" in server.stop()


def is_dropped(ws: ClientConnection) -> bool:
    with contextlib.suppress(Exception):
        ws.recv(PATIENCE_S)
    return ws.close_code == 1006


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_the_server_closes_its_calls_in_time(
    installed: Path, how: signal.Signals
) -> None:
    """Also the call of a peer that does not answer the close."""
    with running(installed / "step3.mjs") as server, server.dial_raw(), server.dial() as ws:
        assert heard(ws) == GREETING
        started = time.monotonic()
        logged = server.stop(how)
        assert time.monotonic() - started < STOP_S
        assert closing(ws) == (1012, "Service restart")
    assert 'call "call_1": closed' in logged


@pytest.mark.parametrize("step", [2, 3])
def test_what_a_step_changes_fits_on_a_screen(step: int) -> None:
    before, after = (
        (EXPRESS / f"step{number}.mjs").read_text().splitlines() for number in (step - 1, step)
    )
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    removed = [line for line in changed if line[0] == "-"]
    assert len(changed) <= A_SCREEN
    assert len(removed) <= 8


@pytest.mark.parametrize(
    ("language", "program", "indent"),
    [
        ("python", Path(step3.__file__), "    "),
        ("javascript", EXPRESS / "step3.mjs", "  "),
    ],
)
def test_the_notebook_shows_the_loop_as_it_is(language: str, program: Path, indent: str) -> None:
    notebook = nbformat.read(PROJECT / "notebooks" / "03_wiring.ipynb", as_version=4)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    [loop] = re.findall(rf"^```{language}\n(.+?)^```$", prose, re.MULTILINE | re.DOTALL)
    assert textwrap.indent(loop, indent) in program.read_text(), f"copy it from {program.name}"


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((EXPRESS / "package-lock.json").read_text())["packages"]
    assert set(packages) > {"node_modules/express", "node_modules/ws"}
    assert [name for name in packages if "resolved" in packages[name]] == []
    assert all("integrity" in packages[name] for name in packages if name)
