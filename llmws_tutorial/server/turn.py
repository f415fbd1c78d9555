"""What a responder is asked, and what it may answer."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from llmws_tutorial.messages import (
    AgentInterrupt,
    CallFacts,
    Entry,
    Metadata,
    ReminderRequired,
    ResponseRequired,
    ToolCallInvocation,
    ToolCallResult,
    UpdateAgent,
    Utterance,
    read_object,
    unpack_entries,
    unpack_utterances,
)


@dataclass(frozen=True)
class HangUp:
    """End the call once everything said in this turn has been spoken."""


@dataclass(frozen=True)
class Transfer:
    """Hand the call over once everything said in this turn has been spoken.

    Attributes:
        number: whom to call, as +15551234567.
        shows_caller: whether that person sees the caller's number.
    """

    number: str
    shows_caller: bool = False


@dataclass(frozen=True)
class Press:
    """Press keys once everything said in this turn has been spoken.

    Attributes:
        digits: the keys.
    """

    digits: str


Action = HangUp | Transfer | Press
"""What an agent can do besides talking: one a turn, the first in this order."""
Note = AgentInterrupt | ToolCallInvocation | ToolCallResult | UpdateAgent | Metadata
"""Messages that are bound to no turn; what comes after an `AgentInterrupt` is not spoken."""
Piece = str | Action | Note
"""What a responder yields. An action before the words protects them from interruption."""


@dataclass(frozen=True)
class Turn:
    """What a responder is asked.

    Attributes:
        response_id: the id that this turn answers; 0 for the greeting.
        call_id: the call, stable across reconnects.
        facts: what the platform told about the call; empty unless it was asked for.
        details: the same as it came, with what this kit does not know.
    """

    response_id: int
    call_id: str
    facts: CallFacts = field(default_factory=CallFacts)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _request: ResponseRequired | ReminderRequired | None = field(default=None, repr=False)
    _frame: str = field(default="{}", repr=False)

    @property
    def kind(self) -> Literal["begin", "response", "reminder"]:
        """``begin`` greets, ``response`` answers, ``reminder`` breaks a silence."""
        if self._request is None:
            return "begin"
        return "reminder" if isinstance(self._request, ReminderRequired) else "response"

    @cached_property
    def transcript(self) -> tuple[Utterance, ...]:
        """The whole call so far, oldest first; read when it is asked for."""
        return unpack_utterances(self._request.transcript) if self._request else ()

    @cached_property
    def transcript_with_tool_calls(self) -> tuple[Entry, ...]:
        """The same with tool calls woven in, if the configuration asked for it."""
        raw = self._request and self._request.transcript_with_tool_calls
        return unpack_entries(raw) if raw else ()

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The whole request as it came, with what this kit does not know."""
        return read_object(self._frame)


Reply = str | Awaitable[str] | AsyncIterator[Piece]
"""A whole answer, one to wait for, or one that comes piece by piece."""


class Responder(Protocol):
    """What makes the agent's words: a function of a turn, or an object like one.

    A plain function that returns a string is enough. An async generator streams: each string is
    spoken as soon as a sentence is whole, and the generator is cancelled when its turn dies.
    """

    def __call__(self, turn: Turn, /) -> Reply:
        """Answer one turn."""
        ...
