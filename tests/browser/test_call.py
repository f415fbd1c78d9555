"""A call that is made with the mouse and by typing, and what may happen to its page."""

from typing import Final

import pytest
from playwright.sync_api import expect

from llmws_tutorial.dashboard.ears import Recogniser
from tests.browser.agents import STORY, mortal, storyteller
from tests.browser.chromium import WITHOUT_CLICK
from tests.browser.conftest import Launch, ServeAgent
from tests.browser.served import Dashboard, Visit, visits
from tests.browser.sound import likeness, played

pytestmark = pytest.mark.browser
HEARD: Final = "store.live.items[0].words_heard"


def test_a_call_is_made_typed_and_ended(visit: Visit, agent_url: str) -> None:
    page = visit()
    page.call(agent_url)
    expect(page.conversation).to_contain_text("How may I help you?")
    page.until("store.live.status.is_callers_turn")
    page.say("Are you open on Sunday?")
    expect(page.log).to_contain_text("Are you open on Sunday?")
    expect(page.log).to_contain_text("I am sorry, can you say that again?")
    page.hang_up()
    kinds = page.knows("store.live.frames.map(({ sender, kind }) => `${sender}: ${kind}`)")
    assert kinds[0] == "server: response"
    assert "platform: response_required" in kinds
    assert page.knows("store.live.status.ended") == "user_hangup"


def test_who_hangs_up_silences_the_agent_in_mid_word(visit: Visit, serve_agent: ServeAgent) -> None:
    page = visit()
    page.call(serve_agent(storyteller()))
    page.note("status")
    page.until("store.live.items[0]?.words_heard >= 3")
    page.hang_up()
    page.page.wait_for_timeout(1000)  # in which there could be more of it
    over_ms = next(at_ms for at_ms, status in page.noted("status") if status["is_over"])
    assert played(page.page).spans_ms[-1][1] < over_ms + 300


def test_a_server_that_dies_in_mid_call_ends_it_in_words(visit: Visit) -> None:
    page = visit()
    with mortal() as (url, kill):
        page.call(url)
        page.until("store.live.status.is_callers_turn")
        kill()
        expect(page.call_button).to_be_enabled()
    assert page.knows("store.live.status.is_over")
    expect(page.conversation).to_contain_text("websocket")


def test_a_reload_in_mid_call_goes_on_in_mid_sentence(
    dashboard: Dashboard, serve_agent: ServeAgent, launch: Launch, recogniser: Recogniser
) -> None:
    with visits(dashboard) as visit:
        page = visit(launch(WITHOUT_CLICK))
        page.call(serve_agent(storyteller()))
        page.until("store.live.items[0]?.words_heard >= 13")  # in the second sentence
        page.page.reload()
        page.until("store.live?.items[0] && store.isSounding")
        back = page.knows(HEARD)
        page.until(f"{HEARD} >= {back + 13}")
        heard, sound = page.knows(HEARD), played(page.page)
        assert page.knows("store.isCalling")
        expect(page.conversation).to_contain_text(STORY[0].strip())
        page.hang_up()
    expected = " ".join("".join(STORY).split()[back:heard])
    assert likeness(sound.words(recogniser), expected) > 0.5
    assert not sound.words(recogniser).startswith("once upon")
