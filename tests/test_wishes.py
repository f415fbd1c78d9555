"""What a server asks for besides speech: settings, reminders, call details, notes about tools."""

from llmws_tutorial.messages import (
    CallDetails,
    CallFacts,
    ReminderRequired,
    ResponseRequired,
    UpdateOnly,
)
from llmws_tutorial.simulator import Accepted, Call, State
from llmws_tutorial.simulator.wishes import ToolCall
from tests.phone import (
    asked,
    event,
    greeted,
    lines,
    new_call,
    pass_s,
    piece,
    say,
    settings,
    settle,
    wants,
)


def reminders_in(call: Call, seconds: float) -> int:
    """How often the server is asked for a reminder, which it always answers."""
    asked_at_s = call.now_s
    while call.due_s <= asked_at_s + seconds:
        call.advance(call.due_s)
        if call.state is State.AWAITING:
            call.receive(piece(call.response_id, "Still there?"))
    call.advance(asked_at_s + seconds)
    return sum(isinstance(message, ReminderRequired) for message in call.take())


def test_a_reminder_is_asked_for_after_ten_seconds_of_silence() -> None:
    call = greeted()
    pass_s(call, 9.9)
    assert call.take() == []
    pass_s(call, 0.1)
    [request] = call.take()
    assert isinstance(request, ReminderRequired)
    assert (request.response_id, call.state) == (1, State.AWAITING)


def test_there_is_one_reminder_in_a_silence() -> None:
    assert reminders_in(greeted(), 100) == 1


def test_there_are_as_many_reminders_as_the_server_wants() -> None:
    call = greeted()
    call.receive(settings(reminder_max_count=3))
    assert reminders_in(call, 100) == 3


def test_with_a_count_of_0_there_is_none() -> None:
    call = greeted()
    call.receive(settings(reminder_max_count=0))
    assert reminders_in(call, 100) == 0


def test_reminders_are_counted_anew_when_the_caller_has_spoken() -> None:
    call = greeted()
    assert reminders_in(call, 100) == 1
    say(call, "Yes.")
    call.receive(piece(2))
    assert reminders_in(call, 100) == 1


def test_reminders_are_counted_anew_when_the_caller_has_pressed_a_key() -> None:
    call = greeted()
    assert reminders_in(call, 100) == 1
    call.caller_presses("1")
    assert reminders_in(call, 100) == 1


def test_an_empty_answer_to_a_reminder_counts() -> None:
    call = greeted(reminder_max_count=2)
    pass_s(call, 10)
    call.receive(piece(1, ""))
    pass_s(call, 10)
    assert call.response_id == 2


def test_the_silence_before_a_reminder_can_be_changed() -> None:
    call = greeted()
    call.receive(settings(reminder_trigger_ms=2000))
    pass_s(call, 2)
    assert call.response_id == 1


def test_a_change_counts_from_when_the_silence_began() -> None:
    call = greeted()
    pass_s(call, 4)
    call.receive(settings(responsiveness=0.5))
    call.receive(settings(reminder_trigger_ms=6000))
    assert call.due_s == 6.75
    call.receive(settings(reminder_trigger_ms=1000))
    assert call.due_s == call.now_s
    pass_s(call, 0)
    assert call.response_id == 1


def test_a_change_while_somebody_speaks_or_owes_an_answer_asks_for_nothing() -> None:
    call = asked()
    call.receive(settings(reminder_trigger_ms=1000))
    pass_s(call, 60)
    call.caller_says("one two three four five six")
    call.receive(settings(reminder_trigger_ms=2000))
    pass_s(call, 2.5)
    assert not any(isinstance(message, ReminderRequired) for message in call.take())


def test_there_is_no_reminder_before_the_greeting() -> None:
    call = new_call()
    call.receive(settings(reminder_trigger_ms=1000))
    pass_s(call, 60)
    assert (call.state, call.take()) == (State.MUTE, [])


def test_a_less_responsive_agent_lets_the_caller_hesitate() -> None:
    call = greeted(hesitation_s=2.0)
    call.receive(settings(responsiveness=0.25))
    call.caller_says("Well")
    pass_s(call, 0.5 + 0.5 + 1.4)
    assert call.response_id == 0
    pass_s(call, 0.1)
    assert call.response_id == 1


def test_a_setting_that_is_not_named_stays() -> None:
    call = greeted()
    call.receive(settings(responsiveness=0.5, interruption_sensitivity=0.25))
    call.receive(settings(reminder_trigger_ms=3000, reminder_max_count=7))
    wishes = call.wishes
    assert (wishes.responsiveness, wishes.interruption_sensitivity) == (0.5, 0.25)
    assert (wishes.reminder_trigger_s, wishes.reminder_max_count) == (3, 7)


def test_the_settings_begin_as_chosen() -> None:
    choices = {"responsiveness": 0.5, "interruption_sensitivity": 0.25, "reminder_max_count": 2}
    wishes = new_call(reminder_trigger_ms=4000, **choices).wishes
    assert {name: getattr(wishes, name) for name in choices} == choices
    assert wishes.reminder_trigger_s == 4


def test_the_details_of_a_call_come_at_once_and_once() -> None:
    call = Call(CallFacts(call_type="phone_call", from_number="+15551234567"))
    call.receive(wants(call_details=True))
    assert call.take() == [
        CallDetails(call=CallFacts(call_type="phone_call", from_number="+15551234567"))
    ]
    call.receive(wants(call_details=True))
    assert call.take() == []


def test_the_greeting_may_wait_for_the_details() -> None:
    call = new_call()
    call.receive(wants(call_details=True))
    pass_s(call, 60)
    [details] = call.take()
    assert isinstance(details, CallDetails)
    call.receive(piece(0, f"You are on a {details.call.call_type}."))
    settle(call)
    assert lines(call) == ["agent: You are on a web_call."]


def test_nobody_gets_details_who_did_not_ask() -> None:
    call = new_call()
    call.receive(wants(transcript_with_tool_calls=True))
    assert call.take() == []


def test_the_config_takes_effect_on_arrival() -> None:
    call = greeted()
    say(call, "Hello?")
    plain = call.take()[-1]
    call.receive(wants(transcript_with_tool_calls=True))
    say(call, "Hello?")
    woven = call.take()[-1]
    assert isinstance(plain, ResponseRequired)
    assert isinstance(woven, ResponseRequired)
    assert bytes(plain.transcript_with_tool_calls) == b"[]"
    assert bytes(woven.transcript_with_tool_calls) == bytes(woven.transcript)


def test_a_tool_that_was_called_has_its_result_and_times() -> None:
    call = greeted()
    call.receive(event("tool_call_invocation", tool_call_id="t1", name="book", arguments="{}"))
    call.receive(event("tool_call_invocation", tool_call_id="t2", name="look", arguments="[]"))
    pass_s(call, 1)
    call.receive(event("tool_call_result", tool_call_id="t1", content="no", successful=False))
    assert call.wishes.tool_calls == [
        ToolCall("t1", "book", "{}", 0.75, "no", False, 1.75),
        ToolCall("t2", "look", "[]", 0.75),
    ]


def test_a_second_result_of_one_call_changes_nothing() -> None:
    call = greeted()
    call.receive(event("tool_call_invocation", tool_call_id="t1", name="book", arguments="{}"))
    call.receive(event("tool_call_result", tool_call_id="t1", content="first"))
    call.receive(event("tool_call_result", tool_call_id="t1", content="second"))
    [tool_call] = call.wishes.tool_calls
    assert (tool_call.result, tool_call.successful) == ("first", None)


def test_metadata_is_handed_on_in_order() -> None:
    call = greeted()
    call.receive(event("metadata", metadata={"page": 1}))
    call.receive(event("metadata", metadata={"page": 2}))
    assert call.wishes.metadata == [{"page": 1}, {"page": 2}]


def test_a_heartbeat_is_taken_and_leaves_no_trace_in_the_call() -> None:
    call = greeted()
    assert isinstance(call.receive(event("ping_pong", timestamp=1)), Accepted)
    assert (call.take(), call.log, lines(call)) == ([], [], ["agent: Hi."])


def test_an_update_has_no_id_and_leaves_an_open_request_open() -> None:
    call = asked()
    call.caller_says("And")
    pass_s(call, 0.5)
    [update] = call.take()
    assert isinstance(update, UpdateOnly)
    assert isinstance(call.receive(piece(1)), Accepted)
