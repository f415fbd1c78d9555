"""Take the picture of the README: ``python -m tests.browser.picture``."""

import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import expect, sync_playwright

from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.notebook.runtime import serve
from llmws_tutorial.steps import step3
from tests.browser.chromium import launched
from tests.browser.served import served, visits

PICTURE: Final = PROJECT / "docs" / "dashboard.png"
SIZE: Final = {"width": 1200, "height": 720}


def main() -> None:
    """Make a call to the server of step 3, talk over its agent, and keep what the page shows."""
    with (
        tempfile.TemporaryDirectory() as calls,
        serve(step3.app, name="agent", show_log=False) as agent,
        served(Path(calls)) as dashboard,
        sync_playwright() as playwright,
        launched(playwright) as browser,
        visits(dashboard) as visit,
    ):
        page = visit(browser, viewport=SIZE, color_scheme="light").page
        page.get_by_role("textbox", name="Server URL").fill(agent.websocket_url)
        page.get_by_role("button", name="Make a web call").click()
        conversation = page.locator("llmws-conversation")
        expect(conversation).to_contain_text("How may I help you?")
        say = page.get_by_role("textbox", name="Say something")
        expect(page.get_by_text("the caller's turn")).to_be_visible()
        say.fill("Are you open on Sunday?")
        say.press("Enter")
        expect(conversation).to_contain_text("I am sorry, can you say that again?")
        page.wait_for_timeout(900)
        say.fill("No, wait. I meant Monday.")
        say.press("Enter")
        expect(conversation).to_contain_text("interrupted here")
        expect(conversation).to_contain_text("Monday.")
        page.wait_for_timeout(1500)
        page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
