"""One call of a sample server: its socket, and the one answer that is being given."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.websockets import WebSocketState


class SampleCall:
    """What a server knows of one call while its socket is open.

    Attributes:
        call_id: stays the same when the call is dialled again.
        facts: set once ``call_details`` came.
        says_goodbye: whether the agent has begun to hang up.
        code: what the platform has closed with (1006: the line broke); None as long as it is there.
    """

    def __init__(self, ws: WebSocket, call_id: str) -> None:
        self.call_id = call_id
        self.facts = asyncio.Event()
        self.says_goodbye = False
        self.code: int | None = None
        self._ws = ws
        self._answering: asyncio.Task[None] | None = None
        self._beside: list[asyncio.Task[None]] = []

    async def send(self, response_type: str, **fields: Any) -> None:
        """Send one message; for a caller who has gone it is thrown away."""
        await self.write({"response_type": response_type, **fields})

    async def write(self, message: dict[str, Any]) -> None:
        """Put a message on the socket as it is."""
        if self._ws.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect):
                await self._ws.send_text(json.dumps(message))

    async def close(self, code: int = 1000) -> None:
        """Close the socket, and with it the call: hardly ever right."""
        await self._ws.close(code)

    async def say(self, response_id: int, content: str, **fields: Any) -> None:
        """Send a piece of an answer that goes on."""
        await self._respond(response_id, content, content_complete=False, **fields)

    async def finish(self, response_id: int, content: str = "", **fields: Any) -> None:
        """Send the last piece of an answer."""
        await self._respond(response_id, content, content_complete=True, **fields)

    async def _respond(self, response_id: int, content: str, **fields: Any) -> None:
        await self.send("response", response_id=response_id, content=content, **fields)

    def start(self, answer: Coroutine[Any, Any, None]) -> None:
        """Begin an answer; the one before it is over, whether it was whole or not."""
        self.stop()
        self._answering = asyncio.create_task(answer)

    def stop(self) -> None:
        """Give up the answer that is being given."""
        if self._answering is not None:
            self._answering.cancel()

    async def whole(self) -> None:
        """Wait until the answer that is being given is whole."""
        if self._answering is not None:
            await self._answering

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the answers, as long as the call lasts."""
        self._beside.append(asyncio.create_task(work))

    async def end(self) -> None:
        """Leave nothing running."""
        tasks = [*self._beside, *filter(None, [self._answering])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
