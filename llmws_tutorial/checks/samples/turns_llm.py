"""Servers that handle their model wrongly, each in one way."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import ClassVar, Final

from fastapi import WebSocket

from llmws_tutorial.checks.samples.right import EXCUSE, Json, Model, Piece, Right, gather
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.errors import UpstreamBroken, UpstreamRefused


class ReadsToTheEnd(Right):
    """Reads a generation in a task that ends with the call, not with the answer."""

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.readers: dict[str, list[asyncio.Task[None]]] = {}

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        """Hold a call, and stop reading when it is over."""
        try:
            await super().take_call(ws, secret, call_id)
        finally:
            for reader in self.readers.pop(call_id, ()):
                reader.cancel()

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Take the pieces from a queue that somebody else fills."""
        pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        reader = asyncio.create_task(self.read_all(super().think(call, request, model), pieces))
        self.readers.setdefault(call.call_id, []).append(reader)
        while (piece := await pieces.get()) is not None:
            yield piece
        await reader

    async def read_all(
        self, source: AsyncIterator[Piece], pieces: "asyncio.Queue[Piece | None]"
    ) -> None:
        """Fill a queue."""
        try:
            async for piece in source:
                pieces.put_nowait(piece)
        finally:
            pieces.put_nowait(None)


class HidesErrors(Right):
    """Logs that the model refused, and ends the answer without a word."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Say what the model says, if it says anything."""
        try:
            async for piece in super().think(call, request, model):
                yield piece
        except UpstreamRefused:
            return


class WaitsTenMinutes(Right):
    """Leaves the time limit to the client of the model, whose default is ten minutes."""

    async def read(
        self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
    ) -> AsyncIterator[str]:
        """Give the text of a stream, however long that takes."""
        async for chunk in chunks:
            for choice in chunk["choices"][:1]:
                delta = choice["delta"]
                for part in delta.get("tool_calls") or ():
                    gather(tool_calls, part)
                if delta.get("content"):
                    yield delta["content"]


class CountsOnAChoice(Right):
    """Takes for granted that each chunk has a choice."""

    async def read(
        self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
    ) -> AsyncIterator[str]:
        """Read the first choice of each chunk."""

        async def first_choices() -> AsyncGenerator[Json, None]:
            async for chunk in chunks:
                yield {"choices": [chunk["choices"][0]]}

        async for text in super().read(first_choices(), tool_calls):
            yield text


class LeavesABrokenTurnOpen(Right):
    """Returns when the stream of the model breaks, before it has ended the turn."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Say the pieces as they come, and complete the turn unless the stream broke."""
        response_id = request["response_id"]
        try:
            async for content, fields in self.pieces(call, request):
                await call.say(response_id, content, **fields)
        except UpstreamBroken:
            return
        except Exception:
            await call.say(response_id, EXCUSE)
        await call.finish(response_id)


class NoticesAtTheNextPiece(Right):
    """Gives an older answer up at its next piece, not at the newer request."""

    newest: ClassVar[dict[str, int]] = {}

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Begin an answer beside the older ones."""
        if type(request.get("response_id")) is int:
            self.newest[call.call_id] = request["response_id"]
            call.beside(self.answer(call, request))

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Find what to say, as long as it is wanted."""
        async for piece in super().pieces(call, request):
            if request["response_id"] < self.newest[call.call_id]:
                raise asyncio.CancelledError
            yield piece


class TakesAllForTheCaller(Right):
    """Tells the model each utterance as one of the caller."""

    def body(self, messages: list[Json]) -> Json:
        """Make a message of the user of whatever was said."""
        return super().body(
            [{**one, "role": "user"} if is_spoken(one) else one for one in messages]
        )


class SaysWhatTheModelSays(Right):
    """Says what the model says, also when that is nothing."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Leave the excuse out."""
        async for content, fields in super().think(call, request, model):
            if content != EXCUSE:
                yield content, fields


class KnowsTwoRoles(Right):
    """Looks each role up in a table of two, and says the excuse when that raises."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Ask the model about what the agent and the user have said."""
        for said in request["transcript"]:
            {"agent": "assistant", "user": "user"}[said["role"]]
        async for piece in super().think(call, request, model):
            yield piece


def is_spoken(message: Json) -> bool:
    """Whether a message is what the agent said, and no call of a tool."""
    return message["role"] == "assistant" and "tool_calls" not in message


WRONG: Final[dict[str, type[Right]]] = {
    "turns/8": ReadsToTheEnd,
    "turns/9": HidesErrors,
    "turns/10": WaitsTenMinutes,
    "turns/11": CountsOnAChoice,
    "turns/12": LeavesABrokenTurnOpen,
    "turns/13": NoticesAtTheNextPiece,
    "turns/20": TakesAllForTheCaller,
    "turns/21": SaysWhatTheModelSays,
    "turns/22": KnowsTwoRoles,
}
"""For each case the server that fails it, and no other."""
