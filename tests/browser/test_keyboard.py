"""The dashboard without a mouse."""

from typing import Any, Final

import pytest
from playwright.sync_api import expect

from tests.browser.agents import storyteller
from tests.browser.call_page import CallPage
from tests.browser.conftest import ServeAgent
from tests.browser.served import Visit

pytestmark = pytest.mark.browser
FOCUSED: Final = """() => {
  const element = document.activeElement;
  const { x, y, width, height } = element.getBoundingClientRect();
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const text = element.labels?.[0]?.textContent || element.textContent;
  const name = element.getAttribute("aria-label") || text || element.title;
  const ring = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
  return { tag: element.tagName, name: name.trim(), x, y, width, height, ring };
}"""


def focused(page: CallPage) -> dict[str, Any]:
    """What has the focus, where it is, and whether one can see it."""
    found: dict[str, Any] = page.page.evaluate(FOCUSED)
    return found


def test_tab_goes_through_everything_in_order_and_shows_where_it_is(visit: Visit) -> None:
    page = visit()
    page.until("store.isConnected")
    stops = []
    for _ in range(60):
        page.page.keyboard.press("Tab")
        stop = focused(page)
        if stop["tag"] == "BODY":
            break
        stops.append(stop)
    names = [stop["name"] for stop in stops]
    assert 5 < len(stops) < 60, names
    assert names[0].startswith("Skip")
    assert all(stop["ring"] and stop["name"] and stop["width"] for stop in stops), stops
    assert any("Make a web call" in name for name in names)


def test_a_whole_call_needs_no_mouse(visit: Visit, serve_agent: ServeAgent) -> None:
    page = visit()
    page.until("store.isConnected")  # until then a key calls nobody
    url = page.page.get_by_role("textbox", name="Server URL")
    url.fill(serve_agent(storyteller()))
    keys = page.page.keyboard
    keys.press("Escape")  # out of the field
    keys.press("c")
    page.until("store.live?.items[0]?.words_heard >= 3")
    keys.press("i")
    page.until("store.live.items[0].is_cut")
    expect(page.log).to_contain_text("Yes, I am listening.")
    keys.press("/")
    expect(page.page.get_by_role("textbox", name="Say something")).to_be_focused()
    keys.type("Who is the old man?")
    keys.press("Enter")
    expect(page.log).to_contain_text("Who is the old man?")
    keys.press("Escape")
    keys.press("f")
    expect(page.page.get_by_role("textbox", name="Filter frames")).to_be_focused()
    keys.type("lighthouse")
    keys.press("Escape")
    keys.press("j")
    keys.press("Enter")
    dialog = page.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Once upon a time")
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.knows("store.isCalling")
    keys.press("Escape")
    expect(page.call_button).to_be_enabled()
    assert page.knows("store.live.status.ended") == "user_hangup"


def test_a_question_mark_opens_the_help_in_which_all_keys_can_be_switched_off(
    visit: Visit,
) -> None:
    page = visit()
    page.until("store.isConnected")
    keys, dialog = page.page.keyboard, page.page.get_by_role("dialog")
    keys.press("?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("checkbox").focus()
    keys.press("Space")
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    keys.press("?")
    expect(dialog).to_be_hidden()
    page.page.reload()
    page.until("store.isConnected")
    keys.press("?")
    expect(dialog).to_be_hidden()
