"""What was seen around the event that a ruling is about, and no more.

It stays on the call of that event, unless what one call does to another is the matter, and always
has the frame that provoked it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from llmws_tutorial.checks.exchange import Event, Missed, Sent
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.simulator.printable import visible

BEFORE: Final = 6
"""How many events are shown before the one that a ruling is about."""
AFTER: Final = 1
"""How many are shown after it."""
_ACROSS: Final = ("calls", "endings")
"""The topics in which calls concern one another."""
MANY: Final = (200, 50)
"""The same where there is room: a flood has none."""


def excerpt(finding: Finding, before: int = BEFORE, after: int = AFTER) -> list[tuple[bool, str]]:
    """What was seen around the event that a ruling is about, on its call.

    If it is about something missing, that is the wait for it; without one, the end of everything.
    The last frame that was sent before it is there however far back it is. Heartbeats are left out
    where they are not what the check is about.

    Returns:
        One line an event, each with whether it is that event.
    """
    everything = finding.exchange.events if finding.exchange else []
    missed = (event for event in everything if isinstance(event, Missed))
    at = finding.ruling.at or next(missed, None)
    events = [event for event in everything if _belongs(event, at, finding)]
    place = next((number for number, event in enumerate(events) if event is at), len(events))
    first = max(0, place - before)
    of_several = len({event.line for event in everything}) > 1
    return [
        *((False, text) for text in _provoking(events[:place], first, of_several=of_several)),
        *(
            (event is at, _told(event, of_several=of_several))
            for event in events[first : place + after + 1]
        ),
    ]


def _belongs(event: Event, at: Event | None, finding: Finding) -> bool:
    """Whether an event is on the call that matters, and no heartbeat that does not."""
    if event is at:
        return True
    if event.is_heartbeat and finding.case.topic != "keepalive":
        return False
    return at is None or event.line == at.line or finding.case.topic in _ACROSS


def _provoking(events: Sequence[Event], first: int, *, of_several: bool) -> Iterator[str]:
    """The last frame sent among events, if it comes before the first that is shown anyway."""
    sent = [number for number, event in enumerate(events) if isinstance(event, Sent)]
    if sent and sent[-1] < first:
        yield _told(events[sent[-1]], of_several=of_several)
        if (left_out := first - sent[-1] - 1) > 0:
            yield f"... {left_out} more"


def _told(event: Event, *, of_several: bool) -> str:
    line = f"[{event.line}] " if of_several else ""
    return f"{event.at_s:.2f} s {line}{visible(str(event))}"
