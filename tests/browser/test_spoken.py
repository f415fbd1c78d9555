"""A call that is spoken: what the microphone hears is recognised, what is played is, too."""

import threading
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from llmws_tutorial.dashboard.ears import Recogniser
from llmws_tutorial.dashboard.sound import Sound
from llmws_tutorial.errors import SetupError
from tests.browser.agents import storyteller
from tests.browser.call_page import CallPage
from tests.browser.conftest import ServeAgent
from tests.browser.served import Visit, served, visits
from tests.browser.sound import Sound as Heard
from tests.browser.sound import likeness, played

pytestmark = pytest.mark.browser
STOPS_MS: Final = 300
"""How long the agent's sound may go on when it was cut."""


MICROPHONES: Final = """
  (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "audioinput")
"""


def talk(page: CallPage) -> None:
    """Open the microphone; from now on it hears what was recorded."""
    page.until(f"({MICROPHONES.strip()}).length")  # a browser that has just started has none yet
    page.page.get_by_role("button", name="Talk", exact=True).click()


def test_a_whole_call_is_spoken_and_heard(
    visit_speaking: Visit, agent_url: str, recogniser: Recogniser
) -> None:
    page = visit_speaking(1.0, "Are you open on Sunday?", 20.0)
    page.call(agent_url)
    page.until("store.live.status.is_callers_turn")
    talk(page)
    page.until("store.live.items[2]?.is_over")
    asked, sound = page.knows("store.live.items[1].sent"), played(page.page)
    page.hang_up()
    assert likeness(asked, "Are you open on Sunday?") > 0.7
    (began_ms, _), *_, (_, ended_ms) = sound.spans_ms
    middle_ms = middle_of_the_longest_pause_ms(sound)
    greeting = sound.between(began_ms, middle_ms).words(recogniser)
    answer = sound.between(middle_ms, ended_ms).words(recogniser)
    assert likeness(greeting, "How may I help you?") > 0.7
    assert likeness(answer, "I am sorry, can you say that again?") > 0.7


def test_a_caller_who_talks_over_the_agent_cuts_it(
    visit_speaking: Visit, serve_agent: ServeAgent, recogniser: Recogniser
) -> None:
    page = visit_speaking(0.5, "Excuse me, who is the old man?", 20.0)
    page.note("hush", "speak")
    page.call(serve_agent(storyteller()))
    page.until("store.live.items[0]?.words_heard >= 6")
    talk(page)
    page.until("store.live.items[0].is_cut")
    page.until("store.live.items.at(-1).role === 'agent' && store.live.items.at(-1).is_over")
    story, sound = page.knows("store.live.items[0]"), played(page.page)
    cut_ms = next(at_ms for at_ms, _ in page.noted("hush") if at_ms > sound.began_ms)
    answer_ms = next(at_ms for at_ms, _ in page.noted("speak") if at_ms > cut_ms)
    page.hang_up()
    assert not sound.between(cut_ms + STOPS_MS, answer_ms).spans_ms
    told = sound.between(sound.began_ms, cut_ms + STOPS_MS).words(recogniser)
    assert likeness(told, story["sent"][: story["heard_to"]]) > 0.8


def test_ears_that_fail_are_told_of_and_the_microphone_is_off(
    visit_speaking: Visit, agent_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(chunk: bytes) -> float:
        raise OSError("no ears today")

    monkeypatch.setattr(Recogniser, "detector", lambda _: fail)
    page = visit_speaking(20.0)
    page.call(agent_url)
    talk(page)
    expect(page.page.get_by_role("alert")).to_contain_text("the ears failed")
    talks = page.page.get_by_role("button", name="Talk", exact=True)
    expect(talks).to_have_attribute("aria-pressed", "false")


def test_the_browsers_ears_are_offered_only_once_the_kits_will_not_come(
    browser: Browser, agent_url: str, tmp_path: Path
) -> None:
    may_load = threading.Event()

    def load() -> Recogniser:
        may_load.wait(60)
        raise SetupError("not installed: install it")

    sound = Sound(load_recogniser=load)
    with served(tmp_path, sound) as dashboard, visits(dashboard) as opened:
        page = opened(browser)
        page.call(agent_url)
        offer = page.page.get_by_role("button", name="Talk by the browser")
        expect(page.page.get_by_text("For a moment, type what you say")).to_be_visible()
        expect(offer).to_be_hidden()
        may_load.set()
        expect(offer).to_be_visible()


def middle_of_the_longest_pause_ms(sound: Heard) -> float:
    """When (milliseconds since 1970)."""
    pauses = [(start - end, (start + end) / 2) for (_, end), (start, _) in pairwise(sound.spans_ms)]
    return max(pauses)[1]
