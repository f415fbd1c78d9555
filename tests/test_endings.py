"""Why a call ends, in the platform's words; and that an end is one."""

from collections.abc import Callable

import pytest

from llmws_tutorial.simulator import Call, Choices, State
from llmws_tutorial.simulator.endings import reason_of
from llmws_tutorial.simulator.timers import NEVER
from tests.phone import asked, dropped, event, greeted, lines, new_call, pass_s, say, speaking


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, "agent_hangup"),
        (1001, "error_llm_websocket_runtime"),
        (1002, "error_llm_websocket_runtime"),
        (1005, "error_llm_websocket_open"),
        (1006, "error_llm_websocket_runtime"),
        (1007, "error_llm_websocket_corrupt_payload"),
        (1008, "error_llm_websocket_runtime"),
        (1009, "error_llm_websocket_runtime"),
        (1011, "error_llm_websocket_runtime"),
        (1012, "error_llm_websocket_runtime"),
        (4000, "error_llm_websocket_runtime"),
    ],
)
def test_how_the_socket_closes_is_why_the_call_ended(code: int, reason: str) -> None:
    call = greeted()
    call.socket_closed(code)
    assert (call.state, call.disconnection_reason) == (State.ENDED, reason)
    assert [line.text for line in call.log] == [
        f"the socket closed with {code}",
        f"the call ended: {reason}",
    ]


@pytest.mark.parametrize("code", [1001, 1012])
def test_what_a_server_that_goes_away_means_is_a_choice(code: int) -> None:
    call = Call(choices=Choices(going_away_reason="agent_hangup"))
    call.socket_closed(code)
    assert call.disconnection_reason == "agent_hangup"
    assert reason_of(1011, "agent_hangup") == "error_llm_websocket_runtime"


def test_the_caller_hangs_up_in_mid_sentence() -> None:
    call = speaking("One two three.")
    call.hang_up()
    assert call.disconnection_reason == "user_hangup"
    assert lines(call)[-1] == "agent: One"


def test_the_first_reason_stays() -> None:
    call = greeted()
    call.hang_up()
    call.socket_closed(1011)
    call.fail("error_unknown", "too late")
    assert call.disconnection_reason == "user_hangup"


def test_ten_minutes_without_a_word_end_a_call() -> None:
    call = greeted(reminder_max_count=0)
    pass_s(call, 599.9)
    assert call.disconnection_reason is None
    pass_s(call, 0.1)
    assert call.disconnection_reason == "inactivity"
    assert call.log[0].text == "nobody has said a word for long"


def test_every_word_puts_that_off() -> None:
    call = greeted(reminder_max_count=0)
    pass_s(call, 500)
    say(call, "Hello?")
    pass_s(call, 500)
    assert call.disconnection_reason is None


def test_a_call_that_is_never_greeted_ends_too() -> None:
    call = new_call(inactivity_s=30)
    pass_s(call, 30)
    assert call.disconnection_reason == "inactivity"


def test_a_call_lasts_an_hour_at_most() -> None:
    call = greeted(reminder_max_count=0, inactivity_s=4000)
    assert call.due_s == 3600
    pass_s(call, 3600)
    assert call.disconnection_reason == "max_duration_reached"


def test_how_long_a_call_may_last_is_a_choice() -> None:
    call = new_call(max_duration_s=60.0)
    pass_s(call, 60)
    assert call.disconnection_reason == "max_duration_reached"


def test_an_unknown_event_ends_the_call_only_if_so_chosen() -> None:
    for is_chosen in (False, True):
        call = asked(ends_on_unknown_event=is_chosen)
        dropped(call, event("shout"))
        assert (call.disconnection_reason is not None) is is_chosen
    assert call.disconnection_reason == "error_llm_websocket_corrupt_payload"


@pytest.mark.parametrize(
    "act",
    [
        lambda call: call.caller_says("Hello?"),
        lambda call: call.caller_mumbles(),
        lambda call: call.caller_presses("1"),
        lambda call: call.hang_up(),
        lambda call: call.connected(again=True),
        lambda call: call.advance(1e6),
    ],
)
def test_after_the_end_nothing_happens_any_more(act: Callable[[Call], None]) -> None:
    call = asked(asks_again_after_reconnect=True)
    call.caller_says("I was about to")
    call.hang_up()
    call.take()
    before = lines(call)
    act(call)
    assert (lines(call), call.take(), call.due_s) == (before, [], NEVER)
    assert (call.state, call.is_caller_talking) == (State.ENDED, False)
