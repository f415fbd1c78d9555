"""The fixture `llmws_check`: the checks as one assertion in a test of one's own."""

import asyncio

import pytest

from llmws_tutorial.checks.case import Profile, Severity
from llmws_tutorial.checks.pytest_fixture import CheckServer
from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook import serve
from llmws_tutorial.steps import step2, step3

check = CheckServer()


def test_a_right_app_passes() -> None:
    check(step3.app, "begin/1", "turns/1")


def test_a_right_server_passes_by_its_url() -> None:
    with serve(step3.app, name="judged", show_log=False) as server:
        check(server.websocket_url, "begin/1", profile="guide-2024")


def test_a_wrong_app_raises_with_what_to_do() -> None:
    with pytest.raises(AssertionError) as raised:
        check(step2.app, "begin/1", "calls/1", patience_s=0.1)
    text = str(raised.value)
    assert text.startswith(
        "1 of 2 failed: begin/1\n\nbegin/1: expected a whole answer with response_id 0"
    )
    assert "\n  fix       send the begin message right after accepting" in text
    assert "\n  repeat" not in text


def test_what_could_be_better_is_wrong_strictly() -> None:
    check(step3.app, "calls/7", fail_on=Severity.WARNING)
    with pytest.raises(AssertionError, match="calls/7: expected a secret in the path"):
        check(step3.app, "calls/1", "calls/7", strict=True)


def test_a_place_where_no_call_is_taken_is_told_once() -> None:
    with pytest.raises(AssertionError, match=r"^cannot call the app: it refused the socket"):
        check(step3.app, path="/nowhere/", profile=Profile.GUIDE)


def test_a_check_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SetupError, match="'turn/1'"):
        check(step3.app, "turn/1")


def test_a_coroutine_may_check_as_well() -> None:
    async def test_of_a_user() -> None:
        check(step3.app, "begin/1")

    asyncio.run(test_of_a_user())


def test_the_current_event_loop_of_the_thread_stays_what_it_is() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        check(step3.app, "begin/1")
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()
