"""The seconds of a call: fast while people take their time, real while the server takes its."""

import math

import pytest

from llmws_tutorial.simulator.clock import UNPACED, Clock


class Wall:
    """A clock on the wall that somebody turns by hand."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_speed_that_is_not_above_0_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=f"speed is {speed}, expected a number above 0"):
        Clock(speed)


def test_a_clock_begins_at_0_and_stands_until_its_pace_is_known() -> None:
    clock = Clock(wall=(wall := Wall()))
    wall.s += 5
    assert clock.now_s() == 0
    assert clock.wall_s_until(1) == math.inf


def test_people_are_as_fast_as_was_asked_for() -> None:
    clock = Clock(10, wall=(wall := Wall()))
    clock.pace(0, waits_for_server=False)
    wall.s += 2
    assert clock.now_s() == 20
    assert clock.wall_s_until(30) == 1
    assert clock.wall_s_until(10) == 0


def test_a_server_is_never_hurried() -> None:
    clock = Clock(10, wall=(wall := Wall()))
    clock.pace(0, waits_for_server=True)
    wall.s += 2
    assert (clock.now_s(), clock.wall_s_until(5)) == (2, 3)


def test_a_late_alarm_of_a_fast_clock_is_not_the_servers_time() -> None:
    clock = Clock(10, wall=(wall := Wall()))
    clock.pace(0, waits_for_server=False)
    wall.s += 0.5  # the request was due at 3 s, the alarm came at 5
    clock.pace(3, waits_for_server=True)
    assert clock.now_s() == 3
    wall.s += 1
    clock.pace(3, waits_for_server=True)
    assert clock.now_s() == 4


def test_an_unpaced_clock_skips_the_time_of_people_and_has_no_pauses() -> None:
    clock = Clock(UNPACED, wall=(wall := Wall()))
    clock.pace(0, waits_for_server=False)
    wall.s += 7
    clock.skip_to(60)
    assert (clock.now_s(), clock.wall_s_until(61)) == (60, math.inf)
    clock.skip_to(50)
    assert clock.now_s() == 60
    assert (clock.wall_s_of_people(3), clock.is_paced) == (0, False)


def test_an_unpaced_clock_measures_a_server_all_the_same() -> None:
    clock = Clock(UNPACED, wall=(wall := Wall()))
    clock.pace(0, waits_for_server=True)
    wall.s += 7
    assert clock.now_s() == 7


def test_a_pause_of_people_is_shorter_on_a_fast_clock() -> None:
    clock = Clock(20)
    assert (clock.wall_s_of_people(3), clock.is_paced) == (0.15, True)
