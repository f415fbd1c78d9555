"""The page as its user knows it: by names and roles, as a screen reader tells them."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

PANELS: Final = (
    "Wire",
    "Latency",
    "Conformance",
    "Scenarios",
    "Faults",
    "Server",
    "History",
    "Lesson",
)
"""The panels behind tabs, in order."""


class CallPage:
    """One page of the dashboard that is open in a browser.

    Attributes:
        page: the browser's page.
        complaints: what the browser complained of: errors, refused content, foreign requests.
    """

    def __init__(self, page: Page, root: str) -> None:
        """Watch a page that is not open yet.

        Args:
            page: the browser's page.
            root: the only place where it may look for anything.
        """
        self.page = page
        self.complaints: list[str] = []
        self._host = _host(root)
        page.on("pageerror", lambda error: self.complaints.append(f"raised {error}"))
        page.on("console", self._listen)
        page.on("request", lambda asked: self._look(asked.url))
        page.on("websocket", lambda made: self._look(made.url))

    def _listen(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(f"logged {said.text} ({said.location['url']})")

    def _look(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")) and _host(url) != self._host:
            self.complaints.append(f"asked {url}")

    def forgive(self, pattern: str) -> None:
        """Forget the complaints in which a regular expression is found."""
        self.complaints[:] = [one for one in self.complaints if not re.search(pattern, one)]

    @property
    def call_button(self) -> Locator:
        """Places the call."""
        return self.page.get_by_role("button", name="Make a web call")

    @property
    def hang_up_button(self) -> Locator:
        """Ends the call."""
        return self.page.get_by_role("button", name="Hang up")

    @property
    def conversation(self) -> Locator:
        """Everything that was said."""
        return self.page.locator("llmws-conversation")

    @property
    def log(self) -> Locator:
        """What a screen reader reads of it by itself."""
        return self.page.get_by_role("log", name="Conversation")

    @property
    def frames(self) -> Locator:
        """The list of frames."""
        return self.page.get_by_label("Frames", exact=True)

    def open(self, address: str) -> None:
        """Go to an address of the dashboard."""
        self.page.goto(address)

    def call(self, url: str) -> None:
        """Call a server with a click."""
        self.page.get_by_role("textbox", name="Server URL").fill(url)
        self.call_button.click()
        expect(self.hang_up_button).to_be_visible()

    def say(self, text: str) -> None:
        """Say something by typing it."""
        self.page.get_by_role("textbox", name="Say something").fill(text)
        self.page.get_by_role("button", name="Say", exact=True).click()

    def hang_up(self) -> None:
        """End the call with a click, and wait until it is over."""
        self.hang_up_button.click()
        expect(self.call_button).to_be_enabled()

    def show(self, panel: str) -> Locator:
        """Open a panel."""
        self.page.get_by_role("tab", name=panel).click()
        return self.panel(panel)

    def panel(self, name: str) -> Locator:
        """A panel behind a tab."""
        return self.page.locator(f"llmws-{name.lower()}")

    def knows(self, expression: str) -> Any:
        """Ask the page's store, of which `expression` is a part: ``store.isCalling``."""
        return self.page.evaluate(
            f"import(new URL('app.js', document.baseURI)).then(({{ store }}) => {expression})"
        )

    def note(self, *types: str) -> None:
        """Take down events of these types from now on, for `noted`."""
        self.page.evaluate(
            """async (types) => {
              const { store } = await import(new URL("app.js", document.baseURI));
              window.noted ??= [];
              for (const type of types) {
                const now = () => performance.timeOrigin + performance.now();
                store.on(type, (event) => window.noted.push([type, now(), event]));
              }
            }""",
            types,
        )

    def noted(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        """The events of a type that were taken down: when (milliseconds since 1970), and what."""
        noted: list[tuple[str, float, dict[str, Any]]] = self.page.evaluate("window.noted")
        return [(at_ms, event) for name, at_ms, event in noted if name == kind]

    def until(self, expression: str, *, timeout_s: float = 60) -> None:
        """Wait until something about the page's store is true."""
        self.page.evaluate(
            f"""async (timeoutMs) => {{
              const {{ store }} = await import(new URL("app.js", document.baseURI));
              const endMs = performance.now() + timeoutMs;
              while (!({expression})) {{
                if (performance.now() > endMs) throw new Error({expression!r} + " never came");
                await new Promise((done) => setTimeout(done, 10));
              }}
            }}""",
            timeout_s * 1000,
        )


def _host(url: str) -> str:
    return urlsplit(url).netloc
