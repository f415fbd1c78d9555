"""What an agent can do with the call itself, offered to the model as tools.

The platform runs an action once everything in its turn has been spoken, and throws it away when
the caller speaks before that. It never tells: a new request is how a server learns of it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from llmws_tutorial.errors import SetupError
from llmws_tutorial.server.speakable import Speakable, has_words
from llmws_tutorial.server.toolbox import Tool
from llmws_tutorial.server.turn import Action, HangUp, Press, Transfer

MOST_WORDS: Final = 400
"""How long the words of an action may be (characters)."""
Asked = tuple[Action, str]
"""An action, and the words of the model for it; empty where it has none."""
_NUMBER: Final = re.compile(r"\+[1-9]\d{1,14}|sips?:\S+")


@dataclass(frozen=True)
class Act:
    """An action that the model asked for.

    Attributes:
        name: what the model calls it.
        action: what is done.
        words: what is said with it.
        again: what is said when it is offered again.
    """

    name: str
    action: Action
    words: str
    again: str


class Ability:
    """An action that a model may ask for.

    Attributes:
        name: what the model calls it.
        says: what is said with it where the model says nothing: an action is never silent.
        offered: what the model is told about it.
    """

    def __init__(self, does: Callable[..., Asked], says: str) -> None:
        """Make one of a function.

        Args:
            does: gives the action, and the words of the model, from what the model wrote.
            says: what is said with it where the model says nothing.
        """
        self.says = says
        self._does = does
        self._tool = Tool(does, ignores_unknown=True)
        self.name, self.offered = self._tool.name, self._tool.offered

    def saying(self, says: str) -> "Ability":
        """The same with other words, for example in another language."""
        return Ability(self._does, says)

    def read(self, arguments: str) -> Act:
        """What the model asked for.

        Raises:
            ToolError: when the arguments do not fit; the text tells the model what to mend.
        """
        action, said = self._does(**self._tool.read(arguments).values)
        speakable = Speakable()
        words = (speakable.take(said[:MOST_WORDS]) + speakable.end()).strip()
        return Act(self.name, action, words if has_words(words) else self.says, self.says)


def transfer(
    to: str | Mapping[str, str],
    *,
    says: str = "I will put you through.",
    shows_caller: bool = False,
) -> Ability:
    """Let the agent hand the call over, to these numbers and to no other.

    Args:
        to: the number, as +15551234567, or numbers by the names that the model chooses from.
        says: what is said with it.
        shows_caller: whether that person sees the caller's number.

    Raises:
        SetupError: when a number is none that can be dialled.
    """
    numbers = {"": to} if isinstance(to, str) else dict(to)
    for number in numbers.values():
        if not _NUMBER.fullmatch(number):
            raise SetupError(f"cannot transfer to {number!r}, expected a number as +15551234567")

    def to_one() -> Asked:
        return Transfer(numbers[""], shows_caller), ""

    def to_one_of(to: str) -> Asked:
        return Transfer(numbers[to], shows_caller), ""

    does: Callable[..., Asked] = to_one if isinstance(to, str) else to_one_of
    does.__name__ = "transfer_call"
    does.__doc__ = "Put the caller through to a person, when they ask for one."
    does.__annotations__ |= {"to": Literal[tuple(numbers)]} if does is to_one_of else {}
    return Ability(does, says)


def _ability(says: str) -> Callable[[Callable[..., Asked]], Ability]:
    return lambda does: Ability(does, says)


@_ability("Goodbye.")
def end_call(
    farewell: Annotated[str, Field(description="what you say to part, in one sentence")] = "",
) -> Asked:
    """End the call, once the caller has said goodbye or needs nothing more."""
    return HangUp(), farewell


@_ability("One moment, please.")
def press_digits(digits: Annotated[str, Field(pattern=r"^[0-9*#]{1,32}$")]) -> Asked:
    """Press keys of the telephone, when a voice menu asks for it."""
    return Press(digits), ""
