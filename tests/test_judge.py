"""What a scenario expects of a call, and what is said when it comes otherwise."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from llmws_tutorial.simulator import CallRecord
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.dialer import new_record
from llmws_tutorial.simulator.judge import judge
from llmws_tutorial.simulator.memory import Data, Server, converse
from llmws_tutorial.simulator.scenario import Expect, Scenario, Step, ToolUse

BOOKED = {"tool_call_id": "t1", "name": "book", "arguments": '{"day": "Friday", "people": 2}'}


def reply(response_id: int, content: str, **fields: Any) -> str:
    said = {"response_id": response_id, "content": content, "content_complete": True}
    return json.dumps({**said, **fields})


def saying(*answers: Data | tuple[float, Data]) -> Server:
    """Greets, and sends all these frames for the first request, "Well." for any other."""

    def server(frame: str | None) -> Iterable[Data | tuple[float, Data]]:
        if frame is None:
            yield reply(0, "Hello there.")
        elif '"response_id":1' in frame:
            yield from answers
        elif '"response_id"' in frame:
            yield reply(json.loads(frame)["response_id"], "Well.")

    return server


def wrongs(scenario: Scenario, *answers: Data | tuple[float, Data]) -> list[str]:
    record, caller = new_record("c1"), Caller(scenario.steps, patience_s=scenario.patience_s)
    converse(saying(*answers), caller, record)
    return judge(scenario, record, caller.begun)


def asked(expect: Expect | None = None, whole: Expect | None = None, **fields: Any) -> Scenario:
    step = Step(say="Are you open on Friday?", expect=expect)
    return Scenario(scenario="a question", caller=(step,), expect=whole, **fields)


YES = reply(1, "Yes,  until five.")
EXPECTED = [
    (Expect(said=("yes, UNTIL",)), []),
    (Expect(said=("until six",)), ["expected 'until six' to be said, got 'Yes,  until five.'"]),
    (Expect(not_said=("six",)), []),
    (Expect(not_said=("Five",)), ["expected 'Five' not to be said, got 'Yes,  until five.'"]),
    (Expect(matches=(r"f\w+e",)), []),
    (
        Expect(matches=("^F",)),
        ["expected something that matches '^F', got 'Yes,  until five.'"],
    ),
    (Expect(silent=False), []),
    (Expect(silent=True), ["expected silence, got 'Yes,  until five.'"]),
    (Expect(first_sentence_within_ms=1), []),
    (Expect(drops=0), []),
    (
        Expect(tool=ToolUse(name="book")),
        ["expected book to be called with {}, got no tool call"],
    ),
]


@pytest.mark.parametrize(("expect", "said"), EXPECTED, ids=lambda one: repr(one)[:60])
def test_what_is_heard_is_compared_in_a_step(expect: Expect, said: list[str]) -> None:
    assert wrongs(asked(expect), YES) == [f"step 1: {wrong}" for wrong in said]


def test_a_search_without_end_is_a_wrong_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmws_tutorial.simulator.matching.PATIENCE_S", 0.2)
    [wrong] = wrongs(asked(Expect(matches=("^(a+)+$",))), reply(1, "a" * 40 + "!"))
    assert wrong.endswith("a!'; repeat nothing that repeats itself")


def test_a_whole_call_includes_the_greeting() -> None:
    assert wrongs(asked(whole=Expect(said=("hello there. yes,",))), YES) == []


def test_silence_is_silence() -> None:
    assert wrongs(asked(Expect(silent=True)), reply(1, "")) == []
    found = wrongs(asked(Expect(silent=False)), reply(1, ""))
    assert found == ["step 1: expected something to be said, got silence"]


def test_a_long_answer_is_cut_where_it_is_shown() -> None:
    [wrong] = wrongs(asked(Expect(said=("six",))), reply(1, "word " * 100))
    assert wrong.endswith("word word ...'")
    assert len(wrong) < 300


def test_the_greeting_answers_no_request_and_is_not_timed() -> None:
    assert wrongs(asked(whole=Expect(first_sentence_within_ms=500)), YES) == []


def test_arguments_that_are_no_object_match_nothing() -> None:
    for arguments in ("not json", "[]"):
        call = {"response_type": "tool_call_invocation", **BOOKED, "arguments": arguments}
        expect = Expect(tool=ToolUse(name="book", arguments={"day": "Friday"}))
        [wrong] = wrongs(asked(expect), json.dumps(call), YES)
        assert wrong.endswith(f"got book({arguments})")


def test_a_late_first_sentence_is_told_with_its_time() -> None:
    found = wrongs(asked(Expect(first_sentence_within_ms=500)), (0.75, YES))
    assert found == ["step 1: expected a first sentence within 500 ms, got it in 750 ms"]


@pytest.mark.parametrize(
    ("arguments", "is_called"),
    [({}, True), ({"day": "Friday"}, True), ({"day": "Monday"}, False), ({"room": 1}, False)],
)
def test_a_tool_is_called_with_at_least_these_arguments(
    arguments: dict[str, Any], is_called: bool
) -> None:
    call = json.dumps({"response_type": "tool_call_invocation", **BOOKED})
    found = wrongs(asked(Expect(tool=ToolUse(name="book", arguments=arguments))), call, YES)
    got = 'got book({"day": "Friday", "people": 2})'
    wanted = f"step 1: expected book to be called with {arguments}, {got}"
    assert found == ([] if is_called else [wanted])


def test_dropped_frames_are_counted_with_their_reasons() -> None:
    late = reply(0, "Hello?")
    found = wrongs(asked(Expect(drops=1)), late, late, YES)
    reason = "the call was greeted already: response_id 0 was complete"
    assert found == [f"step 1: expected at most 1 dropped frames, got 2: {reason}"]


def test_what_the_agent_does_at_the_end_is_compared() -> None:
    bye = reply(1, "Bye.", end_call=True)
    assert wrongs(asked(whole=Expect(ends="agent_hangup")), bye) == []
    found = wrongs(asked(whole=Expect(ends="user_hangup")), bye)
    assert found == ["expected ends user_hangup, got agent_hangup"]


def test_a_transfer_and_keys_are_compared() -> None:
    to = reply(1, "I connect you.", transfer_number="+1555")
    assert wrongs(asked(whole=Expect(transferred_to="+1555")), to) == []
    keys = reply(1, "One moment.", digit_to_press="12")
    assert wrongs(asked(whole=Expect(pressed="12")), keys) == []
    found = wrongs(asked(whole=Expect(pressed="1", transferred_to="+1")), keys)
    assert found == ["expected transferred_to +1, got None", "expected pressed 1, got 12"]


def test_an_error_is_wrong_although_nobody_forbids_it() -> None:
    [error, missed] = wrongs(
        Scenario(scenario="x", caller=(Step(say="A?"), Step(say="B?"))), b"\x00"
    )
    assert error == (
        "expected no error, got error_llm_websocket_corrupt_payload: the socket closed with 1007"
    )
    assert missed == "expected step 2 (say), got the end: error_llm_websocket_corrupt_payload"


def test_an_error_that_is_expected_is_right() -> None:
    whole = Expect(ends="error_llm_websocket_corrupt_payload")
    assert wrongs(asked(whole=whole), b"\x00") == []


def test_a_step_with_an_expectation_must_be_reached_in_any_case() -> None:
    steps = (Step(say="A?"), Step(say="B?", expect=Expect(silent=False)))
    scenario = Scenario(scenario="x", caller=steps, expect=Expect(ends="agent_hangup"))
    found = wrongs(scenario, reply(1, "Bye.", end_call=True))
    assert found == ["expected step 2 (say), got the end: agent_hangup"]


def test_an_answer_that_never_ends_is_wrong_unless_silence_is_wanted() -> None:
    [wrong] = wrongs(asked(patience_s=3.0))
    assert wrong == "expected an answer, got none: the agent owed an answer for 3 s (1 times)"
    assert wrongs(asked(Expect(silent=True), patience_s=3.0)) == []


def test_what_belongs_to_a_step_ends_where_the_next_begins() -> None:
    steps = (
        Step(say="A?", expect=Expect(said=("yes",), not_said=("well",))),
        Step(say="B?", expect=Expect(said=("well",), not_said=("yes",))),
    )
    assert wrongs(Scenario(scenario="x", caller=steps), YES) == []


def test_a_judge_needs_no_script() -> None:
    record: CallRecord = new_record("c1")
    record.call.hang_up()
    assert judge(Scenario(scenario="x", caller=()), record, []) == []
