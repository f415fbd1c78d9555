"""Heartbeats: when they are sent, when a line counts as lost, how often it is dialled again."""

import pytest

from llmws_tutorial.messages import Config, ConfigFields, Ping, Pong
from llmws_tutorial.simulator.call import Call
from llmws_tutorial.simulator.keepalive import Beat, Keepalive, Loss
from llmws_tutorial.simulator.timers import NEVER


def started(now_s: float = 100.0) -> Keepalive:
    keepalive = Keepalive()
    keepalive.start(now_s)
    return keepalive


def test_nothing_beats_until_it_is_asked_for() -> None:
    keepalive = Keepalive()
    keepalive.heard(100)
    assert (keepalive.due_s, keepalive.beat(1e9)) == (NEVER, None)


def test_a_heartbeat_goes_out_every_two_seconds() -> None:
    keepalive = started()
    assert keepalive.due_s == 102
    assert [keepalive.beat(now_s) for now_s in (101.9, 102, 103.9, 104)] == [
        None,
        Beat.PING,
        None,
        Beat.PING,
    ]


def test_a_late_heartbeat_does_not_make_up_for_those_missed() -> None:
    keepalive = started()
    assert [keepalive.beat(104.9), keepalive.beat(104.9)] == [Beat.PING, None]
    assert keepalive.due_s == 105


def test_five_seconds_without_an_answer_lose_the_line_once() -> None:
    keepalive = started()
    keepalive.beat(102)
    keepalive.beat(104)
    assert keepalive.due_s == 105
    assert [keepalive.beat(105), keepalive.beat(106)] == [Beat.LOST, None]


def test_an_answer_gives_five_seconds_more() -> None:
    keepalive = started()
    keepalive.heard(104.5)
    assert keepalive.beat(109.4) is Beat.PING
    assert keepalive.beat(109.5) is Beat.LOST


def test_asking_for_what_beats_already_changes_nothing() -> None:
    keepalive = started()
    keepalive.start(101.9)
    assert keepalive.beat(102) is Beat.PING


def test_a_heart_that_stopped_can_beat_again() -> None:
    keepalive = started()
    keepalive.stop()
    assert keepalive.due_s == NEVER
    keepalive.start(200)
    assert keepalive.due_s == 202


def test_a_line_without_heartbeat_is_dialled_again_twice_a_dropped_one_four_times() -> None:
    keepalive = Keepalive()
    assert [keepalive.lose(Loss.KEEPALIVE, Call()) for _ in range(3)] == [True, True, False]
    assert [keepalive.lose(Loss.DROP, Call()) for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (Loss.KEEPALIVE, "error_llm_websocket_lost_connection"),
        (Loss.DROP, "error_llm_websocket_runtime"),
    ],
)
def test_a_line_that_is_lost_too_often_ends_the_call(loss: Loss, reason: str) -> None:
    keepalive, call = Keepalive(), Call()
    while keepalive.lose(loss, call):
        assert call.disconnection_reason is None
    assert call.disconnection_reason == reason


def test_an_echo_is_timed_and_one_of_nothing_is_odd() -> None:
    keepalive = started()
    assert keepalive.ping(7, 102.0) == Ping(timestamp=7)
    assert keepalive.take(Pong(timestamp=7), 102.25) is None
    assert keepalive.take(Pong(timestamp=8), 102.5) == (
        "a heartbeat with a timestamp that was not sent"
    )
    assert keepalive.round_trips_ms == [250]
    assert keepalive.beat(107.4) is Beat.PING
    assert keepalive.beat(107.5) is Beat.LOST


def test_a_config_starts_the_heartbeat_and_stops_it() -> None:
    keepalive = Keepalive()
    keepalive.take(Config(config=ConfigFields(auto_reconnect=True)), 100)
    assert keepalive.due_s == 102
    keepalive.take(Config(config=ConfigFields()), 101)
    assert keepalive.due_s == NEVER
