"""What checks find, in a terminal: how far they are, and what is to be mended."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from llmws_tutorial.checks import Case, Finding, Verdict
from llmws_tutorial.checks.case import Need
from llmws_tutorial.checks.report import Report, heading
from llmws_tutorial.simulator.printable import shortened, visible

LOOKS: Final = {
    Verdict.OK: ("+", "green"),
    Verdict.NOT_STRICT: ("~", "yellow"),
    Verdict.FAILED: ("x", "bold red"),
    Verdict.NOT_SEEN: ("-", "cyan"),
}
"""The sign and the colour of each verdict; its word stands beside them."""
_LABEL: Final = 10
_VERDICT: Final = 12
_COMMANDS: Final = ("example", "repeat")


class Watching:
    """Shows how far a run is, and keeps what was found so far.

    Attributes:
        findings: what was found, by the id of the check.
    """

    def __init__(self, console: Console, total: int) -> None:
        self.findings: dict[str, Finding] = {}
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        self._progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._total = total
        self._task = self._progress.add_task(self._description)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def found(self, finding: Finding) -> None:
        """Take note of a finding."""
        self.findings[finding.case.id] = finding
        self._progress.update(self._task, description=self._description)

    @property
    def _description(self) -> str:
        failed = sum(finding.is_failure() for finding in self.findings.values())
        return f"{len(self.findings)} of {self._total} checks" + f", {failed} failed" * bool(failed)


def show_report(report: Report, console: Console) -> None:
    """Show all findings: at a glance, in full what is to be mended, the numbers."""
    if report.absence is not None:
        _show(console, f"no check could be tried at {report.shown_url}: {report.absence}")
        return
    _show(console, f"{report.shown_url}, profile {report.profile.value}\n", "bold")
    for verdict, text in _overview(report.findings):
        sign, style = LOOKS[verdict]
        _show_beside(console, Text(f"{sign} {verdict.value:{_VERDICT}}", style), Text(text))
    if report.hint is not None:
        _show(console, f"\n{report.hint}", "bold")
    for finding in report.of(Verdict.FAILED, Verdict.NOT_STRICT):
        _show_in_full(report, finding, console)
    if len(report.of(Verdict.FAILED)) > 1:
        _show(console, "\nBegin with the first: it may be the cause of others.")
    _show(console, f"\n{report.summary}", "bold")


def show_list(cases: Sequence[Case], console: Console) -> None:
    """Show which checks there are, one a line."""
    longest = max(len(case.id) for case in cases)
    for case in cases:
        profiles = "both" if len(case.profiles) > 1 else next(iter(case.profiles)).value
        needs = "".join(f"; --{need.name.lower()}" for need in case.needs)
        facts = f"({case.severity.value}; {profiles}{needs})"
        text = Text(f"{case.title} ").append(facts, "dim")
        _show_beside(console, Text(f"{case.id:{longest}} ", "bold"), text)


def cases_as_data(cases: Iterable[Case]) -> list[dict[str, object]]:
    """The same as data that JSON can hold."""
    return [
        {
            "id": case.id,
            "title": case.title,
            "severity": case.severity.value,
            "profiles": sorted(profile.value for profile in case.profiles),
            "needs": sorted(need.name.lower() for need in case.needs),
        }
        for case in cases
    ]


def _overview(findings: Iterable[Finding]) -> Iterator[tuple[Verdict, str]]:
    """What is alike in one line; at the end what an option would let be seen."""
    alike: dict[tuple[str, Verdict, str], list[Case]] = {}
    for finding in findings:
        alike.setdefault(_alike(finding), []).append(finding.case)
    for (_, verdict, text), cases in sorted(alike.items(), key=lambda item: not item[0][0]):
        yield verdict, f"{_names(cases)}: {text}" if text else _names(cases)


def _alike(finding: Finding) -> tuple[str, Verdict, str]:
    """What findings share that are told in one line: topic, verdict, text."""
    topic, expected = finding.case.topic, finding.ruling.expected
    if finding.verdict is Verdict.OK:
        return topic, finding.verdict, ""
    if finding.verdict is not Verdict.NOT_SEEN:
        return topic, finding.verdict, finding.case.title
    is_option = any(expected == need.value for need in Need)
    return "" if is_option else topic, finding.verdict, f"needs {visible(shortened(expected))}"


def _names(cases: Iterable[Case]) -> str:
    topics = groupby(cases, lambda case: case.topic)
    return ", ".join(
        f"{topic} {' '.join(map(str, sorted(case.number for case in own)))}"
        for topic, own in topics
    )


def _show_in_full(report: Report, finding: Finding, console: Console) -> None:
    sign, style = LOOKS[finding.verdict]
    _show(console, f"\n{sign} {heading(finding)}", style)
    previous = ""
    for label, text in report.rows(finding):
        name = Text(f"  {label if label != previous else '':{_LABEL}}", "dim")
        if label in _COMMANDS:  # to be copied, hence in one piece
            console.print(name.append(text, "not dim"), soft_wrap=True)
        else:
            _show_beside(console, name, Text(text, style if text.startswith("> ") else ""))
        previous = label


def _show(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), soft_wrap=not console.is_terminal)


def _show_beside(console: Console, name: Text, text: Text) -> None:
    """Show a text beside its name: at a terminal it goes on below itself, else in one line."""
    if console.is_terminal:
        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(name, text)
        console.print(grid)
    else:
        console.print(Text.assemble(name, text), soft_wrap=True)
