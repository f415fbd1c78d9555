"""Servers whose heartbeat is wrong, each in one way."""

import asyncio
from collections import defaultdict
from typing import Final

from llmws_tutorial.checks.samples.right import Json, Model, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall


class BeatsLate(Right):
    """Begins to return heartbeats with the first request only."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with no call that has come so far."""
        super().__init__(model)
        self.asked: set[SampleCall] = set()

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Note that the conversation has begun."""
        self.asked.add(call)
        await super().take_request(call, request)

    async def pong(self, call: SampleCall, ping: Json) -> None:
        """Return a heartbeat of a conversation that has begun."""
        if call in self.asked:
            await super().pong(call, ping)


class TakesItsTime(Right):
    """Leaves heartbeats to a job that comes round every three seconds."""

    async def pong(self, call: SampleCall, ping: Json) -> None:
        """Let it be done later."""
        call.beside(self.pong_later(call, ping))

    async def pong_later(self, call: SampleCall, ping: Json) -> None:
        """Return a heartbeat when it is time."""
        await asyncio.sleep(3)
        await super().pong(call, ping)


class HoldsItsBreath(Right):
    """Locks the socket for a whole answer, and heartbeats wait."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with a lock for each call."""
        super().__init__(model)
        self.socket: defaultdict[SampleCall, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Keep the socket until the answer is whole."""
        async with self.socket[call]:
            await super().answer(call, request)

    async def pong(self, call: SampleCall, ping: Json) -> None:
        """Return a heartbeat when the socket is free."""
        async with self.socket[call]:
            await super().pong(call, ping)


class CountsSeconds(Right):
    """Takes the timestamp for seconds, as its own clock has them."""

    async def pong(self, call: SampleCall, ping: Json) -> None:
        """Return the time in seconds."""
        await super().pong(call, {"timestamp": ping["timestamp"] // 1000})


class FillsSilence(Right):
    """Takes a heartbeat behind an answer for a silence that it must fill."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with no answer."""
        super().__init__(model)
        self.answered: dict[SampleCall, int] = {}

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Note which answer was the last."""
        self.answered.pop(call, None)
        await super().answer(call, request)
        self.answered[call] = request["response_id"]

    async def pong(self, call: SampleCall, ping: Json) -> None:
        """Return the heartbeat, and ask what has become of the caller."""
        await super().pong(call, ping)
        if call in self.answered:
            await call.finish(self.answered[call], "Are you still there?")


WRONG: Final[dict[str, type[Right]]] = {
    "keepalive/1": BeatsLate,
    "keepalive/2": TakesItsTime,
    "keepalive/3": HoldsItsBreath,
    "keepalive/4": CountsSeconds,
    "keepalive/5": FillsSilence,
}
"""For each case the server that fails it, and no other."""
