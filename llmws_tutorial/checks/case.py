"""What a check is: data. What it does, what it wants, and what a failure costs.

A case is run on connections of its own: its moves are made one after the other, everything that
comes back is kept in an `Exchange`, and its judge rules on that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from llmws_tutorial.checks.exchange import Event, Exchange
from llmws_tutorial.checks.moves import Move, Open
from llmws_tutorial.simulator.scripted_llm import Script


class Profile(Enum):
    """Which form of the protocol a server is held to."""

    GUIDE = "guide-2024"
    CURRENT = "current"


class Severity(Enum):
    """How much a failure costs on a real call."""

    ERROR = "breaks the call"
    WARNING = "hurts the call"
    ADVICE = "could be better"

    @property
    def rank(self) -> int:
        """How far down the list it is: 0 is the worst."""
        return list(Severity).index(self)


class Grade(Enum):
    """How well founded a requirement is; the value is its mark in docs/protocol.md."""

    REFERENCE = "ref"
    SDK = "sdk"
    FIELD = "field"
    KIT = "kit"


class Need(Enum):
    """What a case needs besides the server; the value says how to give it."""

    LLM = "--llm PORT, and your server started with OPENAI_BASE_URL=http://127.0.0.1:PORT/v1"
    WEBHOOK = "--webhook URL and --webhook-key KEY"


class Company(Enum):
    """Which other cases may run at the same time."""

    ANY = "side by side"
    TIMED = "side by side with others that measure time, after all that do not"
    NONE = "alone and last, because it can take a weak server down or keep it busy"


class Verdict(Enum):
    """What a check says about a server."""

    OK = "ok"
    NOT_STRICT = "not strict"
    FAILED = "failed"
    NOT_SEEN = "not seen"


@dataclass(frozen=True)
class Ruling:
    """A verdict and its reasons.

    Attributes:
        verdict: what is said about the server.
        expected: what should have been seen; for "not seen", what it takes to see it.
        got: what was seen instead.
        at: the event that the ruling is about; None when it is about something missing.
    """

    verdict: Verdict
    expected: str = ""
    got: str = ""
    at: Event | None = None

    def __str__(self) -> str:
        if self.verdict is Verdict.OK:
            return "ok"
        got = f", got {self.got}" if self.got else ""
        return f"{self.verdict.value}: expected {self.expected}{got}"


OK: Final = Ruling(Verdict.OK)
"""The server did what it must."""

Judge = Callable[[Exchange], Ruling]
"""Rules on what was seen."""


def failed(expected: str, got: str, at: Event | None = None) -> Ruling:
    """Rule that a server did what it must not, or did not what it must."""
    return Ruling(Verdict.FAILED, expected, got, at)


def not_strict(expected: str, got: str, at: Event | None = None) -> Ruling:
    """Rule that it will do, and could be better; ``--strict`` makes a failure of it."""
    return Ruling(Verdict.NOT_STRICT, expected, got, at)


def not_seen(expected: str) -> Ruling:
    """Rule that nothing can be said: the server never did what this case is about."""
    return Ruling(Verdict.NOT_SEEN, expected)


BOTH: Final = frozenset(Profile)
TODAY: Final = frozenset({Profile.CURRENT})


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that a server must do.

    Attributes:
        id: topic and number, stable for ever.
        title: the requirement in a few words, for lists.
        requirement: what must happen, in one sentence.
        why: what a caller or an owner notices when it does not.
        source: where it is written: a section of docs/protocol.md.
        grade: how well founded it is.
        severity: what a failure costs.
        fix: what to change in the server.
        step: the lesson after which a learner's server passes, such as "03".
        profiles: the forms of the protocol that know it.
        moves: what is done, in order.
        judge: rules on what was seen.
        needs: what it cannot do without.
        scripts: what the model does, if there is one: a script for each time it is asked, the last
            one for all further times; `when` is how the caller's words end that it answers.
        company: which other cases may run at the same time.
    """

    id: str
    title: str
    requirement: str
    why: str
    source: str
    grade: Grade
    severity: Severity
    fix: str
    step: str
    moves: tuple[Move, ...]
    judge: Judge
    profiles: frozenset[Profile] = TODAY
    needs: frozenset[Need] = frozenset()
    scripts: tuple[Script, ...] = field(default=())
    company: Company = Company.ANY

    @property
    def wants_refusal(self) -> bool:
        """Whether a socket that does not open is what it is about."""
        opens = [move for move in self.moves if isinstance(move, Open)]
        return any(move.is_wrong or move.origin is not None for move in opens)

    @property
    def topic(self) -> str:
        """The first part of the id."""
        return self.id.partition("/")[0]

    @property
    def number(self) -> int:
        """The second part of the id."""
        return int(self.id.partition("/")[2])
