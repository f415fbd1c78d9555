"""A call and a server paired in memory: an hour in no time, the same each time."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pytest

from llmws_tutorial.messages import Config, ConfigFields
from llmws_tutorial.messages import write as write_message
from llmws_tutorial.server.effects import Send, Start
from llmws_tutorial.server.session import Session
from llmws_tutorial.simulator import CallRecord
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.dialer import new_record
from llmws_tutorial.simulator.memory import Server, converse
from llmws_tutorial.simulator.scenario import Scenario, Step, load, shipped

THINKS_S = 0.4
"""How long the server in memory takes for an answer (seconds of the call)."""


def session_server(call_id: str = "c1", config: ConfigFields | None = None) -> Server:
    """A real session, with the dummy's words, and without a socket or a task."""
    held: list[Session] = []

    def server(frame: str | None) -> Iterable[str | tuple[float, str]]:
        if frame is None:
            held.append(Session(call_id, config=config))
            effects = held[-1].open(again=len(held) > 1)
        else:
            effects = held[-1].receive(frame)
        for effect in effects:
            match effect:
                case Send(sent):
                    yield sent
                case Start(turn):
                    words = "How may I help you?" if turn.response_id == 0 else "Say that again?"
                    for done in held[-1].finish(turn.response_id, words):
                        if isinstance(done, Send):
                            yield (THINKS_S, done.frame)

    return server


def played(scenario: Scenario, server: Server | None = None) -> CallRecord:
    record = new_record("c1")
    converse(server or session_server(), Caller(scenario.steps), record)
    return record


def wire(record: CallRecord) -> list[tuple[str, str | bytes, str | None, float]]:
    return [(frame.sender, frame.data, frame.dropped, frame.at_s) for frame in record.frames]


def everything(record: CallRecord) -> Any:
    call = record.as_call()
    return wire(record), call, record.log, record.lapses, [asdict(one) for one in record.tool_calls]


def test_a_session_and_a_call_are_paired_for_an_hour_without_waiting_for_it() -> None:
    steps = (Step(say="Please tell me something about your prices."), Step(silent_s=31))
    hour = Scenario(scenario="an hour", caller=steps, repeat=100)
    record = played(hour)
    assert record.call.now_s > 3500
    assert len(record.turns) == 201
    assert record.disconnection_reason == "user_hangup"


@pytest.mark.parametrize("name", shipped())
def test_a_hundred_runs_of_a_scenario_give_a_hundred_identical_records(name: str) -> None:
    scenario = load(name).for_call(1)
    runs = 100 if scenario.repeat == 1 else 3
    first = everything(played(scenario))
    assert all(everything(played(scenario)) == first for _ in range(runs - 1))


def test_an_interrupted_caller_hears_exactly_the_words_before() -> None:
    steps = (Step(say="Hello?"), Step(say="Stop.", after_words=2))
    record = played(Scenario(scenario="stop", caller=steps))
    assert [turn.heard for turn in record.turns] == [
        "How may I help you?",
        "Say that",
        "Say that again?",
    ]
    assert record.turns[1].sent == "Say that again?"


def test_heartbeats_come_every_two_seconds_and_are_measured() -> None:
    scenario = Scenario(scenario="wait", caller=(Step(silent_s=9),))
    record = played(scenario, session_server(config=ConfigFields(auto_reconnect=True)))
    sent = [frame for frame in record.frames if frame.sender == "platform"]
    pings = [frame.at_s for frame in sent if "ping_pong" in str(frame.data)]
    assert pings[:2] == [2.0, 4.0]
    assert set(record.round_trips_ms) == {0.0}


def test_an_echo_of_nothing_is_noted_and_not_timed() -> None:
    def server(frame: str | None) -> Iterable[str]:
        if frame is None:
            yield '{"response_type":"ping_pong","timestamp":1}'
            yield '{"response_id":0,"content":"","content_complete":true}'

    record = played(Scenario(scenario="odd", caller=()), server)
    assert "a heartbeat with a timestamp that was not sent" in [line.text for line in record.log]
    assert record.round_trips_ms == []


def silent_after(config: ConfigFields, *, opens: list[None]) -> Server:
    """Asks for heartbeats on each connection, and never answers one."""

    def server(frame: str | None) -> Iterable[str]:
        if frame is None:
            opens.append(None)
            yield write_message(Config(config=config))
            if len(opens) == 1:
                yield '{"response_id":0,"content":"","content_complete":true}'

    return server


def test_a_server_whose_heartbeat_stops_is_dialled_twice_again() -> None:
    opens: list[None] = []
    scenario = Scenario(scenario="wait", caller=(Step(silent_s=60),))
    record = played(scenario, silent_after(ConfigFields(auto_reconnect=True), opens=opens))
    assert (len(opens), record.connections) == (3, 3)
    assert record.disconnection_reason == "error_llm_websocket_lost_connection"
    assert record.call.now_s == pytest.approx(15)


def test_a_config_without_heartbeats_stops_them() -> None:
    def server(frame: str | None) -> Iterable[str | tuple[float, str]]:
        if frame is None:
            yield write_message(Config(config=ConfigFields(auto_reconnect=True)))
            yield (3.0, write_message(Config(config=ConfigFields())))
            yield '{"response_id":0,"content":"","content_complete":true}'

    record = played(Scenario(scenario="wait", caller=(Step(silent_s=60),)), server)
    assert record.disconnection_reason == "user_hangup"
    assert sum("ping_pong" in str(frame.data) for frame in record.frames) == 1


def faulty(*steps: Step) -> tuple[list[str | None], CallRecord]:
    """What a session was given in a call with these steps after a question."""
    given: list[str | None] = []
    session = session_server()

    def server(frame: str | None) -> Iterable[Any]:
        given.append(frame)
        return session(frame)

    scenario = Scenario(scenario="faults", caller=(Step(say="Hello?"), *steps))
    return given, played(scenario, server)


def test_a_line_that_drops_is_dialled_again_and_greets_no_more() -> None:
    given, record = faulty(Step(drop_line=True), Step(say="Hello?"))
    assert given.count(None) == 2
    assert [turn.kind for turn in record.turns] == ["greeting", "response", "response"]
    assert record.turns[-1].heard == "Say that again?"


def test_a_line_that_drops_a_fifth_time_ends_the_call() -> None:
    given, record = faulty(*[Step(drop_line=True)] * 5)
    assert given.count(None) == 5
    assert record.disconnection_reason == "error_llm_websocket_runtime"


def test_a_garbled_frame_reaches_the_server_as_it_is() -> None:
    given, _ = faulty(Step(garble="{not json"))
    assert "{not json" in given


def test_a_request_that_is_sent_again_is_the_very_same_frame() -> None:
    given, record = faulty(Step(slow_s=1), Step(resend=True))
    requests = [frame for frame in given if frame and "response_required" in frame]
    assert len(requests) == 2
    assert requests[0] == requests[1]
    assert record.dropped == []


def test_frames_arrive_in_the_order_in_which_they_were_sent() -> None:
    def server(frame: str | None) -> Iterable[str]:
        if frame is None:
            for content, is_last in (("One ", "false"), ("two ", "false"), ("three.", "true")):
                yield f'{{"response_id":0,"content":"{content}","content_complete":{is_last}}}'

    assert str(played(load("greeting"), server)) == "agent: One two three."
