"""What the server is to be told: requests, updates, the facts of the call.

Source: docs/protocol.md, section 2.
"""

from typing import Literal

from llmws_tutorial.messages import (
    CallDetails,
    CallFacts,
    ReminderRequired,
    Request,
    ResponseRequired,
    UpdateOnly,
)
from llmws_tutorial.simulator.transcript import Transcript
from llmws_tutorial.simulator.turn import Turn
from llmws_tutorial.simulator.wishes import Wishes


class Outbox:
    """The messages of a call that nobody has fetched yet, oldest first."""

    def __init__(self, heard: Transcript, wishes: Wishes) -> None:
        """Begin without a message.

        Args:
            heard: what requests and updates tell.
            wishes: how much of it the server wants.
        """
        self._heard = heard
        self._wishes = wishes
        self._messages: list[Request] = []

    def ask(self, turn: Turn) -> None:
        """Ask for what is to be said in a turn."""
        message = ReminderRequired if turn.kind == "reminder" else ResponseRequired
        fields = self._heard.as_fields(self._wishes.config)
        self._messages.append(message(response_id=turn.response_id, **fields))

    def update(self, turntaking: Literal["agent_turn", "user_turn"] | None = None) -> None:
        """Tell what was heard by now.

        Args:
            turntaking: whose turn has just begun, if one has.
        """
        fields = self._heard.as_fields(self._wishes.config)
        self._messages.append(UpdateOnly(turntaking=turntaking, **fields))

    def tell_details(self, facts: CallFacts) -> None:
        """Tell the facts of the call."""
        self._messages.append(CallDetails(call=facts))

    def take(self) -> list[Request]:
        """The messages, in order; they are handed out once."""
        messages, self._messages = self._messages, []
        return messages
