"""The notes about tools that a server sent, also those that cannot be read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmws_tutorial.checks.exchange import Exchange, Got
from llmws_tutorial.messages import ToolCallInvocation, ToolCallResult
from llmws_tutorial.simulator.verdict import Drop


@dataclass(frozen=True)
class Note:
    """A tool_call_invocation or a tool_call_result.

    Attributes:
        got: its frame.
        fields: what is in it; any of them may be missing or mistyped.
    """

    got: Got
    fields: dict[str, Any]

    @property
    def id(self) -> str:
        """The tool_call_id, as far as there is one."""
        return str(self.fields.get("tool_call_id"))

    @property
    def what(self) -> tuple[str, str]:
        """The name and the arguments, however these are laid out."""
        arguments = self.fields.get("arguments")
        read = read_json(arguments) if isinstance(arguments, str) else None
        return str(self.fields.get("name")), json.dumps(read or arguments, sort_keys=True)


def notes(exchange: Exchange, *kinds: str) -> list[Note]:
    """The notes of these response_types, or all, on every line."""
    return [note for note in _all(exchange) if not kinds or note.fields["response_type"] in kinds]


def invocations(exchange: Exchange) -> list[Note]:
    """The notes that a tool is called."""
    return notes(exchange, "tool_call_invocation")


def results(exchange: Exchange) -> list[Note]:
    """The notes of what tools returned."""
    return notes(exchange, "tool_call_result")


def read_json(data: str | bytes) -> Any:
    """Read JSON; None when it is none, or more than Python can read."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _all(exchange: Exchange) -> Iterator[Note]:
    for got in exchange.of(Got, None):
        is_note = isinstance(got.message, ToolCallInvocation | ToolCallResult)
        if is_note or (got.dropped is not None and got.dropped.kind is Drop.MISTYPED):
            fields = read_json(got.data)
            kind = fields.get("response_type") if isinstance(fields, dict) else None
            if kind in ("tool_call_invocation", "tool_call_result"):
                yield Note(got, fields)
