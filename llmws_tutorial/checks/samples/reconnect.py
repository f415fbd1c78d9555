"""Servers that do not find their way back into a call, each in one way."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Final

from fastapi import WebSocket

from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall


class WaitsForTheDead(Right):
    """Lets the new socket of a call wait until the answer on the old one is whole."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with no call that is being answered."""
        super().__init__(model)
        self.answering: dict[str, SampleCall] = {}

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer, unless another socket of this call does so."""
        if self.answering.setdefault(call.call_id, call) is call:
            await super().take_request(call, request)

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Answer, and say then that it is done; what is broken off never is."""
        await super().answer(call, request)
        del self.answering[call.call_id]


class GreetsAgain(Right):
    """Greets on every socket, be the call new or not."""

    async def greet(self, call: SampleCall) -> None:
        """Greet, and forget it."""
        await super().greet(call)
        self.greeted.remove(call.call_id)


class ConfiguresOnce(Right):
    """Sends its config on the first socket of a call only."""

    async def configure(self, call: SampleCall) -> None:
        """Say what the platform is to send, as a part of the greeting."""
        if call.call_id not in self.greeted:
            await super().configure(call)


class CountsIds(Right):
    """Takes an id that is far from the last one that it saw for a mistake."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin to count at nought, in each call."""
        super().__init__(model)
        self.last: defaultdict[str, int] = defaultdict(int)

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer what follows on what was answered before."""
        response_id = request.get("response_id")
        if isinstance(response_id, int) and response_id - self.last[call.call_id] <= 100:
            self.last[call.call_id] = response_id
            await super().take_request(call, request)


class RefusesASecond(Right):
    """Takes a second socket for a mistake, as long as the first one looks open."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with no call."""
        super().__init__(model)
        self.here: set[str] = set()

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        """Hold a call, once."""
        if call_id in self.here:
            await ws.close()
            return
        self.here.add(call_id)
        await super().take_call(ws, secret, call_id)
        self.here.remove(call_id)


class ForgetsWithTheSocket(Right):
    """Keeps the conversation with the socket, and begins another with the next."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with no conversation."""
        super().__init__(model)
        self.begins: dict[SampleCall, int] = {}

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Tell the model what was said since this socket was opened."""
        said = request["transcript"]
        begins = self.begins.setdefault(call, max(0, len(said) - 1))
        async for piece in super().think(call, {**request, "transcript": said[begins:]}, model):
            yield piece


WRONG: Final[dict[str, type[Right]]] = {
    "reconnect/1": WaitsForTheDead,
    "reconnect/2": GreetsAgain,
    "reconnect/3": ConfiguresOnce,
    "reconnect/4": CountsIds,
    "reconnect/5": RefusesASecond,
    "reconnect/6": ForgetsWithTheSocket,
}
"""For each case the server that fails it, and no other."""
