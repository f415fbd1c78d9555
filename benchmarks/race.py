"""The servers in processes of their own, doing one work in turns.

Rounds are interleaved (ours, plain, bare, ceiling, ours, ...), so that a busy minute of the machine
hits all of them.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load import Cost
from benchmarks.works import WORKS
from llmws_tutorial.server.settings import MOST_CALLS

ROOT: Final = Path(__file__).parent.parent
NAMES: Final = ("ours", "plain", "bare", "ceiling")
LIMIT_S: Final = 120.0
"""How long one round of one work may take."""
STOP_S: Final = 15.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure, and how long.

    Attributes:
        works: names of `WORKS`.
        loop: the event loop of the servers.
        rounds: how often each server does each work.
        scale: how much of the full work a round does.
        offers_deflate: whether the callers offer to compress.
    """

    works: tuple[str, ...]
    loop: str
    rounds: int
    scale: float
    offers_deflate: bool


class Contestant:
    """A server in a process of its own.

    Attributes:
        port: where it listens.
        pid: its process.
        pauses: when its garbage collector paused, and for how many ms; known once it has stopped.
    """

    def __init__(self, name: str, loop: str, pieces: int) -> None:
        self.pauses: list[tuple[float, float]] = []
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
            self.port = int(listener.getsockname()[1])
            descriptor = listener.fileno()
            command = ["-m", "benchmarks.contestants", name, loop, str(pieces), str(descriptor)]
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=[descriptor],
            )
        self.pid = self._process.pid

    def stop(self) -> None:
        """End the process, and read what it reports."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").splitlines()
        self._output.close()
        if self._process.returncode:
            print("\n".join(lines[-20:]), file=sys.stderr)
        else:
            self.pauses = json.loads(lines[-1])

    def longest_pause_ms(self, cost: Cost) -> float:
        """The longest pause during a round."""
        return max((ms for at, ms in self.pauses if cost.began <= at <= cost.ended), default=0.0)


def race(name: str, options: Options) -> dict[str, list[Cost]]:
    """Have every server do one work, in turns; the result is the costs by server and round."""
    is_fresh, costs = WORKS[name].is_fresh, {server: list[Cost]() for server in NAMES}
    for _ in range(options.rounds if is_fresh else 1):
        if is_fresh:  # one at a time, so that the others' open calls take nothing
            for server in NAMES:
                _compete(name, (server,), options, costs)
        else:
            _compete(name, NAMES, options, costs)
    return costs


def _compete(
    name: str, servers: tuple[str, ...], options: Options, costs: dict[str, list[Cost]]
) -> None:
    """Start servers, have each do its rounds in turns, and stop them."""
    work = WORKS[name]
    rounds = {server: list[Cost]() for server in servers}
    with contextlib.ExitStack() as stack:
        running: dict[str, Contestant] = {}
        for server in servers:
            running[server] = Contestant(server, options.loop, work.pieces)
            stack.callback(running[server].stop)
        for _ in range(1 if work.is_fresh else options.rounds):
            for server, contestant in running.items():
                rounds[server].append(_load(name, contestant, options))
    for server, contestant in running.items():
        for cost in rounds[server]:
            if len(cost.amounts) < len(work.rows):  # known to the server alone
                cost.amounts.append(contestant.longest_pause_ms(cost))
        costs[server] += rounds[server]


def _load(name: str, server: Contestant, options: Options) -> Cost:
    arguments = [name, server.port, server.pid, options.scale, options.offers_deflate]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *map(str, arguments)],
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        timeout=LIMIT_S,
        check=True,
    )
    return Cost(**json.loads(done.stdout))


def _environment() -> dict[str, str]:
    """What the children see: as many calls as there may be, and nothing that traces them."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
    return {**kept, "LLMWS_MAX_CALLS": str(MOST_CALLS)}
