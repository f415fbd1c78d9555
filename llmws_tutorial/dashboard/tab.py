"""One page that is open somewhere, and what it is still to be told."""

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

from llmws_tutorial.dashboard.view import Event

MOST_WAITING: Final = 2**26
"""How much may wait for a page that does not read (bytes); then it is lost, and comes back."""
MOST_COUNTED: Final = MOST_WAITING // 2
"""What one event counts at most: a page could never open a call that was flooded (bytes)."""
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

    Attributes:
        lost: set once more waits for the page than it may; then it is told no more.
    """

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._waiting: deque[str | bytes] = deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Tell something, as it is now."""
        self._add(json.dumps(event, separators=(",", ":")))  # in ASCII: a sign is a byte

    def tell_all(self, events: Iterable[Event]) -> None:
        """Tell several things."""
        for event in events:
            self.tell(event)

    def play(self, piece: int, sound: bytes) -> None:
        """Give the sound of a piece."""
        self._add(piece.to_bytes(4, "little") + sound)

    async def write(self, socket: Socket) -> None:
        """Send what there is to tell; whoever cancels this has no more use for it."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._send(socket, self._take())

    async def _send(self, socket: Socket, first: str | bytes) -> None:
        if isinstance(first, bytes):
            await socket.send_bytes(first)
        else:
            await socket.send_text(f"[{','.join([first, *self._next_events()])}]")

    def _next_events(self) -> Iterable[str]:
        """The events that go into the same message."""
        for _ in range(AT_ONCE - 1):
            if not self._waiting or isinstance(self._waiting[0], bytes):
                return
            yield str(self._take())

    def _take(self) -> str | bytes:
        item = self._waiting.popleft()
        self._waiting_bytes -= min(len(item), MOST_COUNTED)
        return item

    def _add(self, item: str | bytes) -> None:
        if self.lost.is_set():
            return
        self._waiting.append(item)
        self._waiting_bytes += min(len(item), MOST_COUNTED)
        self._news.set()
        if self._waiting_bytes > MOST_WAITING:
            self._waiting.clear()
            self.lost.set()
