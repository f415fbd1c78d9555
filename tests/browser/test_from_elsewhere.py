"""What pages of other places can do with the dashboard: nothing."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import REBOUND
from tests.browser.served import Dashboard, Visit

pytestmark = pytest.mark.browser
JOIN: Final = """([url, token]) => new Promise((done) => {
  const socket = new WebSocket(url);
  const told = [];
  socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token }));
  socket.onmessage = ({ data }) => told.push(data);
  socket.onclose = () => done(told);
  setTimeout(() => done([...told, "still open"]), 3000);
})"""


class Stranger(BaseHTTPRequestHandler):
    """A page of somebody else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextlib.contextmanager
def stranger() -> Iterator[str]:
    """Serve a page on another port of this machine."""
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def elsewhere(browser: Browser) -> Iterator[Page]:
    with stranger() as url, browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        yield page


def test_a_page_of_another_origin_cannot_join_even_with_the_token(
    dashboard: Dashboard, elsewhere: Page
) -> None:
    socket = dashboard.server.url.replace("http", "ws") + "socket"
    assert elsewhere.evaluate(JOIN, [socket, dashboard.access.token]) == []


@pytest.mark.parametrize("path", ["", "app.js", "calls/call_1.jsonl"])
def test_a_page_of_another_origin_cannot_read(
    dashboard: Dashboard, elsewhere: Page, path: str
) -> None:
    read = "url => fetch(url).then((answer) => answer.text(), () => null)"
    assert elsewhere.evaluate(read, dashboard.server.url + path) is None
    blind = "url => fetch(url, { mode: 'no-cors' }).then((answer) => answer.text(), () => '')"
    assert elsewhere.evaluate(blind, dashboard.server.url + path) == ""


def test_a_page_of_another_origin_cannot_run_its_modules(
    dashboard: Dashboard, elsewhere: Page
) -> None:
    load = "url => import(url).then(() => true, () => false)"
    assert elsewhere.evaluate(load, dashboard.server.url + "dom.js") is False


def test_a_name_that_was_rebound_to_this_machine_is_refused(
    dashboard: Dashboard, browser: Browser
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        answer = page.goto(f"http://{REBOUND}:{dashboard.server.port}/#{dashboard.access.token}")
        assert answer
        assert answer.status == 403
        assert f"this dashboard is not called '{REBOUND}" in page.inner_text("body")
        assert page.evaluate(JOIN, [f"ws://{REBOUND}:{dashboard.server.port}/socket", ""]) == []


@pytest.mark.parametrize("token", ["", "#wrong"])
def test_who_comes_without_the_token_is_told_what_to_do(
    dashboard: Dashboard, visit: Visit, token: str
) -> None:
    page = visit(at=dashboard.server.url + token)
    expect(page.page.get_by_text("This address is not of this start")).to_be_visible()
    assert page.knows("store.hello") is None
