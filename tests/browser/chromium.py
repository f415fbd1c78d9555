"""The browser of these tests: the Chromium of this machine, which calls nobody."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REBOUND: Final = "rebound.test"
"""A name of the internet that leads to this machine, as an attacker's would."""
ALONE: Final = (
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""No name is looked up, so whatever a page asked for elsewhere is an error on it."""
WITHOUT_CLICK: Final = "--autoplay-policy=no-user-gesture-required"
"""Lets a page play before anybody has clicked: as in a browser whose user has allowed it."""


def executable() -> str:
    """Where Chromium is: `LLMWS_CHROMIUM`, or the first that is found."""
    found = os.environ.get("LLMWS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise AssertionError(
            "no Chromium found: apt-get install chromium, or set LLMWS_CHROMIUM to its path"
        )
    return found


def with_microphone(recording: Path) -> tuple[str, ...]:
    """The options with which a recording is what the microphone hears, once, from its first use."""
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}%noloop",
    )


@contextlib.contextmanager
def launched(playwright: Playwright, *options: str) -> Iterator[Browser]:
    """A browser, until the block is left."""
    browser = playwright.chromium.launch(executable_path=executable(), args=[*ALONE, *options])
    try:
        yield browser
    finally:
        browser.close()
