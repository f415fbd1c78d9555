"""What the checks say about a server: in words, as JSON, as JUnit, for GitHub.

Everything that the server sent is cut to a length that can be read, and what a terminal or a
browser would obey is shown by its code: a report can be printed as it is.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

from llmws_tutorial.checks.case import Case, Grade, Need, Profile, Severity, Verdict
from llmws_tutorial.checks.excerpt import MANY, excerpt
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.simulator.endings import ABNORMAL
from llmws_tutorial.simulator.printable import fit_for_xml, shortened, visible

GRADES: Final = {
    Grade.REFERENCE: "the platform's reference says so",
    Grade.SDK: "read in the platform's SDK or demo source",
    Grade.FIELD: "from practitioners' accounts",
    Grade.KIT: "this kit's own choice, documented nowhere else",
}
"""How well founded a requirement is, in words."""
LOOK: Final = "in your server's log: the handler of this call ended, as a rule by an exception"
"""Where to look when the server dropped the line of a failed check."""
_SEVERAL: Final = 3
"""From how many lost lines on they are one matter, told before the findings."""
_COSTS: Final = {
    Severity.ERROR: ("breaks the call", "break the call"),
    Severity.WARNING: ("hurts the call", "hurt the call"),
    Severity.ADVICE: ("could be better", "could be better"),
}
_CODE: Final = f" ({ABNORMAL})"
"""How an end without a close frame is marked: once, where its event is shown as well."""
_LOST_LINES: Final = (
    "checks lost the line in mid-call: an exception that left the handler, as a rule. "
    "Read your server's log first."
)
_ASK_FOR_MODEL: Final = " Does it reach its model? --llm PORT serves one."
_USER: Final = re.compile(r"//[^/?#]*@")


@dataclass(frozen=True, kw_only=True)
class Report:
    """The findings of one run, and how they count.

    Attributes:
        url: where the server's calls live.
        findings: one a check, in the order of the catalogue.
        profile: the form of the protocol that the server was held to.
        took_s: how long the run took (seconds).
        fail_on: the least severity of what failed that makes the run a failure.
        strict: whether what is not strict does so as well, whatever its severity.
        options: what else the command was given; part of the command that repeats a check.
        webhook: the URL of the webhook, if it is checked as well.
        wanted: how many checks were to be run.
    """

    url: str
    findings: tuple[Finding, ...] = ()
    profile: Profile = Profile.CURRENT
    took_s: float = 0.0
    fail_on: Severity = Severity.ERROR
    strict: bool = False
    options: tuple[str, ...] = ()
    webhook: str | None = None
    wanted: int = 0

    @property
    def shown_url(self) -> str:
        """The URL without a user's name and password."""
        return _without_user(self.url)

    def of(self, *verdicts: Verdict) -> list[Finding]:
        """The findings with one of these verdicts, in the order of the lessons."""
        found = [finding for finding in self.findings if finding.verdict in verdicts]
        return sorted(found, key=lambda finding: finding.case.step)

    def counts(self, finding: Finding) -> bool:
        """Whether a finding makes the run a failure."""
        return finding.fails(self.fail_on, strict=self.strict)

    @property
    def is_fine(self) -> bool:
        """Whether every check that was wanted was tried, and none makes the run a failure."""
        is_whole = not self.was_stopped and self.absence is None
        return is_whole and not any(map(self.counts, self.findings))

    @property
    def absence(self) -> str | None:
        """Why no check could be tried; None when the server was there."""
        untried = [one for one in self.of(Verdict.FAILED) if not one.took_s]
        if not untried or len(untried) < len(self.findings):
            return None
        return visible(shortened(untried[0].ruling.got))

    @property
    def hint(self) -> str | None:
        """What to look at before any finding; None when there is no such thing."""
        lost = sum(finding.lost_its_line for finding in self.findings)
        if lost < _SEVERAL:
            return None
        return f"{lost} {_LOST_LINES}{'' if '--llm' in self.options else _ASK_FOR_MODEL}"

    @property
    def summary(self) -> str:
        """How many checks ended how, in one line."""
        numbers = {verdict: len(self.of(verdict)) for verdict in Verdict}
        parts = [
            f"{number} {verdict.value}{self._costs(verdict)}"
            for verdict, number in numbers.items()
            if number or verdict is Verdict.OK
        ]
        if self.was_stopped:
            parts.append(f"{self.not_run} not run")
        return f"{', '.join(parts)} in {self.took_s:.1f} s"

    def _costs(self, verdict: Verdict) -> str:
        if verdict is Verdict.NOT_STRICT and self.strict:
            return " (counts)"
        if verdict is not Verdict.FAILED:
            return ""
        failed = [finding.case.severity for finding in self.of(Verdict.FAILED)]
        numbers = {severity: failed.count(severity) for severity in Severity}
        costs = [f"{n} {_COSTS[severity][n > 1]}" for severity, n in numbers.items() if n]
        return f" ({', '.join(costs)})"

    @property
    def was_stopped(self) -> bool:
        """Whether some of the checks were not run any more."""
        return self.not_run > 0

    @property
    def not_run(self) -> int:
        """How many of the checks were not run any more."""
        return max(0, self.wanted - len(self.findings))

    def command(self, case: Case) -> str:
        """The command that runs one check again, quoted for a shell."""
        words = ["llmws", "check", self.shown_url, case.id]
        words += [] if self.profile is Profile.CURRENT else ["--profile", self.profile.value]
        words += ["--strict"] if self.strict else []
        if self.webhook and Need.WEBHOOK in case.needs:
            words += ["--webhook", _without_user(self.webhook), "--webhook-key", "..."]
        return shlex.join([*words, *self.options])

    def rows(self, finding: Finding) -> list[tuple[str, str]]:
        """Everything that people need to mend a server by a finding; label and text."""
        return rows(finding, self.command(finding.case))


def rows(finding: Finding, repeat: str = "") -> list[tuple[str, str]]:
    """Everything that people need to mend a server by a finding; label and text.

    Args:
        finding: the finding.
        repeat: the command that runs its check again; empty: nothing is said of one.
    """
    case, ruling = finding.case, finding.ruling
    told = excerpt(finding)
    is_shown = any(_CODE in text for _, text in told)
    got = ruling.got.removesuffix(_CODE) if is_shown else ruling.got
    labelled = [
        ("required", f"{case.requirement} [{case.source}: {GRADES[case.grade]}]"),
        ("expected", visible(shortened(ruling.expected))),
        ("got", visible(shortened(got))),
        *(("seen", f"{'>' * is_it:1} {text}") for is_it, text in told),
        ("why", case.why),
        ("look", LOOK if finding.lost_its_line else ""),
        ("fix", case.fix),
        ("example", f"llmws explain {case.id}"),
        ("repeat", repeat),
    ]
    return [(label, text) for label, text in labelled if text]


def tabulated(labelled: Iterable[tuple[str, str]]) -> list[str]:
    """Rows as lines of plain text, a label that goes on said once."""
    lines = []
    previous = ""
    for label, text in labelled:
        lines.append(f"  {label if label != previous else '':9} {text}")
        previous = label
    return lines


def as_text(report: Report, finding: Finding) -> str:
    """A finding in full, in plain text."""
    return "\n".join([heading(finding), *tabulated(report.rows(finding))])


def heading(finding: Finding) -> str:
    """A finding in one line: which check, its verdict, what that costs."""
    case = finding.case
    cost = f" ({case.severity.value})" if finding.verdict is Verdict.FAILED else ""
    return f"{case.id} {finding.verdict.value}{cost}: {case.title}"


def as_data(report: Report) -> dict[str, Any]:
    """Everything as data that JSON can hold."""
    return {
        "url": report.shown_url,
        "profile": report.profile.value,
        "passed": report.is_fine,
        "absence": report.absence,
        "hint": report.hint,
        "summary": {
            **{verdict.name.lower(): len(report.of(verdict)) for verdict in Verdict},
            "not_run": report.not_run,
            "took_s": round(report.took_s, 3),
        },
        "findings": [_finding_as_data(report, finding) for finding in report.findings],
    }


def as_junit(report: Report) -> str:
    """One test case a check, in the XML that CI systems read.

    What failed and does not count for the run is told as output of a case that passed.
    """
    suite = Element(
        "testsuite",
        name="llmws check",
        tests=str(len(report.findings)),
        failures=str(sum(map(report.counts, report.findings))),
        errors="0",
        skipped=str(len(report.of(Verdict.NOT_SEEN))),
        time=f"{report.took_s:.3f}",
    )
    for finding in report.findings:
        case = SubElement(
            suite,
            "testcase",
            classname=f"llmws.{finding.case.topic}",
            name=f"{finding.case.id} {finding.case.title}",
            time=f"{finding.took_s:.3f}",
        )
        _add_verdict(case, report, finding)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def as_github(report: Report) -> list[str]:
    """One annotation a finding that is not ok, the worst first.

    An error makes the run a failure, a warning failed without doing so, a notice is not strict.
    """
    if report.absence is not None:
        text = f"at {report.shown_url}: {report.absence}"
        return [f"::error title=no check could be tried::{_escaped(text)}"]
    found = report.of(Verdict.FAILED, Verdict.NOT_STRICT)
    return [_annotation(report, one) for one in sorted(found, key=lambda one: _rank(report, one))]


def _rank(report: Report, finding: Finding) -> tuple[bool, bool, int]:
    is_milder = finding.verdict is not Verdict.FAILED
    return not report.counts(finding), is_milder, finding.case.severity.rank


def _annotation(report: Report, finding: Finding) -> str:
    level = "warning" if finding.verdict is Verdict.FAILED else "notice"
    level = "error" if report.counts(finding) else level
    title = f"{finding.case.id}: {finding.case.title}"
    text = "\n".join(f"{label}: {text}" for label, text in report.rows(finding))
    return f"::{level} title={_escaped(title, ':,')}::{_escaped(text)}"


def _escaped(text: str, further: Iterable[str] = ()) -> str:
    """The text as GitHub's runner reads it back; what would end a property only in one."""
    for sign in ("%", "\r", "\n", *further):
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def _add_verdict(case: Element, report: Report, finding: Finding) -> None:
    message = fit_for_xml(visible(shortened(str(finding.ruling))))
    text = fit_for_xml(as_text(report, finding))
    if finding.verdict is Verdict.NOT_SEEN:
        SubElement(case, "skipped", message=message)
    elif report.counts(finding):
        kind = finding.case.severity.value
        SubElement(case, "failure", message=message, type=kind).text = text
    elif finding.verdict is not Verdict.OK:
        SubElement(case, "system-out").text = text


def _finding_as_data(report: Report, finding: Finding) -> dict[str, Any]:
    case, ruling = finding.case, finding.ruling
    data: dict[str, Any] = {
        "id": case.id,
        "title": case.title,
        "verdict": finding.verdict.value,
        "severity": case.severity.value,
        "counts": report.counts(finding),
        "requirement": case.requirement,
        "source": case.source,
        "grade": case.grade.value,
        "took_s": round(finding.took_s, 3),
    }
    if finding.verdict is not Verdict.OK:
        data |= {
            "expected": ruling.expected,
            "got": ruling.got,
            "frame": None if ruling.at is None else str(ruling.at),
            "why": case.why,
            "fix": case.fix,
            "repeat": report.command(case),
            "exchange": [text for _, text in excerpt(finding, *MANY)],
        }
    return data


def _without_user(url: str) -> str:
    return visible(_USER.sub("//...@", url, count=1))
