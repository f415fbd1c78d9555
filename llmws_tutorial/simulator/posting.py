"""One POST to a stranger: what came of it, in words, and never later than it may.

Source: docs/protocol.md, section 9.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import quote, urlsplit

from llmws_tutorial.errors import SetupError

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


@dataclass(frozen=True)
class Target:
    """Where to post; made from a URL by `of`.

    Attributes:
        host, port, path: the parts of the URL that a connection needs.
        tls: how to secure the connection; None for http.
    """

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str) -> "Target":
        """Read a URL.

        Raises:
            SetupError: when it is no http(s) URL.
        """
        with contextlib.suppress(ValueError):  # a bracket, a port or a name that cannot be
            parts = urlsplit(url.strip())
            host = parts.hostname or ""
            if parts.scheme in ("http", "https") and parts.port != 0 and _HOST.fullmatch(host):
                host.encode("idna")
                is_secure = parts.scheme == "https"
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                return cls(
                    host,
                    parts.port or (443 if is_secure else 80),
                    quote(path, _UNQUOTED),
                    ssl.create_default_context() if is_secure else None,
                )
        raise SetupError(f"cannot post to {url!r}: expected http://host/path or https://host/path")

    async def post(self, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Attempt:
        """Post JSON once; whatever the other side does is the answer, never an error.

        Args:
            body: the raw body.
            headers: further headers.
            timeout_s: how long it may take until the answer is there (seconds).
        """
        began_s = time.monotonic()
        posting = _Post(self, body, headers)
        try:
            async with asyncio.timeout(timeout_s):
                status, problem = await posting.verdict(timeout_s)
        except TimeoutError:
            status, problem = None, f"no answer in {timeout_s:g} s; answer first, then work"
        took_ms = round((time.monotonic() - began_s) * 1000)
        return Attempt(status=status, problem=problem, took_ms=took_ms)

    def connection(self, timeout_s: float) -> HTTPConnection:
        """Prepare a connection; nothing is dialled yet."""
        if self.tls is None:
            return HTTPConnection(self.host, self.port, timeout=timeout_s)
        return HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self.tls)


class _Post:
    """One POST, in a thread of its own that nobody has to wait for.

    The limits of a socket are for each step, and a receiver may take as many steps as it likes.
    So whoever waits has the clock, and on leaving ends the connection under the thread.
    """

    def __init__(self, target: Target, body: bytes, headers: Mapping[str, str]) -> None:
        self._target = target
        self._body = body
        self._headers = {"Content-Type": "application/json", "Connection": "close", **headers}
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
