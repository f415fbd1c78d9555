"""What a dashboard does in the background.

Nothing of it is left running at the end, and no failure is swallowed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.errors import LlmwsError

Tell = Callable[[Event], None]
"""Tells a page something, or all pages."""
_log: Final = logging.getLogger(__name__)


class Jobs:
    """The tasks of one desk; what goes wrong in one is told to everybody."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing: set[asyncio.Future[None]] = set()
        self._disk = ThreadPoolExecutor(1, "llmws disk")  # a long call takes a second to read

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something be done from now on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def read(self, read: Callable[[], Event], tell: Tell) -> None:
        """Read something from the disk, on a thread, in the order asked for, and tell it."""

        async def work() -> None:
            with self.telling(tell):
                tell(await asyncio.get_running_loop().run_in_executor(self._disk, read))

        self.start(work())

    def write(self, write: Callable[[], None], tell: Tell | None = None) -> None:
        """Write something to the disk, on that thread too: what is read after it finds it.

        Args:
            write: writes it; the end of everything waits for it.
            tell: tells what goes wrong to whoever asked for it; None: to everybody.
        """
        writing = asyncio.get_running_loop().run_in_executor(self._disk, write)
        self._writing.add(writing)
        writing.add_done_callback(partial(self._written, tell))

    @contextlib.contextmanager
    def telling(self, tell: Tell | None = None) -> Iterator[None]:
        """Tell what goes wrong in the block, in words.

        Args:
            tell: tells it to whoever asked for what is done; None: to everybody.
        """
        try:
            yield
        except LlmwsError as error:
            (tell or self._tell)({"type": "trouble", "text": str(error)})
        except Exception as error:
            _log.exception("a defect of the dashboard")
            text = f"a defect of the dashboard itself, please report it: {error!r:.300}"
            (tell or self._tell)({"type": "trouble", "text": text})

    async def close(self) -> None:
        """End everything; what is to be written is written first."""
        while self._tasks or self._writing:  # the end of one may begin another
            for task in self._tasks:
                task.cancel()
            await asyncio.wait([*self._tasks, *self._writing])
        self._disk.shutdown(wait=False, cancel_futures=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            with self.telling():
                task.result()

    def _written(self, tell: Tell | None, writing: asyncio.Future[None]) -> None:
        self._writing.discard(writing)
        with self.telling(tell):
            writing.result()


async def after(
    before: asyncio.Task[None] | None, work: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Do something once what was done before has come to its end, which is now."""
    if before is not None:
        before.cancel()
        await asyncio.wait([before])
    await work()
