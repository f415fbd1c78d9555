"""What the stand-in itself costs: many calls from one process, a call without pauses, its memory.

The server is a process of its own; what is measured is the process that places the calls.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Final

from llmws_tutorial.simulator import place_call
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.clock import UNPACED
from llmws_tutorial.simulator.dialer import act, new_record
from llmws_tutorial.simulator.memory import converse
from llmws_tutorial.simulator.record import Frame
from llmws_tutorial.simulator.scenario import Step

SAYS: Final = "I would like to know whether you are open on Sunday afternoon."
LATE_S: Final = 0.25
"""A heartbeat that is later than this is late: the platform sends one every 2 s."""


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Serve in a process of its own; the value is the URL to call."""
    command = [sys.executable, "-m", "llmws_tutorial", "serve", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            found = re.search(r"ws://\S+", said)
            if found is None:
                raise RuntimeError(f"the server did not start, it said {said!r}")
            yield found[0]
        finally:
            process.terminate()


class Heartbeats:
    """How late the heartbeats of one call were sent (seconds)."""

    def __init__(self) -> None:
        self.first_s = 0.0
        self.late_s: list[float] = []

    def keep(self, frame: Frame) -> None:
        """Take note of a frame, if it is a heartbeat."""
        if frame.sender == "platform" and '"ping_pong"' in str(frame.data)[:40]:
            now_s = time.monotonic()
            self.first_s = self.first_s or now_s
            self.late_s.append(now_s - self.first_s - 2.0 * len(self.late_s))


async def one_call(url: str, seconds: float, beats: Heartbeats) -> int:
    """Place one realistic call: a question, an answer, a little silence, and so on."""
    record = new_record()
    record.keeps_frames = False
    record.keeper = beats.keep
    steps = [Step(say=SAYS), Step(silent_s=1.5)] * int(seconds / 10)
    await act(url, record, Caller(steps))
    return sum(turn.complete_at_s is not None for turn in record.turns)


async def many_calls(url: str, calls: int, seconds: float) -> None:
    """Place many calls at once, at the pace of speech, spread over the first seconds."""
    beats = [Heartbeats() for _ in range(calls)]

    async def spread(number: int) -> int:
        await asyncio.sleep(5 * number / calls)
        return await one_call(url, seconds, beats[number])

    cpu_s, began_s = time.process_time(), time.monotonic()
    turns = await asyncio.gather(*(spread(number) for number in range(calls)))
    cpu_s, took_s = time.process_time() - cpu_s, time.monotonic() - began_s
    late = sorted(late_s for beat in beats for late_s in beat.late_s)
    print(f"{calls} calls at once for {took_s:.0f} s: {sum(turns)} turns answered")
    print(f"  {cpu_s / took_s:.0%} of a core")
    if late:
        p99 = late[int(len(late) * 0.99)]
        too_late = sum(late_s > LATE_S for late_s in late)
        print(f"  {len(late)} heartbeats, p99 {p99 * 1000:.0f} ms late, {too_late} over 250 ms")


async def without_pauses(url: str, rounds: int, name: str) -> None:
    """Place calls of 50 turns in which nobody waits for a word."""
    took_ms = []
    for _ in range(rounds):
        began_s = time.monotonic()
        record = await place_call(url, ["Hello?"] * 50, speed=UNPACED)
        took_ms.append((time.monotonic() - began_s) * 1000)
        if len(record.turns) != 51:
            raise RuntimeError(f"expected 51 turns, got {len(record.turns)}")
    took_ms.sort()
    print(f"50 turns with {name} without pauses: {took_ms[0]:.0f} ms at best, ", end="")
    print(f"{took_ms[len(took_ms) // 2]:.0f} ms in the middle of {rounds}")


def dummy(frame: str | None) -> Iterator[str]:
    """Be a server in memory: greet, and answer every request."""
    if frame is None or '"response_id"' in frame:
        response_id = 0 if frame is None else json.loads(frame)["response_id"]
        said = {"content": "Yes, we are open until five.", "content_complete": True}
        yield json.dumps({"response_id": response_id, **said})


def an_hour() -> None:
    """Act out an hour of a call in memory."""
    record, caller = new_record(), Caller([Step(say=SAYS), Step(silent_s=29)] * 100)
    began_s = time.monotonic()
    converse(dummy, caller, record)
    took_s, lasted_s = time.monotonic() - began_s, record.call.now_s
    print(f"a call of {lasted_s:.0f} s in memory: {took_s:.2f} s, {len(record.frames)} frames")


def memory(calls: int) -> None:
    """Hold calls of ten turns in memory, without their recordings."""
    tracemalloc.start()
    held = []
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(calls):
        record, caller = new_record(), Caller([Step(say=SAYS)] * 10)
        record.keeps_frames = False
        converse(dummy, caller, record)
        held.append((record, caller))
    gc.collect()
    used = (tracemalloc.get_traced_memory()[0] - before) / calls / 1000
    tracemalloc.stop()
    print(f"a call of ten turns: {used:.0f} kB beside its recording ({len(held)} held)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standin", description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args(arguments)
    memory(100)
    an_hour()
    for name in ("the step-3 server", "create_app"):
        server = ("--step", "3") if name.startswith("the") else ("benchmarks.answering:app",)
        with served(*server) as url:
            asyncio.run(without_pauses(url, chosen.rounds, name))
    with served("benchmarks.answering:app") as url:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        asyncio.run(many_calls(url, chosen.calls, chosen.seconds))


if __name__ == "__main__":
    main()
