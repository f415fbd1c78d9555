"""The life of a call on the platform's side, as a table.

A call is in one of five states, and what happens moves it on as the table says::

    state      what happens                next state
    ---------  --------------------------  ----------
    MUTE       the agent begins to speak   SPEAKING
    MUTE       the agent's turn is over    LISTENING   (it had nothing to say)
    MUTE       the caller finishes         AWAITING
    LISTENING  the caller finishes         AWAITING
    LISTENING  the caller is silent        AWAITING
    LISTENING  the agent begins to speak   SPEAKING    (it interrupts)
    AWAITING   the agent begins to speak   SPEAKING
    AWAITING   the agent's turn is over    LISTENING   (it had nothing to say)
    AWAITING   the caller finishes         AWAITING    (the older request is dead)
    SPEAKING   the agent begins to speak   SPEAKING    (it interrupts itself)
    SPEAKING   the agent's turn is over    LISTENING
    SPEAKING   the caller talks over it    LISTENING   (the rest is never heard)
    any        the call ends               ENDED

MUTE is the first state: the agent stays mute until a response with id 0 arrives. SPEAKING lasts as
long as the agent has the turn, also while it waits for more text, or for the sound of its voice.
Nothing that is not in the table can happen.
The source of each rule is docs/protocol.md, sections 2 and 5.
"""

from enum import Enum
from typing import Final


class State(Enum):
    """Where a call stands."""

    MUTE = "waiting for the first message"
    LISTENING = "the caller's turn"
    AWAITING = "waiting for an answer"
    SPEAKING = "the agent's turn"
    ENDED = "over"


class Event(Enum):
    """What moves a call on."""

    VOICE = "the agent begins to speak"
    DONE = "the agent's turn is over"
    BARGE_IN = "the caller talks over it"
    TURN = "the caller finishes"
    SILENCE = "the caller is silent"
    END = "the call ends"


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.MUTE, Event.VOICE): State.SPEAKING,
    (State.MUTE, Event.DONE): State.LISTENING,
    (State.MUTE, Event.TURN): State.AWAITING,
    (State.LISTENING, Event.TURN): State.AWAITING,
    (State.LISTENING, Event.SILENCE): State.AWAITING,
    (State.LISTENING, Event.VOICE): State.SPEAKING,
    (State.AWAITING, Event.VOICE): State.SPEAKING,
    (State.AWAITING, Event.DONE): State.LISTENING,
    (State.AWAITING, Event.TURN): State.AWAITING,
    (State.SPEAKING, Event.VOICE): State.SPEAKING,
    (State.SPEAKING, Event.DONE): State.LISTENING,
    (State.SPEAKING, Event.BARGE_IN): State.LISTENING,
    **{(state, Event.END): State.ENDED for state in State},
}
"""The table above as data."""
