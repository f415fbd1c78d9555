"""A finding as the text of a failed test: enough to mend the server by."""

from typing import Final

from llmws_tutorial.checks.exchange import Event
from llmws_tutorial.checks.finding import Finding

_BEFORE: Final = 8
"""How many events are shown before the one that decided."""
_AFTER: Final = 2


def failure_text(finding: Finding, again: str = "") -> str:
    """Say in full what was expected, got and seen, why it matters, and what to do.

    Args:
        finding: what a check found.
        again: the command that repeats the check.
    """
    case = finding.case
    lines = [
        summary(finding),
        "",
        f"required  {case.requirement} [{case.source}]",
        f"why       {case.why}",
        *_seen(finding),
        f"fix       {case.fix}",
    ]
    if again:
        lines.append(f"again     {again}")
    return "\n".join(lines)


def summary(finding: Finding) -> str:
    """Say in one line what was expected and got."""
    ruling = finding.ruling
    return _visible(f"expected {ruling.expected}, got {ruling.got}")


def _seen(finding: Finding) -> list[str]:
    """The events around the one that decided, or the last ones."""
    events = finding.exchange.events if finding.exchange else []
    at = finding.ruling.at
    last = events.index(at) if at in events else len(events) - 1
    shown = events[max(0, last - _BEFORE) : last + _AFTER + 1]
    return ["", *(_line(event, event is at) for event in shown), ""]


def _line(event: Event, is_it: bool) -> str:
    return f"  {'>' if is_it else ' '} {event.at_s:7.3f} s  {event.line}  {_visible(str(event))}"


def _visible(text: str) -> str:
    """What a stranger sent, harmless to a terminal: what it would obey is shown by its code."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
