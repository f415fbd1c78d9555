"""Who is let in, and who is known when they come back."""

import pytest

from llmws_tutorial.server import Settings
from llmws_tutorial.server.reception import RECONNECT_S, REFUSALS, Reception

LOCAL = {"host": "127.0.0.1:3000"}
FULL = Settings(max_calls=1)


def refused(path: str = "c1", settings: Settings | None = None, **headers: str) -> int | None:
    return Reception(settings or Settings()).refusal(path, {**LOCAL, **headers}, open_calls=())


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_platform_is_let_in() -> None:
    assert refused() is None


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:3000", "null", ""])
def test_a_browser_is_refused_wherever_it_is(origin: str) -> None:
    assert refused(origin=origin) == 403


@pytest.mark.parametrize("call_id", ["c1", "call_0-1.2", "x" * 128])
def test_a_short_token_is_a_call_id(call_id: str) -> None:
    assert refused(call_id) is None


@pytest.mark.parametrize("call_id", ["", "x" * 129, "a b", "a\nb", "a/b", "é", "a\n", "%", "\x00"])
def test_anything_else_is_none(call_id: str) -> None:
    assert refused(call_id) == 403


@pytest.mark.parametrize("path", ["c1", "/c1", "wrong/c1", "S3CRET/c1", "s3cret/more/c1", "é/c1"])
def test_a_wrong_secret_is_refused(path: str) -> None:
    assert refused(path, Settings(secret="s3cret")) == 403


def test_the_secret_may_have_more_than_one_segment() -> None:
    assert refused("a/b/c1", Settings(secret="a/b")) is None


def test_there_is_no_place_for_one_more_but_for_those_who_come_back() -> None:
    reception = Reception(FULL)
    assert reception.refusal("c1", LOCAL, open_calls=["c1"]) is None
    assert reception.refusal("c2", LOCAL, open_calls=["c1"]) == 503
    reception.has_lost("c2")
    assert reception.refusal("c2", LOCAL, open_calls=["c1"]) is None


def test_a_lost_call_is_known_once() -> None:
    reception = Reception(Settings())
    assert not reception.was_here("c1")
    reception.has_lost("c1")
    assert reception.was_here("c1")
    assert not reception.was_here("c1")


def test_a_lost_call_is_forgotten_after_a_while() -> None:
    clock = Clock()
    reception = Reception(FULL, clock=clock)
    for call_id in ("c1", "c2", "c1"):
        reception.has_lost(call_id)
        clock.now += RECONNECT_S * 0.4
    clock.now += RECONNECT_S * 0.4
    assert not reception.was_here("c2")
    assert reception.was_here("c1")


def test_every_refusal_says_why() -> None:
    assert REFUSALS.keys() == {403, 421, 503}
