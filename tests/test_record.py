"""What is known about a call: the platform's record, and every frame."""

import json

from llmws_tutorial.messages import CallFacts
from llmws_tutorial.simulator import Call, CallRecord, Choices, Frame
from llmws_tutorial.simulator.latency import Latency
from tests.phone import PACE, asked, event, piece, settle

FACTS = CallFacts(
    call_type="phone_call", agent_id="a1", metadata=[1], retell_llm_dynamic_variables={"n": "Anna"}
)


def finished() -> CallRecord:
    """A call of 2.5 s: greeted, asked, answered by a tool and a word, hung up."""
    call = asked()
    call.facts = FACTS
    call.receive(event("tool_call_invocation", tool_call_id="t1", name="look", arguments="{}"))
    call.receive(piece(1))
    settle(call)
    call.hang_up()
    return CallRecord("c1", call, started_ms=1_700_000_000_000, round_trips_ms=[2.0])


def test_a_record_shows_the_call_while_it_goes_on() -> None:
    record = CallRecord("c1", call := asked())
    assert record.transcript == call.transcript
    assert (record.disconnection_reason, record.close_code) == (None, None)
    assert repr(record) == "<CallRecord: 2 utterances, None>"


def test_a_record_hands_on_what_the_call_knows() -> None:
    record = finished()
    assert [turn.sent for turn in record.turns] == ["Hi.", "Yes."]
    assert [tool_call.name for tool_call in record.tool_calls] == ["look"]
    assert [line.text for line in record.log] == ["the call ended: user_hangup"]
    assert record.latency["llm_websocket_network_rtt"] == Latency((2.0,))
    assert record.latency["llm"] == Latency((0.0,))
    assert repr(record) == "<CallRecord: 3 utterances, user_hangup>"


def test_a_record_reads_as_a_transcript() -> None:
    assert str(finished()) == "agent: Hi.\nuser:  Hello?\nagent: Yes."


def test_frames_are_kept_in_order_and_the_dropped_ones_found() -> None:
    record = CallRecord("c1")
    sent, bad = Frame("platform", "{}"), Frame("server", b"\x00", "a binary frame", 1.5)
    record.keep(sent)
    record.keep(bad)
    assert (record.frames, record.dropped) == ([sent, bad], [bad])


def test_a_load_of_many_calls_keeps_no_frames() -> None:
    record = CallRecord("c1", keeps_frames=False)
    record.keep(Frame("platform", "{}"))
    assert record.frames == []


def test_a_keeper_takes_every_frame_as_it_passes() -> None:
    kept: list[Frame] = []
    record = CallRecord("c1", keeper=kept.append)
    record.keep(Frame("platform", "{}"))
    assert kept == record.frames


def test_a_finished_call_is_told_as_the_platforms_api_tells_it() -> None:
    told = finished().as_call()
    latency = told.pop("latency")
    said, woven = told.pop("transcript_object"), told.pop("transcript_with_tool_calls")
    assert told == {
        "call_id": "c1",
        "agent_id": "a1",
        "call_type": "phone_call",
        "call_status": "ended",
        "metadata": [1],
        "retell_llm_dynamic_variables": {"n": "Anna"},
        "start_timestamp": 1_700_000_000_000,
        "end_timestamp": 1_700_000_002_500,
        "duration_ms": 2500,
        "transcript": "Agent: Hi.\nUser: Hello?\nAgent: Yes.",
        "disconnection_reason": "user_hangup",
    }
    assert said[0] == {
        "role": "agent",
        "content": "Hi.",
        "words": [{"word": "Hi.", "start": 0.25, "end": 0.75}],
    }
    assert [entry["role"] for entry in woven] == ["agent", "user", "tool_call_invocation", "agent"]
    assert latency["e2e"]["values"] == [750]


def test_a_call_that_goes_on_is_told_as_ongoing() -> None:
    told = CallRecord("c1", Call(choices=Choices(**PACE))).as_call()
    assert (told["call_status"], told["disconnection_reason"]) == ("ongoing", None)
    assert (told["transcript"], told["latency"]) == ("", {})
    json.dumps(told)
