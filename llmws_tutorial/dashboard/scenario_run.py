"""Scenarios: the ones of the kit, one that a page wrote, and playing them."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from llmws_tutorial.dashboard.jobs import Tell
from llmws_tutorial.dashboard.view import CallView, Event
from llmws_tutorial.errors import ScenarioError, SetupError
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.judge import judge
from llmws_tutorial.simulator.playing import cast, fill, play
from llmws_tutorial.simulator.printable import shortened, visible
from llmws_tutorial.simulator.scenario import CallOf, Scenario, load, read, shipped

OWN: Final = "your own"
"""The name of a scenario that was written in a page."""
_WHERE: Final = re.compile(rf"{OWN}:(\d+):(\d+): ")

Place = Callable[[CallView, Caller], asyncio.Task[None]]
"""Places a call with a caller on it; the task is over when the call is."""


class ScenarioRun:
    """Scenarios that are played one after the other, and what came of each."""

    def __init__(
        self, scenarios: Mapping[str, Scenario], url: str, place: Place, *, tell: Tell
    ) -> None:
        """Choose the scenarios.

        Args:
            scenarios: each under the name by which pages know it.
            url: where the server's calls live.
            place: places the call of a scenario, where it has only one.
            tell: takes each event for everybody who watches.
        """
        self._scenarios = scenarios
        self._url = url
        self._place = place
        self._tell = tell
        self._waiting = list(scenarios)
        self._playing = ""
        self._outcomes: list[Event] = []

    async def run(self) -> None:
        """Play them all; `finish` must follow, also when this is cancelled.

        Of the scenario in which it is cancelled nothing is told.
        """
        while self._waiting:
            scenario = self._next()
            if scenario.calls > 1:
                await self._play_at_once(scenario)
            else:
                await self._play_in_view(scenario)

    def finish(self) -> None:
        """Tell that nothing is played any more."""
        self._waiting.clear()
        self._playing = ""
        self._tell(self._status())

    def events(self) -> list[Event]:
        """All of it so far, for a page that has just come."""
        return [*self._outcomes, self._status()]

    def _next(self) -> Scenario:
        self._playing = self._waiting.pop(0)
        self._tell(self._status())
        return self._scenarios[self._playing]

    async def _play_in_view(self, scenario: Scenario) -> None:
        """Play a scenario of one call, as a call that pages see."""
        scenario = scenario.for_call(1)
        record, caller = cast(scenario)
        [url] = addresses(self._url, scenario)
        view = CallView(record, url, title=scenario.scenario)
        await asyncio.wait([self._place(view, caller)])
        wrongs = [view.trouble]
        if not view.trouble:  # on a thread: a search may take its time
            wrongs = await asyncio.to_thread(judge, scenario, record, caller.begun)
        self._came_out(scenario, wrongs, record.call_id)

    async def _play_at_once(self, scenario: Scenario) -> None:
        """Play a scenario of several calls at once, faster than people and unseen."""
        outcome = await play(self._playing, scenario, self._url)
        self._came_out(scenario, outcome.wrongs)

    def _came_out(
        self, scenario: Scenario, wrongs: Iterable[str], call_id: str | None = None
    ) -> None:
        outcome = {
            "type": "outcome",
            "name": self._playing,
            "title": scenario.scenario,
            "wrongs": [visible(shortened(wrong)) for wrong in wrongs],
            "call_id": call_id,
        }
        self._outcomes.append(outcome)
        self._tell(outcome)

    def _status(self) -> Event:
        """What is played now, and what comes after it; an empty name: nothing is."""
        title = self._scenarios[self._playing].scenario if self._playing else ""
        waiting = list(self._waiting)
        return {"type": "playing", "name": self._playing, "title": title, "waiting": waiting}


def scenarios() -> list[dict[str, Any]]:
    """Tell of every scenario that comes with the kit."""
    return [{"name": name, **_described(one)} for name, one in _every().items()]


def chosen(name: str, text: str = "") -> dict[str, Scenario]:
    """What a page chose to have played; without a name or a text: all of the kit's.

    Args:
        name: a scenario that comes with the kit; a page may name no other file.
        text: a scenario that was written in the page, in place of the name.

    Raises:
        SetupError: when there is no such scenario, or the text is none.
    """
    if text:
        return {OWN: _read(text)}
    if not name:
        return _every()
    if name not in shipped():
        known = ", ".join(shipped())
        raise SetupError(f"there is no scenario {name[:100]!r}, expected one of {known}")
    return {name: load(name)}


def proofread(text: str) -> Event:
    """Tell what is wrong with a scenario that is being written, or what it is."""
    try:
        return {"type": "proofread", "text": "", **_described(_read(text))}
    except SetupError as error:
        return {"type": "proofread", "text": str(error)}


def addresses(url: str, scenario: Scenario) -> list[str]:
    """What each call of a scenario dials: its variables may be a part of the URL."""
    calls = [scenario.for_call(number).call or CallOf() for number in range(1, scenario.calls + 1)]
    return [fill(url, call.variables) for call in calls]


def _every() -> dict[str, Scenario]:
    return {name: load(name) for name in shipped()}


def _read(text: str) -> Scenario:
    """Read what was written in a page; an error begins with its line and column."""
    try:
        scenario = read(text, OWN)
    except ScenarioError as error:
        raise SetupError(_WHERE.sub(r"line \1, column \2: ", str(error))) from None
    cast(scenario)  # a choice that does not exist is refused now
    return scenario


def _described(scenario: Scenario) -> dict[str, Any]:
    return {
        "title": scenario.scenario,
        "about": scenario.about,
        "needs": scenario.needs,
        "calls": scenario.calls,
    }
