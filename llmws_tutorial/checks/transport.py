"""What a case needs of the way to a server: sockets, or an app in memory."""

from collections.abc import Mapping
from typing import Protocol

from llmws_tutorial.simulator.posting import Attempt


class LineEnded(Exception):
    """The socket is gone.

    Attributes:
        code: the code of the server's close frame; 1006 when none came.
        reason: the text beside it.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Socket(Protocol):
    """An open WebSocket, from the platform's end."""

    async def send(self, data: str | bytes, pieces: int = 1) -> None:
        """Send one message, in so many fragments; raises LineEnded."""

    async def receive(self) -> str | bytes:
        """Wait for the next message; raises LineEnded when there is none to come."""

    async def hang_up(self) -> bool:
        """Close with 1000; the answer is whether the server closed its end in time."""

    def drop(self) -> None:
        """Break the connection without a close frame."""


class Transport(Protocol):
    """A way to the server under test."""

    async def open(
        self, call_id: str, *, headers: Mapping[str, str] | None = None, is_wrong: bool = False
    ) -> Socket:
        """Open the socket of a call.

        Args:
            call_id: the last segment of the URL.
            headers: further headers of the request.
            is_wrong: whether the last path segment before the call id is replaced by another.

        Raises:
            CannotConnect: when there is no socket, with the stage reached.
        """

    @property
    def has_secret(self) -> bool:
        """Whether the path holds more than /llm-websocket/: a segment to be guessed."""

    @property
    def has_webhook(self) -> bool:
        """Whether there is a webhook to post to."""

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Attempt:
        """Post to the webhook once; whatever it does is the answer, never an error."""
