"""Servers that end calls wrongly, each in one way."""

import asyncio
from collections import deque
from typing import Final

from fastapi import WebSocket

from llmws_tutorial.checks.samples.right import Json, Model, Right, last_words
from llmws_tutorial.checks.samples.sample_call import SampleCall


class FinishesForItself(Right):
    """Lets an answer come to its end after the caller hung up, for the record."""

    async def leave(self, call: SampleCall) -> None:
        """Wait for the rest after a farewell; what a broken line leaves is no record."""
        if call.code == 1000:
            await call.whole()
        await super().leave(call)


class WaitsForACloseFrame(Right):
    """Takes only a close frame for the end: a line that breaks sends none."""

    async def leave(self, call: SampleCall) -> None:
        """Go on when the line is lost: the caller may come back to hear the answer."""
        if call.code == 1006:
            await call.whole()
        await super().leave(call)


class LosesItsConnection(Right):
    """Gets a borrowed database connection back only from an answer that became whole."""

    def __init__(self, model: Model | None = None) -> None:
        """Open the one connection that there is."""
        super().__init__(model)
        self.connection = asyncio.Semaphore(1)

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Borrow the connection for an answer about prices."""
        if "price" in last_words(request.get("transcript")):
            await self.connection.acquire()
        await super().take_request(call, request)

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Answer, and give the connection back."""
        await super().answer(call, request)
        if "price" in last_words(request.get("transcript")):
            self.connection.release()


class EndsInAPause(Right):
    """Takes a pause behind an answer for the end of the conversation."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Answer, and close if the caller says nothing more."""
        await super().answer(call, request)
        await asyncio.sleep(1.2)
        await call.close()


class ClosesBehindItsFarewell(Right):
    """Hangs up by itself, half a second behind its farewell."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Answer, and close when that was a farewell."""
        await super().answer(call, request)
        if call.says_goodbye:
            await asyncio.sleep(0.5)
            await call.close()


class KeepsTheLine(Right):
    """Holds on to a call that is over, in case the caller comes back."""

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        """Hold a call, and its place for another minute."""
        await super().take_call(ws, secret, call_id)
        await asyncio.sleep(60)


class SuspectsAnAttack(Right):
    """Lets nobody in for a moment when many silent callers are lost at once."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with nobody lost."""
        super().__init__(model)
        self.lost_s: deque[float] = deque([-1.0] * 20, maxlen=20)
        self.spoke: set[SampleCall] = set()

    def lets_in(self, ws: WebSocket, secret: str) -> bool:
        """Keep the door shut while the twentieth of the lost is fresh in mind."""
        is_quiet = asyncio.get_running_loop().time() - self.lost_s[0] > 0.1
        return is_quiet and super().lets_in(ws, secret)

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Note that this caller is a real one."""
        self.spoke.add(call)
        await super().take_request(call, request)

    async def leave(self, call: SampleCall) -> None:
        """Count those who are lost without a word."""
        if call.code == 1006 and call not in self.spoke:
            self.lost_s.append(asyncio.get_running_loop().time())
        await super().leave(call)


WRONG: Final[dict[str, type[Right]]] = {
    "endings/1": FinishesForItself,
    "endings/2": WaitsForACloseFrame,
    "endings/3": LosesItsConnection,
    "endings/4": EndsInAPause,
    "endings/5": ClosesBehindItsFarewell,
    "endings/6": KeepsTheLine,
    "endings/7": SuspectsAnAttack,
}
"""For each case the server that fails it, and no other."""
