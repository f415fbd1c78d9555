"""The webhook: what the platform tells about a call over plain HTTP, signed.

The way of an event: its body is read up to a limit, the signature is verified over these very
bytes, and only then is it parsed. The platform has its answer before `on_event` begins, because an
answer that takes longer than 10 s makes it send the event again.

Source: docs/protocol.md, section 9.
"""

import asyncio
import contextlib
import hashlib
import inspect
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from llmws_tutorial.errors import BadSignature
from llmws_tutorial.messages.signature import (
    SIGNATURE_HEADER,
    read_signature,
    require_key,
    verify,
)
from llmws_tutorial.server.log import cause

log: Final = logging.getLogger("uvicorn.webhook")  # shown wherever uvicorn's lines are
ONCE_A_CALL: Final = frozenset({"call_started", "call_ended", "call_analyzed"})
"""Events that a call has once; the others come again and again with new contents."""
STUBBORN_S: Final = 1.0
"""How long a cancelled handler may take to stop before it is left behind."""
_LOGGED_CHARACTERS: Final = 128


@dataclass(frozen=True, kw_only=True)
class WebhookEvent:
    """Something that happened to a call.

    Attributes:
        event: ``call_started``, ``call_ended``, ``call_analyzed``, ``transcript_updated``,
            ``transfer_started`` and the like; names that this kit does not know come too.
        call: what the platform knows about the call; empty when the event is about none.
        fields: the whole body, for what else an event may bring.
    """

    event: str
    call: dict[str, Any] = field(default_factory=dict, repr=False)  # personal data
    fields: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def call_id(self) -> str:
        """The call that this is about; empty when the event does not say."""
        call_id = self.call.get("call_id")
        return call_id if isinstance(call_id, str) else ""


OnEvent = Callable[[WebhookEvent], object]
"""What takes events: a coroutine function, or a plain one, which gets a thread of its own."""


@dataclass(frozen=True, kw_only=True)
class WebhookLimits:
    """What a webhook may cost.

    Attributes:
        body_bytes: the longest body; a call of two hours comes with its words twice.
        read_s: how long a body may take to arrive (seconds).
        at_once: bodies that are read, and events that are handled, at one time; more are
            answered 503, and the platform sends them again.
        handler_s: how long a coroutine may work on an event (seconds).
        drain_s: how long handlers may go on when the server is told to stop (seconds).
        remembered: how many events are remembered, to know them when they come again.
    """

    body_bytes: int = 4 * 2**20
    read_s: float = 5.0
    at_once: int = 50
    handler_s: float = 60.0
    drain_s: float = 3.0
    remembered: int = 10_000


def webhook_router(
    api_key: str, on_event: OnEvent, *, limits: WebhookLimits | None = None
) -> APIRouter:
    """Make the route ``POST /webhook``; put it into an app with ``include_router``.

    Answers 204 when an event was taken, or was here before; 401 when its signature is not good,
    413 or 408 when its body is too long or too slow, 400 when it is no event, 503 when there is
    too much to do. An event is handed on once, also when handling it fails.

    Args:
        api_key: the key of your account that is marked for webhooks.
        on_event: what takes the events; it runs after the answer. A plain function cannot be
            stopped: where it waits for something, it should do so with a limit.
        limits: what this may cost; None takes the defaults.

    Raises:
        SetupError: when the API key is blank, for then anybody could sign.
    """
    require_key(api_key)
    inbox = _Inbox(api_key, on_event, limits or WebhookLimits())

    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        await inbox.drain()

    router = APIRouter(lifespan=lifespan)
    router.add_api_route("/webhook", inbox.take, methods=["POST"])
    return router


class _Refused(Exception):
    """A request that is no event; it holds the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Inbox:
    """Takes events in, knows those that were here, and hands the others on."""

    def __init__(self, api_key: str, on_event: OnEvent, limits: WebhookLimits) -> None:
        self._api_key = api_key
        self._on_event = on_event
        self._limits = limits
        self._reading = 0
        self._running: set[asyncio.Task[None]] = set()
        self._seen: OrderedDict[bytes, None] = OrderedDict()  # oldest first

    async def take(self, request: Request) -> Response:
        """Answer one request, before anything is done about its event."""
        signature = request.headers.get(SIGNATURE_HEADER)
        try:
            read_signature(signature)  # a stranger's body is not even read
            body = await self._read(request)
            verify(body, self._api_key, signature)
            self._accept(_parse(body), body)
        except BadSignature as error:
            return _refuse(401, error)
        except _Refused as error:
            return _refuse(error.status, error)
        return Response(status_code=204)

    async def drain(self) -> None:
        """Let handlers come to their end for a while, then stop them."""
        for limit_s in (self._limits.drain_s, STUBBORN_S):
            if self._running:
                _, late = await asyncio.wait(self._running, timeout=limit_s)
                for task in late:
                    task.cancel()

    async def _read(self, request: Request) -> bytes:
        if self._reading >= self._limits.at_once:
            raise _Refused(503, "too many bodies at once")
        body = bytearray()
        self._reading += 1
        try:
            async with (
                asyncio.timeout(self._limits.read_s),
                contextlib.aclosing(request.stream()) as chunks,
            ):
                async for chunk in chunks:
                    body += chunk
                    if len(body) > self._limits.body_bytes:
                        raise _Refused(413, f"a body of more than {self._limits.body_bytes} bytes")
        except TimeoutError:
            raise _Refused(408, f"no whole body within {self._limits.read_s} s") from None
        except ClientDisconnect:
            raise _Refused(400, "half a body") from None
        finally:
            self._reading -= 1
        return bytes(body)

    def _accept(self, event: WebhookEvent, body: bytes) -> None:
        key = _key(event, body)
        if key in self._seen:
            log.info("%s: dropped, it was here before", _name(event))
            return
        if len(self._running) >= self._limits.at_once:
            raise _Refused(503, f"too many events at once, {_name(event)}")
        self._seen[key] = None
        if len(self._seen) > self._limits.remembered:
            self._seen.popitem(last=False)
        log.info("%s: taken", _name(event))
        task = asyncio.create_task(self._handle(event))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _handle(self, event: WebhookEvent) -> None:
        try:
            if _is_async(self._on_event):
                outcome = self._on_event(event)
            else:
                outcome = await _in_thread(self._on_event, event)
            if inspect.isawaitable(outcome):
                async with asyncio.timeout(self._limits.handler_s):
                    await outcome
        except asyncio.CancelledError:
            log.warning("%s: cancelled, the server stops", _name(event))
            raise
        except (Exception, SystemExit) as error:
            log.error("%s: failed, %s", _name(event), cause(error))


def _refuse(status: int, reason: Exception) -> Response:
    log.warning("refused with %d: %s", status, reason)
    is_unread = status in (401, 408, 413, 503)  # the rest of the body is still on its way
    return Response(status_code=status, headers={"Connection": "close"} if is_unread else None)


def _parse(body: bytes) -> WebhookEvent:
    try:
        fields = json.loads(body.decode())
    except (ValueError, RecursionError):  # its text could quote the body
        raise _Refused(400, "a signed body that is not JSON") from None
    name = fields.get("event") if isinstance(fields, dict) else None
    if not isinstance(name, str) or not name:
        raise _Refused(400, "a signed body without event, expected a JSON object with it")
    call = fields.get("call")
    return WebhookEvent(event=name, call=call if isinstance(call, dict) else {}, fields=fields)


def _key(event: WebhookEvent, body: bytes) -> bytes:
    """What two deliveries of one event have in common; of fixed size."""
    if event.event in ONCE_A_CALL and event.call_id:
        return hashlib.sha256(repr((event.event, event.call_id)).encode()).digest()
    return hashlib.sha256(body).digest()


def _name(event: WebhookEvent) -> str:
    """The event for a log line: escaped and short."""
    kind, call_id = event.event[:_LOGGED_CHARACTERS], event.call_id[:_LOGGED_CHARACTERS]
    return f"event {kind!r} of call {call_id!r}"


def _is_async(function: OnEvent) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    )


async def _in_thread(function: OnEvent, event: WebhookEvent) -> object:
    """Run a function in a thread that holds up no shutdown, unlike those of an executor."""
    done: Future[tuple[object, BaseException | None]] = Future()
    done.set_running_or_notify_cancel()  # whoever stops waiting must not spoil the result

    def run() -> None:
        try:
            done.set_result((function(event), None))
        except BaseException as error:  # else its task would wait for ever
            done.set_result((None, error))

    threading.Thread(target=run, name="webhook", daemon=True).start()
    outcome, error = await asyncio.wrap_future(done)
    if error is not None:
        raise error
    return outcome
