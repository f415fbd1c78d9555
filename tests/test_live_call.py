"""One call of the dashboard: placed to a real server, followed to its end, and told."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.live_call import LiveCall
from llmws_tutorial.dashboard.speaker import Speaker
from llmws_tutorial.dashboard.view import CallView, Event
from llmws_tutorial.simulator import dialer, new_record
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.scenario import Step
from tests.sockets import Handler, free_port, served
from tests.wrong_servers import Mute, Polite, frame

FAST = 10.0
PATIENCE_S = 30.0
Talk = Callable[["Followed"], Awaitable[Any]]


class Followed:
    """A call that runs, and what was told of it."""

    def __init__(self, url: str, folder: Path, **options: Any) -> None:
        self.told: list[Event] = []
        self._news = asyncio.Event()
        view = CallView(new_record("call_1"), url)
        self.call = LiveCall(view, Speaker(), tell=self._take, shelf=Shelf(folder))
        self.running = asyncio.create_task(self.call.run(**{"speed": FAST, **options}))

    def _take(self, event: Event) -> None:
        self.told.append(event)
        self._news.set()

    async def until(self, kind: str, when: Callable[[Event], bool] = lambda _: True) -> Event:
        looked_at = 0
        while True:
            for event in self.told[looked_at:]:
                if event["type"] == kind and when(event):
                    return event
            looked_at = len(self.told)
            self._news.clear()
            await self._news.wait()

    async def until_says(self, text: str) -> Event:
        return await self.until("item", lambda item: item["sent"] == text)

    async def until_over(self, turn: int) -> Event:
        return await self.until("item", lambda item: item.get("n") == turn and item["is_over"])

    async def until_open(self) -> Event:
        return await self.until("status", lambda status: bool(status["is_open"]))

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.told if event["type"] == kind]


def follow(handler: Handler, folder: Path, talk: Talk, **options: Any) -> Followed:
    """Make a call, and hang up once the talk is over, if it still goes on."""

    async def run() -> Followed:
        async with asyncio.timeout(PATIENCE_S), served(handler) as url:
            return await followed(url, folder, talk, **options)

    return asyncio.run(run())


async def followed(url: str, folder: Path, talk: Talk, **options: Any) -> Followed:
    call = Followed(url, folder, **options)
    await talk(call)
    if call.call.is_open:
        call.call.hang_up()
    await asyncio.wait([call.running])
    call.call.finish()
    call.call.keep()
    return call


async def listen(call: Followed) -> None:
    await call.until_says("Hi.")


def test_a_call_is_told_and_kept(tmp_path: Path) -> None:
    call = follow(Polite(), tmp_path, listen)
    assert call.running.exception() is None
    assert {"frame", "item", "line", "status"} == {event["type"] for event in call.told}
    assert call.told[-1]["is_over"]
    assert (call.told[-1]["ended"], call.told[-1]["close_code"]) == ("user_hangup", 1000)
    [listed] = Shelf(tmp_path).list()
    assert (listed["ended"], listed["frames"]) == ("user_hangup", len(call.of("frame")))


def test_the_stages_are_told_with_what_may_help(tmp_path: Path) -> None:
    call = follow(Polite(), tmp_path, listen)
    stages = [(status["says"], status["likely_fix"]) for status in call.of("status")]
    assert stages[:3] == [
        ("looking up the name", "is there a network, and is the name right?"),
        ("opening the TCP connection", "is the address right, and no firewall near?"),
        ("asking for a WebSocket", "is the server stuck?"),
    ]
    assert call.told[-1]["likely_fix"] == ""


def test_an_attempt_that_failed_says_why_and_that_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialer, "BETWEEN_ATTEMPTS_S", 0.01)
    url = f"ws://127.0.0.1:{free_port()}/llm-websocket/"
    call = asyncio.run(asyncio.wait_for(followed(url, tmp_path, hold), PATIENCE_S))
    says = [status["says"] for status in call.of("status")]
    failed = [text for text in says if text.endswith("; trying again")]
    assert [text[-30:] for text in failed] == [
        "(attempt 1 of 3); trying again",
        "(attempt 2 of 3); trying again",
    ]
    assert "nothing answers (connection refused)" in failed[0]
    assert "opening the TCP connection (attempt 3 of 3)" in says


def test_a_call_that_never_came_about_says_why_and_leaves_nothing_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialer, "BETWEEN_ATTEMPTS_S", 0.01)
    url = f"ws://127.0.0.1:{free_port()}/llm-websocket/"
    call = asyncio.run(asyncio.wait_for(followed(url, tmp_path / "calls", hold), PATIENCE_S))
    last = call.told[-1]
    assert (last["is_over"], last["ended"]) == (True, "error_llm_websocket_open")
    assert "is the server running?" in last["trouble"]
    assert not (tmp_path / "calls").exists()


def test_whoever_hangs_up_while_it_is_dialled_ends_it(tmp_path: Path) -> None:
    async def run() -> Followed:
        async with asyncio.timeout(PATIENCE_S), stuck() as url:
            call = Followed(url, tmp_path)
            await call.until("status", lambda status: status["says"] == "asking for a WebSocket")
            call.running.cancel()
            await asyncio.wait([call.running])
            call.call.finish()
            call.call.keep()
            return call

    call = asyncio.run(run())
    assert call.running.cancelled()
    last = call.told[-1]
    assert (last["is_over"], last["is_open"], last["ended"]) == (True, False, "user_hangup")
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_was_never_run_is_over_as_well(tmp_path: Path) -> None:
    async def run() -> Followed:
        call = Followed("ws://127.0.0.1:1/", tmp_path)
        call.running.cancel()  # before its first step
        await asyncio.wait([call.running])
        call.call.finish()
        return call

    call = asyncio.run(run())
    assert call.told[-1]["is_over"]


def test_whoever_cancels_it_hangs_up(tmp_path: Path) -> None:
    async def cancel(call: Followed) -> None:
        await call.until_says("Hi.")
        call.call.say("I was going to say something long.")
        await call.until("item", lambda item: item["role"] == "user")
        call.running.cancel()
        await asyncio.wait([call.running])

    call = follow(Polite(), tmp_path, cancel, speed=1.0)
    assert call.running.cancelled()
    assert call.told[-1]["ended"] == "user_hangup"
    assert Shelf(tmp_path).list()[0]["ended"] == "user_hangup"


def test_what_the_caller_does_reaches_the_server(tmp_path: Path) -> None:
    class Attentive(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            await ws.send(frame(response_id, f"Answer {response_id}."))

    async def talk(call: Followed) -> None:
        await call.until_says("Hi.")
        for number, do in enumerate(
            [
                lambda: call.call.say("Hello?"),
                call.call.mumble,
                lambda: call.call.press("12#"),
                lambda: call.call.hear("Spoken.", silent_s=0.1),
                lambda: call.call.hear("", silent_s=0.1),
                call.call.skip_silence,
            ],
            1,
        ):
            do()
            await call.until_says(f"Answer {number}.")
            await call.until_over(number)

    call = follow(Attentive(), tmp_path, talk)
    sent = [
        json.loads(str(frame.data))
        for frame in call.call.view.record.frames
        if frame.sender == "platform"
    ]
    said = [one["content"] for one in sent[-1]["transcript"] if one["role"] == "user"]
    assert said == ["Hello?", "(unintelligible audio)", "Spoken.", "(unintelligible audio)"]
    assert [turn.kind for turn in call.call.view.record.turns][-1] == "reminder"


def test_what_goes_wrong_goes_wrong(tmp_path: Path) -> None:
    async def talk(call: Followed) -> None:
        await call.until_says("Hi.")
        call.call.go_wrong(Fault("drop_line"))
        await call.until("status", lambda status: status["connections"] == 2)

    follow(Polite(), tmp_path, talk)


def test_a_call_that_was_dialled_again_says_whose_turn_it_is(tmp_path: Path) -> None:
    async def talk(call: Followed) -> None:
        await call.until_over(turn=0)
        call.call.go_wrong(Fault("drop_line"))
        await call.until("status", lambda status: status["connections"] == 2)

    call = follow(Polite(), tmp_path, talk, speed=1.0)  # the reminder comes after ten seconds
    says = [status["says"] for status in call.of("status") if status["connections"] == 2]
    assert "the caller's turn" in says
    assert "open" not in says


def test_before_it_is_open_there_is_nobody_to_talk_to(tmp_path: Path) -> None:
    async def run() -> Followed:
        async with asyncio.timeout(PATIENCE_S), stuck() as url:
            call = Followed(url, tmp_path)
            call.call.say("Hello?")
            call.call.hear("Hello?", silent_s=0.0)
            call.call.go_wrong(Fault("drop_line"))
            assert not call.call.is_open
            call.running.cancel()
            await asyncio.wait([call.running])
            return call

    call = asyncio.run(run())
    call.call.finish()
    assert call.of("item") == [] or all(item["role"] == "agent" for item in call.of("item"))


def test_the_end_is_told_before_a_server_has_closed_its_end(tmp_path: Path) -> None:
    let_go = asyncio.Event()

    class Clinging(Polite):
        async def __call__(self, ws: ServerConnection) -> None:
            await self.greet(ws)
            ws.transport.pause_reading()
            await let_go.wait()
            ws.transport.resume_reading()

    async def talk(call: Followed) -> None:
        await call.until_says("Hi.")
        call.call.hang_up()
        await call.until("status", lambda status: bool(status["is_over"]))
        assert not call.running.done()
        let_go.set()

    follow(Clinging(), tmp_path, talk)


def test_a_script_is_acted_out_and_its_lapses_are_noted(tmp_path: Path) -> None:
    caller = Caller([Step(say="Hello?")], patience_s=1.0)
    call = follow(Mute(), tmp_path, hold, caller=caller)
    assert call.call.view.record.lapses == ["the agent owed an answer for 1 s"] * 2
    assert call.told[-1]["ended"] == "user_hangup"


def test_a_server_that_dies_in_mid_call_is_told(tmp_path: Path) -> None:
    class Dying(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            await ws.close(1011, "out of order")

    async def talk(call: Followed) -> None:
        await call.until_says("Hi.")
        call.call.say("Hello?")
        await call.until("status", lambda status: bool(status["is_over"]))

    call = follow(Dying(), tmp_path, talk)
    assert (call.told[-1]["ended"], call.told[-1]["close_code"]) == (
        "error_llm_websocket_runtime",
        1011,
    )


def test_an_agent_that_floods_is_told_in_small_events(tmp_path: Path) -> None:
    class Flooding(Polite):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            for _ in range(5000):
                await ws.send(frame(response_id, "Word after word. ", content_complete=False))
            await ws.send(frame(response_id, "Done."))

    async def talk(call: Followed) -> None:
        await call.until_says("Hi.")
        call.call.say("Go.")
        await call.until(
            "item",
            lambda item: item["role"] == "agent" and item["size"] > 80_000 and item["is_complete"],
        )

    call = follow(Flooding(), tmp_path, talk, speed=1.0)
    frames = [event for event in call.of("frame") if event["kind"] == "response"]
    assert len(frames) == 5002
    assert [frame["n"] for frame in call.of("frame")] == list(range(len(call.of("frame"))))
    assert len(call.of("item")) < 500


def test_a_folder_that_cannot_be_made_does_not_end_the_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    call = follow(Polite(), tmp_path / "file", listen)
    assert [event["text"] for event in call.of("trouble")] == [
        f"cannot keep calls in {tmp_path}/file: file exists; choose another"
    ]
    assert call.told[-1]["ended"] == "user_hangup"


def test_a_deed_that_fails_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(line: object, digits: str) -> None:
        raise RuntimeError(digits)

    monkeypatch.setattr("llmws_tutorial.simulator.Line.press", fail)

    async def talk(call: Followed) -> None:
        await call.until_says("Hi.")
        call.call.press("1")

    assert repr(follow(Polite(), tmp_path, talk).running.exception()) == "RuntimeError('1')"


async def hold(call: Followed) -> None:
    """Wait until it is over."""
    await asyncio.wait([call.running])


@contextlib.asynccontextmanager
async def stuck() -> AsyncIterator[str]:
    """A server that takes the connection, and never answers."""

    async def hold_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(hold_on, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/llm-websocket/"
