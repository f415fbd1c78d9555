"""A server that a command starts, and starts again."""

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from llmws_tutorial.checks.runner import absence
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.checks.transport import LineEnded
from llmws_tutorial.errors import SetupError
from llmws_tutorial.terminal import server_process
from llmws_tutorial.terminal.server_process import ServerProcess
from tests.sockets import free_port

SERVER: Final = """
import asyncio, os, sys
from websockets.asyncio.server import serve

async def handle(ws):
    await ws.send(os.environ.get("GREETING", "none"))
    async for text in ws:
        if text == "die":
            os._exit(1)

async def main():
    async with serve(handle, "127.0.0.1", int(sys.argv[1])):
        await asyncio.Future()

print("it starts")
asyncio.run(main())
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[ServerProcess, Sockets]]:
    """A server that can be started, and the way to it."""
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    port = free_port()
    transport = Sockets(f"ws://127.0.0.1:{port}/")
    command = shlex.join([sys.executable, str(script), str(port)])
    with ServerProcess(command, transport, {"GREETING": "hello"}) as process:
        yield process, transport


def failing(command: str) -> str:
    """What is said when a command does not bring a server up."""

    async def run() -> None:
        transport = Sockets(f"ws://127.0.0.1:{free_port()}/")
        with ServerProcess(command, transport, {}) as process:
            await process.start()

    with pytest.raises(SetupError) as caught:
        asyncio.run(run())
    return str(caught.value)


async def greeting(transport: Sockets) -> str | bytes:
    socket = await transport.open("call_1")
    heard = await socket.receive()
    await socket.hang_up()
    return heard


def test_a_server_takes_calls_once_it_is_started_and_knows_its_variables(
    started: tuple[ServerProcess, Sockets],
) -> None:
    process, transport = started

    async def run() -> str | bytes:
        await process.start()
        return await greeting(transport)

    assert asyncio.run(run()) == "hello"


def test_a_server_that_went_down_is_there_again(started: tuple[ServerProcess, Sockets]) -> None:
    process, transport = started

    async def run() -> str | bytes:
        await process.start()
        socket = await transport.open("call_1")
        await socket.send("die")
        await socket.receive()  # its greeting
        with pytest.raises(LineEnded):
            await socket.receive()
        await process.start()
        return await greeting(transport)

    assert asyncio.run(run()) == "hello"


def test_a_server_is_gone_when_it_is_stopped(started: tuple[ServerProcess, Sockets]) -> None:
    process, transport = started

    async def run() -> str | None:
        await process.start()
        process.stop()
        return await absence(transport)

    assert "nothing answers" in str(asyncio.run(run()))
    process.stop()  # once more does no harm


def test_a_server_that_does_not_mind_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "STOP_S", 0.1)
    told = tmp_path / "pid"
    stubborn = (
        "import os, pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    monkeypatch.setattr(server_process, "START_S", 1.5)
    said = failing(shlex.join([sys.executable, "-IS", "-c", stubborn]))
    assert said.startswith("the server takes no calls 1.5 s after it was started: cannot call")
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), signal.SIG_DFL)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/nowhere/server", "cannot start '/nowhere/server': no such file or directory"),
        (f"{sys.executable} -c 'print(1 / 0)'", "ZeroDivisionError: division by zero"),
        (f"{sys.executable} -c 'raise SystemExit(3)'", "the server ended with 3"),
        (f"{sys.executable} -c 0", "ended with 0; expected a command that runs as long as its"),
        ("", "the command that starts the server is blank"),
        ("node 'x", 'cannot read the command "node \'x": no closing quotation'),
    ],
)
def test_a_command_that_starts_no_server_says_why(command: str, said: str) -> None:
    assert said in failing(command)


def test_what_a_server_prints_cannot_command_a_terminal() -> None:
    said: Any = failing(f"{sys.executable} -c 'print(chr(27) + chr(91) + str(2)); exit(1)'")
    assert said == "the server ended with 1\n  \\x1b[2"


def test_of_what_a_server_prints_without_end_only_the_end_is_shown() -> None:
    said = failing(f"{sys.executable} -c 'print(10**6 * str(0)); print(10**5 * str(1)); exit(1)'")
    assert said == f"the server ended with 1\n  {'1' * 500}… (9999 characters)"


def test_another_server_is_not_taken_for_the_one_that_is_started(
    started: tuple[ServerProcess, Sockets],
) -> None:
    process, transport = started

    async def run() -> None:
        await process.start()
        with ServerProcess(f"{sys.executable} -c 0", transport, {}) as second:
            await second.start()

    with pytest.raises(SetupError, match="another server takes calls there already: end it"):
        asyncio.run(run())


def test_a_second_ctrl_c_ends_a_stubborn_server_at_once(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    stubborn = (
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getppid(), signal.SIGINT))\n"
        f"pathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n"
        "while True: time.sleep(60)"
    )

    async def run(process: ServerProcess) -> None:
        async with asyncio.timeout(1.5):  # long enough to be started, too short to be waited for
            await process.start()

    transport = Sockets(f"ws://127.0.0.1:{free_port()}/")
    process = ServerProcess(shlex.join([sys.executable, "-IS", "-c", stubborn]), transport, {})
    with pytest.raises(KeyboardInterrupt), process, contextlib.suppress(TimeoutError):
        asyncio.run(run(process))
    pid = int(told.read_text())
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)  # it is dead, if perhaps not buried yet
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)
