"""Responders without a model: the guide's dummy, and one that follows a script."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from llmws_tutorial.server.turn import Piece, Turn


@dataclass(frozen=True)
class DummyResponder:
    """One greeting, and one answer to everything: the guide's ``LLMDummyMock``.

    Attributes:
        greeting: the first message; empty lets the caller speak first.
        answer: what is said to every request.
    """

    greeting: str = "How may I help you?"
    answer: str = "I am sorry, can you say that again?"

    def __call__(self, turn: Turn) -> str:
        """Greet on the first turn, apologise on every other."""
        return self.greeting if turn.kind == "begin" else self.answer


@dataclass(frozen=True)
class ScriptedResponder:
    """Says what it was told to, turn by turn; a number is a pause in seconds.

    Attributes:
        greeting: the pieces of the first message.
        turns: the pieces of each answer; the last one is repeated for ever.
    """

    greeting: Sequence[Piece | float]
    turns: Sequence[Sequence[Piece | float]] = ((),)

    async def __call__(self, turn: Turn) -> AsyncIterator[Piece]:
        """Yield the pieces of the turn with this id: 1 is the first of `turns`."""
        index = min(turn.response_id, len(self.turns)) - 1
        pieces = self.greeting if turn.kind == "begin" else self.turns[index]
        for piece in pieces:
            if isinstance(piece, int | float):
                await asyncio.sleep(piece)
            else:
                yield piece
