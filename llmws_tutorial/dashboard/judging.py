"""What the dashboard judges: a server by the checks and by scenarios, one call by another."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

from llmws_tutorial.dashboard.check_run import CheckRun
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.scenario_run import Place, ScenarioRun
from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.simulator.comparison import Meaning, compare
from llmws_tutorial.simulator.scenario import Scenario

PATIENCE_S: Final = 5.0
"""How long an answer must have stood still to count as one without an end."""

Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Starts some work in the background."""


class Judging:
    """The run of checks and the run of scenarios: at most one of each goes on."""

    def __init__(self, *, start: Start, tell: Callable[[Event], None]) -> None:
        """Prepare to judge.

        Args:
            start: starts a run in the background.
            tell: takes each event for everybody who watches.
        """
        self._start = start
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
        run = CheckRun(url, prefixes, profile, tell=self._tell)
        if self._check is not None:
            self._check.retire()
        self.stop_checking()
        self._check = run
        self._checking = self._start(run.run())
        self._checking.add_done_callback(lambda _: run.end())

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
        if self._scenarios is not None:
            self._scenarios.retire()
        self.stop_playing()
        self._scenarios = run = ScenarioRun(scenarios, url, place, tell=self._tell)
        self._playing = self._start(run.run())
        self._playing.add_done_callback(lambda _: run.end())

    def stop_playing(self) -> None:
        """Play no further scenario; the call of the one that is played goes on."""
        if self._playing is not None:
            self._playing.cancel()

    def events(self) -> list[Event]:
        """All of it so far, for a page that has just come."""
        runs = [run for run in (self._check, self._scenarios) if run is not None]
        return [event for run in runs for event in run.events()]


def compared(shelf: Shelf, first: str, second: str) -> Event:
    """What the server did otherwise in the second of two calls, by what it meant.

    Beside that stand the turns of both, the first with the first; a call that nobody ended, because
    the process was killed, has frames but no turns.

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
        "turns": [
            {"first": one, "second": other}
            for one, other in zip_longest(*(_turns(shelf.read(call)) for call in (first, second)))
        ],
    }


def _turns(opened: Event) -> list[Event]:
    """The agent's turns of a call, each with what the caller had said before it."""
    turns = []
    said = ""
    for item in opened["items"]:
        if item["role"] == "user":
            said = item["sent"]
        else:
            names = ("kind", "id", "sent", "first_sentence_ms")
            turns.append({"said": said, **{name: item[name] for name in names}})
            said = ""
    return turns
