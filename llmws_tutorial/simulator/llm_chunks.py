"""What a model sends: chunks, and the whole completion that they make up."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, Literal

Chunk = dict[str, Any]
"""One ``chat.completion.chunk``, as it goes over the wire."""


class ChunkWriter:
    """Writes the chunks of one answer, in OpenAI's shapes and order.

    Attributes:
        tells_usage: whether the tokens are told in the end.
    """

    def __init__(self, model: str, *, number: int, tells_usage: bool = False) -> None:
        """Begin an answer.

        Args:
            model: the name that was asked for.
            number: the number of the answer, which is in its ids.
            tells_usage: whether the tokens are told in the end.
        """
        self._head = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._number = number
        self.tells_usage = tells_usage
        self._has_begun = False
        self._calls = 0
        self._words = 0

    def empty(self) -> Chunk:
        """Write a chunk without a choice in it."""
        return self._chunk([])

    def say(self, text: str) -> Iterator[Chunk]:
        """Write a piece of text."""
        yield from self._begin("")
        self._words += len(text.split())
        yield self._delta({"content": text})

    def call(self, name: str, arguments: str, call_id: str | None = None) -> Iterator[Chunk]:
        """Write the call of a tool: first its name, then the arguments in two pieces.

        Args:
            name: the tool.
            arguments: a JSON object as a string.
            call_id: its id; None makes one up.
        """
        yield from self._begin(None)
        index, self._calls = self._calls, self._calls + 1
        self._words += len(arguments.split())
        head = {"id": call_id or f"call_{self._number}_{index}", "type": "function"}
        yield self._called(index, {**head, "function": {"name": name, "arguments": ""}})
        half = (len(arguments) + 1) // 2
        for piece in (arguments[:half], arguments[half:]):
            yield self._called(index, {"function": {"arguments": piece}})

    def end(self, words_asked: int) -> list[Chunk]:
        """Write why the answer ends, and what it took; a word counts as a token."""
        reason: Literal["tool_calls", "stop"] = "tool_calls" if self._calls else "stop"
        last = self._delta({}, reason)
        if not self.tells_usage:
            return [last]
        usage = {
            "prompt_tokens": words_asked,
            "completion_tokens": self._words,
            "total_tokens": words_asked + self._words,
        }
        return [last, {**self._chunk([]), "usage": usage}]

    def _begin(self, content: str | None) -> Iterator[Chunk]:
        if not self._has_begun:
            self._has_begun = True
            yield self._delta({"role": "assistant", "content": content})

    def _called(self, index: int, call: dict[str, Any]) -> Chunk:
        return self._delta({"tool_calls": [{"index": index, **call}]})

    def _delta(self, delta: dict[str, Any], reason: str | None = None) -> Chunk:
        return self._chunk([{"index": 0, "delta": delta, "finish_reason": reason}])

    def _chunk(self, choices: list[dict[str, Any]]) -> Chunk:
        usage = {"usage": None} if self.tells_usage else {}
        return {**self._head, "choices": choices, **usage}


def completed(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """Put the chunks of an answer together as one ``chat.completion``.

    Args:
        chunks: all that `ChunkWriter` wrote, the usage included.
    """
    message: dict[str, Any] = {"role": "assistant", "content": None}
    reason = None
    for chunk in chunks:
        last = chunk
        for choice in chunk["choices"]:
            _add(message, choice["delta"])
            reason = choice["finish_reason"]
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**last, "object": "chat.completion", "choices": [choice]}


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta.get("content") is not None:
        message["content"] = (message["content"] or "") + delta["content"]
    for piece in delta.get("tool_calls", ()):
        calls = message.setdefault("tool_calls", [])
        function = piece["function"]
        if "id" in piece:
            calls.append({"id": piece["id"], "type": "function", "function": {**function}})
        else:
            calls[piece["index"]]["function"]["arguments"] += function["arguments"]
