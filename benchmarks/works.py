"""What is measured, and what is hoped for: the rows of the table."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Work:
    """One kind of work for a server.

    Attributes:
        title: what it is, as the table says it.
        unit: what a number counts.
        of_plain: our share of what the plain server takes, at most; None has no goal.
        of_ceiling: our share of what the ceiling takes, at most; None has no goal.
        pieces: how many pieces an answer has; 0 answers in one.
        is_fresh: whether each round needs a server that has done nothing yet.
    """

    title: str
    unit: str
    of_plain: float | None = None
    of_ceiling: float | None = None
    pieces: int = 0
    is_fresh: bool = False


PIECES: Final = 40
WORKS: Final = {
    "turn": Work("a turn, 100 calls at once", "µs CPU", of_plain=0.55, of_ceiling=1.7),
    "call": Work("a message of a realistic call", "µs CPU", of_plain=0.40),
    "chunk": Work(f"a streamed chunk, {PIECES} an answer", "µs CPU", of_plain=0.6, pieces=PIECES),
    "connect": Work("a connection with greeting", "µs CPU", of_plain=0.5),
    "memory": Work("an open call after 20 kB", "KiB PSS", of_plain=0.5, is_fresh=True),
    "p99": Work("p99 of a turn, realistic calls", "ms", is_fresh=True),
}
"""What can be measured, by name."""
