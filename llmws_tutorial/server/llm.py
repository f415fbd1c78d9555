"""A responder over any OpenAI-compatible endpoint: hosted, Ollama, scripted."""

import os
from collections.abc import AsyncIterator, Iterable
from typing import Final

from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from llmws_tutorial.errors import ResponderError, SetupError
from llmws_tutorial.messages import Utterance
from llmws_tutorial.server.turn import Piece, Reply, Turn

GREETING: Final = "How may I help you?"
VOICE_PROMPT: Final = (
    "You are a friendly agent on a phone call. What you write is spoken aloud: use short, plain "
    "sentences without markdown, lists, emoji or links, and write numbers as words. Answer in one "
    "or two sentences, then let the caller speak. The caller's words come from speech recognition "
    "and may be wrong: when they make no sense, ask once again in other words."
)
NUDGE: Final = (
    "The caller has been silent for a while. Ask in one short sentence whether they are still "
    "there or need anything else; do not repeat your last answer."
)


class LlmResponder:
    """Answers with a model, word by word as the model writes.

    A turn that dies is cancelled, and that closes the stream to the model at once. A model that
    fails, or says nothing at all, ends the turn with the excuse of the session.
    """

    def __init__(
        self,
        model: str,
        *,
        greeting: str = GREETING,
        prompt: str = VOICE_PROMPT,
        client: AsyncOpenAI | None = None,
    ) -> None:
        """Prepare to talk; nothing is sent before the first turn.

        Args:
            model: the model's name at its provider.
            greeting: the first message; empty lets the caller speak first.
            prompt: what the model is told about itself.
            client: the connection to the provider; None makes one from OPENAI_API_KEY and
                OPENAI_BASE_URL.

        Raises:
            SetupError: when there is neither a key nor an endpoint of your own.
        """
        self._model = model
        self._greeting = greeting
        self._prompt = prompt
        self._client = client or connect()

    def __call__(self, turn: Turn) -> Reply:
        """Greet with a fixed text, and ask the model for everything else."""
        return self._greeting if turn.kind == "begin" else self._ask(turn)

    async def _ask(self, turn: Turn) -> AsyncIterator[Piece]:
        has_spoken = False
        try:
            stream = await self._client.chat.completions.create(
                model=self._model,
                messages=[],
                stream=True,
                # as `messages`, each one would be checked in Python: 30 ms of a long call's turn
                extra_body={"messages": self._messages(turn)},
            )
            async with stream:
                async for chunk in stream:
                    text = chunk.choices[0].delta.content if chunk.choices else None
                    if text:
                        has_spoken = True
                        yield text
        except APIError as error:
            raise ResponderError(f"the model {self._model!r} {self._problem(error)}") from error
        if not has_spoken:
            raise ResponderError(f"the model {self._model!r} answered without a word")

    def _problem(self, error: APIError) -> str:
        """What went wrong, without the provider's words: they could quote the conversation."""
        if isinstance(error, APIConnectionError):
            return f"cannot be reached at {self._client.base_url}"
        status = f"HTTP {error.status_code}" if isinstance(error, APIStatusError) else "an error"
        return f"answered with {status} ({error.code or error.type or 'no code'})"

    def _messages(self, turn: Turn) -> list[ChatCompletionMessageParam]:
        messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": self._prompt}]
        messages += conversation(turn.transcript)
        if turn.kind == "reminder":
            messages.append({"role": "system", "content": NUDGE})
        return messages


def conversation(transcript: Iterable[Utterance]) -> list[ChatCompletionMessageParam]:
    """The transcript as a model reads it: two roles in turn, nothing empty.

    Whoever is not the agent counts as the caller; utterances in a row become one.
    """
    texts: list[tuple[bool, list[str]]] = []
    for said in transcript:
        content, is_agent = said.content.strip(), said.role == "agent"
        if not content:
            continue
        if texts and texts[-1][0] is is_agent:
            texts[-1][1].append(content)
        else:
            texts.append((is_agent, [content]))
    return [
        {"role": "assistant", "content": " ".join(said)}
        if is_agent
        else {"role": "user", "content": " ".join(said)}
        for is_agent, said in texts
    ]


def connect(base_url: str | None = None, api_key: str | None = None) -> AsyncOpenAI:
    """Make the one client that all calls share.

    Args:
        base_url: the endpoint; None takes OPENAI_BASE_URL, or else OpenAI's own.
        api_key: the key; None takes OPENAI_API_KEY. An endpoint of your own may need none.

    Raises:
        SetupError: when there is neither a key nor an endpoint of your own.
    """
    base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
    api_key = api_key or os.environ.get("OPENAI_API_KEY") or None
    if base_url is None and api_key is None:
        raise SetupError(
            "no model can be reached: set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint of "
            "your own (Ollama: http://127.0.0.1:11434/v1); .env will do"
        )
    return AsyncOpenAI(base_url=base_url, api_key=api_key or "none", max_retries=1)
