"""What was seen while a case ran, in order and in words."""

from llmws_tutorial.checks.exchange import (
    Ended,
    Exchange,
    Got,
    Missed,
    Opened,
    Posted,
    Refused,
    Sent,
)
from llmws_tutorial.messages import Response
from llmws_tutorial.simulator.answers import Answers
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.turn import Turn
from llmws_tutorial.simulator.verdict import Drop, Dropped

STALE = Dropped(Drop.STALE, "stale")


def exchange_at(*times_s: float) -> Exchange:
    """An exchange whose clock shows these times, one after the other."""
    shown = iter(times_s)
    return Exchange(lambda: next(shown))


def test_events_are_dated_from_the_beginning_of_the_case() -> None:
    exchange = exchange_at(100.0, 100.25, 101.0)
    exchange.note(Opened)
    exchange.note(Ended, line="b")
    assert [event.at_s for event in exchange.events] == [0.25, 1.0]
    assert exchange.seconds_of(102.0) == 2.0


def test_events_are_found_by_kind_and_line() -> None:
    exchange = exchange_at(0, 0, 0)
    exchange.note(Opened)
    exchange.note(Opened, line="b")
    assert [event.line for event in exchange.of(Opened)] == ["a"]
    assert [event.line for event in exchange.of(Opened, None)] == ["a", "b"]
    assert exchange.of(Sent, None) == []
    assert exchange.was_open


def test_each_event_has_its_words() -> None:
    words = {
        str(Opened(at_s=0)): "the socket is open",
        str(Opened(at_s=0, again=True)): "the socket is open again",
        str(Refused(at_s=0, why="HTTP 403")): "HTTP 403",
        str(Sent(at_s=0, data="{}")): "-> {}",
        str(Got(at_s=0, data=b"12")): "<- 2 bytes of binary",
        str(Got(at_s=0, data="{}", dropped=STALE)): "<- {}   [dropped: stale]",
        str(Got(at_s=0, data="x" * 301)): f"<- {'x' * 200}... (301 characters)",
        str(Ended(at_s=0, code=1002, reason="r")): "the server closed with 1002 'r'",
        str(Ended(at_s=0, by_server=False)): "we hung up",
        str(Missed(at_s=0, what="it")): "in vain: it",
        str(Posted(at_s=0, status=204)): "the webhook answered 204",
        str(Posted(at_s=0, problem="nothing answers")): "the webhook answered nothing answers",
    }
    assert list(words) == list(words.values())


def test_turns_are_found_by_their_id_and_an_interrupt_is_none() -> None:
    exchange = exchange_at(0)
    exchange.turns["a"] = Answers(Choices()).turns
    exchange.turns["a"].append(Turn("interrupt", 5, 0.0))
    greeting = exchange.turn(0)
    assert greeting
    assert greeting.kind == "greeting"
    assert exchange.turn(5) is None
    assert exchange.turn(0, "b") is None


def test_pieces_and_what_is_dropped_are_found() -> None:
    exchange = exchange_at(0, 0, 0, 0)
    said = Response(response_id=1, content="Yes.", content_complete=True)
    exchange.note(Got, data="1", message=said)
    exchange.note(Got, data="2", message=said, dropped=STALE, line="b")
    exchange.note(Got, data="3", message=None)
    assert [got.data for got, _ in exchange.pieces()] == ["1", "2"]
    assert [got.data for got, _ in exchange.pieces("b")] == ["2"]
    assert [got.data for got in exchange.responses(1)] == ["1"]
    assert exchange.responses(2) == []
    assert [got.data for got in exchange.dropped(Drop.STALE)] == ["2"]
    assert exchange.dropped(Drop.BINARY) == []


def test_the_end_of_a_line_is_the_server_s() -> None:
    exchange = exchange_at(0, 0, 0)
    exchange.note(Ended, by_server=False)
    assert exchange.ended() is None
    exchange.note(Ended, code=1000)
    end = exchange.ended()
    assert end
    assert end.code == 1000
    assert not exchange.was_open
