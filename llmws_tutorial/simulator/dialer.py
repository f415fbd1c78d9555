"""Place a call: dial a server's URL, talk, fall silent, hang up, keep the record.

The caller is text: words travel as the platform would send them, one more at a time. Time can
run faster than on a phone; the order of the frames stays the same.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
)

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import Request, Utterance, write
from llmws_tutorial.simulator.call import Call, Dropped, Spoken, State

OPEN_TIMEOUT_S: Final = 7.0
"""How long one attempt to open the socket may take, as on the platform."""
CLOSE_TIMEOUT_S: Final = 1.0
"""How long a server may take to close its end once the call is over."""
WORDS_PER_SECOND: Final = 3.0
"""How fast the caller and the agent speak."""
REMINDER_AFTER_S: Final = 10.0
"""How long a caller is quiet before the platform asks for a reminder."""

_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


@dataclass(frozen=True)
class Frame:
    """One frame on the wire.

    Attributes:
        sender: who sent it.
        data: the payload, text or bytes.
        dropped: why the platform throws it away; None when it does not.
    """

    sender: Literal["platform", "server"]
    data: str | bytes
    dropped: str | None = None


@dataclass
class CallRecord:
    """What is known about one call when it is over.

    Attributes:
        call_id: the last segment of the URL that was dialled.
        transcript: what was said and heard, oldest first.
        frames: every frame, both ways, in order.
        disconnection_reason: why it ended, in the platform's words; None while it goes on.
        close_code: the code with which the socket closed; None while it is open.
        close_reason: the text that came with that code.
    """

    call_id: str
    transcript: list[Utterance] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    disconnection_reason: str | None = None
    close_code: int | None = None
    close_reason: str = ""

    @property
    def dropped(self) -> list[Frame]:
        """The frames of the server that were never spoken, each with its reason."""
        return [frame for frame in self.frames if frame.dropped is not None]

    def __str__(self) -> str:
        """The transcript, one line an utterance."""
        return "\n".join(f"{said.role + ':':6} {said.content}" for said in self.transcript)

    def __repr__(self) -> str:
        return f"<CallRecord: {len(self.transcript)} utterances, {self.disconnection_reason}>"


def call_url(url: str, call_id: str) -> str:
    """Append a call id to a URL as the platform does: last segment, before any query.

    Raises:
        CannotConnect: when the URL cannot be dialled at all.
    """
    parts = _split(url.strip())
    if parts is None:
        raise CannotConnect(
            f"cannot dial {url!r}: expected ws://host/llm-websocket/ or wss://host/llm-websocket/"
        )
    path = f"{parts.path.rstrip('/')}/{quote(call_id, safe='')}"
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


def _split(url: str) -> SplitResult | None:
    """The parts of a URL that can be dialled; None for any other."""
    with contextlib.suppress(ValueError):  # a bracket, a port or a name that cannot be
        parts = urlsplit(url)
        if parts.scheme in _SCHEMES and parts.hostname and parts.port != 0:
            parts.hostname.encode("idna")
            return parts
    return None


class Line:
    """An open call: say something, be silent, listen, hang up; the record keeps it.

    Made by `dial`, not by hand.
    """

    def __init__(self, socket: ClientConnection, record: CallRecord, *, speed: float) -> None:
        self.record = record
        self._socket = socket
        self._speed = speed
        self._call = Call()
        record.transcript = self._call.transcript

    @property
    def is_open(self) -> bool:
        """Whether the call still goes on."""
        return self._call.state is not State.ENDED

    async def listen(self, timeout_s: float) -> str:
        """Hear the agent until its turn is over, the call ends, or the time is up.

        Returns:
            What the agent said, in one piece; empty when it kept silent.
        """
        waiting = self._call.state
        pieces: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._call.state is waiting and waiting in (State.MUTE, State.AWAITING):
                    pieces.append(await self._receive())
        heard = "".join(pieces)
        if heard:
            await self._take_time_for(len(heard.split()))
            await self._send(self._call.update())
        return heard

    async def say(self, text: str) -> None:
        """Speak as the caller: one update a word, then the request for an answer."""
        for word in text.split():
            await self._take_time_for(1)
            if self.is_open:
                await self._send(self._call.caller_says(word))
        if self.is_open:
            await self._send(self._call.caller_finishes())

    async def stay_silent(self) -> None:
        """Say nothing until the platform asks the agent for a reminder."""
        await asyncio.sleep(REMINDER_AFTER_S / self._speed)
        if self._call.state is State.LISTENING:
            await self._send(self._call.caller_is_silent())

    async def hang_up(self) -> None:
        """End the call; a call that is already over stays as it ended."""
        await self._catch_up()
        self._call.hang_up()
        is_corrupt = self._call.disconnection_reason == "error_llm_websocket_corrupt_payload"
        await self._socket.close(1007 if is_corrupt else 1000)
        self._finish()

    async def _send(self, message: Request) -> None:
        if not self.is_open:
            return
        frame = write(message)
        try:
            await self._socket.send(frame)
        except ConnectionClosed:
            self._lost()
        else:
            self.record.frames.append(Frame("platform", frame))

    async def _receive(self) -> str:
        """Take one frame into the record; the result is what it adds to the agent's speech."""
        try:
            data = await self._socket.recv()
        except ConnectionClosed:
            self._lost()
            return ""
        verdict = self._call.receive(data)
        dropped = verdict.reason if isinstance(verdict, Dropped) else None
        self.record.frames.append(Frame("server", data, dropped))
        return verdict.response.content if isinstance(verdict, Spoken) else ""

    async def _catch_up(self) -> None:
        """Take what arrived already into the record: frames, and perhaps the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                while self.is_open:
                    await self._receive()

    async def _take_time_for(self, words: int) -> None:
        await asyncio.sleep(words / WORDS_PER_SECOND / self._speed)

    def _lost(self) -> None:
        self._call.socket_closed(self._socket.close_code or 1006)
        self._finish()

    def _finish(self) -> None:
        self.record.disconnection_reason = self._call.disconnection_reason
        code = self._socket.close_code
        self.record.close_code = None if code is None else int(code)
        self.record.close_reason = self._socket.close_reason or ""


@contextlib.asynccontextmanager
async def dial(url: str, *, call_id: str | None = None, speed: float = 1.0) -> AsyncIterator[Line]:
    """Open a call to a server; leaving the block hangs up.

    Args:
        url: where the server's calls live, without a call id (ws, wss, http or https).
        call_id: the id to append; None makes one up.
        speed: how many times faster than on a phone people speak and wait (above 0).

    Raises:
        CannotConnect: when the call never came about, with the stage reached and the likely fix.
    """
    if not speed > 0:
        raise ValueError(f"speed is {speed}, expected a number above 0")
    call_id = call_id or f"call_{secrets.token_hex(8)}"
    socket = await _open(call_url(url, call_id))
    line = Line(socket, CallRecord(call_id), speed=speed)
    try:
        yield line
    finally:
        await line.hang_up()


async def place_call(
    url: str,
    says: Sequence[str | None] = (),
    *,
    call_id: str | None = None,
    speed: float = 20.0,
    timeout_s: float = 5.0,
) -> CallRecord:
    """Call a server, say each line once the agent has finished, then hang up.

    Args:
        url: where the server's calls live, without a call id.
        says: the caller's lines in order; None stands for staying silent.
        call_id: the id to append to the URL; None makes one up.
        speed: how many times faster than on a phone people speak and wait.
        timeout_s: how long to wait for the agent at each turn, in seconds.

    Returns:
        The record of the call, also when the agent kept silent or hung up.

    Raises:
        CannotConnect: when the call never came about.
    """
    async with dial(url, call_id=call_id, speed=speed) as line:
        await line.listen(timeout_s)
        for text in says:
            if not line.is_open:
                break
            await (line.stay_silent() if text is None else line.say(text))
            await line.listen(timeout_s)
    return line.record


async def _open(url: str) -> ClientConnection:
    where = f"cannot call {urlsplit(url).netloc.rpartition('@')[2]}"  # no password in an error
    try:
        return await connect(
            url,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=None,
            compression=None,
            proxy=None,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise CannotConnect(f"{where}: {_explain_status(status)}") from None
    except TimeoutError:
        raise CannotConnect(
            f"{where}: no answer in {OPEN_TIMEOUT_S:g} s; is the server stuck?"
        ) from None
    except InvalidURI as error:
        raise CannotConnect(f"{where}: {error}") from None
    except InvalidHandshake as error:
        raise CannotConnect(
            f"{where}: what answers there is no WebSocket server ({error})"
        ) from None
    except ssl.SSLError as error:
        raise CannotConnect(
            f"{where}: TLS failed ({error.reason}); is a server on this machine meant? "
            "it is called with ws://, not wss://"
        ) from None
    except OSError as error:
        raise CannotConnect(
            f"{where}: nothing answers ({_why(error)}); is the server running?"
        ) from None


def _why(error: OSError) -> str:
    """The system's own words: asyncio's repeat the address, in another form."""
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    return error.strerror or str(error)


def _explain_status(status: int) -> str:
    match status:
        case 403 | 404:
            return (
                f"the server refused the socket with HTTP {status}; is the route "
                "/llm-websocket/{call_id} defined, and does the URL end in /llm-websocket/?"
            )
        case 502 | 503 | 504:
            return (
                f"the tunnel is open but nothing answers behind it (HTTP {status}); "
                "start the server again on the port that the tunnel forwards to"
            )
        case _:
            return f"the server refused the socket with HTTP {status}, expected 101"
