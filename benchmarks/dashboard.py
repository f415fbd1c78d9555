"""What the dashboard costs, and how soon one hears it: ``python -m benchmarks.dashboard``.

Measured in Chromium on this machine, on the page itself: sound is what goes to the loudspeaker.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Playwright, sync_playwright

from llmws_tutorial.dashboard.mouth import NeuralVoice
from llmws_tutorial.notebook.runtime import serve
from llmws_tutorial.steps import step3
from tests.browser.agents import stamper
from tests.browser.call_page import CallPage
from tests.browser.chromium import WITHOUT_CLICK, launched, with_microphone
from tests.browser.served import Dashboard, served, visits
from tests.browser.sound import played, write_recording
from tests.browser.test_many_frames import DELAYS, WATCH

ROUNDS: Final = 5
ROWS: Final = 10_000
COMING_S: Final = 10
"""How long frames come in, 200 a second, while pictures are counted."""
SILENT_S: Final = 1.0
CLICKED: Final = """() => {
  const now = () => performance.timeOrigin + performance.now();
  document.addEventListener("click", () => (window.clickedMs = now()), { capture: true });
}"""
OPENED: Final = """() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.openedMs = performance.timeOrigin + performance.now();
    return stream;
  };
}"""
PICTURES: Final = """(forMs) => new Promise((done) => {
  const times = [];
  const note = (at) => {
    times.push(at);
    if (at - times[0] < forMs) return requestAnimationFrame(note);
    const gaps = times.slice(1).map((time, index) => time - times[index]);
    done([gaps.length / ((at - times[0]) / 1000), Math.max(...gaps)]);
  };
  requestAnimationFrame(note);
})"""
MEMORY: Final = """
import os
from benchmarks.limits import memory_kib
from llmws_tutorial.dashboard.access import Access
from llmws_tutorial.dashboard.app import create_dashboard
from llmws_tutorial.dashboard.desk import Desk
from llmws_tutorial.dashboard.history import Shelf
create_dashboard(Desk(shelf=Shelf('.')), Access())
print(memory_kib(os.getpid()) // 1024)
from llmws_tutorial.dashboard.mouth import NeuralVoice
voice = NeuralVoice()
sound = voice.sound('I am sorry, can you say that again?')
print(memory_kib(os.getpid()) // 1024)
from llmws_tutorial.dashboard.ears import Recogniser
Recogniser().text(sound)
print(memory_kib(os.getpid()) // 1024)
"""


def report(playwright: Playwright, dashboard: Dashboard, folder: Path) -> Iterator[str]:
    """Measure everything; yields the lines of a Markdown table."""
    yield "| What | Seen |"
    yield "|---|--:|"
    with serve(step3.app, name="agent", show_log=False) as agent:
        yield from _soon(playwright, dashboard, agent.websocket_url)
        yield from _spoken(playwright, dashboard, agent.websocket_url, folder)
    yield from _frames(playwright, dashboard)
    yield from _memory()


def _soon(playwright: Playwright, dashboard: Dashboard, url: str) -> Iterator[str]:
    """From a click to sound, and from the caller's last typed word to the agent's first."""
    first_ms, answer_ms, bytes_of_page = [], [], 0
    with launched(playwright, WITHOUT_CLICK) as browser, visits(dashboard) as visit:
        for _ in range(ROUNDS):
            page = visit(browser)
            page.page.evaluate(CLICKED)
            page.note("item")
            page.call(url)
            page.until("store.live.status.is_callers_turn")
            first_ms.append(_next_sound(page, 0) - page.page.evaluate("clickedMs"))
            page.say("Are you open on Sunday?")
            page.until("store.live.items[2]?.is_over")
            said_ms = max(at for at, item in page.noted("item") if item["role"] == "user")
            answer_ms.append(_next_sound(page, said_ms) - said_ms)
            page.hang_up()
            bytes_of_page = page.page.evaluate(
                "performance.getEntries().reduce((sum, one) => sum + (one.decodedBodySize ?? 0), 0)"
            )
            page.page.close()
    yield f"| click to the agent's first sound | {_ms(first_ms)} |"
    yield f"| last word of the caller, typed, to the agent's first sound | {_ms(answer_ms)} |"
    yield f"| the page, all files, uncompressed | {bytes_of_page / 1000:.0f} kB |"


def _spoken(playwright: Playwright, dashboard: Dashboard, url: str, folder: Path) -> Iterator[str]:
    """From the end of the caller's voice to the agent's first sound."""
    recording, answer_ms = folder / "question.wav", []
    [end_s] = write_recording(recording, NeuralVoice(), SILENT_S, "Are you open on Sunday?", 20.0)
    options = [WITHOUT_CLICK, *with_microphone(recording)]
    with launched(playwright, *options) as browser, visits(dashboard) as visit:
        for _ in range(ROUNDS):
            page = visit(browser)
            page.page.evaluate(OPENED)
            page.call(url)
            page.until("store.live.status.is_callers_turn")
            page.page.get_by_role("button", name="Talk").click()
            page.until("store.live.items[2]?.is_over")
            said_ms = page.page.evaluate("openedMs") + 1000 * end_s
            answer_ms.append(_next_sound(page, said_ms) - said_ms)
            page.hang_up()
            page.page.close()
    yield f"| last sound of the caller, spoken, to the agent's first sound | {_ms(answer_ms)} |"


def _frames(playwright: Playwright, dashboard: Dashboard) -> Iterator[str]:
    """How soon a frame is on the page, and how fluid the page is with many of them."""
    with (
        launched(playwright, WITHOUT_CLICK) as browser,
        visits(dashboard) as visit,
        serve(stamper(100, per_s=20, is_spoken=True), name="stamper", show_log=False) as stamps,
        serve(
            stamper(ROWS + 200 * COMING_S, per_s=200, at_once=ROWS), name="flood", show_log=False
        ) as flood,
    ):
        page = visit(browser)
        page.show("Wire")
        page.page.evaluate(WATCH)
        page.call(stamps.websocket_url)
        page.until("store.live?.items[0]?.is_complete")
        delays_ms = sorted(page.page.evaluate(DELAYS))
        page.hang_up()
        yield f"| a frame from the server to the page, p50 | {median(delays_ms):.0f} ms |"
        yield f"| the same, p99 | {delays_ms[int(len(delays_ms) * 0.99)]:.0f} ms |"
        page.call(flood.websocket_url)
        page.until(f"store.live?.frames.length > {ROWS}", timeout_s=60)
        per_s, longest_ms = page.page.evaluate(PICTURES, 1000 * (COMING_S - 2))
        page.hang_up()
    yield f"| pictures a second, {ROWS:,} frames there, 200 a second coming | {per_s:.0f} |"
    yield f"| the longest time without a new picture meanwhile | {longest_ms:.0f} ms |"


def _memory() -> Iterator[str]:
    command = [sys.executable, "-c", MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    alone, with_voice, with_ears = map(int, done.stdout.split())
    yield f"| memory of the dashboard alone (PSS) | {alone} MB |"
    yield f"| with the kit's voice | {with_voice} MB |"
    yield f"| with voice and recognition | {with_ears} MB |"


def _next_sound(page: CallPage, after_ms: float) -> float:
    """When there was sound for the first time after a time (milliseconds since 1970)."""
    return next(start for start, _ in played(page.page).spans_ms if start > after_ms)


def _ms(several: list[float]) -> str:
    return f"{median(several):.0f} ms ({min(several):.0f}-{max(several):.0f})"


def main() -> None:
    """Measure all, and print it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        served(Path(folder) / "calls") as dashboard,
    ):
        for line in report(playwright, dashboard, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
