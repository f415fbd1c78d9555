"""The way to an ASGI app in this process: no port, no socket, the same messages.

It behaves as uvicorn does: an app that raises drops the connection without a close frame, one that
returns without a close as well, and one that sends to a peer that has gone gets an OSError.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from llmws_tutorial.checks.sockets import has_secret, with_wrong_secret
from llmws_tutorial.checks.transport import LineEnded, Socket
from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.simulator.endings import ABNORMAL
from llmws_tutorial.simulator.opening import OPEN_TIMEOUT_S, Stage
from llmws_tutorial.simulator.posting import Attempt
from llmws_tutorial.simulator.webhooks import ANSWER_S

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]
"""An ASGI app: takes scope, receive and send."""
_CLOSE_S: Final = 5.0  # an app may have something to do after a call
LIFESPAN_S: Final = 10.0
"""How long an app may take to start, and to end (seconds)."""
_AT_A_TIME: Final = 64
_HOST: Final = (b"host", b"127.0.0.1")


class Memory:
    """Calls an ASGI app without a port; made by `in_memory`.

    Attributes:
        state: what the app's lifespan hands on to each of its calls.
    """

    def __init__(
        self, app: App, *, path: str, webhook: str | None, timeout_s: float = OPEN_TIMEOUT_S
    ) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._path = path
        self._webhook = webhook
        self._timeout_s = timeout_s
        self._sockets: list[_Socket] = []

    async def close(self) -> None:
        """Hang up on whatever is still open, and wait for the app to notice."""
        for socket in self._sockets:
            socket.drop()
        await _end([socket.running for socket in self._sockets], self._timeout_s)

    @property
    def has_secret(self) -> bool:
        """Whether the path holds more than one segment: one of them may be a secret."""
        return has_secret(self._path)

    @property
    def has_webhook(self) -> bool:
        """Whether there is a webhook to post to."""
        return self._webhook is not None

    async def open(
        self, call_id: str, *, headers: Mapping[str, str] | None = None, is_wrong: bool = False
    ) -> Socket:
        """Open a socket to the app; see `Transport`."""
        path = urlsplit(with_wrong_secret(self._path)).path if is_wrong else self._path
        scope = _scope("websocket", f"{path.rstrip('/')}/{call_id}", headers)
        socket = _Socket(self._app, {**scope, "state": self.state.copy()})
        self._sockets.append(socket)
        try:
            async with asyncio.timeout(self._timeout_s):
                await socket.open()
        except TimeoutError:
            socket.drop()
            fault = f"no answer in {self._timeout_s:g} s; does it accept the socket?"
            raise CannotConnect(f"cannot call the app: {fault}", stage=Stage.HTTP.name) from None
        return socket

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Attempt:
        """Post to the app's webhook; see `Transport`."""
        scope = _scope("http", str(self._webhook), {"content-type": "application/json", **headers})
        posted = _Post(body)
        began_s = time.monotonic()
        status, problem = 0, None
        try:
            async with asyncio.timeout(ANSWER_S):
                request = {**scope, "method": "POST", "state": self.state.copy()}
                await self._app(request, posted.receive, posted.send)
            status = posted.status
            problem = None if status else "it returned without an answer"
        except TimeoutError:
            problem = f"no answer in {ANSWER_S:g} s; answer first, then work"
        except Exception as error:
            status, problem = 500, f"it raised {error!r}"
        took_ms = round((time.monotonic() - began_s) * 1000)
        return Attempt(status=status or None, problem=problem, took_ms=took_ms)


@contextlib.asynccontextmanager
async def in_memory(
    app: App, *, path: str = "/llm-websocket/", webhook: str | None = None
) -> AsyncIterator[Memory]:
    """Start an ASGI app in this event loop, and end it.

    Args:
        app: the app; its lifespan events are sent, if it knows them.
        path: where its calls live, without a call id.
        webhook: the path of its webhook; None: there is none.

    Raises:
        CannotConnect: when the app does not start.
    """
    memory = Memory(app, path=path, webhook=webhook)
    lifespan = _Lifespan(app, memory.state)
    try:
        await lifespan.start()
        yield memory
    finally:
        await memory.close()
        await lifespan.end()


class _Lifespan:
    """The life of an app, which need not know that it has one."""

    def __init__(self, app: App, state: dict[str, Any]) -> None:
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._failure: str | None = None
        self._living = asyncio.create_task(self._live(app, state))

    async def start(self) -> None:
        self._inbox.put_nowait({"type": "lifespan.startup"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), LIFESPAN_S)
        if not self._answered.is_set():
            self._failure = f"no answer to lifespan.startup in {LIFESPAN_S:g} s"
        if self._failure is not None:
            raise CannotConnect(f"the app does not start: {self._failure or 'it does not say why'}")

    async def end(self) -> None:
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        await _end([self._living], LIFESPAN_S)

    async def _live(self, app: App, state: dict[str, Any]) -> None:
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": state}
        with contextlib.suppress(Exception):  # an app need not know what a lifespan is
            await app(scope, self._inbox.get, self._send)
        self._answered.set()

    async def _send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            self._failure = message.get("message", "")
        self._answered.set()


class _Post:
    """One request to the webhook, from the poster's end."""

    def __init__(self, body: bytes) -> None:
        self._requests = [{"type": "http.request", "body": body, "more_body": False}]
        self.status = 0

    async def receive(self) -> Message:
        if self._requests:
            return self._requests.pop()
        return await asyncio.Future()  # the poster stays until the answer is there

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]


class _Socket:
    """One WebSocket, from the platform's end; the app's end is a task."""

    def __init__(self, app: App, scope: dict[str, Any]) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._to_us: asyncio.Queue[str | bytes | LineEnded] = asyncio.Queue()
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._is_over = False
        self._sends = 0
        self.running = asyncio.create_task(self._run(app, scope))

    async def open(self) -> None:
        self._to_app.put_nowait({"type": "websocket.connect"})
        status = await self._answer
        if status != 101:
            raise CannotConnect(
                f"cannot call the app: it refused the socket (HTTP {status}); is the route "
                "/llm-websocket/{call_id} defined, and does the path hold the secret, if any?",
                stage=Stage.HTTP.name,
            )

    async def send(self, data: str | bytes, pieces: int = 1) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", kind: data})

    async def receive(self) -> str | bytes:
        got = await self._to_us.get()
        if isinstance(got, LineEnded):
            raise got
        return got

    async def hang_up(self) -> bool:
        self._leave({"type": "websocket.disconnect", "code": 1000, "reason": ""})
        done, _ = await asyncio.wait([self.running], timeout=_CLOSE_S)
        return bool(done)

    def drop(self) -> None:
        self._leave({"type": "websocket.disconnect", "code": ABNORMAL})

    def _leave(self, message: Message) -> None:
        if not self._is_over:
            self._is_over = True
            self._to_app.put_nowait(message)

    async def _run(self, app: App, scope: dict[str, Any]) -> None:
        reason = ""
        try:
            await app(scope, self._to_app.get, self._send)
        except Exception as error:  # what an app raises drops its connection
            reason = f"the app raised {error!r:.200}"
        self._is_over = True
        if not self._answer.done():
            self._answer.set_result(500)
        self._to_us.put_nowait(LineEnded(ABNORMAL, reason))

    async def _send(self, message: Message) -> None:
        self._sends += 1
        if self._sends % _AT_A_TIME == 0:
            await asyncio.sleep(0)  # who sends without end must not be alone on the event loop
        match message["type"]:
            case _ if self._is_over:
                raise OSError("the peer has gone")
            case "websocket.send" if not self._answer.done():
                raise RuntimeError("got websocket.send, expected websocket.accept before it")
            case "websocket.accept":
                self._answer.set_result(101)
            case "websocket.close" if not self._answer.done():
                self._answer.set_result(403)
            case "websocket.http.response.start":
                self._answer.set_result(message["status"])
            case "websocket.send":
                text = message.get("text")
                self._to_us.put_nowait(message["bytes"] if text is None else text)
            case "websocket.close":
                code, reason = message.get("code", 1000), message.get("reason") or ""
                self._is_over = True
                self._to_app.put_nowait(
                    {"type": "websocket.disconnect", "code": code, "reason": reason}
                )
                self._to_us.put_nowait(LineEnded(code, reason))
            case _:  # the body of a refusal says nothing
                pass


async def _end(tasks: Sequence[asyncio.Task[None]], within_s: float) -> None:
    """Wait for tasks of the app, then cancel them; one that goes on nevertheless is left."""
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=within_s)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=within_s)


def _scope(kind: str, path: str, headers: Mapping[str, str] | None) -> dict[str, Any]:
    given = (headers or {}).items()
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws" if kind == "websocket" else "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [_HOST, *((name.lower().encode(), value.encode()) for name, value in given)],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
