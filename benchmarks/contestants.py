"""The servers that are compared: ours, and three references that answer the same.

``plain`` is written as the published Python example is: what one writes first. ``bare`` is the same
without a framework. ``ceiling`` does nothing but answer: what no server on uvicorn can be below.

Each is a process of its own: ``python -m benchmarks.contestants NAME LOOP PIECES FD`` serves on the
bound socket FD until SIGINT, and then prints the pauses of its garbage collector.
"""

import asyncio
import gc
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.limits import raise_open_files
from llmws_tutorial.server import DummyResponder, Piece, Reply, Turn, create_app
from llmws_tutorial.server.listener import GARBAGE_THRESHOLD, run

GREETING: Final = "How may I help you?"
ANSWER: Final = "I am sorry, can you say that again?"
PIECE: Final = "word "
LOOPS: Final = ("uvloop", "asyncio")
"""With uvloop and httptools, or as if they were not installed."""

_CONFIG: Final = {"response_type": "config", "config": {"auto_reconnect": True}}
_QUESTIONS: Final = ("response_required", "reminder_required")


def serve_ours(pieces: int, listener: socket.socket) -> None:
    """Serve `create_app` as ``llmws serve`` does."""

    async def stream() -> AsyncIterator[Piece]:
        for _ in range(pieces):
            yield PIECE
            await asyncio.sleep(0)  # as if the next one came over a network

    def answer(turn: Turn) -> Reply:
        return GREETING if turn.kind == "begin" else stream()

    run(create_app(answer if pieces else DummyResponder(GREETING, ANSWER)), listener)


class Utterance(BaseModel):
    """What one side said, as the plain server models it."""

    role: str
    content: str


class Question(BaseModel):
    """What the plain server hands to its responder."""

    interaction_type: str
    response_id: int
    transcript: list[Utterance]


class Part(BaseModel):
    """A piece of an answer, as the plain server models it."""

    response_type: str = "response"
    response_id: int
    content: str
    content_complete: bool
    end_call: bool = False


async def _draft(question: Question, pieces: int) -> AsyncIterator[Part]:
    response_id = question.response_id
    for _ in range(pieces):
        yield Part(response_id=response_id, content=PIECE, content_complete=False)
        await asyncio.sleep(0)
    yield Part(response_id=response_id, content="" if pieces else ANSWER, content_complete=True)


def serve_plain(pieces: int, listener: socket.socket) -> None:
    """Serve what one writes first: models, dicts, a task a message, prints, all defaults."""
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def talk(socket: WebSocket, call_id: str) -> None:
        latest = 0

        async def handle(message: dict[str, Any]) -> None:
            nonlocal latest
            kind = message["interaction_type"]
            if kind == "ping_pong":
                pong = {"response_type": "ping_pong", "timestamp": message["timestamp"]}
                await socket.send_json(pong)
            elif kind in _QUESTIONS:
                question = Question(**message)
                latest = question.response_id
                print(f"{call_id}: {kind} {latest}, last {message['transcript'][-1:]}")
                async for part in _draft(question, pieces):
                    await socket.send_json(part.__dict__)
                    if question.response_id < latest:
                        break

        await socket.accept()
        try:
            await socket.send_json(_CONFIG)
            greeting = Part(response_id=0, content=GREETING, content_complete=True)
            await socket.send_json(greeting.__dict__)
            async for message in socket.iter_json():
                asyncio.create_task(handle(message))  # noqa: RUF006 - as one writes it first
        finally:
            print(f"{call_id}: closed")

    uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])


def serve_bare(pieces: int, listener: socket.socket) -> None:
    """Serve with `websockets` alone: its defaults, json, a task an answer."""

    async def say(connection: ServerConnection, response_id: int, texts: list[str]) -> None:
        *others, last = texts
        for content in others:
            await connection.send(_reply(response_id, content, is_last=False))
            await asyncio.sleep(0)
        await connection.send(_reply(response_id, last, is_last=True))

    async def talk(connection: ServerConnection) -> None:
        await connection.send(json.dumps(_CONFIG))
        await say(connection, 0, [GREETING])
        answer = [PIECE] * pieces + ["" if pieces else ANSWER]
        task: asyncio.Task[None] | None = None
        async for frame in connection:
            request = json.loads(frame)
            if request["interaction_type"] in _QUESTIONS:
                if task is not None:
                    task.cancel()
                task = asyncio.create_task(say(connection, request["response_id"], answer))

    async def stay() -> None:
        async with serve(talk, sock=listener) as server:
            await server.serve_forever()

    logging.basicConfig(level=logging.ERROR)
    asyncio.run(stay())


def _reply(response_id: int, content: str, *, is_last: bool) -> str:
    return json.dumps(
        {
            "response_type": "response",
            "response_id": response_id,
            "content": content,
            "content_complete": is_last,
        }
    )


def serve_ceiling(pieces: int, listener: socket.socket) -> None:
    """Serve text that was made beforehand: a bare ASGI app on uvicorn, set up as ours is."""
    config = {"type": "websocket.send", "text": json.dumps(_CONFIG)}
    middle, last = '","content_complete":false}', '","content_complete":true}'
    final = last if pieces else ANSWER + last

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

    options = uvicorn.Config(app, ws_per_message_deflate=False, log_level="warning", lifespan="off")
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 10, 100)
    uvicorn.Server(options).run(sockets=[listener])


def _opening(response_id: int) -> str:
    return f'{{"response_type":"response","response_id":{response_id},"content":"'


CONTESTANTS: Final[dict[str, Callable[[int, socket.socket], None]]] = {
    "ours": serve_ours,
    "plain": serve_plain,
    "bare": serve_bare,
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
