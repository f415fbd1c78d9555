"""What happened in a call, one line each, like the platform's detail log."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LogLine:
    """One line of a call's log.

    Attributes:
        at_s: when (seconds of the call).
        text: what happened.
    """

    at_s: float
    text: str

    def __str__(self) -> str:
        return f"{self.at_s:8.3f} {self.text}"
