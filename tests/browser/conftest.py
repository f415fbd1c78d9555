"""What a test in the browser has: a dashboard, servers to call, pages that are watched."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from llmws_tutorial.dashboard.ears import Recogniser
from llmws_tutorial.dashboard.mouth import NeuralVoice
from llmws_tutorial.notebook.runtime import serve
from llmws_tutorial.steps import step3
from tests.browser.call_page import CallPage
from tests.browser.chromium import launched, with_microphone
from tests.browser.served import PATIENCE_MS, Dashboard, Visit, served, visits
from tests.browser.sound import write_recording

ServeAgent = Callable[[FastAPI], str]
Launch = Callable[..., Browser]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with launched(playwright) as started:
        yield started


@pytest.fixture
def launch(playwright: Playwright) -> Iterator[Launch]:
    """Starts a browser with options of its own, until the test is over."""
    with contextlib.ExitStack() as browsers:
        yield lambda *options: browsers.enter_context(launched(playwright, *options))


@pytest.fixture(scope="session")
def voice() -> NeuralVoice:
    return NeuralVoice()


@pytest.fixture(scope="session")
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture
def serve_agent() -> Iterator[ServeAgent]:
    """Serves an app until the test is over; returns where its calls arrive."""
    numbers = count()
    with contextlib.ExitStack() as servers:

        def start(app: FastAPI) -> str:
            server = serve(app, name=f"agent {next(numbers)}", show_log=False)
            return servers.enter_context(server).websocket_url

        yield start


@pytest.fixture
def agent_url(serve_agent: ServeAgent) -> str:
    """The server of step 3."""
    return serve_agent(step3.app)


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    with served(tmp_path / "calls") as started:
        yield started


@pytest.fixture
def visit(browser: Browser, dashboard: Dashboard) -> Iterator[Visit]:
    """Opens the dashboard in a browser that knows nothing yet; nothing may go wrong on its page."""
    with visits(dashboard) as opened:
        yield lambda **options: opened(browser, **options)


@pytest.fixture
def visit_speaking(
    dashboard: Dashboard, launch: Launch, tmp_path: Path, voice: NeuralVoice
) -> Iterator[Visit]:
    """Opens the dashboard where the microphone hears sentences, and silences in seconds."""

    def start(*parts: str | float) -> CallPage:
        write_recording(tmp_path / "caller.wav", voice, *parts)
        return opened(launch(*with_microphone(tmp_path / "caller.wav")))

    with visits(dashboard) as opened:
        yield start
