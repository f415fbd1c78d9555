"""What the dashboard judges: a server by the checks, a scenario, one call by another."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from llmws_tutorial.checks import Profile, judge, select
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.report import Report, as_data
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.errors import LlmwsError
from llmws_tutorial.simulator.comparison import Meaning, compare
from llmws_tutorial.simulator.playing import play
from llmws_tutorial.simulator.scenario import Scenario, load, shipped

PATIENCE_S: Final = 5.0
"""How long an answer must have stood still to count as one without an end."""

Tell = Callable[[Event], None]


class CheckRun:
    """One run of the checks against a server, told finding by finding."""

    def __init__(self, url: str, prefixes: Sequence[str], profile: str, *, tell: Tell) -> None:
        """Choose the checks.

        Raises:
            SetupError: when a prefix means none.
        """
        self._url = url
        self._profile = Profile(profile)
        self._cases = select(*prefixes, profile=self._profile)
        self._tell = tell
        self._findings: list[Finding] = []
        self._is_over = False
        self._began_s = time.monotonic()
        self._took_s = 0.0

    async def run(self) -> None:
        """Run them to the end, then `finish` has to come; whoever cancels this keeps the rest."""
        self._began_s = time.monotonic()
        self._tell(self._status())
        await judge(Sockets(self._url), self._cases, progress=self._found)

    def finish(self) -> None:
        """Tell that the run is over; also where it never began."""
        self._is_over = True
        self._took_s = time.monotonic() - self._began_s
        self._tell(self._status())

    def events(self) -> list[Event]:
        """All of it so far, for a page that has just come."""
        return [self._status(), *map(self._told, self._findings)]

    def _found(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._tell(self._told(finding))

    def _told(self, finding: Finding) -> Event:
        [data] = as_data(self._report(finding))["findings"]
        return {"type": "finding", "step": finding.case.step, **data}

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


async def play_quietly(name: str, scenario: Scenario, url: str, tell: Tell) -> None:
    """Play a scenario of several calls at once, faster than people, and tell what came of it."""
    tell({"type": "playing", "name": name})
    try:
        wrongs = list((await play(name, scenario, url)).wrongs)
    except LlmwsError as error:
        wrongs = [str(error)]
    tell({"type": "outcome", "name": name, "title": scenario.scenario, "wrongs": wrongs})


def scenarios() -> list[dict[str, Any]]:
    """Tell of every scenario that comes with the kit."""
    loaded = [(name, load(name)) for name in shipped()]
    return [
        {
            "name": name,
            "title": one.scenario,
            "about": one.about,
            "needs": one.needs,
            "calls": one.calls,
        }
        for name, one in loaded
    ]


def compared(shelf: Shelf, first: str, second: str) -> Event:
    """What the server did otherwise in the second of two calls, by what it meant.

    Raises:
        SetupError: when there is no such call, or it cannot be read.
    """
    calls = [shelf.recorded(call_id) for call_id in (first, second)]
    ends = [call.ended.at_s if call.ended else 0.0 for call in calls]
    meanings = [Meaning(call.events, end_s) for call, end_s in zip(calls, ends, strict=True)]
    differences = compare(*meanings, patience_s=PATIENCE_S, is_whole=calls[0].is_whole)
    return {
        "type": "compared",
        "first": first,
        "second": second,
        "differences": [
            {"where": one.where, "first": one.recorded, "second": one.now} for one in differences
        ],
    }
