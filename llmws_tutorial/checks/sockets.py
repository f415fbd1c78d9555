"""The way to a server by its URL: real sockets, opened as the platform opens them."""

import contextlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from llmws_tutorial.checks.transport import LineEnded, Socket
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator.address import call_url
from llmws_tutorial.simulator.endings import ABNORMAL
from llmws_tutorial.simulator.opening import OPEN_TIMEOUT_S, open_socket
from llmws_tutorial.simulator.posting import Attempt, Target
from llmws_tutorial.simulator.webhooks import ANSWER_S

WRONG: Final = "wrong-secret"
"""What stands in the place of a secret to see whether it is looked at."""
_CODES_OF_OURS: Final = (1002, 1007, 1009)


class Sockets:
    """Opens real sockets to a server, and posts to its webhook.

    Attributes:
        url: where the server's calls live, without a call id.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        webhook: str | None = None,
        timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        """Take the addresses; nothing is dialled yet.

        Args:
            url: where the server's calls live, without a call id (ws, wss, http or https).
            headers: further headers of each request for a socket, such as Authorization.
            webhook: the http(s) URL of the webhook; None: there is none.
            timeout_s: how long a socket may take to open (seconds).

        Raises:
            CannotConnect: when the URL cannot be dialled at all.
            SetupError: when the webhook's URL is no http(s) URL.
        """
        call_url(url, "check")
        self.url = url
        self._headers = dict(headers or {})
        self._webhook = None if webhook is None else Target.of(webhook)
        self._timeout_s = timeout_s

    @property
    def has_secret(self) -> bool:
        """Whether the path holds more than one segment: one of them may be a secret."""
        return has_secret(self.url)

    async def open(
        self, call_id: str, *, headers: Mapping[str, str] | None = None, is_wrong: bool = False
    ) -> Socket:
        """Open the socket of a call; see `Transport`."""
        url = with_wrong_secret(self.url) if is_wrong else self.url
        return _Socket(
            await open_socket(
                call_url(url, call_id),
                timeout_s=self._timeout_s,
                headers={**self._headers, **(headers or {})},
            )
        )

    @property
    def has_webhook(self) -> bool:
        """Whether there is a webhook to post to."""
        return self._webhook is not None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Attempt:
        """Post to the webhook once; see `Transport`."""
        if self._webhook is None:
            raise SetupError("there is no webhook to post to, expected its URL")
        return await self._webhook.post(body, headers, timeout_s=ANSWER_S)


class _Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: str | bytes, pieces: int = 1) -> None:
        try:
            await self._connection.send(data if pieces == 1 else _cut(data, pieces))
        except ConnectionClosed as error:
            raise _ended(error) from None

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise _ended(error) from None

    async def hang_up(self) -> bool:
        with contextlib.suppress(OSError):
            await self._connection.close(1000)
        return self._connection.protocol.close_rcvd is not None

    def drop(self) -> None:
        self._connection.transport.abort()


def _ended(error: ConnectionClosed) -> LineEnded:
    if error.rcvd is not None:
        return LineEnded(error.rcvd.code, error.rcvd.reason)
    if error.sent is not None and error.sent.code in _CODES_OF_OURS:
        return LineEnded(ABNORMAL, f"a frame that breaks WebSocket itself: {error.sent.reason}")
    return LineEnded(ABNORMAL)


def _cut(data: str | bytes, pieces: int) -> list[str] | list[bytes]:
    size = -(-len(data) // pieces)
    return [data[at : at + size] for at in range(0, len(data), size)]  # type: ignore[return-value]


def has_secret(url: str) -> bool:
    """Whether a path holds more than one segment: one of them may be a secret."""
    return len(_segments(url)) > 1


def _segments(url: str) -> list[str]:
    return [segment for segment in urlsplit(url).path.split("/") if segment]


def with_wrong_secret(url: str) -> str:
    """Replace the last path segment of a URL, where a secret would stand."""
    path = "/".join(["", *_segments(url)[:-1], WRONG, ""])
    return urlunsplit(urlsplit(url)._replace(path=path))
