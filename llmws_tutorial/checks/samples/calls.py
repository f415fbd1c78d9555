"""Servers that take calls wrongly, each in one way."""

import asyncio
import hmac
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from fastapi import WebSocket

from llmws_tutorial.checks.samples.right import (
    SECRET,
    Json,
    Model,
    Piece,
    Right,
    last_words,
)
from llmws_tutorial.checks.samples.sample_call import SampleCall


class LosesPatience(Right):
    """Takes a caller who says nothing at first for one who has gone."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with no caller who has spoken."""
        super().__init__(model)
        self.spoke: set[SampleCall] = set()

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Note that the caller is there."""
        self.spoke.add(call)
        await super().take_request(call, request)

    async def greet(self, call: SampleCall) -> None:
        """Greet, and wait for the caller a moment only."""
        await super().greet(call)
        await asyncio.sleep(0.8)
        if call not in self.spoke:
            await call.close()


class SeesAFlood(Right):
    """Takes the updates of a caller who speaks for a flood of messages."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin to count."""
        super().__init__(model)
        self.updates: Counter[SampleCall] = Counter()

    async def take_other(self, call: SampleCall, message: Json) -> None:
        """Close at the eleventh update."""
        self.updates[call] += message.get("interaction_type") == "update_only"
        if self.updates[call] > 10:
            await call.close(1008)


class SharesItsMemory(Right):
    """Keeps what a caller said in the app, where the next call finds it."""

    order = "unknown"

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Note the number of an order, and tell it to whoever asks."""
        said = last_words(request.get("transcript"))
        if "order number is" in said:
            self.order = said.split()[-1]
        if "order number?" in said:
            yield f"It is {self.order}", {}
            return
        async for piece in super().pieces(call, request):
            yield piece


class RunsOutOfConnections(Right):
    """Takes a connection for each question about the hours, and gives none back."""

    def __init__(self, model: Model | None = None) -> None:
        """Open the few connections that there are."""
        super().__init__(model)
        self.connections = asyncio.Semaphore(5)

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Look the hours up."""
        if "opening hours" in last_words(request.get("transcript")):
            await self.connections.acquire()
        async for piece in super().pieces(call, request):
            yield piece


class EndsAtNull(Right):
    """Has one worker for all calls, which ends at None; and null is None."""

    def __init__(self, model: Model | None = None) -> None:
        """Start the first worker."""
        super().__init__(model)
        self.worker = 1
        self.worker_of: dict[SampleCall, int] = {}

    async def configure(self, call: SampleCall) -> None:
        """Give the call to the worker of now."""
        self.worker_of[call] = self.worker
        await super().configure(call)

    def parse(self, text: str | None) -> Json:
        """End the worker at null; the next one knows nothing of the calls of this one."""
        self.worker += text == "null"
        return super().parse(text)

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Leave the request to the worker of its call, if that is still there."""
        if self.worker_of[call] == self.worker:
            await super().take_request(call, request)


class EndsLongCalls(Right):
    """Takes a conversation of many utterances for one that runs in circles."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Close when there are more than a hundred."""
        if len(request.get("transcript") or ()) > 100:
            await call.close()
            return
        await super().take_request(call, request)


class KnowsNoSecret(Right):
    """Takes any word for the secret."""

    def lets_in(self, ws: WebSocket, secret: str) -> bool:
        """Keep browsers out, and nobody else."""
        return "origin" not in ws.headers


class LetsBrowsersIn(Right):
    """Opens a socket to any page that knows the secret."""

    def lets_in(self, ws: WebSocket, secret: str) -> bool:
        """Look at the secret, and not at who asks."""
        return hmac.compare_digest(secret, SECRET)


class ReadsAlone(Right):
    """Has one connection to the timetable, and holds it until the model has answered."""

    def __init__(self, model: Model | None = None) -> None:
        """Open the connection."""
        super().__init__(model)
        self.connection = asyncio.Lock()

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Stream what the model says, one call at a time where it is about trains."""
        if "timetable" not in last_words(request["transcript"]):
            async for piece in super().think(call, request, model):
                yield piece
            return
        async with self.connection:
            async for piece in super().think(call, request, model):
                yield piece


class KnowsEverybody(Right):
    """Keeps what callers say of themselves in the app, and tells the model all of it."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin to know nobody."""
        super().__init__(model)
        self.known: list[Json] = []

    def body(self, messages: list[Json]) -> Json:
        """Put what is known in front of the conversation."""
        told = [one for one in messages if str(one.get("content")).startswith("My ")]
        self.known.extend(told)
        return super().body([*self.known, *messages])


WRONG: Final[dict[str, type[Right]]] = {
    "calls/1": LosesPatience,
    "calls/2": SeesAFlood,
    "calls/3": SharesItsMemory,
    "calls/4": RunsOutOfConnections,
    "calls/5": EndsAtNull,
    "calls/6": EndsLongCalls,
    "calls/7": KnowsNoSecret,
    "calls/8": LetsBrowsersIn,
    "calls/9": ReadsAlone,
    "calls/10": KnowsEverybody,
}
"""For each case the server that fails it, and no other."""
