"""What the platform makes of each server that is wrong in one way."""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest

from llmws_tutorial.notebook import serve
from llmws_tutorial.simulator import CallRecord, Drop, State, dialer, keepalive
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.clock import UNPACED
from llmws_tutorial.simulator.scenario import Step
from llmws_tutorial.steps import step3
from tests.sockets import Handler, served
from tests.wrong_servers import (
    ActionWithoutProtection,
    AfterComplete,
    Binary,
    Closes,
    EndCallWithNothingSaid,
    ExamplePython,
    LatePings,
    Mute,
    NeverComplete,
    NotJson,
    Polite,
    Raises,
    SecondGreeting,
    SendsUnknownEvent,
    StaleChunks,
    StringBooleans,
    UnknownId,
)

HELLO: Final = Step(say="Hello?")
TWICE: Final = [HELLO, HELLO]
OVER: Final = [HELLO, Step(say="Wait!", after_words=2)]
BROKEN: Final = [Step(drop_line=True), HELLO]
WORDS: Final = {
    Drop.UNKNOWN_ID: "was never asked",
    Drop.STALE: "is not the latest one",
    Drop.AFTER_COMPLETE: "was already complete",
    Drop.SECOND_GREETING: "the call was greeted already",
    Drop.MISTYPED: "mistyped frame",
    Drop.NOT_JSON: "not JSON",
    Drop.UNKNOWN_EVENT: "unknown response_type",
    Drop.BINARY: "a binary frame",
}
"""How each verdict is told in a record."""


async def called(url: str, steps: Sequence[Step], patience_s: float = 0.3) -> CallRecord:
    record = dialer.new_record()
    caller = Caller(steps, patience_s=patience_s)
    await asyncio.wait_for(dialer.act(url, record, caller, speed=UNPACED), 10)
    return record


def call(handler: Handler, steps: Sequence[Step]) -> CallRecord:
    async def run() -> CallRecord:
        async with served(handler) as url:
            return await called(url, steps)

    return asyncio.run(run())


def drops(record: CallRecord) -> list[Drop]:
    reasons = [frame.dropped or "" for frame in record.dropped]
    return [next(kind for kind, words in WORDS.items() if words in why) for why in reasons]


def heard(record: CallRecord) -> list[str]:
    return [said.content for said in record.transcript if said.role == "agent"]


@pytest.mark.parametrize(
    ("server", "steps", "dropped", "agent"),
    [
        pytest.param(Polite(), TWICE, [], ["Hi.", "Yes.", "Yes."], id="2: a polite call"),
        pytest.param(Polite(), BROKEN, [], ["Hi.", "Yes."], id="6: a polite call, reconnected"),
        pytest.param(
            ExamplePython(), [HELLO], [], ["Hi.", "Let me see. Yes."], id="4: chunks are joined"
        ),
        pytest.param(Mute(), [HELLO], [], [], id="2.2: mute until response 0"),
        pytest.param(NeverComplete(), [HELLO], [], ["Hi.", "Yes."], id="5: never complete"),
        pytest.param(
            StaleChunks(),
            TWICE,
            [Drop.STALE],
            ["Hi.", "News 1.", "News 2."],
            id="5: an older id",
        ),
        pytest.param(UnknownId(), [HELLO], [Drop.UNKNOWN_ID], ["Hi."], id="5: not yet asked"),
        pytest.param(
            AfterComplete(),
            [HELLO],
            [Drop.AFTER_COMPLETE],
            ["Hi.", "Yes."],
            id="5: content after complete",
        ),
        pytest.param(
            StringBooleans(), [HELLO], [Drop.MISTYPED], ["Hi."], id='5: content_complete "true"'
        ),
        pytest.param(NotJson(), [HELLO], [Drop.NOT_JSON], ["Hi."], id="5: does not parse"),
        pytest.param(
            SendsUnknownEvent(), [HELLO], [Drop.UNKNOWN_EVENT], ["Hi."], id="5: unknown type"
        ),
        pytest.param(
            SecondGreeting(),
            [HELLO],
            [Drop.SECOND_GREETING],
            ["Hi.", "Yes."],
            id="5: a second id 0",
        ),
        pytest.param(
            SecondGreeting(),
            BROKEN,
            [Drop.SECOND_GREETING, Drop.SECOND_GREETING],
            ["Hi.", "Yes."],
            id="5: a second id 0, after a reconnect",
        ),
        pytest.param(
            ActionWithoutProtection(),
            OVER,
            [],
            ["Hi.", "Good bye", "Good bye and have a nice day."],
            id="5: an action, then the caller barges in",
        ),
    ],
)
def test_the_caller_hears_only_what_is_right_and_hangs_up(
    server: Handler, steps: Sequence[Step], dropped: list[Drop], agent: list[str]
) -> None:
    record = call(server, steps)
    assert (drops(record), heard(record)) == (dropped, agent)
    assert (record.disconnection_reason, record.call.state) == ("user_hangup", State.ENDED)


@pytest.mark.parametrize(
    ("server", "code", "reason"),
    [
        pytest.param(
            EndCallWithNothingSaid(), 1000, "agent_hangup", id="5: end_call with empty content"
        ),
        pytest.param(Binary(), 1007, "error_llm_websocket_corrupt_payload", id="1: binary"),
        pytest.param(Closes(1000), 1000, "agent_hangup", id="6: you close 1000"),
        pytest.param(Closes(None), 1005, "error_llm_websocket_open", id="6: without a code"),
        pytest.param(Closes(1007), 1007, "error_llm_websocket_corrupt_payload", id="6: 1007"),
        pytest.param(Closes(1002), 1002, "error_llm_websocket_runtime", id="6: 1002"),
        pytest.param(Closes(1011), 1011, "error_llm_websocket_runtime", id="6: 1011"),
        pytest.param(Closes(1012), 1012, "error_llm_websocket_runtime", id="6: 1012"),
    ],
)
def test_a_server_ends_the_call(server: Handler, code: int, reason: str) -> None:
    record = call(server, TWICE)
    assert (record.close_code, record.disconnection_reason) == (code, reason)
    assert (heard(record), record.connections) == (["Hi."], 1)


def test_a_server_that_raises_is_dialled_again_and_asked_nothing_twice() -> None:
    record = call(Raises(), [HELLO] * 5)
    assert record.disconnection_reason == "error_llm_websocket_runtime", "6: 1006, used up"
    assert (record.connections, record.call.response_id, heard(record)) == (5, 5, ["Hi."])


def test_heartbeats_that_come_late_lose_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepalive, "PING_S", 0.05)
    monkeypatch.setattr(keepalive, "PATIENCE_S", 0.15)
    for after_s in (0.3, None):
        record = call_and_wait(LatePings(after_s))
        assert record.disconnection_reason == "error_llm_websocket_lost_connection"
        assert (record.connections, record.round_trips_ms) == (3, [])


def call_and_wait(handler: Handler) -> CallRecord:
    """A caller of flesh and blood, who holds the line until it is lost."""

    async def run() -> CallRecord:
        async with served(handler) as url, dialer.dial(url) as line:
            await asyncio.wait_for(line.until(lambda: False), 10)
        return line.record

    return asyncio.run(run())


def test_bad_json_makes_an_example_fail_as_published() -> None:
    async def run() -> CallRecord:
        async with served(ExamplePython()) as url:
            return await called(url, [Step(garble="Hello"), HELLO], patience_s=5.0)

    record = asyncio.run(run())
    assert (record.close_code, record.disconnection_reason) == (
        1011,
        "error_llm_websocket_runtime",
    )


def test_the_guide_of_2024_answers_and_refuses_what_no_platform_sends() -> None:
    with serve(step3.app, name="guide", show_log=False) as server:
        steps = [HELLO, Step(garble="Hello"), HELLO]
        record = asyncio.run(called(server.websocket_url, steps, patience_s=5.0))
    assert heard(record) == ["How may I help you?", "I am sorry, can you say that again?"]
    assert (drops(record), record.close_code) == ([], 1002)
    assert record.disconnection_reason == "error_llm_websocket_runtime"
