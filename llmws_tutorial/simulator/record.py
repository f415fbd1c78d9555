"""What is known about one call: the platform's record, and every frame."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from llmws_tutorial.messages import Utterance
from llmws_tutorial.simulator.call import Call
from llmws_tutorial.simulator.latency import Latency, measure
from llmws_tutorial.simulator.log import LogLine
from llmws_tutorial.simulator.turn import Turn
from llmws_tutorial.simulator.wishes import ToolCall


@dataclass(frozen=True)
class Frame:
    """One frame on the wire.

    Attributes:
        sender: who sent it.
        data: the payload, text or bytes.
        dropped: why the platform throws it away; None when it does not.
        at_s: when it was sent or came (seconds of the call).
    """

    sender: Literal["platform", "server"]
    data: str | bytes
    dropped: str | None = None
    at_s: float = 0.0


@dataclass(eq=False)
class CallRecord:
    """One call, while it goes on and after it.

    Attributes:
        call_id: the last segment of the URL that was dialled.
        call: the platform's side of it.
        frames: every frame, both ways, in order.
        started_ms: when it was placed (milliseconds since 1970).
        close_code: the code with which the last socket closed; None while it is open, or when
            none ever was.
        close_reason: the text that came with that code.
        connections: how many times the socket was opened.
        round_trips_ms: how long each heartbeat took to come back (milliseconds).
        lapses: where the agent owed an answer for longer than the caller's patience.
        keeps_frames: whether `frames` is filled; a load of many calls need not.
        keeper: takes every frame as it passes, to write it down at once; None: nobody does.
    """

    call_id: str
    call: Call = field(default_factory=Call)
    frames: list[Frame] = field(default_factory=list)
    started_ms: int = 0
    close_code: int | None = None
    close_reason: str = ""
    connections: int = 0
    round_trips_ms: list[float] = field(default_factory=list)
    lapses: list[str] = field(default_factory=list)
    keeps_frames: bool = True
    keeper: Callable[[Frame], None] | None = None

    @property
    def transcript(self) -> tuple[Utterance, ...]:
        """What was said and heard, oldest first."""
        return self.call.transcript

    @property
    def turns(self) -> list[Turn]:
        """Every turn of the agent: what was sent, what was heard, and when."""
        return self.call.answers.turns

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools that the server said it used, in order."""
        return self.call.wishes.tool_calls

    @property
    def log(self) -> list[LogLine]:
        """What happened, one line each."""
        return self.call.log

    @property
    def disconnection_reason(self) -> str | None:
        """Why it ended, in the platform's words; None while it goes on."""
        return self.call.disconnection_reason

    @property
    def dropped(self) -> list[Frame]:
        """The frames of the server that were never spoken, each with its reason."""
        return [frame for frame in self.frames if frame.dropped is not None]

    @property
    def latency(self) -> dict[str, Latency]:
        """How long things took, by the platform's names."""
        return measure(self.turns, self.round_trips_ms)

    def keep(self, frame: Frame) -> None:
        """Take one frame into the record."""
        if self.keeps_frames:
            self.frames.append(frame)
        if self.keeper is not None:
            self.keeper(frame)

    def as_call(self) -> dict[str, Any]:
        """The call object of the platform's API, as far as the stand-in knows it."""
        call, facts = self.call, self.call.facts
        return {
            "call_id": self.call_id,
            "agent_id": facts.agent_id,
            "call_type": facts.call_type,
            "call_status": "ongoing" if self.disconnection_reason is None else "ended",
            "metadata": facts.metadata,
            "retell_llm_dynamic_variables": dict(facts.retell_llm_dynamic_variables),
            "start_timestamp": self.started_ms,
            "end_timestamp": self.started_ms + round(call.now_s * 1000),
            "duration_ms": round(call.now_s * 1000),
            "transcript": "\n".join(f"{_name(said)}: {said.content}" for said in self.transcript),
            "transcript_object": json.loads(bytes(call.heard.pack())),
            "transcript_with_tool_calls": json.loads(bytes(call.heard.pack_woven())),
            "disconnection_reason": self.disconnection_reason,
            "latency": {name: part.as_fields() for name, part in self.latency.items()},
        }

    def __str__(self) -> str:
        """The transcript, one line an utterance."""
        return "\n".join(f"{said.role + ':':6} {said.content}" for said in self.transcript)

    def __repr__(self) -> str:
        return f"<CallRecord: {len(self.transcript)} utterances, {self.disconnection_reason}>"


def _name(said: Utterance) -> str:
    return said.role.capitalize()
