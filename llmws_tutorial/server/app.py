"""The app: it lets calls in, holds an `OpenCall` for each, and decides nothing."""

import contextlib
import hmac
import logging
import re
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from starlette.datastructures import Headers
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from llmws_tutorial.messages import ConfigFields
from llmws_tutorial.server.log import hide
from llmws_tutorial.server.metrics import Metrics
from llmws_tutorial.server.open_call import OpenCall
from llmws_tutorial.server.session import EXCUSE, Session
from llmws_tutorial.server.settings import Settings
from llmws_tutorial.server.turn import Responder

log: Final = logging.getLogger("uvicorn.llm_websocket")  # shown wherever uvicorn's lines are
RECONNECT_S: Final = 60.0
"""How long the platform may take to dial a call again whose socket it lost."""

REFUSALS: Final = {
    403: "a socket from a browser, with a wrong path, or with an odd call id",
    421: "a socket whose Host is no name of this server; LLMWS_HOSTS lists them",
    503: "a socket beyond the most calls at once; LLMWS_MAX_CALLS says how many",
}
"""Why a socket is refused, by HTTP status."""
LOCAL_HOSTS: Final = {"127.0.0.1", "localhost", "[::1]", "testserver"}
"""The names of a server that only its own machine reaches; the last is Starlette's TestClient."""
_CALL_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PORT: Final = re.compile(r":\d*$")


def create_app(
    responder: Responder,
    *,
    config: ConfigFields | None = None,
    awaits_facts: bool = False,
    excuse: str = EXCUSE,
    settings: Settings | None = None,
) -> FastAPI:
    """Make the app that a voice platform dials; mount it, or add routes of your own.

    Its ``state.calls`` holds the calls of this moment by call id: an `OpenCall` can `send`.

    Args:
        responder: what makes the agent's words.
        config: what to ask the platform for; None asks for heartbeats, and for the facts of the
            call when the greeting awaits them.
        awaits_facts: whether the greeting is held back until the facts of the call came.
        excuse: what the agent says when the responder fails.
        settings: limits and switches; None reads the environment and ``.env``.
    """
    settings = settings or Settings()
    hide(settings.secret)
    config = config or ConfigFields(auto_reconnect=True, call_details=awaits_facts)

    def new_session(call_id: str) -> Session:
        return Session(call_id, config=config, awaits_facts=awaits_facts, excuse=excuse)

    endpoint = CallEndpoint(responder, new_session, settings=settings)
    app = FastAPI(title="LLM WebSocket server", openapi_url=None)
    app.router.routes.append(WebSocketRoute("/llm-websocket/{path:path}", endpoint))
    app.state.calls = endpoint.calls

    @app.get("/", response_class=PlainTextResponse)
    async def hello() -> str:
        return "Hello World!"

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "calls": len(endpoint.calls)}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(endpoint.metrics.text(), media_type=Metrics.media_type)

    return app


class CallEndpoint:
    """The ASGI end of the call route: lets calls in, remembers them, keeps them apart.

    Attributes:
        calls: the calls of this moment, by call id.
        metrics: what was counted so far.
    """

    def __init__(
        self, responder: Responder, new_session: Callable[[str], Session], *, settings: Settings
    ) -> None:
        self.calls: dict[str, OpenCall] = {}
        self.metrics = Metrics()
        self._responder = responder
        self._new_session = new_session
        self._settings = settings
        self._hosts = LOCAL_HOSTS | set(re.split(r"[\s,]+", settings.hosts.lower())) - {""}
        self._lost: dict[str, float] = {}  # oldest first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one socket, as ASGI hands it over."""
        *secret, call_id = scope["path_params"]["path"].split("/")
        status = self._refusal(Headers(scope=scope), "/".join(secret), call_id)
        if status:
            await self._refuse(scope, send, status)
            return
        await receive()  # the request to connect
        with contextlib.suppress(OSError):  # the peer has gone meanwhile
            await send({"type": "websocket.accept"})
            await self._hold(call_id, receive, send)

    async def _hold(self, call_id: str, receive: Receive, send: Send) -> None:
        again = self._was_here(call_id)
        call = OpenCall(
            self._new_session(call_id),
            self._responder,
            settings=self._settings,
            metrics=self.metrics,
            asgi=(receive, send),
        )
        if call_id in self.calls:  # lost, and nobody has noticed here
            call.replace(self.calls[call_id])
        self.calls[call_id] = call
        self.metrics.open_calls.inc()
        self.metrics.calls("again" if again else "new").inc()
        try:
            await call.run(again=again)
        finally:
            self.metrics.open_calls.dec()
            if self.calls.get(call_id) is call:
                del self.calls[call_id]
                if call.was_lost and call.session.is_greeted:
                    self._lost[call_id] = monotonic()

    def _refusal(self, headers: Headers, secret: str, call_id: str) -> int | None:
        """The HTTP status to refuse a socket with; None lets it in."""
        if "origin" in headers:
            return 403  # a browser sends it always, the platform never
        if not self._is_called_by(headers.get("host", "")):
            return 421
        if not hmac.compare_digest(secret.encode(), self._settings.secret.encode()):
            return 403
        if not _CALL_ID.fullmatch(call_id):
            return 403
        is_known = call_id in self.calls or call_id in self._lost
        return 503 if len(self.calls) >= self._settings.max_calls and not is_known else None

    def _is_called_by(self, host: str) -> bool:
        """Whether this is a name of this server; with a secret and no list, any name is."""
        is_any_fine = bool(self._settings.secret) and not self._settings.hosts
        return is_any_fine or _PORT.sub("", host.lower()) in self._hosts

    async def _refuse(self, scope: Scope, send: Send, status: int) -> None:
        self.metrics.refused(str(status)).inc()
        # without the path, which may hold a secret
        log.warning("refused with %d: %s", status, REFUSALS[status], extra={"event": "refused"})
        if "websocket.http.response" in scope.get("extensions", {}):
            await send({"type": "websocket.http.response.start", "status": status, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _was_here(self, call_id: str) -> bool:
        """Whether the platform dials a call again whose socket was lost a moment ago."""
        oldest = monotonic() - RECONNECT_S
        while self._lost and next(iter(self._lost.values())) < oldest:
            del self._lost[next(iter(self._lost))]
        if call_id in self.calls:
            return self.calls[call_id].session.is_greeted
        return self._lost.pop(call_id, None) is not None
