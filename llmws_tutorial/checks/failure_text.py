"""A finding as the text of a failed test: enough to mend the server by."""

from llmws_tutorial.checks.excerpt import excerpt
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.report import GRADES, LOOK
from llmws_tutorial.simulator.printable import shortened, visible


def failure_text(finding: Finding, again: str = "") -> str:
    """Say in full what was expected, got and seen, why it matters, and what to do.

    Args:
        finding: what a check found.
        again: the command that repeats the check.
    """
    case = finding.case
    seen = [f"  {'>' if is_it else ' '} {text}" for is_it, text in excerpt(finding)]
    lines = [
        summary(finding),
        "",
        f"required  {case.requirement} [{case.source}: {GRADES[case.grade]}]",
        f"why       {case.why}",
        *(["", *seen, ""] if seen else []),
        *([f"look      {LOOK}"] if finding.lost_its_line else []),
        f"fix       {case.fix}",
        f"example   llmws explain {case.id}",
    ]
    return "\n".join([*lines, f"again     {again}"] if again else lines)


def summary(finding: Finding) -> str:
    """Say in one line what was expected and got."""
    ruling = finding.ruling
    return visible(f"expected {shortened(ruling.expected)}, got {shortened(ruling.got)}")
