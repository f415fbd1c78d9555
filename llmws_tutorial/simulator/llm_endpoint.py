"""The scripted model on a port, as an OpenAI-compatible provider.

A client that leaves is noticed at once, also in the middle of a pause: beside each answer somebody
listens for the end of the connection, and cancels it.
"""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from llmws_tutorial.errors import PortBusy, UpstreamBroken, UpstreamRefused
from llmws_tutorial.simulator.scripted_llm import Answer, Raw, ScriptedLlm

MODEL: Final = "scripted"
"""The name under which the model is listed; it answers to any."""
GRACE_S: Final = 1
"""How long the end of the server may take, once every connection is cut."""

_KINDS: Final = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
"""Type and code of an error by its status, as OpenAI has them."""
_LOG: Final = logging.getLogger(__name__)
_LOG.addFilter(lambda line: "without completing" not in str(line.msg))  # that is a `Break`


def create_endpoint(llm: ScriptedLlm) -> FastAPI:
    """Make an app of a scripted model; its base URL ends in ``/v1``."""
    app = FastAPI(title="A scripted model", openapi_url=None)

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
        except (ValueError, RecursionError):
            asked = None
        return _Reply(llm, asked)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "llmws"}
        return {"object": "list", "data": [model]}

    return app


@contextlib.asynccontextmanager
async def served(llm: ScriptedLlm, *, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve a scripted model in this event loop, and yield its base URL.

    The URL ends in ``/v1``. Leaving the block cuts every connection, and returns when
    nothing of the server is left.

    Args:
        llm: the model.
        port: the TCP port; 0 takes a free one.
        host: the address of this machine to listen at.

    Raises:
        PortBusy: when the port cannot be had.
    """
    with _bind(port, host) as listener:
        server = _Server(
            uvicorn.Config(
                create_endpoint(llm),
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.has_started.wait()
            name = f"[{host}]" if ":" in host else host
            yield f"http://{name}:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            for connection in [*server.server_state.connections]:
                connection.transport.abort()
            await serving


class _Reply(Response):
    """The answer to one request, given for as long as its client is there."""

    def __init__(self, llm: ScriptedLlm, asked: Any) -> None:
        super().__init__()
        self._llm = llm
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = asyncio.create_task(self._answer(scope, receive, send))
        leaving = asyncio.ensure_future(receive())  # behind the body nothing comes but the end
        both = {answering, leaving}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        if not answering.cancelled():
            answering.result()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._llm.answering(self._asked) as answer:
                if answer.request.stream:
                    await _stream(answer, send)
                else:
                    whole = await _whole(answer, send)
                    await JSONResponse(whole)(scope, receive, send)
        except UpstreamRefused as error:
            await _refusal(error)(scope, receive, send)
        except UpstreamBroken:
            pass  # a response that has begun and does not end: uvicorn cuts the connection


async def _stream(answer: Answer, send: Send) -> None:
    """Send server-sent events, each as soon as it is there."""
    await _begin(send, "text/event-stream; charset=utf-8")
    async with contextlib.aclosing(answer.chunks()) as chunks:
        async for chunk in chunks:
            line = chunk.line if isinstance(chunk, Raw) else f"data: {json.dumps(chunk)}"
            await _send(send, line)
    await _send(send, "data: [DONE]")
    await send({"type": "http.response.body"})


async def _whole(answer: Answer, send: Send) -> dict[str, Any]:
    try:
        return await answer.whole()
    except UpstreamBroken:
        await _begin(send, "application/json")
        raise


async def _begin(send: Send, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _send(send: Send, line: str) -> None:
    body = f"{line}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _refusal(error: UpstreamRefused) -> JSONResponse:
    kind, code = _KINDS.get(error.status, ("server_error", None))
    told = {"message": str(error), "type": kind, "param": None, "code": code}
    return JSONResponse({"error": told}, error.status)


class _Server(uvicorn.Server):
    """A server in somebody else's event loop: Ctrl-C is not its business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Connection(H11Protocol):
    """A connection that keeps out of the logs of the other servers in this process."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.logger = _LOG
        self.access_log = False


def _bind(port: int, host: str) -> socket.socket:
    if not 0 <= port <= 65535:
        raise PortBusy(f"port {port} does not exist, expected 1 to 65535, or 0 for any")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise PortBusy(
            f"port {port} at {host} cannot be had ({error.strerror}): end the program that has "
            "it, or choose another port"
        ) from None
