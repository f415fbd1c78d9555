"""One page that is open somewhere: what it is told goes out in order, several things at a time."""

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, Protocol

from llmws_tutorial.dashboard.view import Event

MOST_WAITING: Final = 50_000
"""How many events may wait for a page that does not read; then it is let go, and comes back."""
AT_ONCE: Final = 500
"""How many events go out in one message."""


class Socket(Protocol):
    """The socket of a page, as far as it is written to."""

    async def send_text(self, data: str) -> None:
        """Send a text message."""
        ...

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        ...


class Tab:
    """A page, and what it is still to be told.

    A text message is a list of events; a binary one the sound of a piece: its number (uint32,
    little endian), then mono PCM (int16, little endian, 24 kHz).
    """

    def __init__(self) -> None:
        self._waiting: deque[Event | bytes] = deque()
        self._news = asyncio.Event()
        self.is_lost = False

    def tell(self, event: Event) -> None:
        """Tell something."""
        self._add(event)

    def tell_all(self, events: Iterable[Event]) -> None:
        """Tell several things."""
        for event in events:
            self._add(event)

    def play(self, piece: int, sound: bytes) -> None:
        """Give the sound of a piece."""
        self._add(piece.to_bytes(4, "little") + sound)

    async def write(self, socket: Socket) -> None:
        """Send what there is to tell, until the page is lost."""
        while not self.is_lost:
            await self._news.wait()
            self._news.clear()
            while self._waiting and not self.is_lost:
                first = self._waiting.popleft()
                if isinstance(first, bytes):
                    await socket.send_bytes(first)
                else:
                    await socket.send_text(json.dumps([first, *self._next_events()]))

    def _next_events(self) -> list[Any]:
        events: list[Any] = []
        while self._waiting and len(events) < AT_ONCE and not isinstance(self._waiting[0], bytes):
            events.append(self._waiting.popleft())
        return events

    def _add(self, item: Event | bytes) -> None:
        self._waiting.append(item)
        self.is_lost = self.is_lost or len(self._waiting) > MOST_WAITING
        self._news.set()
