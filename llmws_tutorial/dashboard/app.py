"""The dashboard as an ASGI app: the page, and the socket that it talks through.

Routes, all relative, so that the app works below any path of a proxy::

    /                   the page and its files
    /socket             commands in, events and sound out
    /calls/ID.jsonl     the recording of a call, for whoever shows the token
"""

import asyncio
import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.datastructures import Headers
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from llmws_tutorial.dashboard.access import (
    TOKEN_HEADER,
    Access,
    App,
    Receive,
    Scope,
    Send,
    guarded,
)
from llmws_tutorial.dashboard.commands import Hello, read_command
from llmws_tutorial.dashboard.desk import Desk
from llmws_tutorial.dashboard.tab import Tab
from llmws_tutorial.errors import SetupError

PAGE: Final = Path(__file__).with_name("page")
"""Where the files of the page are."""
HELLO_S: Final = 5.0
"""How long a page may take to show the token (seconds)."""
FORBIDDEN: Final = 4403
"""The close code for a page without the right token."""
LATE: Final = 1013
"""The close code for a page that reads too slowly: it comes back and is told all."""
MOST_SOUND: Final = 2**16
"""How much sound of a microphone may come in one message (bytes): two seconds."""
CLOSE_S: Final = 1.0
"""How long a page may take to close its end (seconds)."""
_BLOCK: Final = 2**16
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def create_dashboard(desk: Desk, access: Access) -> App:
    """Make the app of a dashboard.

    Args:
        desk: the state behind its pages.
        access: who may use it.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_life(desk))

    @app.websocket("/socket")
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        if await _shows_token(ws, access):
            await _serve(ws, desk)
        else:
            await _close(ws, FORBIDDEN, "not the token of this start")

    @app.get("/calls/{call_id}.jsonl")
    async def recording(request: Request, call_id: str) -> Response:
        if not access.opens(_shown_token(request.headers)):
            return PlainTextResponse("not the token of this start", 403)
        try:
            file = desk.shelf.path(call_id).open("rb")
        except SetupError as error:
            return PlainTextResponse(str(error), 404)
        except OSError:
            return PlainTextResponse(f"there is no call {call_id!r}", 404)
        return StreamingResponse(_blocks(file), media_type="application/jsonl")

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return _hardened(guarded(app, access), _policy())


def _life(desk: Desk) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await desk.open()
        yield
        await desk.close()

    return life


def _hardened(app: App, policy: dict[str, str]) -> App:
    """Send the headers of a policy with every answer, also with a refusal or an error."""
    fields = [(name.lower().encode(), value.encode()) for name, value in policy.items()]

    async def hardened(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *fields]
            await send(message)

        await app(scope, receive, send_with_policy)

    return hardened


async def _shows_token(ws: WebSocket, access: Access) -> bool:
    """Whether a page shows the token in its first message, or its proxy does."""
    try:
        async with asyncio.timeout(HELLO_S):
            message = await ws.receive()
        command = read_command(message.get("text") or "")
    except (TimeoutError, SetupError):
        return False
    return isinstance(command, Hello) and access.opens(ws.headers.get(TOKEN_HEADER, command.token))


def _shown_token(headers: Headers) -> str:
    """The token that a request shows, or its proxy does; empty when it shows none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get(TOKEN_HEADER, token if scheme.lower() == "bearer" else "")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """A file to its end, which may move on while it is read."""
    with file:
        yield from iter(partial(file.read, _BLOCK), b"")


async def _serve(ws: WebSocket, desk: Desk) -> None:
    """Talk with a page until it is gone, or too far behind."""
    tab = Tab()
    desk.welcome(tab)
    tasks = [
        asyncio.create_task(work) for work in (tab.write(ws), _read(ws, desk, tab), tab.lost.wait())
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        desk.leave(tab)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if tab.lost.is_set():
        await _close(ws, LATE, "the page reads too slowly")


async def _close(ws: WebSocket, code: int, why: str) -> None:
    """Close the socket of a page, which may be gone by now, or not read."""
    with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
        async with asyncio.timeout(CLOSE_S):
            await ws.close(code, why)


async def _read(ws: WebSocket, desk: Desk, tab: Tab) -> None:
    while True:
        message = await ws.receive()
        if message["type"] == "websocket.disconnect":
            return
        _take(message, desk, tab)


def _take(message: MutableMapping[str, Any], desk: Desk, tab: Tab) -> None:
    """Take one message of a page: a command, or sound of its microphone."""
    sound = message.get("bytes")
    try:
        if sound is None:
            desk.obey(tab, read_command(message["text"]))
        elif len(sound) > MOST_SOUND:
            raise SetupError(
                f"the page sent {len(sound)} bytes of sound at once, expected at most {MOST_SOUND}"
            )
        else:
            desk.hear(tab, sound)
    except SetupError as error:
        tab.tell({"type": "trouble", "text": str(error)})


def _policy() -> dict[str, str]:
    """The headers of every answer: nothing from elsewhere, nothing inline but what is known."""
    found = _INLINE.findall((PAGE / "index.html").read_bytes())
    hashes = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in found]
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(["'self'", *(f"'sha256-{text}'" for text in hashes)]),
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "media-src": "'self' blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self' http://localhost:* http://127.0.0.1:*",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
