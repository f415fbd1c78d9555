"""The load, in a process of its own: it does one kind of work and reads what it cost the server.

``python -m benchmarks.load NAME PORT PID SCALE DEFLATE`` prints one JSON object; ``SCALE`` shortens
the work, ``PID`` is the server's.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import accumulate
from time import monotonic
from typing import Final

from benchmarks.caller import Caller
from benchmarks.limits import cpu_s, memory_kib, raise_open_files
from benchmarks.works import PIECES

LIMIT_S: Final = 100.0
UTTERANCES: Final = 200
"""How long the realistic call grows: with word times, a frame is about 110 kB at the end."""
WORDS: Final = 10
"""Words an utterance; each comes with an update."""
UPDATE_S: Final = 0.25
_UPDATE: Final = b'update_only"'


@dataclass(frozen=True)
class Cost:
    """What one round of a work took.

    Attributes:
        amount: per unit of work, in the unit of the work.
        began: when the round began (seconds, the machine's monotonic clock).
        ended: when it was over.
    """

    amount: float
    began: float
    ended: float


class Load:
    """Callers against one server.

    Args:
        port: where the server listens.
        pid: its process.
        scale: how much of the full work to do.
        offers_deflate: whether callers offer to compress, as most WebSocket clients do.
    """

    def __init__(self, port: int, pid: int, *, scale: float, offers_deflate: bool) -> None:
        self.pid = pid
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

    async def calls(self, count: int) -> list[Caller]:
        """Open many calls, a few at a time."""
        callers: list[Caller] = []
        while len(callers) < count:
            batch = min(20, count - len(callers))
            callers += await asyncio.gather(*(self.call() for _ in range(batch)))
        return callers

    async def cpu_us(self, work: Callable[[], Awaitable[object]]) -> float:
        """What a work costs the server (microseconds on a core)."""
        await asyncio.sleep(0.05)  # what came before is over
        before = cpu_s(self.pid)
        await work()
        await asyncio.sleep(0.05)
        return (cpu_s(self.pid) - before) * 1e6


async def turn(load: Load) -> float:
    """Short questions in many calls at once."""
    callers, turns = await load.calls(load.count(100)), load.count(40)
    said = b",".join(utterance(number, WORDS) for number in range(2))
    cost = await load.cpu_us(lambda: _all_ask(callers, turns, said))
    await _hang_up(callers)
    return cost / turns / len(callers)


async def chunk(load: Load) -> float:
    """Answers that come piece by piece."""
    callers, turns = await load.calls(load.count(20)), load.count(10)
    cost = await load.cpu_us(lambda: _all_ask(callers, turns, b""))
    await _hang_up(callers)
    return cost / turns / len(callers) / PIECES


async def call(load: Load) -> float:
    """One call from its first word to its last, as fast as the server takes it."""
    caller = await load.call()
    utterances = load.count(UTTERANCES)

    async def replay() -> None:
        for message, response_id in messages(utterances):
            if response_id:
                await caller.ask(message, response_id)
            else:
                caller.tell(message)

    cost = await load.cpu_us(replay)
    await caller.hang_up()
    return cost / utterances / WORDS


async def connect(load: Load) -> float:
    """Calls that are greeted and hang up."""
    batches = load.count(30)

    async def come_and_go() -> None:
        for _ in range(batches):
            await _hang_up(await load.calls(10))

    return await load.cpu_us(come_and_go) / batches / 10


async def memory(load: Load) -> float:
    """Open calls that have seen a long transcript."""
    said = b",".join(utterance(number, WORDS) for number in range(36))
    first = await load.call()  # what is made once is made now
    await _ask(first, 1, said)
    before, count = memory_kib(load.pid), load.count(300)
    callers = await load.calls(count)
    for caller in callers:
        await _ask(caller, 1, said)
    used = memory_kib(load.pid) - before
    await _hang_up([first, *callers])
    return used / count


async def p99(load: Load) -> float:
    """Many realistic calls, each at another age, at the pace of speech."""
    callers, updates = await load.calls(load.count(200)), load.count(32)
    waits: list[asyncio.Task[float]] = []

    async def live(number: int, caller: Caller) -> None:
        await asyncio.sleep(UPDATE_S * number / len(callers))
        started = 1 + (UTTERANCES - 8) * number // len(callers)
        for _, (message, response_id) in zip(
            range(updates + number % WORDS), messages(UTTERANCES, started), strict=False
        ):
            if response_id:
                waits.append(asyncio.create_task(caller.ask(message, response_id)))
            else:
                caller.tell(message)
            await asyncio.sleep(UPDATE_S)

    await asyncio.gather(*(live(number, caller) for number, caller in enumerate(callers)))
    seconds = await asyncio.gather(*waits)
    await _hang_up(callers)
    return statistics.quantiles([*seconds, max(seconds)], n=100)[-1] * 1000


LOADS: Final[dict[str, Callable[[Load], Awaitable[float]]]] = {
    work.__name__: work for work in (turn, call, chunk, connect, memory, p99)
}
"""The work by its name in `WORKS`; each returns the cost of one unit."""


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


def messages(until: int, since: int = 0) -> Iterator[tuple[bytes, int]]:
    """A call that grows: a message for each word, and the id that it is to be answered with."""
    response_id = 0
    for number in range(since, until):
        for words in range(1, WORDS + 1):
            said = _grown()[number] + utterance(number, words)
            is_request = number % 2 == 1 and words == WORDS
            response_id += is_request
            yield _message(said, response_id * is_request), response_id * is_request


def _message(said: bytes, response_id: int) -> bytes:
    kind = b'response_required","response_id":%d' % response_id if response_id else _UPDATE
    return b'{"interaction_type":"%b,"transcript":[%b]}' % (kind, said)


async def _all_ask(callers: list[Caller], turns: int, said: bytes) -> None:
    await asyncio.gather(*(_ask(caller, turns, said) for caller in callers))


async def _ask(caller: Caller, turns: int, said: bytes) -> None:
    for response_id in range(1, turns + 1):
        await caller.ask(_message(said, response_id), response_id)


async def _hang_up(callers: list[Caller]) -> None:
    await asyncio.gather(*(caller.hang_up() for caller in callers))


async def main(name: str, load: Load) -> Cost:
    """Do one work, within a limit."""
    async with asyncio.timeout(LIMIT_S):
        await (await load.call()).hang_up()  # the server has started, and has done all this once
        began = monotonic()
        amount = await LOADS[name](load)
        return Cost(amount, began, monotonic())


if __name__ == "__main__":
    raise_open_files()
    work, port, pid, scale, deflate = sys.argv[1:]
    wanted = Load(int(port), int(pid), scale=float(scale), offers_deflate=deflate == "True")
    print(json.dumps(asdict(asyncio.run(main(work, wanted)))))
