"""A model that says what it was told to: an OpenAI-compatible endpoint for the tests."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


@dataclass
class ScriptedLlm:
    """The endpoint, and what it saw.

    Attributes:
        pieces: what it streams for each request; a number is a pause in seconds, a dict is sent
            as it is.
        status: the HTTP status of its answers.
        asked: the bodies of the requests.
        aborted: how many streams were closed by the client before their end.
        open: how many streams are running.
    """

    pieces: list[Any] = field(default_factory=list)
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)
    aborted: int = 0
    open: int = 0

    @property
    def app(self) -> FastAPI:
        """The endpoint as an app; its base URL ends in ``/v1``."""
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> Response:
            self.asked.append(await request.json())
            if self.status != 200:
                return JSONResponse({"error": {"message": "scripted"}}, self.status)
            return StreamingResponse(self._stream(), media_type="text/event-stream")

        return app

    async def _stream(self) -> AsyncIterator[str]:
        self.open += 1
        try:
            for piece in self.pieces:
                if isinstance(piece, int | float):
                    await asyncio.sleep(piece)
                    continue
                raw = piece if isinstance(piece, dict) else _chunk({"content": piece})
                yield f"data: {json.dumps(raw)}\n\n"
            yield "data: [DONE]\n\n"
        except BaseException:
            self.aborted += 1
            raise
        finally:
            self.open -= 1


def _chunk(delta: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"} | {
        "choices": [choice]
    }
