"""A server's log: always kept, and shown under the cell that started the server.

A background thread's output belongs to no cell: a kernel puts it under whichever cell runs at
that moment. ipykernel 7.4 can pin a thread to a cell; on a kernel that cannot, nothing is shown
and the kept lines are the log.
"""

import contextlib
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

KEPT_LINES: Final = 10_000
"""How many lines are kept; the oldest go first."""
_LOGGERS: Final = ("uvicorn", "asyncio")


class ServerLog(logging.Handler):
    """What one server logged: iterate over it, search it with ``in``, or print it.

    Made by `serve`; it listens to the loggers of uvicorn and asyncio on the server's own thread.
    """

    def __init__(self) -> None:
        super().__init__(level=logging.INFO)
        self.is_shown = False
        self._followers: list[Callable[[str], None]] = []
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._grown = threading.Condition()
        self._cell = _current_cell()
        self._thread: int | None = None
        self.addFilter(lambda record: record.thread == self._thread)
        self.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))

    def attach(self) -> None:
        """Begin to listen to the calling thread, and pin its output to the cell."""
        self._thread = threading.get_ident()
        if self._cell is not None:
            shell, parent = self._cell
            shell.set_thread_parent(parent)
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)
        logging.getLogger("uvicorn").setLevel(logging.INFO)

    def detach(self) -> None:
        """Stop listening; the lines are kept."""
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self)

    def follow(self, told: Callable[[str], None]) -> Callable[[], None]:
        """Have somebody told every line: those so far at once, the others as they come.

        Args:
            told: told of a new line on the server's own thread.

        Returns:
            What ends it; from then on nothing is told any more.
        """
        with self._grown:  # a line that comes meanwhile is neither lost nor told twice
            for line in self._lines:
                told(line)
            self._followers.append(told)
        return lambda: self._unfollow(told)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record as a line, and show it where that is possible."""
        line = self.format(record)
        with self._grown:
            self._lines.append(line)
            self._grown.notify_all()
            followers = tuple(self._followers)
        for told in followers:
            try:
                told(line)
            except Exception:  # whoever follows is not the server's business
                self.handleError(record)
        if self.is_shown and (self._cell is not None or _ipython() is None):
            print(line, file=sys.stdout, flush=True)

    def wait_for(self, text: str, timeout_s: float = 5.0) -> bool:
        """Wait until a line holds a text: the server logs on a thread of its own.

        Returns:
            Whether such a line came in time.
        """
        with self._grown:
            return self._grown.wait_for(lambda: text in self, timeout_s)

    def _unfollow(self, told: Callable[[str], None]) -> None:
        with self._grown, contextlib.suppress(ValueError):  # it may be ended twice
            self._followers.remove(told)

    def __contains__(self, text: str) -> bool:
        return any(text in line for line in self)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._lines))

    def __str__(self) -> str:
        return "\n".join(self)

    def __repr__(self) -> str:
        return "<ServerLog>"  # fixed: the number of lines differs from run to run


def _ipython() -> Any:
    """The IPython shell that this code runs in, or None in plain Python."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module else None


def _current_cell() -> tuple[Any, Any] | None:
    """The shell and the running cell's request, if the kernel can pin a thread to it."""
    shell = _ipython()
    if not hasattr(shell, "set_thread_parent"):
        return None
    return shell, shell.get_parent()
