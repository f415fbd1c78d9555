"""The dashboard below a path of a proxy, as a hub of notebooks serves it."""

import pytest
from playwright.sync_api import expect

from tests.browser.proxy import PREFIX, proxied
from tests.browser.served import Dashboard, Visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("slash", ["/", ""], ids=["with a slash", "without"])
def test_a_call_is_made_through_a_proxy(
    dashboard: Dashboard, visit: Visit, agent_url: str, slash: str
) -> None:
    with proxied(dashboard.server.port) as root:
        page = visit(at=f"{root}{slash}#{dashboard.access.token}")
        page.until("store.isConnected")
        page.forgive(f"{PREFIX.rpartition('/')[0]}/[a-z-]+[./]")  # asked for before the redirect
        page.call(agent_url)
        expect(page.conversation).to_contain_text("How may I help you?")
        page.hang_up()
        asked = page.page.evaluate("performance.getEntriesByType('resource').map((e) => e.name)")
        assert asked
        assert all(f"{PREFIX}/" in url for url in asked)
        page.page.context.close()
