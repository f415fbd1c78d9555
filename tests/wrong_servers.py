"""Small servers that are each wrong in one way, beside one that is right in every way.

Each takes what is right from `Polite` and does one thing otherwise. `sockets.served` puts
one on a port of this machine.
"""

import asyncio
import json
from typing import Any, Final

from websockets.asyncio.server import ServerConnection

CONFIG: Final = json.dumps(
    {"response_type": "config", "config": {"auto_reconnect": True, "call_details": True}}
)


def frame(response_id: int, content: str, **fields: Any) -> str:
    """A whole answer, unless the fields say otherwise."""
    said = {"response_type": "response", "response_id": response_id, "content": content}
    return json.dumps({**said, "content_complete": True, **fields})


class Polite:
    """Right in every way: config first, one greeting a call, heartbeats, whole answers."""

    def __init__(self) -> None:
        self._greeted: set[str] = set()

    async def __call__(self, ws: ServerConnection) -> None:
        assert ws.request
        await self.configure(ws)
        if ws.request.path not in self._greeted:
            self._greeted.add(ws.request.path)
            await self.greet(ws)
        async for text in ws:
            request = json.loads(text)
            if request["interaction_type"] == "ping_pong":
                await self.pong(ws, request["timestamp"])
            elif "response_id" in request:
                await self.answer(ws, request["response_id"])

    async def configure(self, ws: ServerConnection) -> None:
        await ws.send(CONFIG)

    async def greet(self, ws: ServerConnection) -> None:
        await ws.send(frame(0, "Hi."))

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "Yes."))

    async def pong(self, ws: ServerConnection, timestamp: int) -> None:
        await ws.send(json.dumps({"response_type": "ping_pong", "timestamp": timestamp}))


class ExamplePython(Polite):
    """In the style of the published Python example: it streams, and trips over what is no JSON."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        for chunk in ("Let me ", "see. ", "Yes."):
            await ws.send(frame(response_id, chunk, content_complete=False))
        await ws.send(frame(response_id, ""))


class Mute(Polite):
    """Never says a word."""

    async def __call__(self, ws: ServerConnection) -> None:
        await ws.wait_closed()


class NeverComplete(Polite):
    """Leaves every answer open."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "Yes.", content_complete=False))


class StaleChunks(Polite):
    """Goes on with an older answer when a newer one is wanted."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        if response_id > 1:
            await ws.send(frame(response_id - 1, "Old news.", content_complete=False))
        await ws.send(frame(response_id, f"News {response_id}.", content_complete=response_id > 1))


class UnknownId(Polite):
    """Answers a request that was not made yet."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id + 1, "Yes."))


class AfterComplete(Polite):
    """Adds to an answer that it has called complete."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "Yes."))
        await ws.send(frame(response_id, "And no."))


class StringBooleans(Polite):
    """Writes true as text."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "Yes.", content_complete="true"))


class NotJson(Polite):
    """Answers with bare text."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send("Yes.")


class SendsUnknownEvent(Polite):
    """Answers with an event that nobody has heard of."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "Yes.", response_type="answer"))


class Binary(Polite):
    """Answers with a binary frame."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "Yes.").encode())


class SecondGreeting(Polite):
    """Greets again, after a reconnect and before every answer."""

    async def __call__(self, ws: ServerConnection) -> None:
        self._greeted.clear()
        await super().__call__(ws)

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await self.greet(ws)
        await super().answer(ws, response_id)


class EndCallWithNothingSaid(Polite):
    """Hangs up without a word."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "", end_call=True))


class ActionWithoutProtection(Polite):
    """Lets the caller talk over a farewell that hangs up."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "Good bye and have a nice day.", end_call=response_id < 2))


class LatePings(Polite):
    """Returns heartbeats late, or never: while it is busy it reads nothing.

    Attributes:
        after_s: how late (seconds); None is never.
    """

    def __init__(self, after_s: float | None = 6.0) -> None:
        super().__init__()
        self.after_s = after_s

    async def pong(self, ws: ServerConnection, timestamp: int) -> None:
        if self.after_s is not None:
            await asyncio.sleep(self.after_s)
            await super().pong(ws, timestamp)


class Raises(Polite):
    """Raises, as a server does that drops the connection without a close frame."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        ws.transport.abort()


class Closes(Polite):
    """Closes the socket when an answer is wanted.

    Attributes:
        code: the code to close with; None sends a close frame without any.
    """

    def __init__(self, code: int | None) -> None:
        super().__init__()
        self.code = code

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        if self.code is None:
            ws.transport.write(b"\x88\x00")
            await ws.wait_closed()
        else:
            await ws.close(self.code)
