"""Which ids take content, and why a frame of any other is dropped.

Content is accepted for the id that was requested last, until that id is complete; all else
vanishes. An interrupt goes by an id of its own, and cancels the answer in flight.
Source: docs/protocol.md, sections 4 and 5.
"""

from llmws_tutorial.messages import BEGIN_RESPONSE_ID, AgentInterrupt, Response
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.speech import Speech
from llmws_tutorial.simulator.turn import Kind, Turn
from llmws_tutorial.simulator.verdict import Drop, Dropped


class Answers:
    """Every turn of the agent in a call, and the one or two that still take content.

    Attributes:
        turns: all of them, in the order in which they were asked for.
        response_id: the id of the latest request; 0 before the first.
    """

    def __init__(self, choices: Choices) -> None:
        self.turns: list[Turn] = []
        self.response_id = BEGIN_RESPONSE_ID
        self._choices = choices
        self._latest = self._begin("greeting", BEGIN_RESPONSE_ID, 0.0)
        self._interrupt: Turn | None = None
        self._interrupt_ids: set[int] = set()
        self._is_cancelled = False

    @property
    def greeting(self) -> Turn:
        """The begin message."""
        return self.turns[0]

    @property
    def is_open(self) -> bool:
        """Whether the latest request still waits for content."""
        return self._latest.complete_at_s is None and not self._is_cancelled

    @property
    def is_silent(self) -> bool:
        """Whether nothing that was sent is still to be spoken."""
        latest = self.turns[-1]
        return latest.is_cut or latest.speech.is_over

    def ask(
        self,
        kind: Kind,
        now_s: float,
        stopped_at_s: float | None = None,
        *,
        response_id: int | None = None,
    ) -> Turn:
        """Begin the turn of a new request; every older id is dead now.

        Args:
            kind: what the agent is asked for.
            now_s: when (seconds of the call).
            stopped_at_s: when the caller had said the last word; None if nobody had.
            response_id: the id of the request; None takes the next one.
        """
        self.response_id = self.response_id + 1 if response_id is None else response_id
        self._is_cancelled = False
        self._latest = self._begin(kind, self.response_id, now_s)
        self._latest.stopped_at_s = stopped_at_s
        return self._latest

    def judge(self, piece: Response | AgentInterrupt, now_s: float) -> Turn | Dropped:
        """Find the turn that a piece belongs to, or why it belongs to none."""
        if isinstance(piece, AgentInterrupt):
            return self._judge_interrupt(piece.interrupt_id, now_s)
        return self._judge_response(piece.response_id, now_s)

    def _judge_response(self, response_id: int, now_s: float) -> Turn | Dropped:
        if response_id == self._latest.response_id and self._latest.complete_at_s is None:
            if self._is_cancelled:
                return Dropped(
                    Drop.CANCELLED, f"an agent_interrupt has cancelled response_id {response_id}"
                )
            return self._latest
        if response_id == BEGIN_RESPONSE_ID and self.greeting.complete_at_s is not None:
            is_free = self.is_silent and not self.is_open
            if not (self._choices.speaks_second_greeting and is_free):
                return Dropped(
                    Drop.SECOND_GREETING, "the call was greeted already: response_id 0 was complete"
                )
            self._latest = self._begin("greeting", BEGIN_RESPONSE_ID, now_s)
            return self._latest
        return self._dead(response_id)

    def _dead(self, response_id: int) -> Dropped:
        if response_id == self.response_id:
            return Dropped(Drop.AFTER_COMPLETE, f"response_id {response_id} was already complete")
        if BEGIN_RESPONSE_ID <= response_id < self.response_id:
            return Dropped(
                Drop.STALE,
                f"response_id {response_id} is not the latest one, {self.response_id}",
            )
        return Dropped(
            Drop.UNKNOWN_ID,
            f"response_id {response_id} was never asked, the latest one is {self.response_id}",
        )

    def _judge_interrupt(self, interrupt_id: int, now_s: float) -> Turn | Dropped:
        if self._interrupt is not None and interrupt_id == self._interrupt.response_id:
            if self._interrupt.complete_at_s is None:
                return self._interrupt
            return Dropped(Drop.AFTER_COMPLETE, f"interrupt_id {interrupt_id} was already complete")
        if interrupt_id in self._interrupt_ids:
            return Dropped(
                Drop.STALE, f"interrupt_id {interrupt_id} was discarded when a later one came"
            )
        self._interrupt_ids.add(interrupt_id)
        self._is_cancelled = True
        self._interrupt = self._begin("interrupt", interrupt_id, now_s)
        return self._interrupt

    def _begin(self, kind: Kind, response_id: int, now_s: float) -> Turn:
        speech = Speech(ends_with_chunk=self._choices.sentence_ends_with_chunk)
        turn = Turn(kind, response_id, asked_at_s=now_s, speech=speech)
        self.turns.append(turn)
        return turn
