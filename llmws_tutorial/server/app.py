"""The app: it lets calls in, holds an `OpenCall` for each, and decides nothing."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from starlette.datastructures import Headers
from starlette.routing import Match, WebSocketRoute
from starlette.types import Receive, Scope, Send

from llmws_tutorial.messages import ConfigFields
from llmws_tutorial.server.log import hide, log
from llmws_tutorial.server.metrics import Metrics
from llmws_tutorial.server.open_call import OpenCall
from llmws_tutorial.server.reception import REFUSALS, Reception
from llmws_tutorial.server.session import EXCUSE, Session
from llmws_tutorial.server.settings import Settings
from llmws_tutorial.server.turn import Responder


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
        responder: what makes the agent's words; its ``close()``, if it has one, is awaited when
            the app ends.
        config: what to ask the platform for; None asks for heartbeats, or for what the responder
            wants (its ``config``, if it has one), and for the facts of the call when the greeting
            awaits them.
        awaits_facts: whether the greeting is held back until the facts of the call came.
        excuse: what the agent says when the responder fails.
        settings: limits and switches; None reads the environment and ``.env``.
    """
    settings = settings or Settings()
    hide(settings.secret)
    config = config or _wanted(responder, awaits_facts)

    def new_session(call_id: str) -> Session:
        return Session(call_id, config=config, awaits_facts=awaits_facts, excuse=excuse)

    endpoint = CallEndpoint(responder, new_session, settings=settings)
    app = _App(endpoint)
    app.state.calls = endpoint.calls
    app.closes(responder)

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


def _wanted(responder: Responder, awaits_facts: bool) -> ConfigFields:
    wishes = getattr(responder, "config", ConfigFields(auto_reconnect=True))
    return ConfigFields(
        auto_reconnect=wishes.auto_reconnect,
        call_details=wishes.call_details or awaits_facts,
        transcript_with_tool_calls=wishes.transcript_with_tool_calls,
    )


class _App(FastAPI):
    """A FastAPI app whose calls skip its own layers, as long as the user has added none.

    There are six, and every frame would cross them: a twentieth of what a turn costs.
    """

    def __init__(self, endpoint: "CallEndpoint") -> None:
        super().__init__(title="LLM WebSocket server", openapi_url=None)
        self._calls = WebSocketRoute("/llm-websocket/{path:path}", endpoint)
        self.router.routes.append(self._calls)

    def closes(self, responder: Responder) -> None:
        """Close a responder that can be closed when the app ends, in the same event loop."""
        close = getattr(responder, "close", None)
        lives = self.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lives_and_closes(app: FastAPI) -> AsyncIterator[Any]:
            async with lives(app) as state:
                yield state
            if close is not None:
                await close()

        self.router.lifespan_context = lives_and_closes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not self.user_middleware:
            match, found = self._calls.matches(scope)
            if match is Match.FULL:
                await self._calls.app({**scope, **found}, receive, send)
                return
        await super().__call__(scope, receive, send)


class CallEndpoint:
    """The ASGI end of the call route: holds the calls, and keeps them apart.

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
        self._reception = Reception(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one socket, as ASGI hands it over."""
        path = scope["path_params"]["path"]
        status = self._reception.refusal(path, Headers(scope=scope), self.calls)
        if status is not None:
            await self._refuse(scope, send, status)
            return
        await receive()  # the request to connect
        with contextlib.suppress(OSError):  # the peer has gone meanwhile
            await send({"type": "websocket.accept"})
            await self._hold(path.rpartition("/")[2], receive, send)

    async def _hold(self, call_id: str, receive: Receive, send: Send) -> None:
        """Be in a call until it is over."""
        call = OpenCall(
            self._new_session(call_id),
            self._responder,
            settings=self._settings,
            metrics=self.metrics,
            asgi=(receive, send),
        )
        older = self.calls.get(call_id)  # lost, and nobody has noticed here
        if older is not None:
            call.replace(older)
        was_here = older is not None and older.session.is_greeted
        again = self._reception.was_here(call_id) or was_here
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
                    self._reception.has_lost(call_id)

    async def _refuse(self, scope: Scope, send: Send, status: int) -> None:
        self.metrics.refused(str(status)).inc()
        # without the path, which may hold a secret
        log.warning("refused with %d: %s", status, REFUSALS[status], extra={"event": "refused"})
        if "websocket.http.response" in scope.get("extensions", {}):
            await send({"type": "websocket.http.response.start", "status": status, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close", "code": 1008})
