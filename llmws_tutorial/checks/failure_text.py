"""A finding as the text of a failed test: enough to mend the server by."""

from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.report import rows, tabulated
from llmws_tutorial.simulator.printable import shortened, visible


def failure_text(finding: Finding, repeat: str = "") -> str:
    """Say in one line what was wrong, then in full how to mend it.

    Args:
        finding: what a check found.
        repeat: the command that repeats the check.
    """
    return "\n".join([summary(finding), *tabulated(rows(finding, repeat))])


def summary(finding: Finding) -> str:
    """Say in one line what was expected and got."""
    ruling = finding.ruling
    return visible(f"expected {shortened(ruling.expected)}, got {shortened(ruling.got)}")
