"""A responder over a model: greets, answers word by word, and breaks a silence.

It keeps nothing between turns: the platform sends the whole call with each request.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from openai import AsyncOpenAI

from llmws_tutorial.errors import ResponderError
from llmws_tutorial.messages import Entry, Utterance
from llmws_tutorial.server.prompt import NUDGE, VOICE_PROMPT, Message, conversation, note
from llmws_tutorial.server.provider import Provider, Written
from llmws_tutorial.server.speakable import Speakable, has_words
from llmws_tutorial.server.turn import Piece, Reply, Turn

GREETING: Final = "How may I help you?"
NUDGES: Final = (
    "Are you still there?",
    "I am still on the line. Take your time.",
)
"""What breaks a silence: the first, then the next for as long as the caller says nothing."""
MOST_SAID: Final = 2_000
"""How long an answer may get (characters), two minutes of speech: small models go on for ever."""
TRIES: Final = 2
"""How often a model is asked that says nothing at all."""


class LlmResponder:
    """Answers with a model, word by word as the model writes.

    A turn that dies is cancelled, and that closes the stream to the model at once. A model that
    fails, or says nothing at all, ends the turn with the excuse of the session; what was said
    before that stays.
    """

    def __init__(
        self,
        model: str | Provider | None = None,
        *,
        greeting: str = GREETING,
        prompt: str = VOICE_PROMPT,
        nudges: Sequence[str] = NUDGES,
        client: AsyncOpenAI | None = None,
    ) -> None:
        """Prepare to talk; nothing is sent before the first turn.

        Args:
            model: the model's name at its provider, or the provider; None takes OPENAI_MODEL.
            greeting: the first message; empty lets the caller speak first.
            prompt: what the model is told about itself.
            nudges: what is said into a silence, in this order; none asks the model instead.
            client: the connection to the provider; None makes one from OPENAI_API_KEY and
                OPENAI_BASE_URL.

        Raises:
            SetupError: when there is no model, or neither a key nor an endpoint of your own.
        """
        self._provider = model if isinstance(model, Provider) else Provider(model, client=client)
        self._greeting = greeting
        self._prompt = prompt
        self._nudges = tuple(nudges)

    def __call__(self, turn: Turn) -> Reply:
        """Greet and nudge with fixed texts, and ask the model for everything else."""
        if turn.kind == "begin":
            return self._greeting
        if turn.kind == "reminder" and self._nudges:
            return self._nudge(turn)
        return self._answer(turn)

    async def close(self) -> None:
        """Close the connections to the model; the app does so when it ends."""
        await self._provider.close()

    def _nudge(self, turn: Turn) -> str:
        """The first nudge that was not said since the caller spoke last."""
        said = ""
        for utterance in turn.transcript:
            said = f"{said} {utterance.content}" if utterance.role == "agent" else ""
        return next((nudge for nudge in self._nudges if nudge not in said), self._nudges[-1])

    async def _answer(self, turn: Turn) -> AsyncIterator[Piece]:
        notes = [note(NUDGE)] if turn.kind == "reminder" else []
        messages = self._told([*turn.transcript, *notes])
        for _ in range(TRIES):
            has_spoken = False
            async with aclosing(spoken(self._provider.stream(messages))) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        has_spoken = has_spoken or has_words(piece)
                        yield piece
            if has_spoken:
                return
        raise ResponderError(f"the model {self._provider.model!r} answered without a word")

    def _told(self, transcript: Iterable[Utterance | Entry]) -> list[Message]:
        """What the model is told of a call."""
        talk = conversation(transcript, budget=self._provider.budget)
        return [{"role": "system", "content": self._prompt}, *talk]


async def spoken(written: AsyncGenerator[Written, None]) -> AsyncGenerator[Written, None]:
    """What a model writes, its text made speakable, and cut off if it has no end."""
    speakable, said = Speakable(), 0
    async with aclosing(written):
        async for piece in written:
            text = speakable.take(piece) if isinstance(piece, str) else speakable.end()
            if text:
                said += len(text)
                yield text
            if not isinstance(piece, str):
                yield piece
            if said > MOST_SAID:
                return
    if text := speakable.end():
        yield text
