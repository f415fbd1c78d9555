"""One turn of the agent: what was asked, what was sent and heard of it, and when."""

from dataclasses import dataclass, field
from typing import Literal

from llmws_tutorial.messages import AgentInterrupt, Response
from llmws_tutorial.simulator.speech import Speech

Kind = Literal["greeting", "response", "reminder", "interrupt"]
"""What a turn of the agent is for."""
ActionName = Literal["end_call", "transfer_number", "digit_to_press"]
"""What a turn can do once it has been spoken, by the field that asks for it."""


@dataclass(frozen=True)
class Action:
    """What is to be done once a turn has been spoken.

    Attributes:
        name: the field that asked for it.
        value: whom to transfer to, or which keys to press; empty for a hang-up.
    """

    name: ActionName
    value: str = ""


@dataclass(eq=False)
class Turn:
    """One turn of the agent, from the request to its last word.

    Times are seconds of the call.

    Attributes:
        kind: the greeting, the answer to a request or a reminder, or an interrupt by the agent.
        response_id: the id that it goes by; for an interrupt its interrupt_id.
        asked_at_s: when the request went out; for a greeting, when the call began.
        stopped_at_s: when the caller had said the last word before; None if nobody had.
        speech: its text, sent and heard.
        first_piece_at_s: when its first piece came; None if none did.
        first_sentence_at_s: when there was enough to begin to speak; None if there never was.
        complete_at_s: when its last piece came; None if it never did.
        ready_at_s: when a voice could have begun with it: there was enough, and nobody spoke.
        voice_at_s: when its first word began to sound; None if none did.
        is_cut: whether the caller, or an interrupt, cut it short.
        actions: what it asked for so far.
        has_acted: whether one of them was done.
    """

    kind: Kind
    response_id: int
    asked_at_s: float
    stopped_at_s: float | None = None
    speech: Speech = field(default_factory=Speech)
    first_piece_at_s: float | None = None
    first_sentence_at_s: float | None = None
    complete_at_s: float | None = None
    ready_at_s: float | None = None
    voice_at_s: float | None = None
    is_cut: bool = False
    actions: dict[ActionName, Action] = field(default_factory=dict)
    has_acted: bool = False

    @property
    def sent(self) -> str:
        """The text that the server sent, heard or not."""
        return self.speech.text

    @property
    def heard(self) -> str:
        """The text that the caller heard."""
        return self.speech.heard

    @property
    def words_heard(self) -> int:
        """How many words of it the caller heard."""
        return self.speech.words_heard

    @property
    def action(self) -> Action | None:
        """The one that counts: hang up, else transfer, else press keys."""
        for name in ("end_call", "transfer_number", "digit_to_press"):
            if name in self.actions:
                return self.actions[name]
        return None

    @property
    def first_sentence_ms(self) -> float | None:
        """From the request until there was enough to speak (milliseconds)."""
        if self.first_sentence_at_s is None:
            return None
        return round((self.first_sentence_at_s - self.asked_at_s) * 1000, 3)

    def take(self, piece: Response | AgentInterrupt, now_s: float) -> None:
        """Add one piece that the server sent."""
        self.speech.add(
            piece.content,
            is_last=piece.content_complete,
            is_protected=piece.no_interruption_allowed,
        )
        if self.first_piece_at_s is None:
            self.first_piece_at_s = now_s
        if piece.content_complete:
            self.complete_at_s = now_s
        if self.first_sentence_at_s is None and self.speech.has_sentence:
            self.first_sentence_at_s = now_s
        if piece.end_call:
            self.actions["end_call"] = Action("end_call")
        if piece.transfer_number is not None:
            self.actions["transfer_number"] = Action("transfer_number", piece.transfer_number)
        if piece.digit_to_press is not None:
            self.actions["digit_to_press"] = Action("digit_to_press", piece.digit_to_press)
