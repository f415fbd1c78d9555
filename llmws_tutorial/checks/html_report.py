"""The findings as one page: without scripts, without anything from elsewhere.

The page is built as a tree, so that a text can never become a tag.
"""

import base64
import hashlib
from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from llmws_tutorial.checks.case import Verdict
from llmws_tutorial.checks.excerpt import MANY, excerpt
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.report import Report
from llmws_tutorial.simulator.printable import shortened, visible

SIGNS: Final = {
    Verdict.FAILED: "\N{MULTIPLICATION X}",
    Verdict.NOT_STRICT: "~",
    Verdict.NOT_SEEN: "\N{EN DASH}",
    Verdict.OK: "\N{CHECK MARK}",
}
"""The sign of each verdict, the worst first; its word stands beside them."""
_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --dim: #57606a; --line: #d0d7de;
  --code: #f6f8fa; --failed: #b3151f; --not-strict: #7d4e00; --not-seen: #0a558c; --ok: #116329; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --dim: #9da7b3;
  --line: #3d444d; --code: #161b22; --failed: #ff8080; --not-strict: #e3b341; --not-seen: #79c0ff;
  --ok: #56d364; } }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
code, pre { font: .875rem/1.5 ui-monospace, monospace; }
pre { margin: 0; padding: .5rem; background: var(--code); white-space: pre-wrap; }
pre > * { display: block; padding-left: 4ch; text-indent: -4ch; }
mark { background: none; color: var(--failed); font-weight: bold; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .5rem; }
summary { cursor: pointer; } summary:focus-visible { outline: 2px solid var(--not-seen); }
dt { color: var(--dim); margin-top: .5rem; } dd { margin: 0; }
ul { padding-left: 1.2rem; }
.verdict { font-weight: bold; white-space: nowrap; }
.failed { color: var(--failed); } .not-strict { color: var(--not-strict); }
.not-seen { color: var(--not-seen); } .ok { color: var(--ok); }
@media print { :root { color-scheme: light; } details { break-inside: avoid; } }
"""
_LABELS: Final = {
    "required": "Required",
    "expected": "Expected",
    "got": "Got",
    "why": "Why it matters",
    "look": "Where to look",
    "fix": "What to change",
    "example": "Right and wrong code",
    "repeat": "Repeat this check",
}
_COMMANDS: Final = ("example", "repeat")


def as_html(report: Report) -> str:
    """The findings as one self-contained page, what is to be mended first."""
    page = Element("html", lang="en")
    page.append(_head(report))
    body = SubElement(page, "body")
    main = SubElement(body, "main")
    _add(main, "h1", f"Checks of {report.shown_url}")
    _add(main, "p", f"{report.summary}; profile {report.profile.value}.")
    if report.absence is not None:
        _add(main, "p", f"No check could be tried: {report.absence}", "failed")
        return _written(page)
    if report.hint is not None:
        _add(main, "p", report.hint)
    if len(report.of(Verdict.FAILED)) > 1:
        _add(main, "p", "Begin with the first: it may be the cause of others.")
    for verdict in SIGNS:
        findings = report.of(verdict)
        if findings:
            _add(main, "h2", f"{verdict.value.capitalize()} ({len(findings)})")
            if verdict in (Verdict.FAILED, Verdict.NOT_STRICT):
                _add_in_full(main, report, findings)
            else:
                _add_in_lines(main, findings)
    return _written(page)


def _head(report: Report) -> Element:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = Element("head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "title", f"Checks of {report.shown_url}")
    _add(head, "style", _STYLE)
    return head


def _add_in_full(parent: Element, report: Report, findings: Iterable[Finding]) -> None:
    for finding in findings:
        details = SubElement(parent, "details", id=finding.case.id.replace("/", "-"), open="")
        summary = SubElement(details, "summary")
        _add_verdict(summary, finding.verdict, f" {finding.case.id} {finding.case.title}")
        if finding.verdict is Verdict.FAILED:
            _add(summary, "span", f" ({finding.case.severity.value})")
        facts = SubElement(details, "dl")
        for label, text in report.rows(finding):
            if label in _LABELS:
                _add(facts, "dt", _LABELS[label])
                _add(SubElement(facts, "dd"), "code" if label in _COMMANDS else "span", text)
        _add_exchange(details, finding)


def _add_exchange(parent: Element, finding: Finding) -> None:
    """Add all that was seen on the call, with the event marked that the ruling is about."""
    told = excerpt(finding, *MANY)
    if not told:
        return
    _add(parent, "p", "What was seen (-> to the server, <- from the server):")
    frames = SubElement(parent, "pre", dir="ltr")
    for is_it, text in told:
        _add(frames, "mark" if is_it else "span", f"{'>' * is_it:1} {text}")


def _add_in_lines(parent: Element, findings: Iterable[Finding]) -> None:
    items = SubElement(parent, "ul")
    for finding in findings:
        item = SubElement(items, "li")
        _add_verdict(item, finding.verdict, f" {finding.case.id} {finding.case.title}")
        if finding.verdict is Verdict.NOT_SEEN:
            _add(item, "span", f": needs {visible(shortened(finding.ruling.expected))}")


def _add_verdict(parent: Element, verdict: Verdict, text: str) -> None:
    name = verdict.value.replace(" ", "-")
    _add(parent, "span", f"{SIGNS[verdict]} {verdict.value}", f"verdict {name}").tail = text


def _add(parent: Element, tag: str, text: str, name: str = "") -> Element:
    element = SubElement(parent, tag, {"class": name} if name else {})
    element.text = text
    return element


def _written(page: Element) -> str:
    return f"<!doctype html>\n{tostring(page, encoding='unicode', method='html')}\n"
