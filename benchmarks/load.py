"""The load, in a process of its own: it does one kind of work and reads what it cost the server.

``python -m benchmarks.load NAME PORT PID SCALE DEFLATE`` prints one JSON object; ``SCALE`` shortens
the work, ``PID`` is the server's. Transcripts and frames are made before the work begins, and the
loop is uvloop where it is installed: the load should be cheaper than any server.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from itertools import accumulate, islice
from time import monotonic
from typing import Any, Final

from benchmarks.caller import Caller, frame
from benchmarks.limits import cpu_s, memory_kib, raise_open_files
from benchmarks.works import PIECES, WORKS

LIMIT_S: Final = 100.0
UTTERANCES: Final = 200
"""How long a realistic call grows: with word times, a frame is about 110 kB at the end."""
WORDS: Final = 10
"""Words an utterance; each comes with an update."""
UPDATE_S: Final = 0.25
PACED: Final = 48
"""How many updates of a call are paced: 12 s, and two or three turns."""
LATE_S: Final = 5.0
"""How late a paced message may be sent because the line is full; then the call is given up."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one round of a work took.

    Attributes:
        amounts: a number for each row of the work, in its unit.
        began: when the round began (seconds, the machine's monotonic clock).
        ended: when it was over.
        load_share: how much of a core the load itself took meanwhile.
    """

    amounts: list[float]
    began: float
    ended: float
    load_share: float


class Load:
    """Callers against one server.

    Attributes:
        pid: the server's process.
        share: how much of a core the callers took while the server's was counted.

    Args:
        port: where the server listens.
        pid: its process.
        scale: how much of the full work to do.
        offers_deflate: whether callers offer to compress, as most WebSocket clients do.
    """

    def __init__(self, port: int, pid: int, *, scale: float, offers_deflate: bool) -> None:
        self.pid = pid
        self.share = 0.0
        self._port = port
        self._scale = scale
        self._offers_deflate = offers_deflate
        self._dialled = 0

    def count(self, full: int) -> int:
        """Shorten a count."""
        return max(1, round(full * self._scale))

    async def call(self) -> Caller:
        """Open one call, and hear its greeting."""
        self._dialled += 1
        caller = Caller(f"call_{self._dialled}", offers_deflate=self._offers_deflate)
        await caller.open(self._port)
        return caller

    async def calls(self, full: int) -> list[Caller]:
        """Open many calls, a few at a time."""
        callers: list[Caller] = []
        while (missing := self.count(full) - len(callers)) > 0:
            callers += await asyncio.gather(*(self.call() for _ in range(min(20, missing))))
        return callers

    async def cpu_us(self, work: Coroutine[Any, Any, object]) -> float:
        """What a work costs the server (microseconds on a core)."""
        await asyncio.sleep(0.05)  # what came before is over
        before, own_before, began = cpu_s(self.pid), cpu_s(os.getpid()), monotonic()
        await work
        self.share = (cpu_s(os.getpid()) - own_before) / (monotonic() - began)
        await asyncio.sleep(0.05)
        return (cpu_s(self.pid) - before) * 1e6


async def turn(load: Load, calls: int) -> list[float]:
    """Short questions in many calls at once."""
    callers, turns = await load.calls(calls), load.count(60)
    said = b",".join(utterance(number, WORDS) for number in range(2))
    cost = await load.cpu_us(_all_ask(callers, turns, said))
    await _hang_up(callers)
    return [cost / turns / len(callers)]


async def chunk(load: Load, calls: int) -> list[float]:
    """Answers that come piece by piece."""
    callers, turns = await load.calls(calls), load.count(20)
    said = utterance(1, WORDS)
    cost = await load.cpu_us(_all_ask(callers, turns, said))
    await _hang_up(callers)
    return [cost / turns / len(callers) / PIECES]


async def call(load: Load, calls: int) -> list[float]:
    """A piece of each of many calls of all ages, as fast as the server takes it.

    A call sends its next message once the line has taken the last one, and waits for its answers.
    """
    callers, sent = await load.calls(calls), load.count(max(WORDS, 4000 // calls))
    pieces = [list(piece) for piece in _pieces(len(callers), sent)]

    async def replay(caller: Caller, piece: list[tuple[bytes, int]]) -> None:
        for message, response_id in piece:
            await _send(caller, message, response_id)

    cost = await load.cpu_us(_together(map(replay, callers, pieces)))
    await _hang_up(callers)
    return [cost / sent / len(callers)]


async def p99(load: Load, calls: int) -> list[float]:
    """The same at the pace of speech; a turn takes from when its request was due to its answer."""
    callers, waits = await load.calls(calls), list[float]()
    pieces = [list(piece) for piece in _pieces(len(callers), load.count(PACED))]
    start = monotonic() + 0.1

    async def live(number: int, caller: Caller) -> None:
        due = start + UPDATE_S * number / len(callers)
        for message, response_id in pieces[number]:
            await asyncio.sleep(due - monotonic())
            if monotonic() - due > LATE_S:
                waits.append(monotonic() - due)
                break
            await _send(caller, message, response_id)
            if response_id:
                waits.append(monotonic() - due)
            due += UPDATE_S

    await load.cpu_us(_together(live(number, caller) for number, caller in enumerate(callers)))
    await _hang_up(callers)
    return [sorted(waits or [0.0])[int(len(waits) * 0.99)] * 1000]


async def connect(load: Load, calls: int) -> list[float]:
    """Calls that are greeted and hang up: CPU each, and how many a second."""
    batches = load.count(60)

    async def come_and_go() -> None:
        for _ in range(batches):
            await _hang_up(list(await asyncio.gather(*(load.call() for _ in range(calls)))))

    began = monotonic()
    cost = await load.cpu_us(come_and_go())
    seconds = monotonic() - began - 0.1
    return [cost / batches / calls, batches * calls / seconds]


async def memory(load: Load, calls: int) -> list[float]:
    """Open calls that have seen a long transcript, in an update and in a question."""
    said = b",".join(utterance(number, WORDS) for number in range(36))
    first = await load.call()  # what is made once is made now
    await _ask(first, 1, said)
    before = memory_kib(load.pid)
    callers = await load.calls(calls)
    for caller in callers:
        await caller.tell(frame(_message(said, 0)))
        await _ask(caller, 1, said)
    used = memory_kib(load.pid) - before
    await _hang_up([first, *callers])
    return [used / len(callers)]


LOADS: Final[dict[str, Callable[[Load, int], Awaitable[list[float]]]]] = {
    work.__name__: work for work in (turn, chunk, call, p99, connect, memory)
}
"""The loads, by the first word of a work's name; each returns a number for each row."""


@cache
def utterance(number: int, words: int) -> bytes:
    """The first words of an utterance, as the platform writes them: times of every word."""
    start = number * WORDS * UPDATE_S
    spoken = [
        {"word": "indeed", "start": start + word * UPDATE_S, "end": start + word * UPDATE_S + 0.2}
        for word in range(words)
    ]
    said = {
        "role": "user" if number % 2 else "agent",
        "content": " ".join(["indeed"] * words),
        "words": spoken,
    }
    return json.dumps(said, separators=(",", ":")).encode()


@cache
def _grown() -> list[bytes]:
    """The transcript after each whole utterance; every caller shares them."""
    whole = (utterance(number, WORDS) + b"," for number in range(UTTERANCES))
    return list(accumulate(whole, initial=b""))


def messages(since: int = 0) -> Iterator[tuple[bytes, int]]:
    """A call that grows: a frame for each word, and the id that it is to be answered with."""
    response_id = 0
    for number in range(since, UTTERANCES):
        for words in range(1, WORDS + 1):
            is_question = number % 2 == 1 and words == WORDS
            response_id += is_question
            asked = response_id * is_question
            yield _frame(number, words, asked), asked


def _pieces(calls: int, length: int) -> Iterator[Iterator[tuple[bytes, int]]]:
    """A piece of each of many calls, of ages spread evenly from the first word to the last."""
    oldest, pair = (UTTERANCES - length // WORDS) // 2 - 2, 2 * WORDS
    for number in range(calls):
        skipped = (pair - 1 + number) % pair  # the first begins with a question, the rest in turns
        yield islice(messages(2 * (oldest * number // calls)), skipped, skipped + length)


@cache
def _frame(number: int, words: int, response_id: int) -> bytes:
    return frame(_message(_grown()[number] + utterance(number, words), response_id))


def _message(said: bytes, response_id: int) -> bytes:
    kind = b'response_required","response_id":%d' % response_id if response_id else b'update_only"'
    return b'{"interaction_type":"%b,"transcript":[%b]}' % (kind, said)


async def _send(caller: Caller, sent: bytes, response_id: int) -> None:
    if response_id:
        await caller.ask(sent, response_id)
    else:
        await caller.tell(sent)


async def _together(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    await asyncio.gather(*works)


async def _all_ask(callers: list[Caller], turns: int, said: bytes) -> None:
    await _together(_ask(caller, turns, said) for caller in callers)


async def _ask(caller: Caller, turns: int, said: bytes) -> None:
    for response_id in range(1, turns + 1):
        await caller.ask(frame(_message(said, response_id)), response_id)


async def _hang_up(callers: list[Caller]) -> None:
    await _together(caller.hang_up() for caller in callers)


async def main(name: str, load: Load) -> Cost:
    """Do one work, within a limit."""
    async with asyncio.timeout(LIMIT_S):
        await (await load.call()).hang_up()  # the server has started, and has done all this once
        began = monotonic()
        amounts = await LOADS[name.partition("-")[0]](load, WORKS[name].calls)
        return Cost(amounts=amounts, began=began, ended=monotonic(), load_share=load.share)


def _run(name: str, load: Load) -> Cost:
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        from uvloop import new_event_loop as new_loop  # noqa: PLC0415 - not on every platform
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main(name, load))


if __name__ == "__main__":
    raise_open_files()
    work, port, pid, scale, deflate = sys.argv[1:]
    wanted = Load(int(port), int(pid), scale=float(scale), offers_deflate=deflate == "True")
    print(json.dumps(asdict(_run(work, wanted))))
