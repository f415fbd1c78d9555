"""What the published documents leave open, and how fast people are, as switches.

The stand-in has to do *something* where nobody wrote down what the platform does. Each of these
fields is such a place; docs/protocol.md, section 10, lists them. Change one to see whether your
server depends on it: ``Choices(speaks_second_greeting=True)``.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator.endings import RUNTIME

_MOST: Final = 1e9
_SLOWEST: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How the stand-in behaves where it could behave otherwise.

    Attributes:
        words_per_s: how fast the caller and the agent speak (words a second).
        end_of_turn_s: the silence after which a caller's turn is over, at full responsiveness.
        hesitation_s: how much longer that silence is at no responsiveness.
        voice_s: from the first sentence's text to its first sound.
        needed_words: how many words it takes to interrupt at a sensitivity just above 0; at 1 the
            agent stops as soon as the caller begins.
        responsiveness: the agent's setting when the call begins (0 to 1).
        interruption_sensitivity: the same; at 0 nobody can interrupt.
        reminder_trigger_ms: the same: the silence before a reminder (milliseconds).
        reminder_max_count: the same: how many reminders in one silence.
        inactivity_s: after how long without a word the platform hangs up.
        max_duration_s: how long a call may be.
        sentence_ends_with_chunk: whether a full stop at the end of a chunk ends a sentence; else
            it takes white space behind it, or the end of the answer.
        shows_unheard_words: whether the transcript has all of an interrupted answer, also what
            the caller did not hear any more.
        speaks_second_greeting: whether a second response 0 is spoken.
        ends_on_unknown_event: whether an unknown ``response_type`` ends the call.
        answers_after_protected: whether what the caller says over the agent without stopping it
            (in protected speech, or in too few words) becomes a request once the agent's turn is
            over; else it is only in the transcript.
        digits_end_turn: whether pressed keys, and a pause, ask the agent for an answer.
        asks_again_after_reconnect: whether a request that a drop left open is asked anew.
        remembers_config: whether the config of the first connection holds for the next ones.
        details_once: whether call_details come once a call; else once a connection.
        going_away_reason: the disconnection_reason when the server closes with 1001 or 1012.
    """

    words_per_s: float = 3.0
    end_of_turn_s: float = 0.5
    hesitation_s: float = 1.0
    voice_s: float = 0.2
    needed_words: int = 5
    responsiveness: float = 1.0
    interruption_sensitivity: float = 1.0
    reminder_trigger_ms: float = 10_000
    reminder_max_count: int = 1
    inactivity_s: float = 600.0
    max_duration_s: float = 3600.0
    sentence_ends_with_chunk: bool = True
    shows_unheard_words: bool = False
    speaks_second_greeting: bool = False
    ends_on_unknown_event: bool = False
    answers_after_protected: bool = True
    digits_end_turn: bool = True
    asks_again_after_reconnect: bool = False
    remembers_config: bool = False
    details_once: bool = False
    going_away_reason: str = RUNTIME

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name), type(field.default))
        for name in ("words_per_s", "inactivity_s", "max_duration_s", "reminder_trigger_ms"):
            if getattr(self, name) == 0:
                raise SetupError(f"{name} is 0, expected a number above 0")
        if self.words_per_s < _SLOWEST:
            raise SetupError(f"words_per_s is {self.words_per_s}, expected at least {_SLOWEST}")
        for name in ("responsiveness", "interruption_sensitivity"):
            if getattr(self, name) > 1:
                raise SetupError(f"{name} is {getattr(self, name)}, expected at most 1")


def choose(overrides: Mapping[str, Any]) -> Choices:
    """Make choices by name, as a scenario or a command line gives them.

    Raises:
        SetupError: when there is no such choice, or a value does not fit.
    """
    known = [field.name for field in dataclasses.fields(Choices)]
    for name in overrides:
        if name not in known:
            raise SetupError(f"there is no choice {name!r}, expected one of {', '.join(known)}")
    return Choices(**overrides)


def _check(name: str, value: object, kind: type) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float:
        fits = is_number and 0 <= value < float("inf")  # type: ignore[operator]
    elif kind is int:
        fits = is_number and isinstance(value, int) and value >= 0
    else:
        fits = isinstance(value, kind)
    if not fits:
        expected = {float: "a number of at least 0", int: "a whole number of at least 0"}
        wanted = expected.get(kind, "true or false" if kind is bool else "text")
        raise SetupError(f"{name} is {value!r:.80}, expected {wanted}")
    if is_number and value > _MOST:  # type: ignore[operator]
        raise SetupError(f"{name} is too much, expected at most {_MOST:g}")
