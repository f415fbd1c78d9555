"""What assistive technology, small screens, and people who want less motion are given."""

from typing import Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from tests.browser.agents import storyteller
from tests.browser.call_page import PANELS, CallPage
from tests.browser.conftest import ServeAgent
from tests.browser.served import Visit

pytestmark = pytest.mark.browser
SMALL: Final = {"width": 320, "height": 640}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


def assert_is_accessible(page: Page) -> None:
    """Let axe look for what is wrong, by all of its rules."""
    found = Axe().run(page)
    wrongs = found.response["violations"]
    told = [f"{wrong['id']}: {node['html']}" for wrong in wrongs for node in wrong["nodes"]]
    assert told == []


def assert_fits(page: Page) -> None:
    """Nobody has to scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def assert_panels_are_accessible(page: CallPage) -> None:
    for scheme in SCHEMES:
        page.page.emulate_media(color_scheme=scheme)
        for panel in PANELS:
            page.show(panel)
            assert_is_accessible(page.page)


def in_a_call(page: CallPage, url: str) -> None:
    """Make a call, and talk over the agent."""
    page.call(url)
    page.until("store.live.items[0]?.words_heard >= 2")
    page.page.get_by_role("button", name="Interrupt").click()
    page.until("store.live.items[0].is_cut")


def test_axe_finds_nothing_before_a_call(visit: Visit) -> None:
    page = visit()
    page.until("store.isConnected")
    assert_panels_are_accessible(page)


def test_axe_finds_nothing_in_a_call(visit: Visit, serve_agent: ServeAgent) -> None:
    page = visit()
    in_a_call(page, serve_agent(storyteller()))
    assert_panels_are_accessible(page)
    page.hang_up()
    assert_is_accessible(page.page)


def test_axe_finds_nothing_in_dialogs(visit: Visit, serve_agent: ServeAgent) -> None:
    page = visit()
    in_a_call(page, serve_agent(storyteller()))
    keys, dialog = page.page.keyboard, page.page.get_by_role("dialog")
    page.show("Wire")
    for opening in (("?",), ("j", "Enter")):
        for key in opening:
            keys.press(key)
        expect(dialog).to_be_visible()
        assert_is_accessible(page.page)
        keys.press("Escape")
        expect(dialog).to_be_hidden()
    page.hang_up()


def test_all_of_it_fits_on_a_small_screen(visit: Visit, serve_agent: ServeAgent) -> None:
    page = visit(viewport=SMALL)
    in_a_call(page, serve_agent(storyteller()))
    for panel in PANELS:
        page.show(panel)
        assert_fits(page.page)
    assert_is_accessible(page.page)
    page.hang_up()


def test_nothing_moves_for_people_who_want_less_motion(
    visit: Visit, serve_agent: ServeAgent
) -> None:
    page = visit(reduced_motion="reduce")
    in_a_call(page, serve_agent(storyteller()))
    moving = "document.getAnimations().filter(({ playState }) => playState === 'running').length"
    for panel in PANELS:
        page.show(panel)
        assert page.page.evaluate(moving) == 0
    page.hang_up()
