"""Servers that are heard badly, each in one way."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from llmws_tutorial.checks.samples.right import Json, Piece, Right, last_words
from llmws_tutorial.checks.samples.sample_call import SampleCall

_NOISES: Final = {"yes.", "no.", "mhm."}


class Smiles(Right):
    """Writes as in a chat."""

    async def greet(self, call: SampleCall) -> None:
        """Greet with a smile, which nobody can hear."""
        self.greeted.add(call.call_id)
        await call.finish(0, "Hello! \U0001f600 How may I **help** you?")


class Strips(Right):
    """Takes the blanks at the ends of each piece for a mistake of the model."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Tidy each piece up."""
        async for content, fields in super().pieces(call, request):
            yield content.strip(), fields


class ThinksItOver(Right):
    """Holds its first words back, in case that the caller goes on."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Wait for a while before saying anything."""
        wait_s = 2.5
        async for piece in super().pieces(call, request):
            await asyncio.sleep(wait_s)
            wait_s = 0
            yield piece


class LagsBehind(Right):
    """Sends a piece when the next one comes, so that it knows which one is the last."""

    async def read(
        self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
    ) -> AsyncIterator[str]:
        """Keep a piece back until the next one is there."""
        kept = ""
        async for text in super().read(chunks, tool_calls):
            if kept:
                yield kept
            kept = text
        yield kept


class TakesAYesForANoise(Right):
    """Says nothing to the little words with which people show that they listen."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Find what to say, if it needs an answer."""
        if last_words(request.get("transcript")) in _NOISES:
            return
        async for piece in super().pieces(call, request):
            yield piece


class SendsItAllAgain(Right):
    """Sends with each piece the text so far, as for a screen."""

    async def read(
        self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
    ) -> AsyncIterator[str]:
        """Give the text of a stream as it grows."""
        so_far = ""
        async for text in super().read(chunks, tool_calls):
            so_far += text
            yield so_far


WRONG: Final[dict[str, type[Right]]] = {
    "speech/1": Smiles,
    "speech/2": Strips,
    "speech/3": ThinksItOver,
    "speech/4": LagsBehind,
    "speech/5": TakesAYesForANoise,
    "speech/6": SendsItAllAgain,
}
"""For each case the server that fails it, and no other."""
