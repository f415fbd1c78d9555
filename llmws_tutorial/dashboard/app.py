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
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from llmws_tutorial.dashboard.access import TOKEN_HEADER, Access, App, guarded
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
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def create_dashboard(desk: Desk, access: Access) -> App:
    """Make the app of a dashboard.

    Args:
        desk: the state behind its pages.
        access: who may use it.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_life(desk))
    policy = _policy()

    @app.middleware("http")
    async def harden(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers.update(policy)
        return response

    @app.websocket("/socket")
    async def socket(ws: WebSocket) -> None:
        await ws.accept()
        if await _shows_token(ws, access):
            await _serve(ws, desk)
        else:
            await ws.close(FORBIDDEN, "not the token of this start")

    @app.get("/calls/{call_id}.jsonl")
    async def recording(request: Request, call_id: str) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not access.opens(token):
            return PlainTextResponse("not the token of this start", 403)
        try:
            path = desk.shelf.path(call_id)
        except SetupError as error:
            return PlainTextResponse(str(error), 404)
        if not path.is_file():
            return PlainTextResponse(f"there is no call {call_id}", 404)
        return FileResponse(path, media_type="application/jsonl")

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return guarded(app, access)


def _life(desk: Desk) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await desk.open()
        yield
        await desk.close()

    return life


async def _shows_token(ws: WebSocket, access: Access) -> bool:
    """Whether a page shows the token in its first message, or its proxy does."""
    try:
        async with asyncio.timeout(HELLO_S):
            command = read_command(await ws.receive_text())
    except (TimeoutError, SetupError, WebSocketDisconnect, KeyError):
        return False
    if not isinstance(command, Hello):
        return False
    return access.opens(ws.headers.get(TOKEN_HEADER, command.token))


async def _serve(ws: WebSocket, desk: Desk) -> None:
    """Talk with a page until it is gone."""
    tab = Tab()
    desk.welcome(tab)
    writing = asyncio.create_task(tab.write(ws))
    reading = asyncio.create_task(_read(ws, desk, tab))
    try:
        await asyncio.wait([writing, reading], return_when=asyncio.FIRST_COMPLETED)
    finally:
        desk.leave(tab)
        for task in (writing, reading):
            task.cancel()
        await asyncio.gather(writing, reading, return_exceptions=True)


async def _read(ws: WebSocket, desk: Desk, tab: Tab) -> None:
    while True:
        message = await ws.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            desk.hear(tab, message["bytes"])
            continue
        try:
            desk.obey(tab, read_command(message["text"]))
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
