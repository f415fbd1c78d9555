"""The servers that are compared: ours, the plain style of the published examples, the ceiling.

Each is a process of its own: ``python -m benchmarks.contestants NAME LOOP PIECES FD`` serves on the
bound socket FD until SIGINT, and then prints the pauses of its garbage collector.
"""

import asyncio
import gc
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.types import Receive, Scope, Send

from benchmarks.limits import raise_open_files
from llmws_tutorial.server import DummyResponder, Piece, Turn, create_app
from llmws_tutorial.server.listener import run

GREETING: Final = "How may I help you?"
ANSWER: Final = "I am sorry, can you say that again?"
PIECE: Final = "word "
LOOPS: Final = ("uvloop", "asyncio")
"""With uvloop and httptools, or as if they were not installed."""

_CONFIG: Final = {
    "response_type": "config",
    "config": {"auto_reconnect": True},
}


def serve_ours(pieces: int, listener: socket.socket) -> None:
    """Serve `create_app` as ``llmws serve`` does."""

    async def stream(turn: Turn) -> AsyncIterator[Piece]:
        if turn.kind == "begin":
            yield GREETING
            return
        for _ in range(pieces):
            yield PIECE
            await asyncio.sleep(0)  # as if the next one came over a network

    run(create_app(stream if pieces else DummyResponder(GREETING, ANSWER)), listener)


def serve_plain(pieces: int, listener: socket.socket) -> None:
    """Serve what one writes first: plain dicts, `send_json`, a task an answer, all defaults."""
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def talk(socket: WebSocket, call_id: str) -> None:
        latest = 0
        tasks: set[asyncio.Task[None]] = set()

        async def say(response_id: int, content: str, *, is_last: bool) -> None:
            await socket.send_json(
                {
                    "response_type": "response",
                    "response_id": response_id,
                    "content": content,
                    "content_complete": is_last,
                    "end_call": False,
                }
            )

        async def answer(response_id: int) -> None:
            for _ in range(pieces):
                if response_id < latest:
                    return
                await say(response_id, PIECE, is_last=False)
                await asyncio.sleep(0)
            await say(response_id, "" if pieces else ANSWER, is_last=True)

        await socket.accept()
        try:
            await socket.send_json(_CONFIG)
            await say(0, GREETING, is_last=True)
            while True:
                request = await socket.receive_json()
                kind = request["interaction_type"]
                if kind == "ping_pong":
                    pong = {"response_type": "ping_pong", "timestamp": request["timestamp"]}
                    await socket.send_json(pong)
                elif kind in ("response_required", "reminder_required"):
                    latest = request["response_id"]
                    task = asyncio.create_task(answer(latest))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        except WebSocketDisconnect:
            pass

    uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])


def serve_ceiling(pieces: int, listener: socket.socket) -> None:
    """Serve bytes that were made beforehand, by a bare ASGI app on our listener."""
    config = {"type": "websocket.send", "text": json.dumps(_CONFIG)}
    middle, last = '","content_complete":false}', '","content_complete":true}'
    final = ('"' + last[1:]) if pieces else ANSWER + last

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send(config)
        await send({"type": "websocket.send", "text": _opening(0) + GREETING + last})
        answered = 0
        while (message := await receive())["type"] == "websocket.receive":
            if message["text"].startswith('{"interaction_type":"update_only"'):
                continue
            answered += 1
            opening = _opening(answered)
            for _ in range(pieces):
                await send({"type": "websocket.send", "text": opening + PIECE + middle})
                await asyncio.sleep(0)
            await send({"type": "websocket.send", "text": opening + final})

    run(app, listener)


def _opening(response_id: int) -> str:
    return f'{{"response_type":"response","response_id":{response_id},"content":"'


CONTESTANTS: Final[dict[str, Callable[[int, socket.socket], None]]] = {
    "ours": serve_ours,
    "plain": serve_plain,
    "ceiling": serve_ceiling,
}
"""The servers, by name."""


class Pauses:
    """How long the garbage collector kept everybody waiting: when, and for how many ms."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []
        self._began = 0.0

    def __call__(self, phase: str, _info: dict[str, Any]) -> None:
        """Be called by the collector, before and after it works."""
        now = monotonic()
        if phase == "start":
            self._began = now
        elif now - self._began > 0.0005:
            self.seen.append((now, (now - self._began) * 1000))


def main(name: str, loop: str, pieces: int, descriptor: int) -> None:
    """Serve until SIGINT."""
    if loop == "asyncio":  # as if the extra `fast` were not installed
        sys.modules["uvloop"] = sys.modules["httptools"] = None  # type: ignore[assignment]
    raise_open_files()
    pauses = Pauses()
    gc.callbacks.append(pauses)
    try:
        CONTESTANTS[name](pieces, socket.socket(fileno=descriptor))
    except KeyboardInterrupt:
        pass
    finally:
        print(json.dumps(pauses.seen), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
