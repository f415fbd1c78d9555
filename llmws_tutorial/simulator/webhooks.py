"""Tell a receiver about calls as the platform does: signed, and again if refused.

The way of an event: its body is written once, then posted up to four times, each time with a
signature of that moment. An answer 2xx takes it; anything else is one more attempt, and in the
end a `Delivery` that says in words what went wrong.

Source: docs/protocol.md, section 9.
"""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, urlsplit
from weakref import WeakValueDictionary

from llmws_tutorial.errors import SetupError
from llmws_tutorial.messages.signature import SIGNATURE_HEADER, require_key, sign

ANSWER_S: Final = 10.0
"""How long one attempt may take until its answer is there, as on the platform."""
PAUSES_S: Final = (1.0, 2.0, 4.0)
"""How long to wait before each of the three retries: the kit's choice, nobody documents it."""

_HOST: Final = re.compile(r"[^\x00-\x20\x7f]+")
_UNQUOTED: Final = "/?:@!$&'()*+,;=[]~%"  # what has a meaning in a URL, or is quoted already
_SOURCE_OF_SSL: Final = re.compile(r"\[[^]]*\] | \(_ssl\.c:\d+\)")
_SHOWN_CHARACTERS: Final = 100
_FIXES: Final = {
    401: "; do both sides have the same API key?",
    404: "; is the route there, and is its path in the URL?",
    405: "; is the route there, and does it take POST?",
}

_Verdict = tuple[int | None, str | None]
"""The HTTP status, where one came, and the problem, where there is one."""


@dataclass(frozen=True, kw_only=True)
class DeliveryLimits:
    """How patient a delivery is.

    Attributes:
        answer_s: how long one attempt may take until its answer is there (seconds).
        pauses_s: how long to wait before each retry (seconds); so many are made.
    """

    answer_s: float = ANSWER_S
    pauses_s: tuple[float, ...] = PAUSES_S


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One POST and what came of it.

    Attributes:
        status: the HTTP status of the answer; None when there was none.
        problem: why the event was not taken; None when it was.
        took_ms: how long it took until that was clear (milliseconds).
    """

    status: int | None
    problem: str | None
    took_ms: int = field(repr=False)

    def __str__(self) -> str:
        """What came of it and how long it took, on one line."""
        return f"{self.problem or f'HTTP {self.status}'} [{self.took_ms} ms]"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event that was taken, or given up.

    Attributes:
        event: the name of the event.
        attempts: each POST in order; the last one decided.
    """

    event: str
    attempts: tuple[Attempt, ...]

    @property
    def is_taken(self) -> bool:
        """Whether the receiver took the event."""
        return self.attempts[-1].problem is None

    def __str__(self) -> str:
        """What came of the event and of each attempt, on one line."""
        outcome = "taken" if self.is_taken else "given up"
        tried = "; ".join(str(attempt) for attempt in self.attempts)
        return f"{self.event}: {outcome} at attempt {len(self.attempts)}: {tried}"


class Webhooks:
    """One receiver of webhooks, and all that it was told.

    Attributes:
        deliveries: the events that were taken or given up, in the order in which that was clear.
    """

    def __init__(self, url: str, *, api_key: str, limits: DeliveryLimits | None = None) -> None:
        """Take the receiver's URL and the key; nothing is sent yet.

        Raises:
            SetupError: when the URL is no http(s) URL, or the API key is blank.
        """
        require_key(api_key)
        self.deliveries: list[Delivery] = []
        self._target = _target(url)
        self._api_key = api_key
        self._limits = limits or DeliveryLimits()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, event: str, call: dict[str, Any]) -> Delivery:
        """Tell an event, once the earlier ones of its call are taken or given up.

        A call has ``call_started``, ``call_ended`` and ``call_analyzed``, in this order. Whoever
        does not want to wait makes each a task: they come in the order in which they began.

        Args:
            event: the name of the event.
            call: the call as it is now; later changes are not sent.

        Raises:
            TypeError, ValueError: when the call cannot be written as JSON.
        """
        body = json.dumps({"event": event, "call": call}, separators=(",", ":"), allow_nan=False)
        turn = self._turns.setdefault(str(call.get("call_id")), asyncio.Lock())
        async with turn:
            delivery = Delivery(event=event, attempts=await self._try(body.encode()))
            self.deliveries.append(delivery)
        return delivery

    async def _try(self, body: bytes) -> tuple[Attempt, ...]:
        attempts = [await self._attempt(body)]
        for pause_s in self._limits.pauses_s:
            if attempts[-1].problem is None:
                break
            await asyncio.sleep(pause_s)
            attempts.append(await self._attempt(body))
        return tuple(attempts)

    async def _attempt(self, body: bytes) -> Attempt:
        limit_s = self._limits.answer_s
        began_s = time.monotonic()
        post = _Post(self._target, body, sign(body, self._api_key, time.time_ns() // 1_000_000))
        try:
            async with asyncio.timeout(limit_s):
                status, problem = await post.verdict(limit_s)
        except TimeoutError:
            status, problem = None, f"no answer in {limit_s:g} s; answer first, then work"
        took_ms = round((time.monotonic() - began_s) * 1000)
        return Attempt(status=status, problem=problem, took_ms=took_ms)


async def deliver(
    url: str,
    event: str,
    call: dict[str, Any],
    *,
    api_key: str,
    limits: DeliveryLimits | None = None,
) -> Delivery:
    """Tell a receiver one event, again and again until it is taken or given up.

    Args:
        url: where the receiver takes webhooks (http or https). A redirect is not followed.
        event: the name of the event.
        call: the call as it is now.
        api_key: the key that both sides know.
        limits: how patient to be; None takes the defaults.

    Returns:
        What came of it, whatever the receiver does.

    Raises:
        SetupError: when the URL is no http(s) URL, or the API key is blank.
        TypeError, ValueError: when the call cannot be written as JSON.
    """
    return await Webhooks(url, api_key=api_key, limits=limits).send(event, call)


@dataclass(frozen=True)
class _Target:
    """Where to post: the parts of a URL that a connection needs."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None

    def connection(self, timeout_s: float) -> HTTPConnection:
        if self.tls is None:
            return HTTPConnection(self.host, self.port, timeout=timeout_s)
        return HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self.tls)


def _target(url: str) -> _Target:
    with contextlib.suppress(ValueError):  # a bracket, a port or a name that cannot be
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
        if parts.scheme in ("http", "https") and parts.port != 0 and _HOST.fullmatch(host):
            host.encode("idna")
            is_secure = parts.scheme == "https"
            return _Target(
                host,
                parts.port or (443 if is_secure else 80),
                quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _UNQUOTED),
                ssl.create_default_context() if is_secure else None,
            )
    raise SetupError(f"cannot post to {url!r}: expected http://host/path or https://host/path")


class _Post:
    """One POST, in a thread of its own that nobody has to wait for.

    The limits of a socket are for each step, and a receiver may take as many steps as it likes.
    So whoever waits has the clock, and on leaving ends the connection under the thread.
    """

    def __init__(self, target: _Target, body: bytes, signature: str) -> None:
        self._target = target
        self._body = body
        self._headers = {
            "Content-Type": "application/json",
            "Connection": "close",
            SIGNATURE_HEADER: signature,
        }
        self._is_over = False

    async def verdict(self, limit_s: float) -> _Verdict:
        """Post and wait; who is cancelled in the meantime leaves no open connection."""
        connection = self._target.connection(2 * limit_s)  # ends a thread that cannot be woken
        done: Future[_Verdict] = Future()
        done.set_running_or_notify_cancel()  # whoever stops waiting must not spoil the result

        def run() -> None:
            with contextlib.closing(connection):
                verdict = self._exchange(connection)
            done.set_result(verdict)

        # The threads of an executor would hold up the end of the process.
        threading.Thread(target=run, name="webhook delivery", daemon=True).start()
        try:
            return await asyncio.wrap_future(done)
        finally:
            self._is_over = True
            if connected := connection.sock:
                with contextlib.suppress(OSError):  # it may be closed already
                    # Below TLS, whose own shutdown is not meant for two threads.
                    socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def _exchange(self, connection: HTTPConnection) -> _Verdict:
        try:
            connection.connect()
        except ssl.SSLError as error:
            return None, f"TLS failed ({_why(error)}); is http:// meant?"
        except OSError as error:
            return None, f"nothing answers ({_why(error)}); is the receiver running?"
        if self._is_over:  # connected too late: what counts as not sent must not arrive
            return None, "given up"
        try:
            with contextlib.suppress(ConnectionError):  # it may have answered before it hung up
                connection.request("POST", self._target.path, self._body, self._headers)
            with connection.getresponse() as response:  # its body says nothing, and may be endless
                return response.status, _problem(response)
        except OSError as error:
            return None, f"the connection broke before an answer ({_why(error)})"
        except HTTPException as error:
            return None, f"the answer is no HTTP ({_shown(str(error))})"


def _problem(response: HTTPResponse) -> str | None:
    """Why this answer does not take an event; None when it does."""
    status = response.status
    location = response.headers.get("Location")
    if 200 <= status < 300:
        return None
    if 300 <= status < 400 and location:
        return (
            f"HTTP {status} to {_shown(location)}, expected 2xx; "
            "redirects are not followed, give the URL where it leads"
        )
    return f"HTTP {status}, expected 2xx{_FIXES.get(status, '')}"


def _why(error: OSError) -> str:
    """The system's own words, without the places in the source of the ssl module."""
    return _SOURCE_OF_SSL.sub("", error.strerror or str(error)).lower()


def _shown(text: str) -> str:
    """A text of the receiver, fit for a line."""
    return repr(text[:_SHOWN_CHARACTERS])
