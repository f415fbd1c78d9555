"""The caller: each step of a script as soon as its time has come."""

from typing import Any

import pytest

from llmws_tutorial.simulator import Call, State
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.scenario import Step
from llmws_tutorial.simulator.timers import NEVER
from tests.phone import asked, greeted, interrupt, lines, new_call, part, pass_s, piece, wants


def caller_who(*steps: dict[str, Any], patience_s: float = 10) -> Caller:
    return Caller([Step(**step) for step in steps], patience_s=patience_s)


def run(caller: Caller, call: Call, until_s: float) -> None:
    """Bring both to a time, with a server that answers nothing."""
    while call.now_s < until_s:
        caller.advance(call, until_s)


def test_a_caller_of_flesh_and_blood_only_keeps_time() -> None:
    caller, call = Caller(), greeted()
    assert (caller.has_script, caller.due_s(call)) == (False, 10.75)
    assert caller.advance(call, 5) == []
    assert (call.now_s, caller.begun) == (5, [])


def test_a_script_begins_when_the_agent_has_greeted_and_ends_with_a_hang_up() -> None:
    caller, call = caller_who({"say": "Hello?"}), greeted()
    assert caller.has_script
    caller.advance(call, 5)
    assert (call.state, call.now_s) == (State.AWAITING, 1.75)
    call.receive(piece(1))
    run(caller, call, 5)
    assert lines(call) == ["agent: Hi.", "user: Hello?", "agent: Yes."]
    assert call.disconnection_reason == "user_hangup"
    assert [(begun.step.action, begun.at_s, begun.turns) for begun in caller.begun] == [
        ("say", 0.75, 1),
        ("hang_up", 2.5, 2),
    ]
    assert caller.due_s(call) == NEVER


def test_time_stops_at_the_moment_that_the_server_is_asked() -> None:
    caller, call = caller_who({"say": "One two."}), greeted()
    caller.advance(call, 100)
    assert (call.now_s, call.waits_for_server) == (2.25, True)


def test_time_stops_there_also_for_who_did_not_wait_for_the_last_answer() -> None:
    caller, call = caller_who({"say": "Two.", "at_once": True}), asked()
    caller.advance(call, 100)
    assert (call.now_s, call.response_id) == (2.75, 2)


def test_a_step_may_wait_for_some_words() -> None:
    caller, call = caller_who({"say": "Stop!", "after_words": 2}), asked()
    call.receive(piece(1, "One two three four."))
    run(caller, call, 4)
    assert lines(call)[2:] == ["agent: One two", "user: Stop!"]


def test_a_step_may_wait_for_some_seconds_of_speech() -> None:
    caller, call = caller_who({"say": "Stop!", "after_s": 1.25}), asked()
    call.receive(piece(1, "One two three four."))  # it sounds from 2 s on
    run(caller, call, 5)
    assert caller.begun[0].at_s == 3.25
    assert lines(call)[2:] == ["agent: One two", "user: Stop!"]


def test_an_agent_that_has_not_found_its_voice_speaks_since_it_was_asked() -> None:
    caller, call = caller_who({"say": "Well?", "after_s": 2}), greeted()
    call.receive(interrupt(7, "Wait", content_complete=False))
    run(caller, call, 5)
    assert caller.begun[0].at_s == 2.75


@pytest.mark.parametrize("start", [{"after_words": 9}, {"after_s": 9}])
def test_an_agent_that_says_less_is_waited_for_only_to_its_end(start: dict[str, Any]) -> None:
    caller, call = caller_who({"say": "Well?", **start}), asked()
    call.receive(piece(1, "One."))
    run(caller, call, 4)
    assert lines(call)[2:] == ["agent: One.", "user: Well?"]


def test_a_step_at_once_waits_for_nobody() -> None:
    caller, call = caller_who({"say": "Hello?", "at_once": True}), new_call()
    caller.act(call)
    assert (call.state, call.is_caller_talking) == (State.MUTE, True)


def test_nobody_begins_a_step_while_talking() -> None:
    caller, call = caller_who({"say": "One two."}, {"press": "1", "at_once": True}), greeted()
    caller.advance(call, 2)
    assert [begun.step.action for begun in caller.begun] == ["say"]
    caller.advance(call, 3)
    assert [begun.at_s for begun in caller.begun] == [0.75, 2.25]


def test_a_silent_caller_does_nothing_for_so_long() -> None:
    caller, call = caller_who({"silent_s": 4}, {"say": "Hello?"}), greeted()
    caller.advance(call, 4)
    assert (caller.due_s(call), len(caller.begun)) == (4.75, 1)
    run(caller, call, 5)
    assert [begun.at_s for begun in caller.begun] == [0.75, 4.75]


def test_a_silence_may_bring_a_reminder() -> None:
    caller, call = caller_who({"silent_s": 20}), greeted()
    caller.advance(call, 100)
    assert (call.now_s, call.response_id) == (10.75, 1)
    call.receive(piece(1, "Still there?"))
    run(caller, call, 30)
    assert [begun.at_s for begun in caller.begun] == [0.75, 20.75]


def test_a_caller_can_mumble_and_press_keys() -> None:
    caller, call = caller_who({"mumble": True}, {"press": "12", "at_once": True}), greeted()
    run(caller, call, 4)
    assert lines(call)[-1] == "user: (unintelligible audio)"
    assert [entry.digit for entry in call.heard.entries if entry.role == "dtmf"] == ["1", "2"]


def test_keys_that_end_no_turn_do_not_hold_up_the_next_step() -> None:
    caller = caller_who({"press": "1"}, {"say": "Hello?"})
    caller.act(call := greeted(digits_end_turn=False))
    assert [begun.at_s for begun in caller.begun] == [0.75, 0.75]
    assert call.is_caller_talking


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ({"drop_line": True}, Fault("drop_line")),
        ({"slow_s": 3}, Fault("slow", seconds=3)),
        ({"garble": "{"}, Fault("garble", text="{")),
        ({"resend": True}, Fault("resend")),
    ],
)
def test_what_goes_wrong_is_told_at_its_moment(step: dict[str, Any], fault: Fault) -> None:
    caller, call = caller_who({"silent_s": 4}, step), greeted()
    assert caller.advance(call, 50) == [fault]
    assert call.now_s == 4.75
    assert call.disconnection_reason is None  # first it goes wrong, then the script goes on
    assert caller.advance(call, 50) == []
    assert call.disconnection_reason == "user_hangup"


def test_a_fault_at_the_beginning_stops_time_as_well() -> None:
    caller, call = caller_who({"drop_line": True, "at_once": True}, {"say": "Hello?"}), new_call()
    assert caller.advance(call, 50) == [Fault("drop_line")]
    assert call.now_s == 0


def test_who_is_kept_waiting_goes_on_after_a_while_and_says_so() -> None:
    caller, call = caller_who({"say": "One."}, {"say": "Two."}, patience_s=5), greeted()
    caller.advance(call, 100)
    assert caller.due_s(call) == 6.75
    run(caller, call, 8)
    assert caller.lapses == ["the agent owed an answer for 5 s"]
    assert [begun.at_s for begun in caller.begun] == [0.75, 6.75]


def test_patience_begins_anew_with_each_thing_that_the_agent_says() -> None:
    caller, call = caller_who({"say": "Well?"}, patience_s=5), asked()
    run(caller, call, 4)
    call.receive(part(1, "One moment. "))
    run(caller, call, 9)
    assert (caller.lapses, caller.due_s(call)) == ([], 10.25)
    run(caller, call, 11)
    assert len(caller.lapses) == 1


def test_the_rest_of_an_answer_whose_line_broke_is_waited_for_but_not_owed() -> None:
    drop = {"drop_line": True, "after_words": 1}
    caller, call = caller_who(drop, {"silent_s": 1}, {"say": "Hello?"}, patience_s=5), asked()
    call.receive(part(1, "One moment. "))
    run(caller, call, 30)
    assert [begun.step.action for begun in caller.begun] == [
        "drop_line",
        "silent_s",
        "say",
        "hang_up",
    ]
    assert caller.lapses == ["the agent owed an answer for 5 s"]  # the answer to the hello


def test_a_greeting_and_what_is_asked_again_are_owed_on_any_line() -> None:
    caller, call = caller_who({"drop_line": True, "at_once": True}, patience_s=5), new_call()
    run(caller, call, 6)
    assert len(caller.lapses) == 1
    caller = caller_who({"drop_line": True, "at_once": True}, patience_s=5)
    caller.act(call := asked(asks_again_after_reconnect=True))
    call.connected(again=True)
    run(caller, call, 8)
    assert len(caller.lapses) == 1


def test_a_mute_agent_is_waited_for_as_long() -> None:
    caller, call = caller_who({"say": "Hello?"}, patience_s=5), new_call()
    run(caller, call, 6)
    assert [begun.at_s for begun in caller.begun] == [5]


def test_when_the_agent_hangs_up_the_rest_of_the_script_is_dropped() -> None:
    caller, call = caller_who({"say": "Hello?"}, {"say": "Hello?"}), greeted()
    caller.advance(call, 5)
    call.receive(piece(1, "Bye.", end_call=True))
    run(caller, call, 20)
    assert (len(caller.begun), call.disconnection_reason) == (1, "agent_hangup")


def test_a_wish_of_the_server_is_not_an_answer() -> None:
    caller, call = caller_who({"say": "Well?"}, patience_s=5), asked()
    run(caller, call, 4)
    call.receive(wants(auto_reconnect=True))
    pass_s(call, 0)
    assert caller.due_s(call) == 6.75
