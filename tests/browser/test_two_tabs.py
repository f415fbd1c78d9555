"""Two tabs of one dashboard: the same call in both, its sound in one."""

import pytest
from playwright.sync_api import expect

from tests.browser.agents import STORY, storyteller
from tests.browser.conftest import ServeAgent
from tests.browser.served import Visit
from tests.browser.sound import played

pytestmark = pytest.mark.browser


def test_two_tabs_show_one_call_and_one_of_them_plays_it(
    visit: Visit, serve_agent: ServeAgent
) -> None:
    first, second = visit(), visit()
    first.call(serve_agent(storyteller()))
    for page in (first, second):
        expect(page.conversation).to_contain_text(STORY[1].strip())
    first.until("store.live.items[0]?.words_heard >= 6")
    assert [page.knows("store.isSounding") for page in (first, second)] == [True, False]
    assert not len(played(second.page).samples)
    second.page.get_by_role("button", name="Hear it here").click()
    first.until("!store.isSounding")
    heard = second.knows("store.live.items[0].words_heard")
    second.until(f"store.live.items[0].words_heard >= {heard + 12}")
    assert played(second.page).lasted_s > 1
    assert played(first.page).spans_ms[-1][1] < played(second.page).spans_ms[0][0] + 300
    second.hang_up()
    first.until("!store.isCalling")
