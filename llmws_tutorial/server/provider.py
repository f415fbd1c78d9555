"""A model at an OpenAI-compatible endpoint: its text as it comes, then its calls.

A turn that dies closes the stream at once, so the provider stops to generate, and to bill. What
goes wrong becomes a `ResponderError` of one line, without the provider's words: they could quote
the conversation.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
    DefaultAsyncHttpxClient,
    InternalServerError,
    RateLimitError,
    Timeout,
)
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta

from llmws_tutorial.errors import ResponderError, SetupError
from llmws_tutorial.server.prompt import Message
from llmws_tutorial.server.settings import ModelSettings

CONNECT_S: Final = 4.0
"""How long a connection to the provider may take (seconds)."""
SILENT_S: Final = 60.0
"""How long a stream may be silent; the patience of the server ends most turns before (seconds)."""
RETRY_S: Final = 0.3
"""How long to wait before the one retry (seconds)."""
MOST_RETRY_S: Final = 1.5
"""The longest wait that a provider may ask for: a caller hears all of it (seconds)."""
_CODE: Final = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True)
class ToolUse:
    """A tool that the model calls.

    Attributes:
        id: what the model calls this; unique in its answer at best.
        name: the tool, as the model writes it.
        arguments: what it is called with, as the model writes it: JSON at best.
    """

    id: str
    name: str
    arguments: str


class Signal(Enum):
    """What a model does besides talking."""

    CALLS = "it begins to call a tool"


Written = str | ToolUse | Signal
"""What a model writes: text, and the tools that it calls, whose first sign comes before them."""


class Provider:
    """A model that can be asked, from any event loop.

    Attributes:
        model: the model's name at its provider.
        budget: how much of a call it is told (characters).
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        settings: ModelSettings | None = None,
        client: AsyncOpenAI | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            model: the model's name; None takes OPENAI_MODEL.
            settings: endpoint, key and name; None reads the environment and ``.env``.
            client: a client of your own, for one event loop; None makes one for each.

        Raises:
            SetupError: when there is no name, or neither a key nor an endpoint of your own.
        """
        settings = settings or ModelSettings()
        self.model = model or settings.model
        if not self.model:
            raise SetupError("no model is named: set OPENAI_MODEL to its name at the provider")
        self.budget = settings.budget
        self._settings = settings
        self._own = client and client.with_options(max_retries=0)
        self._clients: dict[asyncio.AbstractEventLoop, AsyncOpenAI] = {}
        if client is None and not (settings.base_url or settings.api_key.get_secret_value()):
            raise SetupError(
                "no model can be reached: set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint "
                "of your own (Ollama: http://127.0.0.1:11434/v1); .env will do"
            )

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Message] = ()
    ) -> AsyncGenerator[Written, None]:
        """Ask the model: yields text as it comes, and at its end each tool that it calls.

        Args:
            messages: the conversation, as the endpoint takes it.
            tools: what the model may call, as the endpoint takes it.

        Raises:
            ResponderError: when the model cannot be reached, refuses, or breaks off.
        """
        gathering = _Gathering()
        try:
            async with await self._open(messages, tools) as stream:
                async for chunk in stream:
                    for written in gathering.take(chunk):
                        yield written
        except Exception as error:  # of the client, of its HTTP library, or of what it parsed
            raise ResponderError(f"the model {self.model!r} {self._problem(error)}") from error
        for use in gathering.uses():
            yield use

    async def close(self) -> None:
        """Close the connections of this event loop, but never a client of your own."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _open(
        self, messages: Sequence[Message], tools: Sequence[Message]
    ) -> AsyncStream[ChatCompletionChunk]:
        """Begin an answer, on the second try if need be."""
        try:
            return await self._request(messages, tools)
        except APITimeoutError:
            raise
        except (APIConnectionError, InternalServerError, RateLimitError) as error:
            await asyncio.sleep(_wait_s(error))
        return await self._request(messages, tools)

    async def _request(
        self, messages: Sequence[Message], tools: Sequence[Message]
    ) -> AsyncStream[ChatCompletionChunk]:
        # as `messages`, each would be checked in Python: 70 ms of a turn in a long call
        body = {"messages": messages, **({"tools": tools} if tools else {})}
        return await self._client().chat.completions.create(
            model=self.model, messages=[], stream=True, extra_body=body
        )

    def _client(self) -> AsyncOpenAI:
        """The client of this event loop: a pooled connection of another one would hang."""
        if self._own is not None:
            return self._own
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            for old in [old for old in self._clients if old.is_closed()]:
                del self._clients[old]
            client = self._clients[loop] = self._connect()
        return client

    def _connect(self) -> AsyncOpenAI:
        return AsyncOpenAI(
            base_url=self._settings.base_url or None,
            api_key=self._settings.api_key.get_secret_value() or "none",
            max_retries=0,
            timeout=Timeout(SILENT_S, connect=CONNECT_S),
            # the usual one closes itself in whatever event loop runs when it is collected
            http_client=DefaultAsyncHttpxClient(),
        )

    def _problem(self, error: Exception) -> str:
        match error:
            case APITimeoutError():
                return "took too long"
            case APIConnectionError():
                url = self._client().base_url
                return f"cannot be reached at {url.scheme}://{url.netloc.decode()}{url.path}"
            case APIStatusError():
                return f"answered with HTTP {error.status_code} ({_code(error)})"
            case APIError():
                return f"answered with an error ({_code(error)})"
        return f"broke off, or answered with no stream of completions ({type(error).__name__})"


class _Gathering:
    """Puts the tool calls of one answer together, which come in pieces."""

    def __init__(self) -> None:
        self._parts: list[_Parts] = []

    def take(self, chunk: object) -> Iterable[str | Signal]:
        """Take a chunk of whatever shape; the result is its text, and whether a call begins."""
        match chunk:
            case ChatCompletionChunk(choices=[Choice(delta=ChoiceDelta() as delta), *_]):
                if isinstance(delta.content, str) and delta.content:
                    yield delta.content
                for call in delta.tool_calls if isinstance(delta.tool_calls, list) else ():
                    if not self._parts:
                        yield Signal.CALLS
                    self._add(call)

    def uses(self) -> Iterable[ToolUse]:
        """The calls that came together, in order."""
        for number, parts in enumerate(self._parts):
            if parts.name:
                yield ToolUse(parts.id or f"call_{number}", parts.name, parts.arguments)

    def _add(self, call: object) -> None:
        function = getattr(call, "function", None)
        call_id, index = _text(getattr(call, "id", None)), getattr(call, "index", None)
        name, arguments = (getattr(function, key, None) for key in ("name", "arguments"))
        parts = self._open(call_id, index, _text(name))
        parts.id = parts.id or call_id
        parts.name = parts.name or _text(name)
        parts.arguments += arguments if isinstance(arguments, str) else _json(arguments)

    def _open(self, call_id: str, index: object, name: str) -> "_Parts":
        """Find the call that a piece belongs to, or begin one."""
        for parts in reversed(self._parts):
            if parts.goes_on(call_id, index, name):
                return parts
        self._parts.append(_Parts(index))
        return self._parts[-1]


class _Parts:
    """One call as it comes together."""

    def __init__(self, index: object) -> None:
        self.index = index
        self.id = self.name = self.arguments = ""

    def goes_on(self, call_id: str, index: object, name: str) -> bool:
        """Whether a piece belongs to this call, and does not begin another.

        Most providers count the calls, some count every one as 0, and some do not count at all;
        most tell an id and a name once, some with every piece, and some tell no id.
        """
        if index != self.index or (call_id and self.id and call_id != self.id):
            return False
        if call_id and self.id:
            return True
        return not name or (index is not None and not _is_whole(self.arguments))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, default=str)


def _is_whole(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


def _wait_s(error: APIConnectionError | APIStatusError) -> float:
    """How long to wait for a second try; no provider makes a caller wait for long.

    Raises:
        APIStatusError: the error itself, when the provider wants more time than a caller has.
    """
    headers = error.response.headers if isinstance(error, APIStatusError) else {}
    try:
        wait_s = max(float(headers.get("retry-after", RETRY_S)), RETRY_S)
    except ValueError:  # a date
        wait_s = RETRY_S
    if not wait_s <= MOST_RETRY_S:
        raise error
    return wait_s


def _code(error: APIError) -> str:
    codes = (str(code) for code in (error.code, error.type) if code)
    return next((code for code in codes if _CODE.fullmatch(code)), "no code")
