"""A limit that is moved for free, and that is a time-out like any other."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from llmws_tutorial.server.patience import Patience

LIMIT_S = 8.0


class Jumping(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer when there is nothing else to do."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=Jumping) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_what_comes_in_time_is_not_disturbed() -> None:
    async def main() -> str:
        with Patience(LIMIT_S):
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "done"

    assert run(main()) == "done"


def test_what_takes_too_long_is_a_time_out_and_the_task_goes_on() -> None:
    async def main() -> tuple[float, int]:
        with pytest.raises(TimeoutError), Patience(LIMIT_S):
            await asyncio.sleep(100)
        task = asyncio.current_task()
        assert task
        return now(), task.cancelling()

    assert run(main()) == (LIMIT_S, 0)


async def come(patience_s: float, *pieces: tuple[float, float]) -> None:
    """Have pieces come after some time each, and each move the limit."""
    with Patience(patience_s) as patience:
        for after_s, limit_s in pieces:
            await asyncio.sleep(after_s)
            patience.extend(limit_s)
        await asyncio.sleep(100)


@pytest.mark.parametrize(
    ("patience_s", "pieces", "ends"),
    [
        (8, [(7, 15)], 22),
        (8, [(7, 15), (14, 15)], 36),
        (8, [(1, 15)] * 20, 35),
        (8, [(9, 15)], 8),
        (8, [(1, 2)], 3),
        (15, [(1, 15), (1, 3)], 5),
    ],
)
def test_each_piece_begins_the_limit_anew(
    patience_s: float, pieces: list[tuple[float, float]], ends: float
) -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await come(patience_s, *pieces)
        return now()

    assert run(main()) == ends


def test_moving_the_limit_makes_no_timer() -> None:
    async def main() -> bool:
        with Patience(LIMIT_S) as patience:
            timer = patience._timer
            for _ in range(100):
                patience.extend(LIMIT_S)
            return patience._timer is timer

    assert run(main())


def test_a_cancellation_from_outside_is_no_time_out() -> None:
    async def wait() -> None:
        with Patience(LIMIT_S):
            await asyncio.sleep(100)

    async def main() -> bool:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert run(main())


def test_a_cancellation_in_the_moment_of_the_time_out_counts_more() -> None:
    async def wait() -> None:
        with Patience(0):
            await asyncio.sleep(100)

    async def main() -> bool:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.wait({task})
        return task.cancelled()

    assert run(main())


def test_an_error_of_ones_own_passes_through() -> None:
    async def main() -> None:
        with Patience(LIMIT_S):
            raise KeyError("own")

    with pytest.raises(KeyError):
        run(main())
