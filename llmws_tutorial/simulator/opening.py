"""One attempt to open the socket of a call, as the platform makes it.

An attempt goes through the stages in order, and an error names the one in which it ended::

    NAME    which addresses has the host?    a thread asks the name server
    TCP     does one of them answer?         each is tried, in the order given
    TLS     is it who it says it is?         only for wss://
    HTTP    does it open a WebSocket?        the answer must be HTTP 101
    OPEN    the call can begin

The kit's own choice: a redirect is not followed, as nothing says that the platform would.
"""

import asyncio
import contextlib
import errno
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from enum import Enum
from functools import partial
from threading import Thread
from typing import Any, Final, cast
from urllib.parse import urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.http11 import Response
from websockets.uri import WebSocketURI, parse_uri

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.simulator.address import dialled, hints

OPEN_TIMEOUT_S: Final = 7.0
"""How long one attempt to open the socket may take, as on the platform."""
CLOSE_TIMEOUT_S: Final = 1.0
"""How long a server may take to close its end once the call is over."""
MOST_BYTES: Final = 2**20
"""How long one message of the server may be; a longer one ends the call with 1009."""

_MOST_SHOWN: Final = 200  # characters that a stranger may put into an error

_Address = tuple[Any, ...]  # one entry of getaddrinfo
_Fault = tuple[str, str]  # what happened, and the likely fix


class Stage(Enum):
    """How far an attempt has come."""

    NAME = "looking up the name"
    TCP = "opening the TCP connection"
    TLS = "agreeing on TLS"
    HTTP = "asking for a WebSocket"
    OPEN = "open"


_SILENCES: Final[dict[Stage, _Fault]] = {
    Stage.NAME: ("from the name server", "is there a network, and is the name right?"),
    Stage.TCP: ("while the TCP connection opened", "is the address right, and no firewall near?"),
    Stage.TLS: ("after the TCP connection was open (no TLS answer)", "is the server stuck?"),
    Stage.HTTP: ("after the TCP connection was open (no HTTP answer)", "is the server stuck?"),
}
_BEHIND: Final = "start the server again on the port that the tunnel forwards to"
_STATUSES: Final[dict[tuple[int, ...], _Fault]] = {
    (200,): (
        "a web page answers there, no socket",
        "does the URL end in /llm-websocket/, and is that route a WebSocket one?",
    ),
    (400, 426): (
        "the server saw no proper request for a WebSocket",
        "does a proxy in between drop the headers Upgrade and Connection?",
    ),
    (401, 403): (
        "the server refused the socket",
        "is the route /llm-websocket/{call_id} defined, does the URL end in /llm-websocket/ "
        "and hold the secret, and is your address allowed?",
    ),
    (404,): (
        "the server found no page there, where a socket was asked for",
        "does the URL end in /llm-websocket/, is a WebSocket library installed beside uvicorn "
        "(pip install websockets), and is the tunnel, if any, still open?",
    ),
    (421,): (
        "the server is not called by this name",
        "call it by its own, or let it know this one (the kit's server: LLMWS_HOSTS)",
    ),
    (429, 503): (
        "the server takes no more calls",
        f"hang up some or raise its limit; where a tunnel says so, {_BEHIND}",
    ),
    (500,): ("the server failed before it accepted the socket", "read the traceback in its log"),
    (502, 504): ("the tunnel is open but nothing answers behind it", _BEHIND),
}
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_UNREACHABLE: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH)
_CERTIFICATES: Final = {
    9: "is the clock of both machines right?",
    10: "renew it",
    62: "call the server by a name in its certificate",
    64: "call the server by an address in its certificate",
}
"""Fixes, by OpenSSL's number of what is wrong with a certificate."""


def likely_fix(stage: Stage) -> str:
    """What helps most often where an attempt stays in a stage; empty for OPEN."""
    return _SILENCES[stage][1] if stage in _SILENCES else ""


async def open_socket(  # noqa: PLR0913 - each is an option by name
    url: str,
    *,
    timeout_s: float = OPEN_TIMEOUT_S,
    most_bytes: int | None = MOST_BYTES,
    headers: Mapping[str, str] | None = None,
    progress: Callable[[Stage], None] | None = None,
    context: ssl.SSLContext | None = None,
) -> ClientConnection:
    """Try once to open the socket of a call.

    Args:
        url: what to dial, with the call id, as `call_url` makes it.
        timeout_s: how long the whole attempt may take (seconds).
        most_bytes: the longest message that will be read; None sets no limit.
        headers: sent with the request, beside those of WebSocket; the platform sends none.
        progress: told each stage as it begins; it must not raise.
        context: which certificates are trusted; None trusts those that the machine trusts.

    Returns:
        The open connection; whoever asked for it closes it.

    Raises:
        CannotConnect: when there is no socket, with the stage reached and the likely fix.
    """
    attempt = _Attempt(url, progress)
    try:
        async with asyncio.timeout(timeout_s):
            return await attempt.run(most_bytes, context, headers or {})
    except (OSError, WebSocketException) as error:
        raise attempt.failed(_explain(error, attempt, timeout_s)) from None


class _Attempt:
    """Where one attempt stands: the stage, and how the answer of the server begins."""

    def __init__(self, url: str, progress: Callable[[Stage], None] | None) -> None:
        self._parts = dialled(url)
        self._progress = progress
        self.stage = Stage.NAME
        self.heard = ""

    def reach(self, stage: Stage) -> None:
        self.stage = stage
        if self._progress is not None:
            self._progress(stage)

    def failed(self, fault: _Fault) -> CannotConnect:
        why, fix = fault
        host = self._parts.netloc.rpartition("@")[2]  # no password in an error
        base = self._parts._replace(path=self._parts.path.rpartition("/")[0])
        fixes = "; ".join([fix, *hints(urlunsplit(base))])
        return CannotConnect(f"cannot call {host}: {why}; {fixes}", stage=self.stage.name)

    async def run(
        self,
        most_bytes: int | None,
        context: ssl.SSLContext | None,
        headers: Mapping[str, str],
    ) -> ClientConnection:
        self.reach(Stage.NAME)
        target = self._target()
        addresses = await _look_up(target.host, target.port)
        self.reach(Stage.TCP)
        sock = await _reach_one(addresses)
        if target.secure:
            self.reach(Stage.TLS)
        connection = await _Connecting(
            urlunsplit(self._parts),
            sock=sock,
            ssl=(context or True) if target.secure else None,
            # the library takes "a wrapper or a subclass" and writes down the latter only
            create_connection=cast("type[ClientConnection]", partial(_Connection, self)),
            proxy=None,
            compression=None,
            user_agent_header=None,
            additional_headers=headers,
            max_size=most_bytes,
            open_timeout=None,  # the whole attempt has one
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the platform's keepalive is a message
        )
        self.reach(Stage.OPEN)
        return connection

    def _target(self) -> WebSocketURI:
        try:
            return parse_uri(urlunsplit(self._parts))
        except (InvalidURI, ValueError):  # all else that it minds, `dialled` refused before
            fault = "its URL has a user name and no password that can be read"
            raise self.failed((fault, "write both, as user:password@, or neither")) from None


class _Connecting(connect):
    """The library's client, except that it follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class _Connection(ClientConnection):
    """The library's connection, which also keeps the attempt up to date."""

    def __init__(self, attempt: _Attempt, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._attempt = attempt

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._attempt.reach(Stage.HTTP)

    def data_received(self, data: bytes) -> None:
        was_open = self.close_deadline is None
        if self.response is None:
            self._attempt.heard = (self._attempt.heard + data.decode("latin-1"))[:_MOST_SHOWN]
        if self.request is not None:  # the library trips over who speaks before it is asked
            super().data_received(data)
        if self.request is None or self.protocol.handshake_exc is not None:
            self.transport.abort()  # the library would wait until the peer hangs up
        elif was_open and self.close_deadline is not None:  # and after a close frame as well
            self.loop.call_at(self.close_deadline, self.transport.abort)


async def _look_up(host: str, port: int) -> list[_Address]:
    with contextlib.suppress(socket.gaierror):  # an address needs no name server and no thread
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    asked: Future[list[_Address] | str] = Future()
    asked.set_running_or_notify_cancel()  # nothing can stop a lookup that has begun
    # Not in the loop's executor: the loop's end, and Python's, would wait for a slow name server.
    Thread(target=_ask, args=(asked, host, port), daemon=True).start()
    found = await asyncio.wrap_future(asked)
    if isinstance(found, str):
        raise socket.gaierror(socket.EAI_NONAME, found)
    return found


def _ask(asked: Future[list[_Address] | str], host: str, port: int) -> None:
    """Fill in the addresses of a host, or the system's words for why there are none."""
    try:
        asked.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        asked.set_result(_words(error))


async def _reach_one(addresses: list[_Address]) -> socket.socket:
    """Connect to the first address that answers; the error is that of the last one."""
    *others, last = addresses
    for address in others:
        with contextlib.suppress(OSError):
            return await _reach(address)
    return await _reach(last)


async def _reach(address: _Address) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:  # also when the time is up
        sock.close()
        raise
    return sock


def _explain(error: OSError | WebSocketException, attempt: _Attempt, timeout_s: float) -> _Fault:
    match error:
        case TimeoutError(errno=None):
            return _explain_silence(attempt, timeout_s)
        case InvalidStatus():
            return _explain_status(error.response)
        case WebSocketException():
            return _explain_answer(error, attempt.heard)
        case _ if attempt.stage is Stage.TLS:
            return _explain_tls(error)
        case _:
            return _explain_network(error, attempt.stage)


def _explain_silence(attempt: _Attempt, timeout_s: float) -> _Fault:
    if attempt.heard:
        begun = f"no whole answer in {timeout_s:g} s (it began with {_shown(attempt.heard)})"
        return begun, "is it a WebSocket server that listens there?"
    where, fix = _SILENCES[attempt.stage]
    return f"no answer in {timeout_s:g} s {where}", fix


def _explain_network(error: OSError, stage: Stage) -> _Fault:
    if stage is Stage.NAME:
        return f"the name is unknown ({_words(error)})", "is it right, and is there a network?"
    if error.errno in _UNREACHABLE:
        return f"no way leads there ({_words(error)})", "is the address right?"
    return f"nothing answers ({_words(error)})", "is the server running?"


def _explain_tls(error: OSError) -> _Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        fix = _CERTIFICATES.get(error.verify_code, "the platform wants one of a known authority")
        return f"its certificate is not trusted ({error.verify_message})", fix
    return f"TLS failed ({_words(error)})", "does it speak TLS? without, it is called with ws://"


def _explain_status(response: Response) -> _Fault:
    status = response.status_code
    if status in _REDIRECTS:
        target = _shown(", ".join(response.headers.get_all("Location")))
        why, fix = f"it redirects to {target}", "call that URL, without the call id"
    else:
        fault = ("the server refused the socket", "101 is expected; look at its log")
        why, fix = next((said for codes, said in _STATUSES.items() if status in codes), fault)
    return f"{why} (HTTP {status})", fix


def _explain_answer(error: WebSocketException, heard: str) -> _Fault:
    if not heard:
        return "the server hung up without an answer", "read its log; does it want wss://?"
    if heard.startswith("\x15\x03"):  # an alert of TLS, any version
        return "the server speaks TLS", "call it with wss://"
    if not heard.startswith("HTTP/"):
        return f"no HTTP is spoken there, but {_shown(heard)}", "is the port right?"
    reason = _shown(str(error.__cause__ or error))[1:-1]
    return f"what answers there is no WebSocket server ({reason})", "is the port right?"


def _words(error: OSError) -> str:
    """The system's own words: asyncio's repeat the address, in another form."""
    if isinstance(error, ssl.SSLError):
        return error.reason.replace("_", " ").lower()
    if error.errno and not isinstance(error, socket.gaierror):  # whose numbers are its own
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error) or "the server hung up").lower()


def _shown(text: str) -> str:
    """What a stranger sent: harmless to a terminal, not too long, and without a password."""
    return ascii(re.sub(r"//[^/?#]*@", "//***@", text)[:_MOST_SHOWN])
