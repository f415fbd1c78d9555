"""What goes wrong on a page fails its test; else the other tests would prove little."""

import time

import pytest
from playwright.sync_api import Browser

from tests.browser.served import PATIENCE_MS, Dashboard, visits

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("deed", "complaint"),
    [
        ("setTimeout(() => { throw new Error('Lost.'); })", "raised Lost."),
        ("console.error('Lost.')", "logged Lost."),
        ("document.body.append(Object.assign(new Image(), {src: 'http://a.test'}))", "a.test"),
        ("document.body.setAttribute('onclick', 'alert()')", "Content Security Policy"),
        ("fetch('nowhere.js')", "404"),
    ],
)
def test_what_goes_wrong_is_noticed(
    dashboard: Dashboard, browser: Browser, deed: str, complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        do(deed, dashboard, browser)


def do(deed: str, dashboard: Dashboard, browser: Browser) -> None:
    """Do something on a page, and look whether all was well."""
    with visits(dashboard) as visit:
        page = visit(browser)
        page.page.evaluate(f"() => {{ {deed}; }}")
        end_s = time.monotonic() + PATIENCE_MS / 1000
        while not page.complaints and time.monotonic() < end_s:
            page.page.wait_for_timeout(10)
