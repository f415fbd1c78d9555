"""Two calls on disk, one beside the other: what differs, and turn by turn."""

from itertools import zip_longest
from typing import Final

from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.simulator.comparison import Meaning, compare

PATIENCE_S: Final = 5.0
"""How long an answer must have stood still to count as one without an end."""


def compared(shelf: Shelf, first: str, second: str) -> Event:
    """What the server did otherwise in the second of two calls, by what it meant.

    Beside that stand the turns of both, the first with the first; a call that nobody ended, because
    the process was killed, has frames but no turns.

    Raises:
        SetupError: when there is no such call, or it cannot be read.
    """
    calls = [shelf.recorded(call_id) for call_id in (first, second)]
    ends = [call.ended.at_s if call.ended else 0.0 for call in calls]
    meanings = [Meaning(call.events, end_s) for call, end_s in zip(calls, ends, strict=True)]
    differences = compare(*meanings, patience_s=PATIENCE_S, is_whole=calls[0].is_whole)
    return {
        "type": "compared",
        "first": first,
        "second": second,
        "differences": [
            {"where": one.where, "first": one.recorded, "second": one.now} for one in differences
        ],
        "turns": [
            {"first": one, "second": other}
            for one, other in zip_longest(*(_turns(shelf.read(call)) for call in (first, second)))
        ],
    }


def _turns(opened: Event) -> list[Event]:
    """The agent's turns of a call, each with what the caller had said before it."""
    turns = []
    said = ""
    for item in opened["items"]:
        if item["role"] == "user":
            said = item["sent"]
        else:
            names = ("kind", "id", "sent", "first_sentence_ms")
            turns.append({"said": said, **{name: item[name] for name in names}})
            said = ""
    return turns
