"""What a page of the dashboard does, from Python: come with a token, ask, be told."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

TIMEOUT_S: Final = 30


class Page:
    """A page whose socket is open."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._events: deque[dict[str, Any]] = deque()

    async def ask(self, **command: Any) -> None:
        """Send a command."""
        await self._socket.send(json.dumps(command))

    async def told(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of a kind that has these values; those before it are passed over."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                event = await self._next()
                if event["type"] == kind and fields.items() <= event.items():
                    return event

    async def _next(self) -> dict[str, Any]:
        while not self._events:
            message = await self._socket.recv()
            if isinstance(message, str):  # the rest is sound
                self._events.extend(json.loads(message))
        return self._events.popleft()


@asynccontextmanager
async def coming(socket: connect, token: str = "") -> AsyncIterator[Page]:
    """Come as a page does, and stay for the block."""
    async with socket as opened:
        page = Page(opened)
        await page.ask(type="hello", token=token)
        yield page
