"""What strangers say is text, whatever it looks like."""

import json
import time
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.agents import agent_that
from tests.browser.call_page import PANELS, CallPage
from tests.browser.conftest import ServeAgent
from tests.browser.served import Visit
from tests.raw_peer import listening

pytestmark = pytest.mark.browser
MARKUP: Final = (
    '<img src=x onerror="window.caught = 1"><script>window.caught = 2</script>'
    "<h1 id=caught>Caught</h1></pre><style>body { display: none }</style>"
    '<a href="javascript:window.caught = 3">here</a> ${window.caught = 4} {{caught}}'
)
ODD: Final = (
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd "
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \x00\x1b[31m a\u0301\u0301\u0301\u0301 \ufeff end."
)
HUGE: Final = "w" * 900_000
ROOMY: Final = 2**23
"""Of how many bytes a frame may be that holds a huge word of the agent and one of the caller."""
MADE: Final = """[...document.body.querySelectorAll(
  "#caught, img:not([src='favicon.svg']), script, style, [href^=javascript]",
)].map((element) => element.outerHTML)"""
"""What the words would become if they were markup."""
SMALL: Final = {"width": 320, "height": 640}


def hear_and_say(page: CallPage, url: str, text: str) -> None:
    """Let the agent say something that the caller says, too; look at all panels and a frame."""
    page.call(url)
    page.until("store.live.items.length > 0")
    page.say(text)
    page.until("store.live.items.some(({ role }) => role === 'user')")
    for panel in PANELS:
        page.show(panel)
    page.show("Wire")
    page.page.keyboard.press("j")
    page.page.keyboard.press("Enter")
    expect(page.page.get_by_role("dialog")).to_be_visible()


@pytest.mark.parametrize("text", [MARKUP, ODD], ids=["markup", "odd signs"])
def test_no_element_comes_of_what_is_said(visit: Visit, serve_agent: ServeAgent, text: str) -> None:
    page = visit()
    hear_and_say(page, serve_agent(agent_that(greets=text)), text)
    assert page.page.evaluate(MADE) == []
    assert page.page.evaluate("window.caught") is None
    said = "document.querySelector('llmws-conversation').textContent.replaceAll('\\0', '')"
    page.until(f"{said}.includes({json.dumps(text.replace(chr(0), ''))})")


def test_a_word_of_a_megabyte_stops_nobody(visit: Visit) -> None:
    page = visit(viewport=SMALL)
    with listening(agent_that(greets=HUGE), ws_max_size=ROOMY) as server:
        hear_and_say(page, server.url.removesuffix("c1"), HUGE[:400_000])
        began_s = time.monotonic()
        page.page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        assert time.monotonic() - began_s < 1
        assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.page.keyboard.press("Escape")
        page.hang_up()
