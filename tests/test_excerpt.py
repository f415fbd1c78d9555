"""What was seen around the event that a ruling is about."""

import pytest

from llmws_tutorial.checks.case import failed
from llmws_tutorial.checks.excerpt import excerpt
from llmws_tutorial.checks.exchange import Event, Got, Missed, Opened, Sent
from llmws_tutorial.messages import Pong
from tests.found import ABSENT, EVENTS, case, finding


def test_only_the_neighbours_of_the_event_are_shown() -> None:
    events = [Opened(at_s=number) for number in range(12)]
    told = excerpt(finding(failed("a", "b", events[8]), *events))
    assert [float(text[:4]) for _, text in told] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert [is_it for is_it, _ in told] == [False] * 6 + [True, False]


def test_where_something_is_missing_the_wait_for_it_is_marked() -> None:
    told = excerpt(finding(failed("an answer", "none"), *EVENTS, Opened(at_s=6), Opened(at_s=7)))
    assert [text for is_it, text in told if is_it] == ["5.00 s in vain: wait for the answer"]
    assert told[-1] == (False, "6.00 s the socket is open")


def test_where_nothing_was_waited_for_the_end_is_shown() -> None:
    told = excerpt(finding(failed("a", "b"), *(Opened(at_s=number) for number in range(9))))
    assert [text[:1] for _, text in told] == ["3", "4", "5", "6", "7", "8"]


def test_where_one_call_is_the_matter_the_others_are_left_out() -> None:
    events: list[Event] = [Opened(at_s=0), Opened(at_s=1, line="b")]
    told = excerpt(finding(failed("a", "b", events[1]), *events))
    assert told == [(True, "1.00 s [b] the socket is open")]


def test_where_no_call_is_the_matter_each_event_tells_its_own() -> None:
    events: list[Event] = [Opened(at_s=0), Opened(at_s=1, line="b")]
    told = excerpt(finding(failed("a", "b"), *events))
    assert [text for _, text in told] == [
        "0.00 s [a] the socket is open",
        "1.00 s [b] the socket is open",
    ]


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (5, ["-> hello", *["<- x"] * 5, "<- x"]),
        (6, ["-> hello", *["<- x"] * 6, "<- x"]),
        (9, ["-> hello", "... 3 more", *["<- x"] * 6, "<- x"]),
    ],
)
def test_the_frame_that_provoked_it_is_shown_however_far_back(
    between: int, expected: list[str]
) -> None:
    older, asked = Sent(at_s=0, data="older"), Sent(at_s=0, data="hello")
    pieces = [Got(at_s=0, data="x") for _ in range(between + 1)]
    other = Sent(at_s=0, data="another call", line="b")
    found = finding(failed("a", "b", pieces[-1]), older, asked, other, *pieces)
    told = [text.removeprefix("0.00 s [a] ") for _, text in excerpt(found)]
    assert told[-len(expected) :] == expected
    assert "another call" not in str(told)


def test_heartbeats_are_left_out_unless_they_are_the_matter() -> None:
    ping = Sent(at_s=1.0, data='{"interaction_type":"ping_pong","timestamp":1}')
    pong = Got(at_s=2.0, data="{}", message=Pong(timestamp=1))
    asked = Sent(at_s=3.0, data="hello")
    told = excerpt(finding(failed("a", "b"), ping, pong, asked))
    assert [text for _, text in told] == ["3.00 s -> hello"]
    about_one = excerpt(finding(failed("a", "b", pong), ping, pong, asked))
    assert [text[:4] for _, text in about_one] == ["2.00", "3.00"]
    assert len(excerpt(finding(failed("a", "b"), ping, pong, of=case("keepalive/1")))) == 2


def test_a_check_that_was_not_run_has_nothing_to_show() -> None:
    assert excerpt(ABSENT) == []


def test_where_one_call_may_harm_another_both_are_shown() -> None:
    other = Sent(at_s=1.0, line="b", data="null")
    missed = Missed(at_s=2.0, line="a", what="the whole answer 1")
    told = excerpt(finding(failed("a", "b", missed), other, missed, of=case("calls/5")))
    assert next(text for _, text in told) == "1.00 s [b] -> null"
