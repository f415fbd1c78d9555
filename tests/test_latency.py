"""How long things took, by the platform's names."""

import pytest

from llmws_tutorial.simulator import Call
from llmws_tutorial.simulator.latency import Latency, measure
from tests.phone import asked, interrupt, part, pass_s, piece, say, settle


def measured(call: Call) -> dict[str, tuple[float, ...]]:
    parts = measure(call.answers.turns, [])
    return {name: part.values for name, part in parts.items()}


def test_what_never_happened_is_left_out() -> None:
    assert measured(asked()) == {}


def test_the_parts_of_a_turn() -> None:
    call = asked()  # the last word at 1.25 s, the request at 1.75 s
    pass_s(call, 1)
    call.receive(part(1, "One two. "))
    pass_s(call, 0.25)
    call.receive(piece(1, "Three."))
    settle(call)
    assert measured(call) == {"e2e": (1750,), "llm": (1000,), "tts": (250,)}


def test_a_turn_that_was_never_heard_has_only_the_servers_part() -> None:
    call = asked()
    call.caller_says("And")
    pass_s(call, 0.1)
    call.receive(piece(1, "Yes."))
    settle(call)
    assert measured(call) == {"llm": (100,)}


def test_an_empty_answer_is_none() -> None:
    call = asked()
    call.receive(piece(1, ""))
    assert measured(call) == {}


def test_a_reminder_has_no_caller_who_stopped() -> None:
    call = asked()
    call.receive(piece(1))
    pass_s(call, 10.75)
    call.receive(piece(2, "Still there?"))
    settle(call)
    assert measured(call) == {"e2e": (750,), "llm": (0, 0), "tts": (250, 250)}


def test_greetings_and_interrupts_answer_nobody() -> None:
    call = asked()
    call.receive(interrupt(7))
    settle(call)
    assert measured(call) == {}


def test_turns_come_in_the_order_of_the_call() -> None:
    call = asked()
    for wait_s in (0.5, 0.25):
        pass_s(call, wait_s)
        call.receive(piece(call.response_id))
        settle(call)
        say(call, "Hello?")
    assert measured(call)["llm"] == (500, 250)


def test_a_heartbeat_and_back_is_the_networks_part() -> None:
    assert measure([], [1.23456, 2]) == {"llm_websocket_network_rtt": Latency((1.235, 2))}


@pytest.mark.parametrize(
    ("share", "value"), [(0, 10), (20, 10), (21, 20), (50, 30), (90, 50), (100, 50)]
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert Latency((50, 10, 40, 20, 30)).percentile(share) == value


def test_a_part_is_told_as_the_platform_tells_it() -> None:
    assert Latency((20, 10)).as_fields() == {
        **{"p50": 10, "p90": 20, "p95": 20, "p99": 20},
        **{"min": 10, "max": 20, "num": 2, "values": [20, 10]},
    }
