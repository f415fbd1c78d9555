"""A dashboard that is served by this process, and pages of it that are watched."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser

from llmws_tutorial.dashboard.access import Access
from llmws_tutorial.dashboard.app import create_dashboard
from llmws_tutorial.dashboard.desk import Desk
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.sound import Sound
from llmws_tutorial.notebook.runtime import Server, serve
from tests.browser.call_page import CallPage
from tests.browser.sound import TAP, tapped

PATIENCE_MS: Final = 60_000
"""How long anything on a page may take."""
Visit = Callable[..., CallPage]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that is being served.

    Attributes:
        server: its server.
        access: its locks.
    """

    server: Server
    access: Access

    @property
    def address(self) -> str:
        """The address that its user is told."""
        return f"{self.server.url}#{self.access.token}"


@contextlib.contextmanager
def served(calls: Path, sound: Sound | None = None) -> Iterator[Dashboard]:
    """Serve a dashboard that keeps its calls in a folder."""
    access = Access()
    app = tapped(create_dashboard(Desk(shelf=Shelf(calls), sound=sound), access))
    with serve(app, name="dashboard", show_log=False) as server:
        yield Dashboard(server, access)


@contextlib.contextmanager
def visits(dashboard: Dashboard) -> Iterator[Visit]:
    """Hand out a function that opens the dashboard in a browser; at the end all was well."""
    pages: list[CallPage] = []
    with contextlib.ExitStack() as contexts:

        def start(browser: Browser, *, at: str | None = None, **options: Any) -> CallPage:
            context = browser.new_context(**options)
            contexts.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            context.add_init_script(path=TAP)
            page = CallPage(context.new_page(), at or dashboard.server.url)
            pages.append(page)
            page.open(at or dashboard.address)
            return page

        yield start
        complaints = [complaint for page in pages for complaint in page.complaints]
        assert not complaints, complaints
