"""Alarms without a clock."""

from llmws_tutorial.simulator.timers import NEVER, Timer, Timers


def test_nothing_is_due_when_no_timer_is_set() -> None:
    timers = Timers()
    assert timers.due_s == NEVER
    assert timers.pop(NEVER) is None


def test_a_timer_is_taken_once_and_not_before_its_time() -> None:
    timers = Timers()
    timers.set(Timer.REMINDER, 10)
    assert timers.pop(9.9) is None
    assert timers.pop(10) == (Timer.REMINDER, 10)
    assert timers.pop(11) is None


def test_the_earliest_comes_first_and_of_two_at_one_time_the_upper_one() -> None:
    timers = Timers()
    timers.set(Timer.MAX_DURATION, 1)
    timers.set(Timer.END_OF_TURN, 2)
    timers.set(Timer.CALLER_WORD, 2)
    taken = [timers.pop(5) for _ in range(3)]
    assert taken == [(Timer.MAX_DURATION, 1), (Timer.CALLER_WORD, 2), (Timer.END_OF_TURN, 2)]


def test_a_timer_that_is_set_again_is_moved() -> None:
    timers = Timers()
    timers.set(Timer.INACTIVITY, 1)
    timers.set(Timer.INACTIVITY, 5)
    assert (timers.due_s, Timer.INACTIVITY in timers) == (5, True)
    assert (timers.at_s(Timer.INACTIVITY), timers.at_s(Timer.REMINDER)) == (5, NEVER)


def test_timers_are_forgotten_one_by_one_or_all() -> None:
    timers = Timers()
    for place, timer in enumerate(Timer):
        timers.set(timer, place)
    timers.stop(Timer.CALLER_WORD, Timer.AGENT_WORD)
    timers.stop(Timer.CALLER_WORD)
    assert timers.due_s == 2
    timers.clear()
    assert not any(timer in timers for timer in Timer)
