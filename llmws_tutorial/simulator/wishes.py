"""What a server asked for in one call, apart from what the agent is to say."""

import json
import math
from dataclasses import dataclass, replace
from typing import Any

from llmws_tutorial.messages import (
    AgentConfig,
    Config,
    ConfigFields,
    Entry,
    Metadata,
    ServerMessage,
    ToolCallInvocation,
    ToolCallResult,
    UpdateAgent,
)
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.timers import NEVER


@dataclass(frozen=True)
class ToolCall:
    """One use of a tool, as the server told about it.

    Attributes:
        tool_call_id: the id that joins the call and its result.
        name: the tool.
        arguments: a JSON object, as a string.
        called_at_s: when the note about the call came (seconds of the call).
        result: what came back; None when no result was noted.
        successful: whether it worked; None when not reported.
        returned_at_s: when the note about the result came.
    """

    tool_call_id: str
    name: str
    arguments: str
    called_at_s: float
    result: str | None = None
    successful: bool | None = None
    returned_at_s: float | None = None

    def read_arguments(self) -> dict[str, Any]:
        """The arguments as an object; empty when they are none, which is a mistake."""
        try:
            arguments = json.loads(self.arguments)
        except (ValueError, RecursionError):
            return {}
        return arguments if isinstance(arguments, dict) else {}


class Wishes:
    """The config, the agent's settings, and the notes of a server.

    Attributes:
        config: what the server switched on.
        responsiveness, interruption_sensitivity: the agent's settings now (0 to 1).
        reminder_trigger_s: the silence before a reminder (seconds).
        reminder_max_count: how many reminders in one silence.
        tool_calls: the tools that were used, in order.
        metadata: what was handed on to a web page, in order.
    """

    def __init__(self, choices: Choices) -> None:
        self.config = ConfigFields()
        self.responsiveness = choices.responsiveness
        self.interruption_sensitivity = choices.interruption_sensitivity
        self.reminder_trigger_s = choices.reminder_trigger_ms / 1000
        self.reminder_max_count = choices.reminder_max_count
        self._needed_words = choices.needed_words
        self.tool_calls: list[ToolCall] = []
        self.metadata: list[dict[str, Any]] = []

    @property
    def words_to_interrupt(self) -> float:
        """How many words it takes to interrupt the agent; infinitely many if nobody can."""
        if self.interruption_sensitivity == 0:
            return math.inf
        share = round(1 - self.interruption_sensitivity, 9)  # 1 - 0.7 is a little above 0.3
        return math.ceil(share * self._needed_words)

    def reminder_after_s(self, count: int) -> float:
        """How much silence it takes until the next reminder, after so many (inf: never)."""
        return self.reminder_trigger_s if count < self.reminder_max_count else NEVER

    def take(self, message: ServerMessage, now_s: float) -> Entry | None:
        """Take a wish or a note; the answer is its entry in the woven transcript."""
        match message:
            case Config():
                self.config = message.config
            case UpdateAgent():
                self._update(message.agent_config)
            case ToolCallInvocation():
                return self._call_tool(message, now_s)
            case ToolCallResult():
                return self._take_result(message, now_s)
            case Metadata():
                self.metadata.append(message.metadata)
            case _:  # a heartbeat is the business of whoever holds the socket
                pass
        return None

    def _update(self, settings: AgentConfig) -> None:
        if settings.responsiveness is not None:
            self.responsiveness = settings.responsiveness
        if settings.interruption_sensitivity is not None:
            self.interruption_sensitivity = settings.interruption_sensitivity
        if settings.reminder_trigger_ms is not None:
            self.reminder_trigger_s = settings.reminder_trigger_ms / 1000
        if settings.reminder_max_count is not None:
            self.reminder_max_count = settings.reminder_max_count

    def _call_tool(self, note: ToolCallInvocation, now_s: float) -> Entry:
        self.tool_calls.append(ToolCall(note.tool_call_id, note.name, note.arguments, now_s))
        return Entry(
            role="tool_call_invocation",
            tool_call_id=note.tool_call_id,
            name=note.name,
            arguments=note.arguments,
        )

    def _take_result(self, note: ToolCallResult, now_s: float) -> Entry:
        for place, tool_call in enumerate(self.tool_calls):
            if tool_call.tool_call_id == note.tool_call_id and tool_call.result is None:
                self.tool_calls[place] = replace(
                    tool_call,
                    result=note.content,
                    successful=note.successful,
                    returned_at_s=now_s,
                )
        return Entry(
            role="tool_call_result",
            tool_call_id=note.tool_call_id,
            content=note.content,
            successful=note.successful,
        )
