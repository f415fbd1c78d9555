"""Checks, scenarios and comparisons of the dashboard, against real servers."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from llmws_tutorial.checks.report import GRADES
from llmws_tutorial.dashboard.check_run import CheckRun
from llmws_tutorial.dashboard.compared import compared
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.jobs import Jobs
from llmws_tutorial.dashboard.judging import Judging
from llmws_tutorial.dashboard.live_call import LiveCall
from llmws_tutorial.dashboard.scenario_run import (
    OWN,
    ScenarioRun,
    addresses,
    chosen,
    proofread,
    scenarios,
)
from llmws_tutorial.dashboard.speaker import Speaker
from llmws_tutorial.dashboard.view import CallView, Event
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.scenario import shipped
from tests.pages import board
from tests.sockets import Handler, free_port, served
from tests.wrong_servers import Mute, Polite, SecondGreeting, frame

FAST = 50.0
PATIENCE_S = 20.0
ASKS = "scenario: It asks\ncaller:\n  - say: Are you open?\n    expect: {said: Sundays}\n"
LONG = "scenario: It waits\ncaller:\n  - silent_s: 3000\n"


class Told(list[Event]):
    """What pages are told."""

    def __init__(self) -> None:
        self._grown = asyncio.Event()

    def append(self, event: Event) -> None:
        super().append(event)
        self._grown.set()

    def of(self, kind: str) -> list[Event]:
        return [event for event in self if event["type"] == kind]

    async def until(self, kind: str, when: Callable[[Event], bool] = lambda _: True) -> Event:
        """The first event of a kind that is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := [event for event in self.of(kind) if when(event)]):
                self._grown.clear()
                await self._grown.wait()
        return found[0]


def over(event: Event) -> bool:
    return bool(event.get("is_over", event.get("name") == ""))


def against(server: Handler, work: Callable[[str], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with asyncio.timeout(PATIENCE_S), served(server) as url:
            return await work(url)

    return asyncio.run(run())


async def check(url: str, *prefixes: str, profile: str = "current") -> tuple[CheckRun, Told]:
    told = Told()
    run = CheckRun(url, prefixes, profile, tell=told.append)
    await run.run()
    run.finish()
    return run, told


def checked(server: Handler, *prefixes: str, **options: Any) -> tuple[CheckRun, Told]:
    found: tuple[CheckRun, Told] = against(server, lambda url: check(url, *prefixes, **options))
    return found


def test_a_run_of_checks_begins_finds_and_ends() -> None:
    _, told = checked(Polite(), "begin/1", "turns/1")
    assert [event["type"] for event in told] == ["check", "finding", "finding", "check"]
    assert (told[0]["wanted"], told[0]["is_over"], told[0]["summary"]) == (
        ["begin/1", "turns/1"],
        False,
        "",
    )
    assert told[-1]["is_over"]
    assert told[-1]["summary"].startswith("2 ok in ")


def test_a_finding_has_all_that_it_takes_to_mend_a_server() -> None:
    _, told = checked(SecondGreeting(), "begin/4")
    [finding] = told.of("finding")
    assert (finding["id"], finding["topic"], finding["step"]) == ("begin/4", "begin", "02")
    assert finding["verdict"] == "failed"
    assert finding["got"] == "the call was greeted already: response_id 0 was complete"
    assert finding["repeat"].startswith("llmws check ws://127.0.0.1:")
    assert finding["example"] == "llmws explain begin/4"
    assert finding["grade"] in GRADES.values()
    assert all(finding[name] for name in ("requirement", "expected", "why", "fix", "source"))


def test_the_exchange_of_a_finding_marks_the_event_that_it_is_about() -> None:
    _, told = checked(SecondGreeting(), "begin/4")
    [marked] = [text for is_it, text in told.of("finding")[0]["exchange"] if is_it]
    assert "[dropped: the call was greeted already" in marked


def test_what_is_right_takes_few_words() -> None:
    _, told = checked(Polite(), "begin/1")
    [finding] = told.of("finding")
    assert finding["verdict"] == "ok"
    assert "exchange" not in finding
    assert "fix" not in finding


def test_whoever_lost_the_line_is_told_where_to_look() -> None:
    async def drop(ws: Any) -> None:
        ws.transport.abort()

    _, told = checked(drop, "begin/1")
    assert told.of("finding")[0]["look"].startswith("in your server's log")


class LongWinded(SecondGreeting):
    """Greets a second time, at length and against the order of reading."""

    async def greet(self, ws: ServerConnection) -> None:
        await super().greet(ws)
        await ws.send(frame(0, "\u202eover\n" * 50_000))


def test_what_a_server_sent_is_cut_and_told_in_one_line() -> None:
    _, told = checked(LongWinded(), "begin/4")
    text = json.dumps(told.of("finding"), ensure_ascii=False)
    assert "over" in text
    assert "\u202e" not in text
    assert len(text) < 5_000


def test_a_server_that_is_not_there_is_told_once() -> None:
    url = f"ws://127.0.0.1:{free_port()}/llm-websocket/"
    _, told = asyncio.run(check(url, "begin"))
    assert "connection refused" in told[-1]["absence"].lower()
    assert told[0]["absence"] is None


def test_the_profile_says_which_checks_there_are() -> None:
    def wanted(profile: str) -> int:
        return len(
            CheckRun("ws://127.0.0.1:1/", [], profile, tell=Told().append).events()[0]["wanted"]
        )

    assert wanted("guide-2024") < wanted("current")


def test_a_prefix_that_means_no_check_is_refused_before_anything_runs() -> None:
    told = Told()
    judging = Judging(Jobs(told.append), told.append)
    with pytest.raises(SetupError, match="no check in profile current starts with 'nonsense'"):
        judging.check("ws://127.0.0.1:1/", ["nonsense"], "current")
    assert (told, judging.events()) == ([], [])


def test_a_page_that_comes_later_is_told_the_same() -> None:
    run, told = checked(Polite(), "begin/1")
    assert run.events() == [told[-1], *told.of("finding")]


def test_what_other_checks_found_stays_as_long_as_it_is_the_same_server() -> None:
    async def work(url: str) -> list[list[str]]:
        first, _ = await check(url, "begin/1", "begin/4")
        for address, profile in ((url, "current"), (url, "guide-2024"), (url[:-1], "current")):
            again = CheckRun(address, ["begin/4"], profile, tell=Told().append, before=first)
            kept.append([event["id"] for event in again.events()[1:]])
        return kept

    kept: list[list[str]] = []
    assert against(Polite(), work) == [["begin/1"], [], []]


def judged(
    server: Handler, work: Callable[[Judging, str, Told], Coroutine[Any, Any, Any]]
) -> tuple[Judging, Told]:
    """What is told while a desk judges."""
    told = Told()

    async def run(url: str) -> Judging:
        jobs = Jobs(told.append)
        judging = Judging(jobs, told.append)
        try:
            await work(judging, url, told)
        finally:
            await jobs.close()
        return judging

    return against(server, run), told


def test_stopped_checks_keep_what_was_found() -> None:
    async def work(judging: Judging, url: str, told: Told) -> None:
        judging.check(url, ["begin", "turns"], "current")
        await told.until("finding")
        judging.stop_checking()
        await told.until("check", over)

    judging, told = judged(Mute(), work)
    assert "not run" in told[-1]["summary"]
    assert len(judging.events()) == 1 + len(told.of("finding"))


def test_checks_that_are_stopped_before_they_begin_are_over_too() -> None:
    async def work(judging: Judging, url: str, told: Told) -> None:
        judging.check(url, ["begin/1"], "current")
        judging.stop_checking()
        await told.until("check", over)

    _, told = judged(Polite(), work)
    assert [event["type"] for event in told] == ["check"]


def test_new_checks_begin_once_the_old_ones_have_ended() -> None:
    async def work(judging: Judging, url: str, told: Told) -> None:
        judging.check(url, [], "current")
        await told.until("finding")
        judging.check(url, ["begin/1"], "current")
        await told.until("check", lambda event: over(event) and event["wanted"] == ["begin/1"])

    _, told = judged(Polite(), work)
    runs = [(len(event["wanted"]) > 1, event["is_over"]) for event in told.of("check")]
    assert runs == [(True, False), (True, True), (False, False), (False, True)]


def test_nothing_is_stopped_where_nothing_goes_on() -> None:
    async def work(judging: Judging, url: str, told: Told) -> None:
        judging.stop_checking()
        judging.stop_playing()

    judging, told = judged(Polite(), work)
    assert (told, judging.events()) == ([], [])


class Stage:
    """Places the calls of scenarios, as a desk does."""

    def __init__(self, folder: Path) -> None:
        self.shelf = Shelf(folder)
        self.views: list[CallView] = []

    def place(self, view: CallView, caller: Caller) -> asyncio.Task[None]:
        self.views.append(view)
        call = LiveCall(view, Speaker(), tell=lambda _: None, shelf=self.shelf)

        def end(task: asyncio.Task[None]) -> None:
            call.finish()
            call.keep()

        task = asyncio.create_task(call.run(caller, speed=FAST))
        task.add_done_callback(end)
        return task


def played(folder: Path, server: Handler, which: dict[str, Any]) -> Told:
    """What is told while scenarios are played one after the other."""
    told = Told()

    async def work(url: str) -> None:
        run = ScenarioRun(which, url, Stage(folder).place, tell=told.append)
        await run.run()
        run.finish()
        assert run.events() == [*told.of("outcome"), told[-1]]

    against(server, work)
    return told


def test_a_scenario_that_goes_as_expected_has_nothing_wrong(tmp_path: Path) -> None:
    told = played(tmp_path, Polite(), chosen("greeting"))
    assert [event["type"] for event in told] == ["playing", "outcome", "playing"]
    assert told[0] == {
        "type": "playing",
        "name": "greeting",
        "title": "The agent greets",
        "waiting": [],
    }
    assert (told[1]["name"], told[1]["wrongs"]) == ("greeting", [])
    assert told[2]["name"] == ""


def test_the_call_of_a_scenario_can_be_looked_at(tmp_path: Path) -> None:
    [outcome] = played(tmp_path, Polite(), chosen("greeting")).of("outcome")
    assert Shelf(tmp_path).read(outcome["call_id"])["title"] == "The agent greets"


def test_what_was_not_as_expected_is_told_in_words(tmp_path: Path) -> None:
    [outcome] = played(tmp_path, Polite(), chosen("", ASKS)).of("outcome")
    assert (outcome["name"], outcome["title"]) == (OWN, "It asks")
    assert outcome["wrongs"][0].startswith("step 1")
    assert "expected 'Sundays' to be said" in outcome["wrongs"][0]


def test_several_scenarios_are_played_in_turn(tmp_path: Path) -> None:
    which = chosen("greeting") | chosen("two_calls") | chosen("question")
    told = played(tmp_path, Polite(), which)
    assert [event["name"] for event in told.of("outcome")] == ["greeting", "two_calls", "question"]
    waiting = [event["waiting"] for event in told.of("playing")]
    assert waiting == [["two_calls", "question"], ["question"], [], []]


def test_calls_at_once_are_played_unseen(tmp_path: Path) -> None:
    [outcome] = played(tmp_path, Polite(), chosen("two_calls")).of("outcome")
    assert outcome["call_id"] is None
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_scenario_against_no_server_says_why(tmp_path: Path) -> None:
    told = Told()
    url = f"ws://127.0.0.1:{free_port()}/llm-websocket/"

    async def work() -> None:
        await ScenarioRun(chosen("greeting"), url, Stage(tmp_path).place, tell=told.append).run()

    asyncio.run(work())
    [wrong] = told.of("outcome")[0]["wrongs"]
    assert "refused" in wrong


def test_the_number_of_the_call_is_filled_in_where_there_is_one(tmp_path: Path) -> None:
    text = "scenario: Call {{call}}\ncaller: []\n"
    [outcome] = played(tmp_path, Polite(), chosen("", text)).of("outcome")
    assert outcome["title"] == "Call 1"


def test_stopped_scenarios_say_nothing_of_the_one_that_was_played(tmp_path: Path) -> None:
    async def work(judging: Judging, url: str, told: Told) -> None:
        stage = Stage(tmp_path)
        calls: list[asyncio.Task[None]] = []

        def place(view: CallView, caller: Caller) -> asyncio.Task[None]:
            calls.append(stage.place(view, caller))
            return calls[-1]

        judging.play(chosen("", LONG) | chosen("greeting"), url, place)
        await told.until("playing", lambda event: event["name"] == OWN)
        judging.stop_playing()
        await told.until("playing", over)
        calls[0].cancel()
        await asyncio.wait(calls)

    judging, told = judged(Polite(), work)
    assert told.of("outcome") == []
    assert judging.events() == [{"type": "playing", "name": "", "title": "", "waiting": []}]


def test_there_is_a_line_for_each_scenario_of_the_kit() -> None:
    told = {one["name"]: one for one in scenarios()}
    assert tuple(told) == shipped()
    assert told["two_calls"]["calls"] == 2
    assert told["booking"]["needs"] == "a tool named book_appointment"
    assert all(one["title"] and one["about"] for one in told.values())


def test_nothing_chosen_is_all_that_there_is() -> None:
    assert tuple(chosen("")) == shipped()


@pytest.mark.parametrize("name", ["/etc/passwd", "../greeting", "greeting.yaml", "nonsense"])
def test_a_page_names_no_file(name: str) -> None:
    with pytest.raises(SetupError, match=r"there is no scenario '.*', expected one of greeting, "):
        chosen(name)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("scenario: x\ncaller:\n  - sya: hi\n", "line 3, column 5: unknown key 'sya', did you"),
        ("scenario: [\n", "line 2, column 1: not YAML"),
        ("\n", "line 2, column 1: the file is empty"),
        ("scenario: x\n", "line 1, column 1: key 'caller' is missing"),
        ("scenario: x\ncaller: []\nchoices: {colour: 1}\n", "colour"),
    ],
)
def test_a_scenario_that_is_none_is_told_with_the_place(text: str, wrong: str) -> None:
    assert wrong in proofread(text)["text"]
    with pytest.raises(SetupError):
        chosen("", text)


def test_a_scenario_that_is_right_is_told_what_it_is() -> None:
    assert proofread(ASKS) == {
        "type": "proofread",
        "text": "",
        "title": "It asks",
        "about": "",
        "needs": "",
        "calls": 1,
    }


def test_each_call_of_a_scenario_has_its_own_address() -> None:
    text = 'scenario: x\ncalls: 2\ncall: {variables: {room: "r{{call}}"}}\ncaller: []\n'
    [scenario] = chosen("", text).values()
    assert addresses("ws://127.0.0.1/{{room}}/", scenario) == [
        "ws://127.0.0.1/r1/",
        "ws://127.0.0.1/r2/",
    ]


async def recorded(shelf: Shelf, url: str) -> str:
    """Keep a call in which somebody asks something; the id of the call."""
    told = Told()
    await ScenarioRun(chosen("", ASKS), url, Stage(shelf.folder).place, tell=told.append).run()
    return str(told.of("outcome")[0]["call_id"])


class Contrary(Polite):
    """Says no."""

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "No."))


def test_two_calls_are_compared_by_what_the_server_meant(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)

    async def calls(url: str, other: str) -> Event:
        first, same = await recorded(shelf, url), await recorded(shelf, url)
        assert compared(shelf, first, same)["differences"] == []
        return compared(shelf, first, await recorded(shelf, other))

    async def run() -> Event:
        async with served(Polite()) as url, served(Contrary()) as other:
            return await calls(url, other)

    [difference] = asyncio.run(run())["differences"]
    assert (difference["first"], difference["second"]) == ("'Yes.'", "'No.'")


def test_a_call_that_never_ended_can_be_compared(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ("call_1", "call_2"):
        shelf.path(name).write_text('{"llmws_recording": 1}\n')
    assert compared(shelf, "call_1", "call_2")["differences"] == []


def test_a_page_plays_all_and_stops_by_hanging_up(tmp_path: Path) -> None:
    async def work(url: str) -> None:
        async with board(tmp_path, url=url) as opened, opened.page() as page:
            await page.ask("play", url=url, speed=FAST)
            first = await page.until("playing", name="greeting")
            assert first["waiting"] == list(shipped()[1:])
            await page.until("outcome", name="greeting")
            await page.ask("hang_up")
            await page.until("playing", name="", waiting=[])
            assert len(page.told("outcome")) < len(shipped())

    against(Polite(), work)


def test_a_call_takes_the_place_of_what_is_played(tmp_path: Path) -> None:
    async def work(url: str) -> None:
        async with board(tmp_path, url=url) as opened, opened.page() as page:
            await page.ask("play", url=url, text=LONG)
            await page.until("call", title="It waits")
            await page.ask("call", url=url)
            await page.until("playing", name="")
            await page.until("status", is_open=True)
            assert page.told("call")[-1]["title"] == ""
            assert page.told("outcome") == []

    against(Polite(), work)


def test_a_page_that_comes_back_is_told_what_was_judged(tmp_path: Path) -> None:
    async def work(url: str) -> None:
        async with board(tmp_path, url=url) as opened:
            async with opened.page() as page:
                await page.ask("check", url=url, prefixes=["begin/1"])
                await page.until("check", is_over=True)
                await page.ask("play", url=url, name="greeting", speed=FAST)
                await page.until("playing", name="")
            async with opened.page() as again:
                await again.until("check", is_over=True)
                await again.until("finding", id="begin/1")
                await again.until("outcome", name="greeting", wrongs=[])

    against(Polite(), work)


def test_a_scenario_is_proofread_for_the_page_that_asks(tmp_path: Path) -> None:
    async def work(url: str) -> Event:
        async with board(tmp_path) as opened, opened.page() as page:
            return await page.asked("proofread", "proofread", text="scenario: [")

    assert against(Polite(), work)["text"].startswith("line 1, column ")


def test_a_scenario_elsewhere_wants_its_user_to_agree(tmp_path: Path) -> None:
    async def work(url: str) -> Event:
        text = "scenario: x\ncall: {variables: {host: example.com}}\ncaller: []\n"
        async with board(tmp_path) as opened, opened.page() as page:
            return await page.asked("play", "confirm", text=text, url="ws://{{host}}/")

    asked = against(Polite(), work)
    assert (asked["url"], asked["about"]) == ("ws://example.com/", "play")
