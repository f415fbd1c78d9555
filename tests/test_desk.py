"""What pages ask of the desk, and what comes of it: every command, through a real socket."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection

from llmws_tutorial.checks import CASES
from llmws_tutorial.dashboard import commands, sound
from llmws_tutorial.dashboard.desk import Desk
from llmws_tutorial.dashboard.ears import BEGINS_S, CHUNK_S, ENDS_S
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.lesson import PHRASES
from llmws_tutorial.dashboard.view import CallView
from llmws_tutorial.simulator.scenario import shipped
from tests.pages import (
    LOUD,
    PATIENCE_S,
    STILL,
    Board,
    Butler,
    Doorbell,
    Event,
    Page,
    Whistle,
    board,
    nothing,
)
from tests.pages import sound as speaking
from tests.sockets import Handler, free_port, served
from tests.test_live_call import stuck
from tests.wrong_servers import Polite, frame

ELSEWHERE: Final = "ws://192.0.2.1/llm-websocket/"
Talk = Callable[[Board, str], Awaitable[Any]]


def on_desk(folder: Path, talk: Talk, handler: Handler | None = None, **options: Any) -> Any:
    """Open a dashboard beside a server, and talk with both."""

    async def run() -> Any:
        async with (
            asyncio.timeout(3 * PATIENCE_S),
            served(handler or Polite()) as url,
            board(folder, **{"url": url, **options}) as opened,
        ):
            return await talk(opened, url)

    return asyncio.run(run())


async def in_call(page: Page, url: str, **options: Any) -> None:
    await page.ask("call", url=url, **options)
    await page.until("status", is_open=True)


async def greeted(page: Page, url: str) -> None:
    await in_call(page, url)
    await page.until("item", is_over=True)


def both_have_ended(history: Event) -> bool:
    """Whether two calls are kept; one that goes on is listed as well, without an end."""
    return [one["ended"] for one in history["calls"]] == ["user_hangup"] * 2


class Log:
    """The log of a server in this process."""

    def __init__(self, *lines: str) -> None:
        self.lines = [*lines]
        self.followers: list[Callable[[str], None]] = []

    def follow(self, told: Callable[[str], None]) -> Callable[[], None]:
        for line in self.lines:
            told(line)
        self.followers.append(told)
        return lambda: self.followers.remove(told)

    def write_on_a_thread(self, line: str) -> None:
        for told in self.followers:
            writer = threading.Thread(target=told, args=[line])
            writer.start()
            writer.join()


# a page comes, and goes


def test_a_page_that_comes_is_told_everything(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            hello = await page.until("hello")
            assert hello["url"] == url
            assert (hello["runs_here"], hello["folder"]) == (False, str(tmp_path))
            assert hello["phrases"] == [*PHRASES]
            assert [one["name"] for one in hello["scenarios"]] == [*shipped()]
            assert [one["id"] for one in hello["checks"]] == [case.id for case in CASES]
            assert hello["voice"]["type"] == "voice"
            assert await page.until("sounding", here=True)
            assert (await page.until("history"))["calls"] == []

    on_desk(tmp_path, talk)


def test_a_reload_in_mid_call_shows_all_that_was_told(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as before:
            await greeted(before, url)
            await before.ask("check", url=url, prefixes=["begin/1"])
            await before.until("check", is_over=True)
        async with opened.page() as page:
            call = await page.until("call")
            assert call["url"] == url
            assert (
                call["frames"]
                == [
                    {key: value for key, value in event.items() if key not in ("type", "call_id")}
                    for event in before.told("frame")
                ][: len(call["frames"])]
            )
            assert [item["sent"] for item in call["items"]] == ["Hi."]
            assert call["log"][0]["text"] == "the socket is open"
            assert call["status"]["is_open"]
            assert await page.until("check", is_over=True)
            assert await page.until("finding")
            assert await page.until("sounding", here=True)
            await page.ask("say", text="Hello?")
            assert await page.until("item", sent="Yes.")
            first = call["frames"][-1]["n"] + 1
            assert [event["n"] for event in page.told("frame")][:2] == [first, first + 1]

    on_desk(tmp_path, talk)


def test_two_pages_show_one_call_and_one_of_them_sounds(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as first, opened.page() as second:
            await first.until("sounding", here=True)
            await second.until("sounding", here=False)
            await second.ask("call", url=url)
            await second.until("sounding", here=True)
            await first.until("sounding", here=False)
            assert await first.until("item", sent="Hi.") == await second.until("item", sent="Hi.")
            await first.ask("listen_here")
            await first.until("sounding", here=True)
            await second.until("sounding", here=False)
            await first.ask("listen_here")  # again: nothing to tell
            await first.ask("hang_up")
            await first.until_over()
            await second.until_over()
            assert len(first.told("sounding")) == 3

    on_desk(tmp_path, talk)


def test_the_sound_goes_to_the_latest_page_when_its_own_leaves_in_mid_call(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as first, opened.page() as latest:
            await latest.until("sounding", here=False)
            async with opened.page() as caller:
                await greeted(caller, url)
            await latest.until("sounding", here=True)
            await latest.ask("say", text="Hello?")
            await latest.until("item", sent="Yes.", is_over=True)
            await first.until("item", sent="Yes.", is_over=True)
            assert [event["here"] for event in first.told("sounding")] == [True, False]

    on_desk(tmp_path, talk)


# a call


def test_a_call_that_is_typed(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            await page.ask("say", text="Hello?")
            await page.until("item", sent="Yes.", is_over=True)
            await page.ask("mumble")
            await page.until("item", sent="(unintelligible audio)")
            await page.ask("press", digits="12#")
            await page.until("line", text="the caller pressed 12#")
            await page.ask("hang_up")
            over = await page.until_over()
            assert (over["ended"], over["trouble"]) == ("user_hangup", "")
            history = await page.until("history", lambda event: len(event["calls"]) == 1)
            assert history["calls"][0]["first_words"] == "Hello?"

    on_desk(tmp_path, talk)


def test_silence_that_is_skipped_brings_the_reminder(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            await page.ask("skip_silence")
            await page.until("item", kind="reminder")

    on_desk(tmp_path, talk)


def test_what_the_browser_recognises_is_said(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("heard", text="Nobody is there yet.")
            await page.until("ears", is_over=False)
            await greeted(page, url)
            await page.ask("heard", text="Are you")
            await page.until("item", sent="Are you")
            await page.ask("heard", text="Are you there?", is_over=True)
            await page.until("ears", text="Are you there?", is_over=True)
            await page.until("item", sent="Are you there?")
            await page.until("item", sent="Yes.")

    on_desk(tmp_path, talk)


def test_what_goes_wrong_on_the_line_goes_wrong(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            await page.ask("go_wrong", kind="slow", seconds=0.01)
            await page.until("line", text="fault: slow")
            await page.ask("go_wrong", kind="resend")
            await page.until("line", text="nothing was asked yet that could be sent again")
            await page.ask("send", text='{"interaction_type": "ping_pong", "timestamp": 5}')
            await page.until("frame", kind="ping_pong", sender="platform")
            await page.until("frame", kind="ping_pong", sender="server")
            await page.ask("go_wrong", kind="drop_line")
            await page.until("status", connections=2)

    on_desk(tmp_path, talk)


@pytest.mark.parametrize(
    "command",
    [
        {"type": "say", "text": "Hello?"},
        {"type": "mumble"},
        {"type": "press", "digits": "1"},
        {"type": "skip_silence"},
        {"type": "go_wrong", "kind": "drop_line"},
        {"type": "send", "text": "{}"},
    ],
    ids=lambda command: command["type"],
)
def test_without_a_call_there_is_nobody_to_talk_to(tmp_path: Path, command: dict[str, Any]) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("hang_up")  # does nothing
            await page.ws.send(json.dumps(command))
            assert (await page.until("trouble"))["text"] == "there is no call: make one first"

    on_desk(tmp_path, talk)


def test_a_new_call_ends_the_one_that_goes_on(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            first = page.told("call")[-1]["call_id"]
            await page.ask("call", url=url)
            second = (await page.until("call"))["call_id"]
            over = await page.until("status", is_over=True)
            assert (over["call_id"], over["ended"]) == (first, "user_hangup")
            await page.until("item", call_id=second, sent="Hi.")
            await page.ask("hang_up")
            await page.until("status", call_id=second, is_over=True)
            await page.until("history", both_have_ended)

    on_desk(tmp_path, talk)


def test_a_call_can_be_hung_up_while_it_is_dialled(tmp_path: Path) -> None:
    async def talk(opened: Board, _: str) -> None:
        async with stuck() as url, opened.page() as page:
            await page.ask("call", url=url)
            await page.until("status", says="asking for a WebSocket")
            await page.ask("hang_up")
            over = await page.until_over()
            assert (over["ended"], over["trouble"]) == ("user_hangup", "")
            assert (await page.until("history"))["calls"] == []
            await page.ask("hang_up")  # again: nothing happens
            await greeted(page, opened.desk.url)

    on_desk(tmp_path, talk)


def test_a_call_can_be_hung_up_while_the_voice_is_loaded(tmp_path: Path) -> None:
    may_load = threading.Event()

    def mouth() -> Whistle:
        may_load.wait(PATIENCE_S)
        return Whistle()

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until_voice(no_kit="the kit's voice is still being loaded")
            await page.ask("call", url=url)
            assert (await page.until("call"))["status"]["says"] == "loading the agent's voice"
            await page.ask("hang_up")
            over = await page.until_over()
            assert (over["ended"], over["connections"]) == ("user_hangup", 0)
            may_load.set()
            assert (await page.until("voice"))["kind"] == "kit"

    on_desk(tmp_path, talk, heard=speaking(mouth))


def test_a_hasty_user_who_calls_and_hangs_up_at_once_is_not_left_hanging(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            for _ in range(5):
                await page.ask("call", url=url)
                await page.ask("hang_up")
            await page.ask("call", url=url)
            last = ""
            for _ in range(6):
                last = (await page.until("call"))["call_id"]
            await page.until("item", call_id=last, sent="Hi.")
            over = {event["call_id"] for event in page.told("status") if event["is_over"]}
            assert len(over) == 5

    on_desk(tmp_path, talk)


def test_a_server_that_is_not_there_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmws_tutorial.simulator.dialer.BETWEEN_ATTEMPTS_S", 0.01)

    async def talk(opened: Board, _: str) -> None:
        async with opened.page() as page:
            await page.ask("call", url=f"ws://127.0.0.1:{free_port()}/llm-websocket/")
            over = await page.until_over()
            assert "is the server running?" in over["trouble"]

    on_desk(tmp_path, talk)


def test_a_server_that_dies_in_mid_call_is_told(tmp_path: Path) -> None:
    class Dying(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            await ws.close(1011)

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            await page.ask("say", text="Hello?")
            assert (await page.until_over())["ended"] == "error_llm_websocket_runtime"
            await page.ask("say", text="Hello?")
            assert (await page.until("trouble"))["text"] == "there is no call: make one first"

    on_desk(tmp_path, talk, Dying())


def test_a_call_that_cannot_be_kept_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("call", url=url)
            assert "cannot keep calls in" in (await page.until("trouble"))["text"]
            await page.until("item", sent="Hi.", is_over=True)
            await page.ask("hang_up")
            await page.until_over()
            assert (await page.until("history"))["calls"] == []

    on_desk(tmp_path / "file", talk)


# where it may dial


@pytest.mark.parametrize(
    ("about", "fields"), [("call", {}), ("check", {}), ("play", {"name": "greeting"})]
)
@pytest.mark.parametrize(
    "url", [ELSEWHERE, "wss://example.org/x/", "ws://127.0.0.1.example.org/", "ws://0.0.0.0/x/"]
)
def test_a_server_elsewhere_is_dialled_only_once_that_is_confirmed(
    tmp_path: Path, about: str, fields: dict[str, str], url: str
) -> None:
    async def talk(opened: Board, _: str) -> None:
        async with opened.page() as page:
            asked = await page.asked(about, "confirm", url=url, **fields)
            assert (asked["url"], asked["about"]) == (url, about)
            await page.asked("hint", "hints", url=url)
            assert page.told("call") + page.told("check") == []

    on_desk(tmp_path, talk)


def test_what_is_confirmed_is_dialled(tmp_path: Path) -> None:
    async def talk(opened: Board, _: str) -> None:
        async with opened.page() as page:
            await page.ask("call", url="ws://llmws.invalid/x/", confirmed=True)
            assert (await page.until("call"))["url"] == "ws://llmws.invalid/x/"
            await page.ask("hang_up")
            await page.until_over()

    on_desk(tmp_path, talk)


@pytest.mark.parametrize("about", ["call", "check", "play"])
def test_what_can_be_dialled_nowhere_is_refused_in_words(tmp_path: Path, about: str) -> None:
    async def talk(opened: Board, _: str) -> None:
        async with opened.page() as page:
            fields = {"name": "greeting"} if about == "play" else {}
            trouble = await page.asked(about, "trouble", url="not a url", **fields)
            assert trouble["text"].startswith("cannot dial 'not a url': expected ws://")

    on_desk(tmp_path, talk)


def test_a_variable_leads_nowhere_else_without_a_question(tmp_path: Path) -> None:
    sly = """
scenario: Sly
calls: 2
call: {variables: {x: "a@192.0.2.{{call}}/"}}
caller: []
"""

    async def talk(opened: Board, _: str) -> None:
        async with opened.page() as page:
            url = "ws://u:{{x}}@127.0.0.1/llm/"
            asked = await page.asked("play", "confirm", text=sly, url=url)
            assert asked["url"] == "ws://u:a@192.0.2.1/@127.0.0.1/llm/"
            assert page.told("playing") == []

    on_desk(tmp_path, talk)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("ws://127.0.0.1:8080/llm-websocket/", None),
        ("ws://127.0.0.1:8080/", "the URL ends at the host"),
        ("http", "cannot dial 'http'"),
        ("", "cannot dial ''"),
    ],
)
def test_a_url_is_looked_at_while_it_is_typed(tmp_path: Path, url: str, hint: str | None) -> None:
    async def talk(opened: Board, _: str) -> None:
        async with opened.page() as page:
            told = await page.asked("hint", "hints", url=url)
            assert told["url"] == url
            assert [text.startswith(hint or "?") for text in told["hints"]] == [True] * bool(hint)

    on_desk(tmp_path, talk)


# scenarios and checks


@pytest.mark.parametrize("speed", [1.0, 20.0])
def test_a_scenario_is_a_call_with_an_outcome(tmp_path: Path, speed: float) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("play", name="greeting", url=url, speed=speed)
            assert (await page.until("call"))["title"] == "The agent greets"
            outcome = await page.until("outcome")
            assert (outcome["name"], outcome["wrongs"]) == ("greeting", [])

    on_desk(tmp_path, talk)


def test_a_scenario_says_what_was_not_as_expected(tmp_path: Path) -> None:
    class Silent(Polite):
        async def greet(self, ws: ServerConnection) -> None:
            await ws.send(frame(0, ""))

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("play", name="greeting", url=url, speed=100.0)
            [wrong] = (await page.until("outcome"))["wrongs"]
            assert "silent" in wrong or "nothing" in wrong or "expected" in wrong

    on_desk(tmp_path, talk, Silent())


def test_a_scenario_of_a_server_that_is_not_there_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmws_tutorial.simulator.dialer.BETWEEN_ATTEMPTS_S", 0.01)

    async def talk(opened: Board, _: str) -> None:
        async with opened.page() as page:
            url = f"ws://127.0.0.1:{free_port()}/llm-websocket/"
            await page.ask("play", name="greeting", url=url, speed=100.0)
            [wrong] = (await page.until("outcome"))["wrongs"]
            assert "is the server running?" in wrong

    on_desk(tmp_path, talk)


def test_several_calls_at_once_are_played_quietly(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("play", name="two_calls", url=url)
            assert await page.until("playing", name="two_calls")
            assert (await page.until("outcome", name="two_calls"))["wrongs"] == []
            assert page.told("call") == []

    on_desk(tmp_path, talk)


@pytest.mark.parametrize("name", ["nothing", "/etc/passwd", "../greeting", "greeting.yaml"])
def test_a_page_plays_what_is_shipped_and_reads_no_file(tmp_path: Path, name: str) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            trouble = await page.asked("play", "trouble", name=name, url=url)
            assert trouble["text"].startswith(f"there is no scenario {name!r}, expected one of ")

    on_desk(tmp_path, talk)


def test_checks_are_told_one_by_one(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("check", url=url, prefixes=["begin/1"])
            begun = await page.until("check", is_over=False)
            finding = await page.until("finding")
            over = await page.until("check", is_over=True)
            assert (begun["wanted"], finding["id"]) == (["begin/1"], "begin/1")
            assert over["summary"]

    on_desk(tmp_path, talk)


def test_a_check_that_is_none_is_refused_and_the_run_before_goes_on(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("check", url=url, prefixes=["begin/1"])
            await page.ask("check", url=url, prefixes=["nothing"])
            assert "nothing" in (await page.until("trouble"))["text"]
            await page.until("finding", id="begin/1")

    on_desk(tmp_path, talk)


def test_a_run_of_checks_can_be_stopped_also_before_it_has_begun(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("stop_check")  # nothing to stop
            await page.ask("check", url=url)
            await page.until("check", is_over=False)
            await page.ask("stop_check")
            await page.until("check", is_over=True)
            opened.desk.obey(opened.desk._tabs[0], commands.Check(url=url))
            opened.desk.obey(opened.desk._tabs[0], commands.StopCheck())
            await page.until("check", is_over=True)

    on_desk(tmp_path, talk)


def test_a_new_run_of_checks_begins_once_the_one_before_has_ended(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.ask("check", url=url)
            await page.until("check", is_over=False)
            await page.ask("check", url=url, prefixes=["begin/1"])
            await page.until("finding", id="begin/1")
            await page.until("check", is_over=True, wanted=["begin/1"])
            runs = [(len(event["wanted"]) == 1, event["is_over"]) for event in page.told("check")]
            assert runs == [(False, False), (False, True), (True, False), (True, True)]

    on_desk(tmp_path, talk)


# frames, and calls on disk


def test_a_frame_of_the_call_is_shown_in_full(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            call_id = page.told("call")[-1]["call_id"]
            shown = await page.asked("show_frame", "whole", call_id=call_id, number=1)
            assert json.loads(shown["text"])["content"] == "Hi."
            none = await page.asked("show_frame", "trouble", call_id=call_id, number=999)
            assert none["text"] == "there is no frame 999 yet"

    on_desk(tmp_path, talk)


def test_calls_on_disk_are_opened_compared_and_forgotten(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            ids = []
            for _ in range(2):
                await greeted(page, url)
                await page.ask("hang_up")
                ids.append((await page.until_over())["call_id"])
            history = await page.until("history", both_have_ended)
            first, second = ids
            assert {one["call_id"] for one in history["calls"]} == {first, second}
            told = await page.asked("open_call", "opened", call_id=first)
            assert [item["sent"] for item in told["items"]] == ["Hi."]
            shown = await page.asked("show_frame", "whole", call_id=first, number=1)
            assert json.loads(shown["text"])["content"] == "Hi."
            told = await page.asked("compare", "compared", first=first, second=second)
            assert told["differences"] == []
            told = await page.asked("forget_call", "history", call_id=first)
            assert [one["call_id"] for one in told["calls"]] == [second]
            assert not (tmp_path / f"{first}.jsonl").exists()

    on_desk(tmp_path, talk)


def test_a_call_that_cannot_be_forgotten_is_told_to_whoever_asked(tmp_path: Path) -> None:
    (tmp_path / "call_1.json").mkdir()

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as other, opened.page() as page:
            await other.until("history")
            trouble = await page.asked("forget_call", "trouble", call_id="call_1")
            assert trouble["text"].startswith("the call call_1 cannot be deleted: ")
            await other.until("history")
            assert other.told("trouble") == []

    on_desk(tmp_path, talk)


def test_the_end_waits_for_what_is_to_be_written_and_tells_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()
    keep = Shelf.keep

    def keep_late(shelf: Shelf, view: CallView) -> None:
        assert may_write.wait(PATIENCE_S)
        keep(shelf, view)

    monkeypatch.setattr(Shelf, "keep", keep_late)

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            await page.ask("hang_up")
            call_id = (await page.until_over())["call_id"]  # told while the disk is slow
            (tmp_path / f"{call_id}.json").mkdir()
            await page.asked("hint", "hints", url=url)
            closing = asyncio.create_task(opened.desk.close())
            await page.asked("hint", "hints", url=url)
            assert not closing.done()
            may_write.set()
            await closing
            assert "the call is not kept in" in (await page.until("trouble"))["text"]

    on_desk(tmp_path, talk)


@pytest.mark.parametrize("call_id", ["call_9", "../x", "", "/etc/passwd"])
def test_a_call_that_is_not_there_is_refused_in_words(tmp_path: Path, call_id: str) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            assert await page.asked("open_call", "trouble", call_id=call_id)
            assert await page.asked("show_frame", "trouble", call_id=call_id, number=0)
            assert await page.asked("compare", "trouble", first=call_id, second=call_id)

    on_desk(tmp_path, talk)


def test_a_call_that_goes_on_is_not_forgotten(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            call_id = page.told("call")[-1]["call_id"]
            trouble = await page.asked("forget_call", "trouble", call_id=call_id)
            assert trouble["text"] == "this call still goes on: hang up first"
            assert (tmp_path / f"{call_id}.jsonl").exists()

    on_desk(tmp_path, talk)


# the server's log


def test_the_log_of_a_server_that_runs_here_is_told_from_any_thread(tmp_path: Path) -> None:
    log = Log("before 1", "before 2")

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            assert (await page.until("hello"))["runs_here"]
            assert (await page.until("server_line", text="before 1"))["n"] == 0
            await greeted(page, url)
            log.write_on_a_thread("during the call" + "x" * 100_000)
            line = await page.until("server_line", n=2)
            assert line["at_s"] > 0
            assert len(line["text"]) == 20_000
        async with opened.page() as page:
            assert [await page.until("server_line", n=number) for number in range(3)]

    on_desk(tmp_path, talk, log=log)
    assert log.followers == []


# who speaks, who listens


def test_a_page_chooses_who_speaks(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            no = await page.until_voice(no_ears="not installed: install it")
            assert (no["kind"], no["is_chosen"]) == ("captions", False)
            trouble = await page.asked("use_voice", "trouble", kind="kit")
            assert trouble["text"] == "not installed: install it"
            told = await page.asked("use_voice", "voice", kind="browser")
            assert (told["kind"], told["is_chosen"]) == ("browser", True)
            await page.ask("call", url=url)
            await page.until("speak", piece=0)
            assert page.told("piece")[0]["voice"] == "browser"
            await page.ask("spoken", piece=0, words=1)
            await page.until("item", sent="Hi.", is_over=True)

    on_desk(tmp_path, talk)


def test_a_page_knows_that_the_ears_are_on_their_way(tmp_path: Path) -> None:
    may_load = threading.Event()

    def load() -> Any:
        may_load.wait(30)
        return nothing()

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            soon = await page.until_voice(are_ears_loading=True)
            assert soon["no_ears"] == "recognition is still being loaded"
            may_load.set()
            never = await page.until("voice", are_ears_loading=False)
            assert never["no_ears"] == "not installed: install it"

    on_desk(tmp_path, talk, heard=speaking(recogniser=load))


def test_the_kits_voice_is_heard_on_the_page_that_called(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as other, opened.page() as page:
            await other.until_voice(kind="kit")
            await page.until_voice(kind="kit")
            await greeted(page, url)
            assert [len(heard) for heard in page.sounds] == [4 + 2 * 2400]
            assert [(one["piece"], one["offset_s"]) for one in page.told("speak")] == [(0, 0.0)]
            await other.until("item", sent="Hi.", is_over=True)
            assert other.sounds == []
            assert (await page.asked("use_voice", "voice", kind="kit"))["is_chosen"]

    on_desk(tmp_path, talk, heard=speaking(Whistle))


def test_only_the_page_that_sounds_tells_how_far_its_voice_is(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page, opened.page() as other:
            await page.ask("spoken", piece=0, words=1)  # of no call
            await page.ask("use_voice", kind="browser")
            await page.ask("call", url=url)
            await page.until("speak", piece=0)
            await other.ask("spoken", piece=0, words=1)
            await other.asked("hint", "hints", url=url)
            assert page.told("item")[-1]["words_heard"] == 0
            await page.ask("spoken", piece=0, words=1)
            await page.until("item", words_heard=1)

    on_desk(tmp_path, talk)


def test_a_caller_is_heard_by_the_microphone(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until_voice(no_ears="")
            await greeted(page, url)
            await page.ask("microphone", is_on=True)
            await page.ask("microphone", is_on=True)  # again: nothing changes
            await page.ws.send(LOUD * (int(BEGINS_S / CHUNK_S) + 2))
            await page.until("ears", text="", is_over=False)
            await page.ws.send(STILL * (int(ENDS_S / CHUNK_S) + 2))
            await page.until("ears", text="Come in.", is_over=True)
            await page.until("item", sent="Come in.")
            await page.until("item", sent="Yes.")

    on_desk(tmp_path, talk, heard=speaking(recogniser=Butler))


def test_a_turn_is_over_when_the_key_is_let_go(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until_voice(no_ears="")
            await greeted(page, url)
            await page.ask("microphone", is_on=True)
            await page.ws.send(LOUD * (int(BEGINS_S / CHUNK_S) + 20))
            await page.until("ears", text="", is_over=False)
            await page.ask("microphone", is_on=False, is_turn_over=True)
            await page.until("ears", text="Come in.", is_over=True)
            await page.until("item", sent="Come in.")
            await page.ws.send(LOUD * 10)  # nobody listens any more
            await page.ask("microphone", is_on=True)
            await page.ask("microphone", is_on=False)
            await page.ask("microphone", is_on=False)
            await page.asked("hint", "hints", url=url)

    on_desk(tmp_path, talk, heard=speaking(recogniser=Butler))


def test_where_nothing_listens_a_microphone_is_refused(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until_voice(no_ears="not installed: install it")
            trouble = await page.asked("microphone", "trouble", is_on=True)
            assert trouble["text"] == "not installed: install it"

    on_desk(tmp_path, talk)


def test_ears_that_cannot_be_made_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Deaf(Butler):
        def detector(self) -> Any:
            raise RuntimeError("no such model")

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until_voice(no_ears="")
            trouble = await page.asked("microphone", "trouble", is_on=True)
            assert trouble["text"].startswith("a defect of the dashboard itself, please report it")

    on_desk(tmp_path, talk, heard=speaking(recogniser=Deaf))
    assert "a defect of the dashboard" in caplog.messages


def test_a_detector_that_fails_switches_the_microphone_off_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Hoarse(Butler):
        detectors = 0

        def detector(self) -> Any:
            self.detectors += 1
            return Doorbell() if self.detectors > 1 else None

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until_voice(no_ears="")
            await page.ask("microphone", is_on=True)
            await page.ws.send(LOUD)
            assert (await page.until("trouble"))["text"].startswith("the ears failed: TypeError(")
            await page.until("deaf")
            await page.ask("microphone", is_on=True)
            await page.ws.send(LOUD * 20)
            await page.until("ears", text="", is_over=False)

    on_desk(tmp_path, talk, heard=speaking(recogniser=Hoarse))
    assert "the detector failed" in caplog.messages


def test_ears_that_fail_at_their_end_leave_those_alone_that_listen_by_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    may_fail = threading.Event()

    class Hoarse(Butler):
        detectors = 0

        def detector(self) -> Any:
            self.detectors += 1
            return Doorbell() if self.detectors > 1 else fail

    def fail(chunk: bytes) -> float:
        assert may_fail.wait(PATIENCE_S)
        raise OSError("late")

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until_voice(no_ears="")
            await page.ask("microphone", is_on=True)
            await page.ws.send(LOUD)
            await page.ask("microphone", is_on=False, is_turn_over=True)
            await page.ask("microphone", is_on=True)
            await page.asked("hint", "hints", url=url)
            may_fail.set()
            assert "OSError('late')" in (await page.until("trouble"))["text"]
            await page.ws.send(LOUD * 20)
            await page.until("ears", text="", is_over=False)
            assert page.told("deaf") == []

    on_desk(tmp_path, talk, heard=speaking(recogniser=Hoarse))


def test_a_voice_that_is_broken_is_said_to_be_and_nothing_waits_for_it(tmp_path: Path) -> None:
    def broken() -> None:
        raise OSError("libonnx.so: no such file")

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            said = "it is installed, and does not work here: OSError('libonnx.so: no such file')"
            await page.until_voice(no_kit=said)
            await greeted(page, url)
            assert page.told("piece")[0]["voice"] == "captions"

    on_desk(tmp_path, talk, heard=speaking(broken))


def test_a_call_does_not_wait_for_ever_for_the_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "LOADING_S", 0.01)
    may_load = threading.Event()

    def mouth() -> Whistle:
        may_load.wait(PATIENCE_S)
        return Whistle()

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            assert page.told("piece")[0]["voice"] == "captions"
            may_load.set()

    on_desk(tmp_path, talk, heard=speaking(mouth))


# what goes wrong, and the end


def test_a_defect_in_the_background_is_told_to_every_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("llmws_tutorial.dashboard.live_call.LiveCall.run", fail)

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page, opened.page() as other:
            await other.until("hello")
            await page.ask("call", url=url)
            for one in (page, other):
                assert "RuntimeError('unforeseen')" in (await one.until("trouble"))["text"]
                await one.until_over()

    on_desk(tmp_path, talk)
    assert "a defect of the dashboard" in caplog.messages


def test_the_end_of_the_dashboard_hangs_up_and_keeps_the_call(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await greeted(page, url)
            await page.ask("check", url=url)
            await page.until("check", is_over=False)

    on_desk(tmp_path, talk)
    [page] = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert page["summary"]["ended"] == "user_hangup"


def test_the_end_of_the_dashboard_ends_the_ears_too(tmp_path: Path) -> None:
    heard = speaking(recogniser=Butler)

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until_voice(no_ears="")
            await page.ask("microphone", is_on=True)
            await page.ws.send(LOUD * 30)
            await page.until("ears", text="", is_over=False)
            await opened.desk.close()
            await page.until("ears", is_over=True)

    on_desk(tmp_path, talk, heard=heard)


def test_a_server_that_takes_the_place_of_another_is_proposed_and_its_log_followed(
    tmp_path: Path,
) -> None:
    first, second = Log("one"), Log("two")

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until("server_line", text="one")
            pointing = threading.Thread(target=opened.desk.point_at, args=["ws://x/", second])
            pointing.start()
            assert (await page.until("server_line", text="two"))["n"] == 1
            pointing.join()
            assert first.followers == []
            second.write_on_a_thread("three")
            await page.until("server_line", text="three")
            opened.desk.point_at("ws://y/", second)
            assert (await page.until("hello"))["url"] == "ws://y/"
            await page.until("server_line", text="two")
            await page.until("server_line", text="three")
            opened.desk.point_at("ws://z/")
            hello = await page.until("hello", url="ws://z/")
            assert (hello["runs_here"], hello["about"]) == (False, "")
            assert second.followers == []

    on_desk(tmp_path, talk, log=first)


def test_a_line_that_is_late_is_not_told_of_the_server_that_took_its_place(tmp_path: Path) -> None:
    first, second = Log(), Log()

    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            await page.until("hello")
            [late] = first.followers
            opened.desk.point_at("ws://x/", second)
            late("too late")
            await page.until("hello", url="ws://x/")
            second.write_on_a_thread("in time")
            await page.until("server_line")
            assert [line["text"] for line in page.told("server_line")] == ["in time"]

    on_desk(tmp_path, talk, log=first)


def test_a_line_that_is_told_when_the_dashboard_is_gone_is_told_to_nobody(tmp_path: Path) -> None:
    log = Log()

    async def talk(opened: Board, url: str) -> Any:
        return log.followers[0]

    on_desk(tmp_path, talk, log=log)("after the end")


def test_a_scenario_is_proofread_while_it_is_written(tmp_path: Path) -> None:
    async def talk(opened: Board, url: str) -> None:
        async with opened.page() as page:
            wrong = await page.asked("proofread", "proofread", text="scenario: 1\ncaller: 5\n")
            assert wrong["text"].startswith("line ")

    on_desk(tmp_path, talk)


def test_the_best_that_is_installed_speaks_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    opened = Desk(shelf=Shelf(tmp_path))
    assert isinstance(opened._sound, sound.Sound)
    events: list[Event] = [opened._sound.event()]
    assert events[0]["no_kit"] == "the kit's voice is still being loaded"
