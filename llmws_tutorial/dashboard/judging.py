"""What the dashboard judges: a server, by the checks and by scenarios."""

import asyncio
from collections.abc import Mapping, Sequence

from llmws_tutorial.dashboard.check_run import CheckRun
from llmws_tutorial.dashboard.jobs import Jobs, Tell, after
from llmws_tutorial.dashboard.scenario_run import Place, ScenarioRun
from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.simulator.scenario import Scenario


class Judging:
    """The run of checks and the run of scenarios: at most one of each goes on."""

    def __init__(self, jobs: Jobs, tell: Tell) -> None:
        """Prepare to judge.

        Args:
            jobs: does the runs in the background.
            tell: takes each event for everybody who watches.
        """
        self._jobs = jobs
        self._tell = tell
        self._check: CheckRun | None = None
        self._checking: asyncio.Task[None] | None = None
        self._scenarios: ScenarioRun | None = None
        self._playing: asyncio.Task[None] | None = None

    def check(self, url: str, prefixes: Sequence[str], profile: str) -> None:
        """Run checks, in place of those that may still run.

        Args:
            url: where the server's calls live.
            prefixes: topics or ids; none: all checks.
            profile: the form of the protocol that the server is held to.

        Raises:
            SetupError: when a prefix means no check.
        """
        run = CheckRun(url, prefixes, profile, tell=self._tell, before=self._check)
        before, self._check = self._checking, run
        self._checking = self._jobs.start(after(before, run.run))
        self._checking.add_done_callback(lambda _: run.finish())

    def stop_checking(self) -> None:
        """End the run of checks; what was found stays."""
        if self._checking is not None:
            self._checking.cancel()

    def play(self, scenarios: Mapping[str, Scenario], url: str, place: Place) -> None:
        """Play scenarios one after the other, in place of those that may still be played.

        Args:
            scenarios: each under the name by which pages know it.
            url: where the server's calls live.
            place: places the call of a scenario, where it has only one.
        """
        run = ScenarioRun(scenarios, url, place, tell=self._tell)
        before, self._scenarios = self._playing, run
        self._playing = self._jobs.start(after(before, run.run))
        self._playing.add_done_callback(lambda _: run.finish())

    def stop_playing(self) -> None:
        """Play no further scenario; the call of the one that is played goes on."""
        if self._playing is not None:
            self._playing.cancel()

    def events(self) -> list[Event]:
        """All of it so far, for a page that has just come."""
        runs = [run for run in (self._check, self._scenarios) if run is not None]
        return [event for run in runs for event in run.events()]
