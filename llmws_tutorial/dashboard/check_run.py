"""One run of the checks from the dashboard, told finding by finding."""

import time
from collections.abc import Sequence
from typing import Final

from llmws_tutorial.checks import Profile, Verdict, judge, select
from llmws_tutorial.checks.excerpt import excerpt
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.report import GRADES, LOOK, Report, as_data
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.dashboard.jobs import Tell
from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.simulator.printable import shortened, visible

SEEN: Final = (30, 5)
"""How many events a page is shown before and after the one that a finding is about."""


class CheckRun:
    """One run of the checks against a server, told finding by finding."""

    def __init__(
        self,
        url: str,
        prefixes: Sequence[str],
        profile: str,
        *,
        tell: Tell,
        before: "CheckRun | None" = None,
    ) -> None:
        """Choose the checks.

        Args:
            url: where the server's calls live.
            prefixes: topics or ids; none: all checks.
            profile: the form of the protocol that the server is held to.
            tell: takes each event for everybody who watches.
            before: the run before this one; what it found of other checks stays beside.

        Raises:
            SetupError: when a prefix means none.
        """
        self._url = url
        self._profile = Profile(profile)
        self._cases = select(*prefixes, profile=self._profile)
        self._tell = tell
        self._findings: list[Finding] = []
        self._kept = [] if before is None else before.beside(self)
        self._is_over = False
        self._began_s = time.monotonic()
        self._took_s = 0.0

    async def run(self) -> None:
        """Run them to the end; `finish` must follow, also when this is cancelled."""
        self._began_s = time.monotonic()
        self._tell(self._status())
        await judge(Sockets(self._url), self._cases, progress=self._found)

    def finish(self) -> None:
        """Tell that it is over, also where it never began; what was found stays."""
        self._is_over = True
        self._took_s = time.monotonic() - self._began_s
        self._tell(self._status())

    def events(self) -> list[Event]:
        """All of it so far, for a page that has just come."""
        return [self._status(), *self._kept, *map(self._told, self._findings)]

    def beside(self, other: "CheckRun") -> list[Event]:
        """The findings that a run of other checks leaves as they are: of the same server."""
        if (self._url, self._profile) != (other._url, other._profile):
            return []
        renewed = {case.id for case in other._cases}
        return [event for event in self.events()[1:] if event["id"] not in renewed]

    def _found(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._tell(self._told(finding))

    def _told(self, finding: Finding) -> Event:
        """A finding as a page shows it: no text of the server is longer than people read."""
        case = finding.case
        [data] = as_data(self._report(finding))["findings"]
        told: Event = {
            **data,
            "type": "finding",
            "topic": case.topic,
            "step": case.step,
            "grade": GRADES[case.grade],
        }
        if finding.verdict is not Verdict.OK:
            told |= {
                "expected": visible(shortened(finding.ruling.expected)),
                "got": visible(shortened(finding.ruling.got)),
                "look": LOOK if finding.lost_its_line else "",
                "example": f"llmws explain {case.id}",
                "exchange": excerpt(finding, *SEEN),
            }
        return told

    def _status(self) -> Event:
        report = self._report(*self._findings)
        return {
            "type": "check",
            "url": report.shown_url,
            "profile": self._profile.value,
            "wanted": [case.id for case in self._cases],
            "is_over": self._is_over,
            "summary": report.summary if self._is_over else "",
            "absence": report.absence,
            "hint": report.hint,
        }

    def _report(self, *findings: Finding) -> Report:
        return Report(
            url=self._url,
            findings=findings,
            profile=self._profile,
            took_s=self._took_s,
            wanted=len(self._cases),
        )
