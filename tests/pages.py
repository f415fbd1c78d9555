"""A dashboard on a port, and pages of it as tests talk to them: by its socket."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from llmws_tutorial.dashboard.access import Access
from llmws_tutorial.dashboard.app import create_dashboard
from llmws_tutorial.dashboard.desk import Desk, ServerLog
from llmws_tutorial.dashboard.ears import CHUNK
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.mouth import RATE
from llmws_tutorial.dashboard.sound import Sound
from llmws_tutorial.errors import SetupError
from llmws_tutorial.server.listener import configure

PATIENCE_S: Final = 20.0
TOKEN: Final = "right"
LOUD: Final = b"\x01\x00" * (CHUNK // 2)
STILL: Final = bytes(CHUNK)
Event = dict[str, Any]


class Whistle:
    """A mouth that whistles for a tenth of a second, whatever it is to say."""

    def sound(self, text: str) -> bytes:
        return b"\x10\x00" * (RATE // 10)


class Doorbell:
    """Tells a sound from silence."""

    def __call__(self, chunk: bytes) -> float:
        return float(any(chunk))

    def reset(self) -> None:
        pass


class Butler:
    """Ears that tell a sound from silence, and understand one thing."""

    def __init__(self, understood: str = "Come in.") -> None:
        self._understood = understood

    def detector(self) -> Any:
        return Doorbell()

    def text(self, sound: bytes) -> str:
        return self._understood


def nothing() -> Any:
    raise SetupError("not installed: install it")


def sound(mouth: Callable[[], Any] = nothing, recogniser: Callable[[], Any] = nothing) -> Sound:
    """What speaks and listens; nothing, unless a test says so: then a word takes a third second."""
    return Sound(load_mouth=mouth, load_recogniser=recogniser)


class Page:
    """A page that is open: asks, and looks at what it is told in order."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.events: list[Event] = []
        self.sounds: list[bytes] = []
        self._looked_at = 0

    async def ask(self, kind: str, /, **fields: Any) -> None:
        await self.ws.send(json.dumps({"type": kind, **fields}))

    async def until(
        self, kind: str, /, when: Callable[[Event], bool] = lambda _: True, **fields: Any
    ) -> Event:
        """The next event of a kind that has these fields."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self._looked_at < len(self.events):
                    event = self.events[self._looked_at]
                    self._looked_at += 1
                    is_it = event["type"] == kind and fields.items() <= event.items()
                    if is_it and when(event):
                        return event
                await self._take()

    async def until_voice(self, **fields: Any) -> Event:
        """Who speaks and listens, once that is so."""
        voice = (await self.until("hello"))["voice"]
        if fields.items() <= voice.items():
            return dict(voice)
        return await self.until("voice", **fields)

    async def until_over(self) -> Event:
        """The status of the call once it is over."""
        return await self.until("status", is_over=True)

    async def asked(self, kind: str, answer: str, /, **fields: Any) -> Event:
        """What comes of a command."""
        await self.ask(kind, **fields)
        return await self.until(answer)

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    async def _take(self) -> None:
        message = await self.ws.recv()
        if isinstance(message, bytes):
            self.sounds.append(message)
        else:
            self.events += json.loads(message)


def socket_at(page: str, **options: Any) -> connect:
    """The socket of a page, by the page's address."""
    url = f"{page.replace('http', 'ws', 1)}socket"
    return connect(url, **{"proxy": None, "close_timeout": 1, "max_size": None, **options})


@contextlib.asynccontextmanager
async def coming(ws: connect, token: str = "") -> AsyncIterator[Page]:
    """Come as a page does, and stay for the block."""
    async with ws as opened:
        page = Page(opened)
        await page.ask("hello", token=token)
        yield page


def visiting(address: str) -> contextlib.AbstractAsyncContextManager[Page]:
    """Come by the address that a user is told: it holds the token."""
    page, _, token = address.partition("#")
    return coming(socket_at(page), token)


@dataclass
class Board:
    """A dashboard that is open on a port."""

    desk: Desk
    address: str

    @contextlib.asynccontextmanager
    async def page(self, token: str = TOKEN) -> AsyncIterator[Page]:
        """Open a page."""
        async with coming(self.socket(), token) as page:
            yield page

    def socket(self, **options: Any) -> connect:
        """Open the socket of a page."""
        return socket_at(f"http://{self.address}/", **options)

    async def get(self, path: str, *, method: str = "GET", **options: Any) -> httpx.Response:
        """Ask for something over HTTP."""
        url = f"http://{self.address}{path}"
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            return await client.request(method, url, **options)


class _Server(uvicorn.Server):
    """A server in a test's event loop: Ctrl-C is the test's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def board(
    folder: Path,
    *,
    url: str = "",
    log: ServerLog | None = None,
    heard: Sound | None = None,
    access: Access | None = None,
) -> AsyncIterator[Board]:
    """Open a dashboard that keeps its calls in a folder."""
    desk = Desk(shelf=Shelf(folder), url=url, log=log, sound=heard or sound())
    app = create_dashboard(desk, access or Access(token=TOKEN))
    levels = {name: logging.getLogger(name).level for name in ("uvicorn.error", "uvicorn.access")}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(configure(app, drain_s=2, interface="asgi3", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0)
            assert not serving.done()
        try:
            yield Board(desk, f"127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            await serving
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
