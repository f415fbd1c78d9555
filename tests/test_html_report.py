"""The page of a run: everything on it, and nothing that a browser would obey."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from llmws_tutorial.checks import Finding
from llmws_tutorial.checks.case import failed
from llmws_tutorial.checks.exchange import Got
from llmws_tutorial.checks.html_report import as_html
from llmws_tutorial.checks.report import Report
from tests.found import (
    ABSENT,
    EVERYTHING,
    FAILURE,
    FINE,
    LENIENT,
    LOST,
    UNSEEN,
    URL,
    WRONG,
    finding,
)

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x00\ud800&lt;w"


class Page(HTMLParser):
    """What a browser would see: the tags, the attributes, the text of each tag."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__()
        self.tags = [""]
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self.source = as_html(Report(url=URL, findings=findings, took_s=1))
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.tags[-1], []).append(data)

    @property
    def text(self) -> str:
        return " ".join(text for texts in self.texts.values() for text in texts)


def test_what_is_to_be_mended_comes_first() -> None:
    page = Page(*EVERYTHING)
    assert page.texts["h2"] == ["Failed (2)", "Not strict (1)", "Not seen (1)", "Ok (1)"]
    assert page.tags.count("details") == 3
    assert "Begin with the first: it may be the cause of others." in page.texts["p"]


def test_a_failure_has_its_frame_marked_its_fix_and_its_command() -> None:
    page = Page(FAILURE)
    assert page.texts["mark"] == [f"> 0.03 s {WRONG}"]
    assert FAILURE.case.fix in page.texts["span"]
    assert f"llmws check {URL} turns/1" in page.texts["code"]
    assert "Begin with" not in page.text


def test_what_several_lost_lines_have_in_common_stands_above_the_findings() -> None:
    page = Page(LOST, LOST, LOST)
    assert page.texts["p"][1].startswith("3 checks lost the line in mid-call: ")
    assert page.texts["dt"].count("Where to look") == 3
    assert "Where to look" not in Page(FAILURE).text


def test_what_was_not_seen_says_what_it_takes() -> None:
    assert ": needs a tool" in Page(UNSEEN).texts["span"]


def test_a_finding_without_any_event_has_no_frames() -> None:
    assert "pre" not in Page(LENIENT).tags


def test_a_server_that_is_not_there_is_one_line() -> None:
    page = Page(ABSENT, ABSENT)
    assert "No check could be tried: nothing answers" in page.texts["p"]
    assert "h2" not in page.tags


def test_the_page_allows_nothing_but_its_own_style() -> None:
    page = Page(FINE)
    [style] = re.findall(r"<style>(.*?)</style>", page.source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page.source
    assert "://" not in page.source.replace(URL, "")


def test_whatever_a_server_sends_stays_text() -> None:
    frame = Got(at_s=0, data=HOSTILE)
    page = Page(finding(failed(HOSTILE, HOSTILE * 100_000, frame), frame))
    assert not {"script", "img"} & {*page.tags}
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "<script>alert(1)</script>" in page.texts["mark"][0]
    assert r"\u202e\x00\ud800" in page.texts["mark"][0]
    assert len(page.source) < 20_000
    assert page.source.encode()
