"""A server written by hand: which frames it sends at which message, and at which pace."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

from llmws_tutorial.checks import Conditions, in_memory, judge
from llmws_tutorial.checks.catalogue import select
from tests.virtual_time import run_virtually

Json = dict[str, Any]
Frames = Iterable[str | bytes | float]
"""What is sent, one after the other; a number is a pause in seconds."""


def piece(response_id: int, content: str = "", *, is_last: bool = True, **fields: Any) -> str:
    """A response of today's form."""
    said = {"response_id": response_id, "content": content, "content_complete": is_last}
    return json.dumps({"response_type": "response", **said, **fields})


def config(**wishes: bool) -> str:
    return json.dumps({"response_type": "config", "config": wishes})


Answer = Callable[[Json], Frames]
GREETING = piece(0, "Hello.")


def on_request(frames: Callable[[int], Frames]) -> Answer:
    """Answer each request in frames that are made for its id."""

    def answer(message: Json) -> Frames:
        return frames(message["response_id"]) if "response_id" in message else ()

    return answer


def says(*parts: str | float) -> Answer:
    """Answer each request in the same pieces."""
    last = len(parts) - 1
    return on_request(
        lambda response_id: [
            part if isinstance(part, float) else piece(response_id, part, is_last=at == last)
            for at, part in enumerate(parts)
        ]
    )


def server(answer: Answer, *, greeting: Frames = (GREETING,), is_sequential: bool = True) -> Any:
    """An ASGI app of such a server; if it is not sequential it answers all at once."""

    async def app(scope: Json, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})

        async def say(frames: Frames) -> None:
            for frame in frames:
                if isinstance(frame, float):
                    await asyncio.sleep(frame)
                else:
                    kind = "text" if isinstance(frame, str) else "bytes"
                    await send({"type": "websocket.send", kind: frame})

        async with asyncio.TaskGroup() as answering:
            await say(greeting)
            while (message := await receive())["type"] == "websocket.receive":
                saying = say(answer(json.loads(message["text"])))
                if is_sequential:
                    await saying
                else:
                    answering.create_task(saying)

    return app


def ruling(case_id: str, app: Any) -> str:
    """What a case says about an app, in words."""

    async def run() -> str:
        async with in_memory(app) as transport:
            (found,) = await judge(transport, select(case_id), Conditions())
            return str(found.ruling)

    return run_virtually(run())
