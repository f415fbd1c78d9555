"""What one check found about a server."""

from dataclasses import dataclass

from llmws_tutorial.checks.case import Case, Ruling, Severity, Verdict
from llmws_tutorial.checks.exchange import Ended, Event, Exchange
from llmws_tutorial.simulator.endings import ABNORMAL


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A case, and what came of it.

    Attributes:
        case: the case.
        ruling: the verdict with its reasons.
        exchange: everything that was seen; None when the case was not run.
        took_s: how long it took (seconds).
    """

    case: Case
    ruling: Ruling
    exchange: Exchange | None = None
    took_s: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """What the check says about the server."""
        return self.ruling.verdict

    @property
    def passed(self) -> bool:
        """Whether the server did what it must, strictly or not."""
        return self.verdict in (Verdict.OK, Verdict.NOT_STRICT)

    @property
    def was_open(self) -> bool:
        """Whether the case was run, and any of its sockets opened."""
        return self.exchange is not None and self.exchange.was_open

    @property
    def lost_its_line(self) -> bool:
        """Whether it failed, and before that the server had dropped a call of it.

        A frame that was wrong before the call was dropped is a matter of its own.
        """
        if self.verdict is Verdict.FAILED and self.exchange is not None:
            for event in self.exchange.events:
                if _is_drop(event):
                    return True
                if event is self.ruling.at:
                    break
        return False

    def is_failure(self, *, strict: bool = False) -> bool:
        """Whether it counts as a failure; strictly, what could be better does as well."""
        return self.verdict is Verdict.FAILED or (strict and self.verdict is Verdict.NOT_STRICT)

    def fails(self, severity: Severity, *, strict: bool = False) -> bool:
        """Whether it is a failure that costs so much, or more.

        Strictly, what is not strict is one as well, whatever it costs.
        """
        if self.verdict is Verdict.FAILED:
            return self.case.severity.rank <= severity.rank
        return self.is_failure(strict=strict)

    def __str__(self) -> str:
        if self.verdict is Verdict.OK:
            return f"{self.case.id} ok"
        required = self.case.requirement.rstrip(".")
        text = f"{self.case.id} {self.ruling}"
        if self.verdict is Verdict.NOT_SEEN:
            return text
        return f"{text}; required: {required}; fix: {self.case.fix}"


def _is_drop(event: Event) -> bool:
    """Whether the server dropped a call without a word; a known reason says more than its log."""
    if not isinstance(event, Ended):
        return False
    return event.by_server and event.code == ABNORMAL and not event.reason
