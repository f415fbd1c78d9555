"""Whether a call went as its scenario expects, and if not, what came."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from llmws_tutorial.simulator.caller import Begun
from llmws_tutorial.simulator.matching import is_found
from llmws_tutorial.simulator.record import CallRecord, Frame
from llmws_tutorial.simulator.scenario import Expect, Scenario
from llmws_tutorial.simulator.turn import Turn
from llmws_tutorial.simulator.wishes import ToolCall

_SHOWN: Final = 200


@dataclass(frozen=True)
class _Part:
    """What happened in a part of a call."""

    turns: Sequence[Turn] = field(default=())
    tool_calls: Sequence[ToolCall] = field(default=())
    dropped: Sequence[Frame] = field(default=())

    @property
    def heard(self) -> str:
        return " ".join(turn.heard.strip() for turn in self.turns if turn.heard.strip())


def judge(scenario: Scenario, record: CallRecord, begun: Sequence[Begun]) -> list[str]:
    """Say what was not as expected, in the order of the call.

    Args:
        scenario: what was to happen, with the call's own number filled in.
        record: what happened.
        begun: which steps were begun, and when.

    Returns:
        "step 2: expected ..., got ..." for each failure; empty when there is none.
    """
    wrongs = list(_unasked(scenario, record, begun))
    for number, step in enumerate(scenario.steps[: len(begun)], 1):
        if step.expect is not None:
            part = _part(record, begun, number)
            wrongs += [f"step {number}: {wrong}" for wrong in _wrongs(step.expect, part)]
    if scenario.expect is not None:
        whole = _Part(record.turns, record.tool_calls, record.dropped)
        wrongs += _wrongs(scenario.expect, whole)
        wrongs += _wrongs_at_the_end(scenario.expect, record)
    return wrongs


def _unasked(scenario: Scenario, record: CallRecord, begun: Sequence[Begun]) -> Iterator[str]:
    """What is wrong with any call, unless its scenario wants it so."""
    ends = scenario.expect.ends if scenario.expect else None
    reason = str(record.disconnection_reason)
    if ends is None and reason.startswith("error_"):
        yield f"expected no error, got {reason}: {_cause(record)}"
    wants_silence = any(part and part.silent for part in _expectations(scenario))
    if record.lapses and not wants_silence:
        yield f"expected an answer, got none: {record.lapses[0]} ({len(record.lapses)} times)"
    missed = scenario.steps[len(begun) :]
    if missed and (ends != reason or any(step.expect for step in missed)):
        yield f"expected step {len(begun) + 1} ({missed[0].action}), got the end: {reason}"


def _cause(record: CallRecord) -> str:
    """What happened right before the call ended."""
    lines = [line.text for line in record.log]
    return lines[lines.index(f"the call ended: {record.disconnection_reason}") - 1]


def _expectations(scenario: Scenario) -> Iterator[Expect | None]:
    yield scenario.expect
    yield from (step.expect for step in scenario.caller)


def _part(record: CallRecord, begun: Sequence[Begun], number: int) -> _Part:
    """What happened from one step to the next."""
    start = begun[number - 1]
    later = begun[number : number + 1]
    end_s = later[0].at_s if later else float("inf")
    return _Part(
        record.turns[start.turns : later[0].turns if later else None],
        [call for call in record.tool_calls if start.at_s <= call.called_at_s < end_s],
        [frame for frame in record.dropped if start.at_s <= frame.at_s < end_s],
    )


def _wrongs(expect: Expect, part: _Part) -> Iterator[str]:
    heard, got = _plain(part.heard), _shown(part.heard)
    for text in expect.said:
        if _plain(text) not in heard:
            yield f"expected {text!r} to be said, got {got}"
    for text in expect.not_said:
        if _plain(text) in heard:
            yield f"expected {text!r} not to be said, got {got}"
    for pattern in expect.matches:
        yield from _mismatches(pattern, part.heard)
    if expect.silent is not None and expect.silent != (not part.heard):
        yield f"expected {'silence' if expect.silent else 'something to be said'}, got {got}"
    if expect.first_sentence_within_ms is not None:
        yield from _too_slow(part.turns, expect.first_sentence_within_ms)
    if expect.tool is not None and not _is_called(expect, part.tool_calls):
        wanted = f"{expect.tool.name} to be called with {expect.tool.arguments}"
        called = ", ".join(f"{call.name}({call.arguments})" for call in part.tool_calls)
        yield f"expected {wanted}, got {called or 'no tool call'}"
    if expect.drops is not None and len(part.dropped) > expect.drops:
        reasons = "; ".join(sorted({str(frame.dropped) for frame in part.dropped}))
        yield f"expected at most {expect.drops} dropped frames, got {len(part.dropped)}: {reasons}"


def _mismatches(pattern: str, heard: str) -> Iterator[str]:
    wanted, got = f"expected something that matches {pattern!r}", _shown(heard)
    try:
        if not is_found(pattern, heard):
            yield f"{wanted}, got {got}"
    except TimeoutError:
        yield f"{wanted}, got no end of the search in {got}; repeat nothing that repeats itself"


def _wrongs_at_the_end(expect: Expect, record: CallRecord) -> Iterator[str]:
    got = {
        "ends": record.disconnection_reason,
        "transferred_to": record.call.transferred_to,
        "pressed": "".join(record.call.pressed) or None,
    }
    for name, value in got.items():
        wanted = getattr(expect, name)
        if wanted is not None and wanted != value:
            yield f"expected {name} {wanted}, got {value}"


def _too_slow(turns: Sequence[Turn], limit_ms: float) -> Iterator[str]:
    for turn in turns:
        if turn.kind in ("response", "reminder"):
            took_ms = turn.first_sentence_ms
            if took_ms is not None and took_ms > limit_ms:
                yield f"expected a first sentence within {limit_ms:g} ms, got it in {took_ms:g} ms"


def _is_called(expect: Expect, tool_calls: Sequence[ToolCall]) -> bool:
    tool = expect.tool
    return tool is not None and any(
        call.name == tool.name and tool.arguments.items() <= call.read_arguments().items()
        for call in tool_calls
    )


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _shown(text: str) -> str:
    if not text:
        return "silence"
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
