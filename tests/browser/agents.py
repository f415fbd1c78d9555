"""Servers to call: one tells a story, one stamps what it sends, one can be killed."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from fastapi import FastAPI, WebSocket

STORY: Final = (
    "Once upon a time there was a small lighthouse. ",
    "It stood on a rock far out in the sea. ",
    "Every evening an old man lit the lamp. ",
    "Ships from many countries passed by the rock. ",
    "One night a heavy storm came up from the west. ",
    "The waves were as high as a house. ",
    "The old man did not sleep until the morning. ",
    "No ship was lost in that long night. ",
)
"""Some 25 seconds of speech."""


def _app(frames: Callable[[], AsyncIterator[str]], answer: str) -> FastAPI:
    """An agent that begins with these frames, and gives everybody the same answer."""
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def endpoint(ws: WebSocket, call_id: str) -> None:
        await ws.accept()
        sending = asyncio.create_task(_send(ws, frames()))
        async for frame in ws.iter_text():
            if (response_id := json.loads(frame).get("response_id")) is not None:
                await ws.send_text(says(answer, response_id, is_complete=True))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    return app


async def _send(ws: WebSocket, frames: AsyncIterator[str]) -> None:
    async for frame in frames:
        await ws.send_text(frame)


def says(content: str, response_id: int = 0, *, is_complete: bool = False) -> str:
    """A frame with something to say."""
    said = {"response_id": response_id, "content": content, "content_complete": is_complete}
    return json.dumps({"response_type": "response", **said})


def storyteller(*, pause_s: float = 0.1, answer: str = "Yes, I am listening.") -> FastAPI:
    """An agent whose first message is long, and comes sentence by sentence."""

    async def frames() -> AsyncIterator[str]:
        for sentence in STORY:
            yield says(sentence)
            await asyncio.sleep(pause_s)
        yield says("", is_complete=True)

    return _app(frames, answer)


def stamper(count: int, *, per_s: float, at_once: int = 0, is_spoken: bool = False) -> FastAPI:
    """An agent that sends frames which say when they were sent (seconds since 1970).

    Args:
        count: how many frames.
        per_s: how many a second.
        at_once: how many of them come at once, as the first.
        is_spoken: whether the agent speaks them.
    """

    def frame() -> str:
        stamp = f"<{time.time():.4f}> "
        if is_spoken:
            return says(stamp)
        return json.dumps({"response_type": "metadata", "metadata": {"stamp": stamp}})

    async def frames() -> AsyncIterator[str]:
        yield says("Hi.")
        began_s = time.monotonic()
        for number in range(count):
            await asyncio.sleep(began_s + (number - at_once) / per_s - time.monotonic())
            yield frame()
        yield says("", is_complete=True)

    return _app(frames, "Yes.")


@contextlib.contextmanager
def mortal() -> Iterator[tuple[str, Callable[[], None]]]:
    """The server of step 3 in a process of its own: its URL, and how to kill it."""
    command = [sys.executable, "-m", "llmws_tutorial", "serve", "--step", "3", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            found = re.search(r"ws://\S+", process.stdout.readline() if process.stdout else "")
            assert found, "the server did not start"
            yield found[0], process.kill
        finally:
            process.kill()
