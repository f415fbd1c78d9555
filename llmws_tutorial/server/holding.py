"""The words of a turn that works, with holding lines in its silences.

While a tool runs, and until the model speaks of what came of it, a caller hears nothing and asks
whether anybody is there. So a silence is broken: soon at first, later from time to time.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Coroutine, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from llmws_tutorial.server.actions import Act
from llmws_tutorial.server.speakable import has_words
from llmws_tutorial.server.turn import Note, Piece

QUICK_S: Final = 0.3
"""How long a tool may take before the caller is told to wait (seconds)."""
STILL_S: Final = 6.0
"""How long the caller may wait for a further word (seconds)."""
MOST_LINES: Final = 2
"""How many lines may go out before a model speaks of what came of a tool: it may hang, and each
line puts off the end that the server makes of such a turn."""
HELD_S: Final = 0.25
"""How long the model's last words are held back, as an action may follow (seconds)."""
STILL: Final = "It takes a little longer, please hold on."


class _Mark(Enum):
    BEGIN = "another text begins"
    CALLS = "the model begins to call something"
    END = "nothing more comes"


@dataclass(frozen=True)
class _Words:
    text: str


@dataclass(frozen=True)
class _Work:
    line: str


_Item = Piece | Act | _Mark | _Words | _Work
"""What a turn is made of."""


class Holding:
    """Takes what a turn is made of from one task, and hands pieces to another.

    Where the model may act, its last words are held back for a moment: if an action follows, they
    go out behind it, and nobody can talk over them.
    """

    def __init__(self, still: str = STILL, *, may_act: bool = False) -> None:
        """Begin a turn.

        Args:
            still: what is said when a silence goes on.
            may_act: whether an action may follow the words of the model.
        """
        self._items: asyncio.Queue[_Item] = asyncio.Queue()
        self._may_act = may_act
        self._held = ""
        self._free_s: float | None = None
        self._still = self._line = still
        self._due_s: float | None = None
        self._lines_left: float = MOST_LINES
        self._has_spoken = False
        self._begins = False
        self._last = ""

    def put(self, piece: Note) -> None:
        """Let a note go out."""
        self._items.put_nowait(piece)

    def begin(self) -> None:
        """Let the next words be a text of their own: a blank goes before them."""
        self._items.put_nowait(_Mark.BEGIN)

    def say(self, text: str) -> None:
        """Let words of the model go out, the last ones when others follow."""
        self._items.put_nowait(_Words(text))

    def calls(self) -> None:
        """Keep the last words until it is known what the model calls."""
        self._items.put_nowait(_Mark.CALLS)

    def work(self, line: str) -> None:
        """From now on a silence is broken, until the next words.

        Args:
            line: what is said if nothing was said in this turn so far.
        """
        self._items.put_nowait(_Work(line))

    def act(self, act: Act) -> None:
        """Let an action go out, with words behind it."""
        self._items.put_nowait(act)

    async def pieces(self, thinking: Coroutine[Any, Any, None]) -> AsyncGenerator[Piece, None]:
        """Let something think, and hand on what it puts; it ends with this.

        Raises:
            Exception: what it raises, behind its last piece.
        """
        task = asyncio.create_task(thinking)
        task.add_done_callback(lambda _: self._items.put_nowait(_Mark.END))
        item = None
        try:
            while item is not _Mark.END:
                item = await self._next()
                for piece in self._take(item):
                    yield piece
        finally:
            task.cancel()
            await asyncio.wait({task})
            failure = None if task.cancelled() else task.exception()
        if failure:
            raise failure

    async def _next(self) -> _Item | None:
        """What was put next; None when it is time to say something."""
        times = [at_s for at_s in (self._free_s, self._due_s) if at_s is not None]
        try:
            async with asyncio.timeout_at(min(times, default=None)):
                return await self._items.get()
        except TimeoutError:
            return None

    def _take(self, item: _Item | None) -> Iterator[Piece]:
        """What goes out when something was put."""
        match item:
            case _Words(text):
                yield from self._say(text)
            case _Mark.CALLS:
                self._free_s = None
            case None if self._held:
                yield from self._release()
            case None:
                yield self._hold()
            case Act():
                yield item.action
                self._begins = self._begins or not self._held
                yield self._join(self._held if has_words(self._held) else item.words)
                self._held = ""
            case _Mark():
                yield from self._release()
                self._begins, self._lines_left = True, MOST_LINES
            case _Work(line):
                yield from self._release()
                self._line = self._still if self._has_spoken else line
                self._lines_left = math.inf  # a tool has a time limit of its own
                self._due_s = _now_s() + (STILL_S if self._has_spoken else QUICK_S)
            case _:
                yield item

    def _say(self, text: str) -> Iterator[str]:
        """Say words, and hold the last ones back; the end of a sentence stays with its word."""
        if not self._may_act:
            yield self._join(text)
            return
        if has_words(text):
            yield from self._release()
            self._free_s = _now_s() + HELD_S
        self._held += text

    def _release(self) -> Iterator[str]:
        """Let go of what is held back."""
        held, self._held, self._free_s = self._held, "", None
        if held:
            yield self._join(held)

    def _join(self, text: str) -> str:
        """Put a blank between two texts, and note that the caller hears something."""
        if has_words(text):
            self._has_spoken, self._due_s = True, None
        if self._begins and self._last and not self._last.isspace():
            text = f" {text.lstrip()}"
        self._begins, self._last = False, text[-1:]
        return text

    def _hold(self) -> str:
        """Break the silence."""
        self._begins = True
        line = self._join(self._line)
        self._begins, self._line = True, self._still
        self._lines_left -= 1
        self._due_s = _now_s() + STILL_S if self._lines_left else None
        return line


def _now_s() -> float:
    return asyncio.get_running_loop().time()
