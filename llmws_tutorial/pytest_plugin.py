"""The pytest plugin: ``pytest --llmws-url URL`` makes a test of each check.

Every pytest run near this package loads this module. So it stands alone on its floor, holds hooks
only, and the checks are imported by a run that uses them.
"""

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from llmws_tutorial.checks.pytest_fixture import CheckServer

OPTIONS: Final = {
    "url": ("URL", "where the calls of the server under test live, without a call id"),
    "app": ("MODULE:APP", "instead of a URL: an ASGI app, called in this process without a port"),
    "path": ("PATH", "where the calls of the app live (/llm-websocket/)"),
    "profile": ("NAME", "the form of the protocol: current (unless told otherwise) or guide-2024"),
    "checks": ("IDS", "the checks to run, such as begin,turns/1 (all)"),
    "timeout": ("SECONDS", "how long to wait for something that must come (5)"),
    "fail-on": ("SEVERITY", "what a failed check must cost to fail its test: error or warning"),
    "llm": ("PORT", "where to serve the scripted model that the server asks (not at all)"),
    "webhook": ("URL", "where the server takes webhooks; of an app, the path"),
    "webhook-key": ("KEY", "the API key that signs webhooks"),
}
"""What can be said about a run: the value's name and its meaning; as options and as ini keys."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the options, and each as an ini key: ``llmws_fail_on``."""
    group = parser.getgroup("llmws", "checks of an LLM WebSocket server")
    for name, (value, meaning) in OPTIONS.items():
        group.addoption(f"--llmws-{name}", metavar=value, help=meaning)
        parser.addini(f"llmws_{name.replace('-', '_')}", meaning, default="")
    meaning = "let what could be better fail as well"
    group.addoption("--llmws-strict", action="store_true", default=None, help=meaning)
    parser.addini("llmws_strict", meaning, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Bring in the checks, if there is a server to check."""
    config.addinivalue_line("markers", "llmws: a check of an LLM WebSocket server")
    servers = ("llmws_url", "llmws_app")
    if any(config.getoption(name) or config.getini(name) for name in servers):
        from llmws_tutorial.checks.pytest_items import Plugin  # noqa: PLC0415 - see above

        config.pluginmanager.register(Plugin(config), "llmws-checks")


@pytest.fixture(scope="session")
def llmws_check() -> "CheckServer":
    """Check a server from a test of your own: ``llmws_check(app, "turns")``."""
    from llmws_tutorial.checks.pytest_fixture import CheckServer  # noqa: PLC0415 - see above

    return CheckServer()
