"""Servers whose webhook is wrong, each in one way."""

import contextlib
import json
from typing import Final

from fastapi import Request, Response

from llmws_tutorial.checks.samples.right import WEBHOOK_KEY, Json, Model, Right
from llmws_tutorial.errors import BadSignature
from llmws_tutorial.messages import sign
from llmws_tutorial.messages.signature import read_signature

LIMIT_BYTES: Final = 100 * 1024
"""What a framework lets a body be, unless it is told otherwise."""
HANDLERS: Final = ("call_started", "call_ended", "call_analyzed", "transcript_updated")
"""The events that a table of handlers may hold."""


class ReadsData(Right):
    """Reads the call from ``data``, where older examples have it."""

    def know(self, event: Json) -> int:
        """Note how long the call was."""
        if event["event"] == "call_ended":
            event["duration_s"] = event["data"]["duration_ms"] / 1000
        return super().know(event)


class VerifiesWhatIsSigned(Right):
    """Verifies a signature where there is one."""

    def verify(self, body: bytes, signature: str | None) -> None:
        """Let pass what nobody signed."""
        if signature is not None:
            super().verify(body, signature)


class ComparesNothing(Right):
    """Makes sure that there is a signature, in form and in time, and not whose."""

    def verify(self, body: bytes, signature: str | None) -> None:
        """Read the signature."""
        read_signature(signature)


class IsTimeless(Right):
    """Never looks at the time of a signature."""

    def verify(self, body: bytes, signature: str | None) -> None:
        """Make the signature again and compare it."""
        signed_ms = (signature or "").partition(",")[0].removeprefix("v=")
        if not signed_ms or sign(body, WEBHOOK_KEY, int(signed_ms)) != signature:
            raise BadSignature("forged signature")


class WritesAnew(Right):
    """Verifies what it has read and written again, not what came."""

    def verify(self, body: bytes, signature: str | None) -> None:
        """Verify compact JSON."""
        with contextlib.suppress(ValueError):
            body = json.dumps(json.loads(body), separators=(",", ":")).encode()
        super().verify(body, signature)


class RefusesUnknownEvents(Right):
    """Refuses an event that it has no handler for."""

    def know(self, event: Json) -> int:
        """Look the handler up."""
        return super().know(event) if event["event"] in HANDLERS else 400


class RefusesRepetitions(Right):
    """Refuses an event that was here before."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin without any event."""
        super().__init__(model)
        self.seen: list[Json] = []

    def know(self, event: Json) -> int:
        """Say that there is a conflict."""
        if event in self.seen:
            return 409
        self.seen.append(event)
        return super().know(event)


class KeepsTheLimit(Right):
    """Leaves the limit for a body as the framework has it."""

    async def take_event(self, request: Request) -> Response:
        """Refuse a body that is longer."""
        if len(await request.body()) > LIMIT_BYTES:
            return Response(status_code=413)
        return await super().take_event(request)


class TrustsWhatIsSigned(Right):
    """Takes what is signed for an event, whatever it is."""

    def parse_event(self, body: bytes) -> Json:
        """Read the body."""
        return json.loads(body)  # type: ignore[no-any-return]


WRONG: Final[dict[str, type[Right]]] = {
    "webhook/1": ReadsData,
    "webhook/2": VerifiesWhatIsSigned,
    "webhook/3": ComparesNothing,
    "webhook/4": IsTimeless,
    "webhook/5": WritesAnew,
    "webhook/6": RefusesUnknownEvents,
    "webhook/7": RefusesRepetitions,
    "webhook/8": KeepsTheLimit,
    "webhook/9": TrustsWhatIsSigned,
}
"""For each case the server that fails it, and no other."""
