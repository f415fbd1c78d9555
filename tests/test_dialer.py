"""Calls placed to servers on this machine: what the caller says, hears and keeps."""

import asyncio
import itertools
import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import CallFacts, Utterance
from llmws_tutorial.simulator import (
    CallRecord,
    Choices,
    Line,
    State,
    dial,
    dialer,
    new_record,
    place_call,
)
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.clock import UNPACED
from llmws_tutorial.simulator.opening import Stage
from llmws_tutorial.simulator.scenario import Step
from tests.phone import LateVoice
from tests.sockets import Handler, served
from tests.wrong_servers import Mute, Polite, frame

FAST: Final = 1000.0
PATIENCE_S: Final = 30.0


def call(handler: Handler, *says: str | None, **options: Any) -> CallRecord:
    async def place() -> CallRecord:
        async with served(handler) as url:
            return await place_call(url, says, **{"speed": UNPACED, **options})

    return asyncio.run(place())


def on_line(
    handler: Handler, talk: Callable[[Line], Awaitable[None]], **options: Any
) -> CallRecord:
    async def run() -> CallRecord:
        async with served(handler) as url, dial(url, **{"speed": UNPACED, **options}) as line:
            await asyncio.wait_for(talk(line), PATIENCE_S)
        return line.record

    return asyncio.run(run())


def sent(record: CallRecord) -> list[dict[str, Any]]:
    return [json.loads(frame.data) for frame in record.frames if frame.sender == "platform"]


class Wordy(Polite):
    """Says three words whenever it may."""

    async def greet(self, ws: ServerConnection) -> None:
        await ws.send(frame(0, "Good morning there."))

    async def answer(self, ws: ServerConnection, response_id: int) -> None:
        await ws.send(frame(response_id, "Say it again."))


class Guide(Polite):
    """Asks for nothing, as in 2024."""

    async def configure(self, ws: ServerConnection) -> None:
        pass


def test_the_agent_greets_and_the_caller_hangs_up() -> None:
    record = call(Polite())
    assert [said.content for said in record.transcript] == ["Hi."]
    assert (record.disconnection_reason, record.close_code) == ("user_hangup", 1000)
    assert (record.connections, record.call.state) == (1, State.ENDED)


def test_both_speak_word_by_word() -> None:
    said = [
        (message["interaction_type"], [spoken["content"] for spoken in message["transcript"]])
        for message in sent(call(Guide(), "Are you?"))
    ]
    assert said == [
        ("update_only", []),
        ("update_only", ["Hi."]),
        ("update_only", ["Hi.", "Are"]),
        ("update_only", ["Hi.", "Are you?"]),
        ("response_required", ["Hi.", "Are you?"]),
        ("update_only", ["Hi.", "Are you?"]),
        ("update_only", ["Hi.", "Are you?", "Yes."]),
    ]


def test_each_request_has_the_next_id_and_silence_brings_a_reminder() -> None:
    messages = sent(call(Guide(), "One.", None, "Two."))
    asked = [message for message in messages if "response_id" in message]
    assert [(message["interaction_type"], message["response_id"]) for message in asked] == [
        ("response_required", 1),
        ("reminder_required", 2),
        ("response_required", 3),
    ]


def test_every_frame_is_kept_with_its_time() -> None:
    record = call(Guide(), "Hello?")
    senders = "".join(frame.sender[0] for frame in record.frames)
    assert senders == "spppp" + "spp"
    times = [frame.at_s for frame in record.frames]
    assert times == sorted(times)
    assert times[2] - times[0] == pytest.approx(0.2 + 1 / 3, abs=0.01)  # the voice, then a word


def test_a_frame_that_is_dropped_is_kept_with_the_reason() -> None:
    class Nine(Guide):
        async def answer(self, ws: ServerConnection, response_id: int) -> None:
            await ws.send(frame(9, "Nine."))
            await super().answer(ws, response_id)

    record = call(Nine(), "Hello?")
    [dropped] = record.dropped
    assert dropped.dropped == "response_id 9 was never asked, the latest one is 1"
    assert (json.loads(dropped.data)["content"], str(record).splitlines()[-1]) == (
        "Nine.",
        "agent: Yes.",
    )


@pytest.mark.parametrize("speed", [1.0, 20.0, FAST, UNPACED])
def test_people_take_their_time_and_speed_divides_it(speed: float) -> None:
    people_s = (0.2 + 1 / 3) + (1 / 3 + 0.5) + (0.2 + 1 / 3)  # "Hi." "Hello?" "Yes."
    started = time.monotonic()
    record = call(Polite(), "Hello?", speed=speed)
    assert people_s / speed <= time.monotonic() - started < people_s / speed + 1
    late_s = 0.0 if speed == UNPACED else 0.005 * speed  # an alarm is, by milliseconds of the wall
    assert people_s <= record.call.now_s < people_s + 1 + late_s


def test_an_hour_of_silence_passes_at_once_without_a_pace() -> None:
    record = call(Guide(), *[None] * 300)
    assert record.call.now_s > 600
    assert record.disconnection_reason in ("user_hangup", "inactivity")


def test_a_mute_agent_is_waited_for_and_no_longer() -> None:
    started = time.monotonic()
    record = call(Mute(), "Hello?", timeout_s=0.1)
    assert time.monotonic() - started < 1
    assert (str(record), record.disconnection_reason) == ("user:  Hello?", "user_hangup")
    assert record.lapses == ["the agent owed an answer for 0.1 s"] * 2


def test_the_server_sees_the_path_with_the_call_id_and_the_query() -> None:
    paths: list[str] = []

    async def note(ws: ServerConnection) -> None:
        assert ws.request
        paths.append(ws.request.path)
        await ws.close()

    async def place() -> CallRecord:
        async with served(note) as url:
            return await place_call(f"{url}?key=a", call_id="call_1")

    assert asyncio.run(place()).call_id == "call_1"
    assert paths == ["/llm-websocket/call_1?key=a"]


def test_two_calls_have_two_ids() -> None:
    assert dialer.new_record().call_id != dialer.new_record().call_id


def test_a_server_that_asks_is_told_the_facts_once() -> None:
    facts = CallFacts(call_type="phone_call", from_number="+15551234567")
    messages = sent(on_line(Polite(), listen, record=new_record(facts=facts)))
    details = [message for message in messages if "call" in message]
    assert details == [
        {
            "interaction_type": "call_details",
            "call": {"call_type": "phone_call", "from_number": "+15551234567"},
        }
    ]


async def listen(line: Line) -> None:
    await line.listen(PATIENCE_S)


def test_what_the_agent_said_is_heard_once() -> None:
    heard: list[str] = []

    async def talk(line: Line) -> None:
        heard.extend([await line.listen(5), await line.listen(5)])
        await line.say("Hello?")
        heard.append(await line.listen(5))

    on_line(Polite(), talk)
    assert heard == ["Hi.", "", "Yes."]


def test_what_was_said_before_anybody_listened_is_heard_too() -> None:
    heard: list[str] = []

    async def talk(line: Line) -> None:
        await line.until(lambda: line.record.turns[0].heard == "Hi.")
        heard.append(await line.listen(5))

    on_line(Polite(), talk)
    assert heard == ["Hi."]


def test_an_answer_that_pauses_is_heard_on() -> None:
    go_on = asyncio.Event()

    async def slow(ws: ServerConnection) -> None:
        await ws.send(frame(0, "I am. ", content_complete=False))
        await go_on.wait()
        await ws.send(frame(0, "Here."))
        await ws.wait_closed()

    heard: list[str] = []

    async def talk(line: Line) -> None:
        await line.until(lambda: line.record.turns[0].words_heard == 2)
        heard.append(await line.listen(0.1))
        go_on.set()
        heard.append(await line.listen(5))

    record = on_line(slow, talk)
    assert (heard, str(record)) == (["I am.", "Here."], "agent: I am. Here.")


def test_a_caller_talks_over_the_agent() -> None:
    async def talk(line: Line) -> None:
        await line.until(lambda: line.record.turns[0].words_heard == 2)
        await line.say("Stop!")
        assert await line.listen(5) == "Say it again."

    record = on_line(Wordy(), talk, speed=UNPACED)
    assert record.transcript[0] == Utterance(
        role="agent", content="Good morning", words=record.transcript[0].words
    )
    assert record.turns[0].is_cut


def test_words_take_their_time_also_after_nobody_spoke_for_a_while() -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        await asyncio.sleep(0.4)  # four seconds of the call
        started_s, started = line.record.call.now_s, time.monotonic()
        await line.say("One two three.")
        assert time.monotonic() - started > 0.12
        assert line.record.call.now_s - started_s > 4

    on_line(Polite(), talk, speed=10.0)


def test_a_call_lasts_until_it_is_hung_up_and_no_longer() -> None:
    ended_s = 0.0

    async def talk(line: Line) -> None:
        nonlocal ended_s
        await line.listen(5)
        await asyncio.sleep(0.2)
        await line.hang_up()
        ended_s = line.record.call.now_s
        assert not line.is_open
        await asyncio.sleep(0.2)

    record = on_line(Polite(), talk, speed=1.0)
    assert 0.7 < record.call.now_s == ended_s


def test_silence_lasts_until_the_reminder() -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        await line.stay_silent()
        assert line.record.call.response_id == 1
        assert await line.listen(5) == "Yes."

    on_line(Polite(), talk, speed=UNPACED)


def test_silence_lasts_no_longer_where_no_reminder_is_due() -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        started_s = line.record.call.now_s
        await line.stay_silent()
        assert 10 <= line.record.call.now_s - started_s < 100  # an idle call ends after 600

    for speed in (FAST, UNPACED):
        record = on_line(
            Polite(), talk, speed=speed, record=new_record(choices=Choices(reminder_max_count=0))
        )
        assert (record.call.response_id, record.disconnection_reason) == (0, "user_hangup")


def test_the_rest_of_a_silence_is_skipped_up_to_the_reminder() -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        await line.skip_silence()
        await line.until(lambda: line.record.call.response_id == 1)
        assert 10.5 < line.record.call.now_s < 20
        assert await line.listen(5) == "Yes."

    started = time.monotonic()
    on_line(Polite(), talk, speed=1.0)
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    "choices",
    [Choices(reminder_max_count=0), Choices(inactivity_s=5.0), Choices(max_duration_s=5.0)],
)
def test_a_silence_that_no_reminder_ends_is_not_skipped(choices: Choices) -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        await line.skip_silence()
        assert line.record.log[-1].text == "no reminder is due: there is no silence to skip"
        assert (line.is_open, line.record.call.now_s < 4) == (True, True)
        await line.hang_up()
        await line.skip_silence()
        assert line.record.log[-1].text == "the call ended: user_hangup"

    on_line(Polite(), talk, speed=1.0, record=new_record(choices=choices))


def test_a_caller_mumbles_and_presses_keys() -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        await line.mumble()
        await line.listen(5)
        await line.press("42")
        assert await line.listen(5) == "Yes."

    record = on_line(Polite(), talk, speed=UNPACED)
    assert record.transcript[1].content == "(unintelligible audio)"
    assert "the caller pressed 42" in [line.text for line in record.log]
    assert record.call.response_id == 2


def test_a_caller_is_heard_by_voice() -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        line.hear("")
        line.hear("Are you")
        assert line.record.call.is_caller_talking
        line.hear("Are you open?", silent_s=0.5)
        await line.until(lambda: line.record.call.response_id == 1)
        assert await line.listen(5) == "Yes."

    record = on_line(Polite(), talk, speed=UNPACED)
    assert str(record).splitlines()[1] == "user:  Are you open?"


@pytest.mark.parametrize("speed", [10.0, UNPACED])
def test_a_voice_that_has_its_sound_late_speaks_on_when_told(speed: float) -> None:
    voice = LateVoice(letters=0)

    async def talk(line: Line) -> None:
        await line.until(lambda: line.record.call.waits_for_voice)
        assert await line.listen(0.1) == ""
        voice.letters = 100
        line.go_on()
        assert await line.listen(5) == "Hi."
        assert line.record.call.now_s < 60  # a voice takes its time at any speed, as a server does

    on_line(Polite(), talk, record=new_record(voice=voice), speed=speed)


def test_something_goes_wrong_when_whoever_holds_the_line_wants_it() -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        line.go_wrong(Fault("garble", text="?"))
        await line.until(lambda: any(frame.data == "?" for frame in line.record.frames))
        await line.hang_up()
        line.go_wrong(Fault("drop_line"))

    async def deaf(ws: ServerConnection) -> None:
        await ws.send(frame(0, "Hi."))
        await ws.wait_closed()

    record = on_line(deaf, talk, speed=20.0)
    assert "fault: garble" in [line.text for line in record.log]
    assert record.log[-1].text == "the call ended: user_hangup"


def test_a_script_is_played_on_a_line_that_somebody_holds() -> None:
    async def talk(line: Line) -> None:
        await line.until(lambda: False)

    caller = Caller([Step(say="Hello?")], patience_s=PATIENCE_S)
    record = on_line(Polite(), talk, caller=caller, speed=UNPACED)
    assert [said.content for said in record.transcript] == ["Hi.", "Hello?", "Yes."]
    caller = Caller([Step(say="Hello?")], patience_s=0.05)
    assert on_line(Mute(), talk, caller=caller, speed=UNPACED).lapses == caller.lapses != []


def test_time_stands_still_without_a_pace_while_nobody_waits() -> None:
    async def talk(line: Line) -> None:
        await line.listen(5)
        for _ in range(9):
            await asyncio.sleep(0)
        assert line.record.call.now_s < 1

    on_line(Polite(), talk, speed=UNPACED)


def test_once_the_call_is_over_nothing_takes_any_time() -> None:
    async def talk(line: Line) -> None:
        await line.until(lambda: False)
        await line.say("Hello?")
        await line.stay_silent()
        await line.until(lambda: False)
        await line.hang_up()
        assert (await line.listen(5), line.is_open) == ("", False)

    record = on_line(lambda ws: ws.close(1011), talk, speed=1.0)
    assert (str(record), record.disconnection_reason) == ("", "error_llm_websocket_runtime")


def test_a_line_that_hears_nothing_gives_up_listening_and_can_still_be_used() -> None:
    async def talk(line: Line) -> None:
        assert await line.listen(0.05) == ""
        await line.hang_up()
        await line.hang_up()

    assert on_line(Mute(), talk).disconnection_reason == "user_hangup"


def test_a_block_that_fails_hangs_up() -> None:
    lines: list[Line] = []

    async def talk(line: Line) -> None:
        lines.append(line)
        raise LookupError("the caller fainted")

    with pytest.raises(LookupError, match="fainted"):
        on_line(Polite(), talk)
    assert lines[0].record.disconnection_reason == "user_hangup"


def test_the_server_is_told_when_the_caller_hangs_up() -> None:
    seen: list[int | None] = []

    async def watching(ws: ServerConnection) -> None:
        await ws.wait_closed()
        seen.append(ws.close_code)

    async def talk(line: Line) -> None:
        await line.hang_up()

    on_line(watching, talk)
    assert seen == [1000]


class Watched(Guide):
    """Notes when the call goes on, and how its socket was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()
        self.closed: list[int | None] = []

    async def __call__(self, ws: ServerConnection) -> None:
        await self.greet(ws)
        await ws.recv()
        self.goes_on.set()
        await ws.wait_closed()
        self.closed.append(ws.close_code)


async def play(url: str) -> None:
    await place_call(url, [None], speed=1.0)


async def hold(url: str) -> None:
    async with dial(url) as line:
        await line.until(lambda: False)


@pytest.mark.parametrize("caller", [play, hold])
def test_a_caller_that_is_cancelled_hangs_up(caller: Callable[[str], Awaitable[None]]) -> None:
    server = Watched()

    async def run() -> None:
        async with served(server) as url:
            calling = asyncio.ensure_future(caller(url))
            await server.goes_on.wait()
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
    assert server.closed == [1000]


async def leave_at_once(url: str) -> None:
    task = asyncio.current_task()
    assert task
    async with dial(url):
        task.cancel()


def test_a_caller_that_is_cancelled_before_a_word_was_said_hangs_up() -> None:
    codes: list[int | None] = []

    async def watching(ws: ServerConnection) -> None:
        await ws.wait_closed()
        codes.append(ws.close_code)

    async def run() -> None:
        async with served(watching) as url:
            calling = asyncio.ensure_future(leave_at_once(url))
            await asyncio.wait([calling], timeout=PATIENCE_S)
            assert calling.cancelled()

    asyncio.run(run())
    assert codes == [1000]


def refusing(times: int) -> Callable[[ServerConnection, Request], Response | None]:
    """Refuse so many attempts, then accept."""
    attempts = itertools.count()

    def process(ws: ServerConnection, request: Request) -> Response | None:
        return ws.respond(403, "") if next(attempts) < times else None

    return process


def attempted(times: int, speed: float) -> tuple[list[tuple[int, Stage | CannotConnect]], float]:
    """Dial a server that refuses so many times: the stages reached, and how long it took."""
    stages: list[tuple[int, Stage | CannotConnect]] = []

    async def run() -> float:
        process = refusing(times)
        async with serve(Polite(), "127.0.0.1", 0, process_request=process) as server:
            url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/x/"
            started = time.monotonic()
            await dialer.act(
                url,
                dialer.new_record(),
                Caller([]),
                speed=speed,
                progress=lambda attempt, stage: stages.append((attempt, stage)),
            )
            return time.monotonic() - started

    return stages, asyncio.run(run())


def test_a_refused_call_is_tried_three_times_with_pauses_of_people() -> None:
    stages, took_s = attempted(2, speed=30.0)
    assert stages[-1] == (3, Stage.OPEN)
    assert [attempt for attempt, stage in stages if stage is Stage.HTTP] == [1, 2, 3]
    pauses_s = 2 * dialer.BETWEEN_ATTEMPTS_S
    assert pauses_s / 30 <= took_s < pauses_s


def test_who_dials_is_told_why_an_attempt_failed_before_the_next_one() -> None:
    reached: list[str] = []

    async def run() -> None:
        process = refusing(1)
        async with serve(Polite(), "127.0.0.1", 0, process_request=process) as server:
            url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/x/"

            def note(attempt: int, told: Stage | CannotConnect) -> None:
                reached.append(f"{attempt} {told.name if isinstance(told, Stage) else told}")

            async with dial(url, speed=FAST, progress=note):
                pass

    asyncio.run(run())
    place = next(at for at, told in enumerate(reached) if "HTTP 403" in told)
    assert reached[place].startswith("1 ")
    assert reached[place + 1].startswith("2 ")
    assert reached[-1] == "2 OPEN"


def test_a_call_that_is_refused_three_times_never_comes_about() -> None:
    started = time.monotonic()
    with pytest.raises(CannotConnect, match="HTTP 403"):
        attempted(3, speed=UNPACED)
    assert time.monotonic() - started < dialer.BETWEEN_ATTEMPTS_S


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=f"speed is {speed}, expected a number above 0"):
        asyncio.run(place_call("ws://127.0.0.1:1/", speed=speed))


def test_a_call_keeps_its_lapses_also_when_it_is_cancelled() -> None:
    long = Step(say="Hello? Is there anybody? I have been waiting here for such a long time.")
    record, caller = dialer.new_record(), Caller([long], patience_s=0.05)

    async def run() -> None:
        async with served(Mute()) as url:
            acting = asyncio.create_task(dialer.act(url, record, caller, speed=1.0))
            while not record.call.is_caller_talking:  # noqa: ASYNC110 - for some seconds
                await asyncio.sleep(0.001)
            acting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await acting

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
    assert record.disconnection_reason == "user_hangup"
    assert record.lapses
