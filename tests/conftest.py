"""What holds for every test: whoever starts a task on an event loop also ends it."""

import asyncio
import asyncio.runners
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_task_is_left_behind(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail a test at the end of whose event loops, in any thread, a task still runs.

    `asyncio.run` cancels such tasks silently; here they are noted just before it does. Where code
    that refuses to end is the point of a test, its marker `refuses_to_end` says so.
    """
    left: list[str] = []
    cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def note_and_cancel_all(loop: asyncio.AbstractEventLoop) -> None:
        left.extend(repr(task.get_coro()) for task in asyncio.all_tasks(loop))
        cancel_all(loop)

    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", note_and_cancel_all)
    yield
    assert bool(left) is ("refuses_to_end" in request.keywords), left
