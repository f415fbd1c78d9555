"""What is measured, and what is hoped for: the rows of the table."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number of a work.

    Attributes:
        title: what it is, as the table says it.
        unit: what the number counts.
        of_plain: our share of what the plain server takes, at most; None has no goal.
        of_ceiling: our share of what the ceiling takes, at most; None has no goal.
        most: our number itself, at most; None has no goal.
    """

    title: str
    unit: str
    of_plain: float | None = None
    of_ceiling: float | None = None
    most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Work:
    """One kind of work for a server.

    Attributes:
        rows: what is read from it; a load returns a number for each.
        calls: how many calls are open.
        pieces: how many pieces an answer has; 0 answers in one.
        is_fresh: whether each round needs a server that has done nothing yet.
    """

    rows: tuple[Row, ...]
    calls: int
    pieces: int = 0
    is_fresh: bool = False


PIECES: Final = 40
CPU: Final = "µs CPU"


def _call(calls: int) -> Work:
    title = f"a message of a realistic call, {calls:,} calls"
    return Work(rows=(Row(title=title, unit=CPU, of_plain=0.40),), calls=calls)


def _memory(calls: int) -> Work:
    title = f"an open call after 20 kB, {calls:,} calls"
    row = Row(title=title, unit="KiB PSS", of_plain=0.5)
    return Work(rows=(row,), calls=calls, is_fresh=True)


def _p99(calls: int, most: float | None = None) -> Work:
    return Work(
        rows=(
            Row(title=f"p99 of a turn, {calls} realistic calls", unit="ms", most=most),
            Row(title="the longest garbage pause meanwhile", unit="ms", most=most),
        ),
        calls=calls,
        is_fresh=True,
    )


WORKS: Final = {
    "turn": Work(
        rows=(Row(title="a turn, 100 calls at once", unit=CPU, of_plain=0.55, of_ceiling=1.7),),
        calls=100,
    ),
    "call-200": _call(200),
    "call-1000": _call(1000),
    "chunk": Work(
        rows=(Row(title=f"a streamed chunk, {PIECES} an answer", unit=CPU, of_plain=0.6),),
        calls=20,
        pieces=PIECES,
    ),
    "connect": Work(
        rows=(
            Row(title="a connection with greeting", unit=CPU, of_plain=0.5),
            Row(title="connections with greeting", unit="a second"),
        ),
        calls=10,
    ),
    "memory-1000": _memory(1000),
    "memory-5000": _memory(5000),
    "p99-200": _p99(200),
    "p99-700": _p99(700, most=25),
}
"""What can be measured, by name; the load is the first word of the name."""
