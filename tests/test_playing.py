"""Scenarios on real sockets: what a server does is an outcome, never an error."""

import asyncio
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from websockets.asyncio.server import ServerConnection

from llmws_tutorial.errors import CannotConnect, SetupError
from llmws_tutorial.notebook import serve
from llmws_tutorial.simulator.clock import UNPACED
from llmws_tutorial.simulator.playing import Manner, Outcome, cast, fill, play
from llmws_tutorial.simulator.report import as_data, as_junit
from llmws_tutorial.simulator.scenario import CallOf, Expect, Scenario, Step, load, shipped
from llmws_tutorial.steps import step3
from tests.sockets import served

NEEDS_MORE_THAN_THE_DUMMY = {"goodbye", "transfer", "booking"}
AT_ONCE = Manner(speed=UNPACED)
HELLO = Scenario(scenario="hello", caller=(Step(say="Hello?"),))


def outcome(scenario: Scenario, handler: Any, manner: Manner = AT_ONCE) -> Outcome:
    async def run() -> Outcome:
        async with served(handler) as url:
            return await play("mine", scenario, url, manner)

    return asyncio.run(run())


async def polite(ws: ServerConnection) -> None:
    await ws.send(json.dumps({"response_id": 0, "content": "Hi.", "content_complete": True}))
    async for frame in ws:
        if "response_id" in (request := json.loads(frame)):
            said = {"content": "Yes.", "content_complete": True}
            await ws.send(json.dumps({"response_id": request["response_id"], **said}))


async def config_first(ws: ServerConnection) -> None:
    """Greet the caller by what call_details say."""
    await ws.send('{"response_type": "config", "config": {"call_details": true}}')
    call = json.loads(await ws.recv())["call"]
    name = call["retell_llm_dynamic_variables"]["name"]
    said = f"Hi {name}, {call['from_number']}, {call['metadata']['seat']}."
    await ws.send(json.dumps({"response_id": 0, "content": said, "content_complete": True}))
    await ws.wait_closed()


@pytest.mark.parametrize("name", shipped())
def test_the_guides_server_does_what_a_dummy_can(name: str) -> None:
    manner = Manner(speed=UNPACED if name == "long_call" else 50)
    with serve(step3.app, name="step 3", show_log=False) as server:
        result = asyncio.run(play(name, load(name), server.websocket_url, manner))
    assert result.passed == (name not in NEEDS_MORE_THAN_THE_DUMMY), result.wrongs


def test_an_outcome_has_the_calls_and_how_long_they_took() -> None:
    result = outcome(HELLO, polite)
    [record] = result.records
    assert (result.name, result.wrongs, result.passed) == ("mine", (), True)
    assert str(record) == "agent: Hi.\nuser:  Hello?\nagent: Yes."
    assert 0 < result.took_s < 5


def test_calls_at_once_have_their_own_numbers_and_failures_say_which() -> None:
    step = Step(say="I am {{call}}.", expect=Expect(said=("nothing",)))
    result = outcome(Scenario(scenario="two", calls=2, caller=(step,)), polite)
    assert [record.transcript[1].content for record in result.records] == ["I am 1.", "I am 2."]
    assert [wrong.partition(": step")[0] for wrong in result.wrongs] == ["call 1", "call 2"]
    assert result.records[0].call_id != result.records[1].call_id


def test_what_is_known_about_a_call_reaches_the_server_that_asks() -> None:
    about = CallOf(
        type="phone_call", from_number="+1", variables={"name": "Ada"}, metadata={"seat": 7}
    )
    scenario = Scenario(
        scenario="x", call=about, caller=(), expect=Expect(said=("Hi Ada, +1, 7.",))
    )
    assert outcome(scenario, config_first).wrongs == ()


def test_a_server_that_is_not_there_is_an_outcome() -> None:
    result = asyncio.run(play("mine", HELLO, "ws://127.0.0.1:1/x/", AT_ONCE))
    [wrong] = result.wrongs
    assert wrong.startswith("cannot call 127.0.0.1:1: nothing answers")
    [record] = result.records
    assert record.disconnection_reason == "error_llm_websocket_open"


def test_a_url_that_no_server_can_have_is_a_mistake() -> None:
    with pytest.raises(CannotConnect, match="cannot dial 'nonsense'"):
        asyncio.run(play("mine", HELLO, "nonsense", AT_ONCE))


def test_a_scenarios_choices_come_before_those_of_the_command() -> None:
    scenario = Scenario(scenario="x", caller=(), choices={"voice_s": 0.5})
    manner = Manner(speed=UNPACED, choices={"voice_s": 9.0, "words_per_s": 1.0})
    [record] = outcome(scenario, polite, manner).records
    assert (record.call.choices.voice_s, record.call.choices.words_per_s) == (0.5, 1.0)


def test_a_call_of_a_scenario_can_be_cast_and_placed_by_somebody_else() -> None:
    about = CallOf(from_number="+15551234567", variables={"name": "Ann"})
    scenario = Scenario(
        scenario="mine", caller=(Step(say="Hello?"),), call=about, choices={"voice_s": 2.0}
    )
    record, caller = cast(scenario, {"voice_s": 1.0, "words_per_s": 4.0})
    assert (record.call.choices.voice_s, record.call.choices.words_per_s) == (2.0, 4.0)
    assert record.call.facts.from_number == "+15551234567"
    assert record.call.facts.call_id == record.call_id
    assert caller.has_script
    assert cast(HELLO)[0].call_id != record.call_id


def test_an_unknown_choice_is_a_mistake() -> None:
    scenario = Scenario(scenario="x", caller=(), choices={"loudness": 11})
    with pytest.raises(SetupError, match="there is no choice 'loudness', expected one of words_"):
        outcome(scenario, polite)


@pytest.mark.parametrize(
    ("url", "filled"),
    [
        ("ws://h/{{tenant}}/x", "ws://h/acme/x"),
        ("ws://h/{{ tenant }}/{{other}}", "ws://h/acme/{{other}}"),
    ],
)
def test_variables_of_the_call_fill_the_url(url: str, filled: str) -> None:
    assert fill(url, {"tenant": "acme"}) == filled


def failing() -> Outcome:
    step = Step(say="Hello?\x01 <&", expect=Expect(said=("no \udcff",)))
    return outcome(Scenario(scenario="fails", caller=(step,)), polite)


def test_a_report_as_data_is_json() -> None:
    data = json.loads(json.dumps(as_data([outcome(HELLO, polite), failing()])))
    assert data["passed"] is False
    good, bad = data["scenarios"]
    assert (good["passed"], good["failures"]) == (True, [])
    assert bad["failures"] == ["step 1: expected 'no \\udcff' to be said, got 'Yes.'"]
    [call] = good["calls"]
    assert call["disconnection_reason"] == "user_hangup"
    assert call["transcript"] == "Agent: Hi.\nUser: Hello?\nAgent: Yes."
    assert call["latency"]["llm"]["num"] == 1


def test_a_report_as_junit_is_xml_whatever_was_said() -> None:
    suite = ElementTree.fromstring(as_junit([outcome(HELLO, polite), failing()]))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    good, bad = suite
    assert good.find("failure") is None
    failure = bad.find("failure")
    assert failure is not None
    assert str(failure.text).startswith("step 1: expected")
    assert (
        str(bad.findtext("system-out"))
        == "agent: Hi.\nuser:  Hello?\N{REPLACEMENT CHARACTER} <&\nagent: Yes."
    )
