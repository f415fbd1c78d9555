"""Measure, side by side in one run: ``python -m benchmarks`` prints a table and ratios.

Only ratios mean something, and only those of one run: the numbers themselves are those of a machine
and of what else it does. Rounds are interleaved (ours, plain, ceiling, ours, ...), so that a busy
minute hits all three; a ratio is the median of those of the rounds.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.works import WORKS, Work

ROOT: Final = Path(__file__).parent.parent
NAMES: Final = ("ours", "plain", "ceiling")
LIMIT_S: Final = 120.0
"""How long one round of one work may take."""
STOP_S: Final = 10.0


@dataclass(frozen=True)
class Options:
    """What to measure, and how long.

    Attributes:
        works: names of `WORKS`.
        loops: event loops of the servers.
        rounds: how often each server does each work.
        scale: how much of the full work a round does.
        offers_deflate: whether the callers offer to compress.
    """

    works: tuple[str, ...]
    loops: tuple[str, ...]
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


@dataclass(frozen=True)
class Round:
    """What one round of a work cost one server, and the longest pause in it (ms)."""

    amount: float
    pause_ms: float


def measure(name: str, loop: str, options: Options) -> dict[str, list[Round]]:
    """Have every server do one work, in turns."""
    work = WORKS[name]
    rounds = 1 if name == "p99" else options.rounds
    costs: dict[str, list[tuple[float, float, float]]] = {server: [] for server in NAMES}
    pauses: dict[str, list[tuple[float, float]]] = {server: [] for server in NAMES}
    for _ in range(rounds if work.is_fresh else 1):
        with contextlib.ExitStack() as stack:
            servers: dict[str, Contestant] = {}
            for server in NAMES:
                servers[server] = Contestant(server, loop, work.pieces)
                stack.callback(servers[server].stop)
            for _ in range(1 if work.is_fresh else rounds):
                for server, contestant in servers.items():
                    costs[server].append(_load(name, contestant, options))
        for server, contestant in servers.items():
            pauses[server] += contestant.pauses
    return {
        server: [
            Round(
                amount, max((ms for at, ms in pauses[server] if began <= at <= ended), default=0.0)
            )
            for amount, began, ended in costs[server]
        ]
        for server in NAMES
    }


def report(options: Options) -> Iterator[str]:
    """Measure everything that was asked for; yields the lines of Markdown tables."""
    for loop in options.loops:
        yield f"\n| Work, on {loop} | Unit | Ours | Plain | Ceiling | Ours/plain | Ours/ceiling |"
        yield "|---|---|--:|--:|--:|--:|--:|"
        for name in options.works:
            yield from _rows(WORKS[name], measure(name, loop, options))


def _rows(work: Work, rounds: dict[str, list[Round]]) -> Iterator[str]:
    amounts = {server: [one.amount for one in rounds[server]] for server in NAMES}
    medians = " | ".join(f"{median(amounts[server]):.1f}" for server in NAMES)
    plain = _ratio(amounts["ours"], amounts["plain"], work.of_plain)
    ceiling = _ratio(amounts["ours"], amounts["ceiling"], work.of_ceiling)
    yield f"| {work.title} | {work.unit} | {medians} | {plain} | {ceiling} |"
    if work is WORKS["p99"]:
        pauses = [max(one.pause_ms for one in rounds[server]) for server in NAMES]
        longest = " | ".join(f"{pause:.1f}" for pause in pauses)
        yield f"| the longest garbage pause meanwhile | ms | {longest} | | |"


def _ratio(ours: list[float], other: list[float], goal: float | None) -> str:
    """The median of the rounds' ratios, beside its goal."""
    ratio = median(mine / theirs for mine, theirs in zip(ours, other, strict=True))
    if goal is None:
        return f"{ratio:.2f}"
    return f"{ratio:.2f} ({'met' if ratio <= goal else 'missed'}: {goal:.2f})"


def _load(name: str, server: Contestant, options: Options) -> tuple[float, float, float]:
    arguments = [name, server.port, server.pid, options.scale, options.offers_deflate]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *map(str, arguments)],
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        timeout=LIMIT_S,
        check=True,
    )
    cost = json.loads(done.stdout)
    return cost["amount"], cost["began"], cost["ended"]


def _environment() -> dict[str, str]:
    """What the children see: no limit on calls, and nothing that traces them."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
    return {**kept, "LLMWS_MAX_CALLS": "100000"}


def read_options(arguments: list[str]) -> Options:
    """Read the command line."""
    loops = [loop for loop in ("uvloop", "asyncio") if loop == "asyncio" or find_spec(loop)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", help=f"what to measure: {', '.join(WORKS)}")
    parser.add_argument("--loop", choices=loops, action="append", help="one event loop only")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default: 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="shorten: 0.1 does a tenth")
    parser.add_argument("--deflate", action="store_true", help="callers offer to compress")
    given = parser.parse_args(arguments)
    if unknown := set(given.works) - set(WORKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected {', '.join(WORKS)}")
    if given.rounds < 1 or given.scale <= 0:
        parser.error("--rounds and --scale must be above 0")
    return Options(
        works=tuple(given.works or WORKS),
        loops=tuple(given.loop or loops),
        rounds=given.rounds,
        scale=given.scale,
        offers_deflate=given.deflate,
    )


def main(arguments: list[str]) -> None:
    """Print the tables, each line as soon as it is known."""
    for line in report(read_options(arguments)):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
