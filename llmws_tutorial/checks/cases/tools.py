"""The notes about tools, and what happens to the turn meanwhile."""

import re
from typing import Final

from llmws_tutorial.checks.case import (
    OK,
    Case,
    Company,
    Grade,
    Judge,
    Need,
    Ruling,
    Severity,
    failed,
    not_seen,
    not_strict,
)
from llmws_tutorial.checks.exchange import Ended, Event, Exchange, Got, Missed
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, ModelAsked, Open, Watch
from llmws_tutorial.checks.notes import invocations, notes, read_json, results
from llmws_tutorial.checks.rules import all_of, but_dropped, is_answered
from llmws_tutorial.messages import Response
from llmws_tutorial.simulator.llm_request import read_request
from llmws_tutorial.simulator.scripted_llm import Asked, CallTool, Say, Script, Wait

_SAID: Final = "I would like an appointment for tomorrow, please."
_LOOKS_OR_DOES: Final = r"(?i)book|appoint|schedul|reserv|order|look|find|check|^get"
_DOES: Final = r"(?i)^(book|schedule|reserve|place|create|make|add)"
_FIRST: Final = "Let me see. "
_LAST: Final = "You are booked for tomorrow."
_QUIET_S: Final = 1.0
_SILENT_S: Final = 1.5
"""A pause that is too long, even on a slow machine (seconds)."""
_CALL: Final = CallTool(_LOOKS_OR_DOES, otherwise="I see.")
_ONE_CALL: Final = (Script(steps=(_CALL,)), Script(steps=(Say(_LAST),)))
_ONE_TURN: Final = (Open(), Greeted(), Ask(1, _SAID), Answered(1), Watch())
_NO_CALL: Final = not_seen(f"a tool_call_invocation: the caller says {_SAID!r}")
_LLM: Final = frozenset({Need.LLM})


def _answer(exchange: Exchange) -> list[tuple[Got, Response]]:
    """The pieces of the first answer that count."""
    return [
        (got, piece)
        for got, piece in exchange.pieces("a")
        if piece.response_id == 1 and got.dropped is None
    ]


def _words(exchange: Exchange) -> list[Got]:
    """Those of them that hold something to speak."""
    return [got for got, piece in _answer(exchange) if piece.content.strip()]


# What the notes say


def _announces_each_result(exchange: Exchange) -> Ruling:
    calls = invocations(exchange)
    announced: set[str] = set()
    for note in notes(exchange):
        if note in calls:
            announced.add(note.id)
        elif note.id not in announced:
            expected = "a tool_call_invocation with the same tool_call_id before each result"
            return failed(expected, f"a result for {note.id!r} without one", note.got)
    return OK if announced else _NO_CALL


def _writes_arguments_as_json(exchange: Exchange) -> Ruling:
    calls = invocations(exchange)
    for note in calls:
        arguments = note.fields.get("arguments")
        if isinstance(arguments, str) and not isinstance(read_json(arguments), dict):
            return failed("arguments that are a JSON object in a string", repr(arguments), note.got)
    return OK if calls else _NO_CALL


def _uses_an_id_once(exchange: Exchange) -> Ruling:
    calls = invocations(exchange)
    used: set[str] = set()
    for note in calls:
        if note.id in used:
            return failed("a new tool_call_id for each invocation", f"{note.id!r} again", note.got)
        used.add(note.id)
    return OK if len(calls) > 1 else not_seen("two tool_call_invocations, one in each of two calls")


def _can_be_read(exchange: Exchange) -> Ruling:
    found = notes(exchange)
    for note in found:
        if note.got.dropped is not None:
            return failed("notes that the platform can read", note.got.dropped.reason, note.got)
    return OK if found else _NO_CALL


def _notes_each_result(exchange: Exchange) -> Ruling:
    calls = invocations(exchange)
    called, returned = ({note.id for note in kind} for kind in (calls, results(exchange)))
    unanswered = [note for note in calls if note.id not in returned]
    if len(unanswered) > len(returned - called):  # a result with a wrong id is one nevertheless
        note = unanswered[0]
        return failed("a tool_call_result for each invocation", f"none for {note.id!r}", note.got)
    ends_s = [got.at_s for got, piece in _answer(exchange) if piece.content_complete]
    for note in results(exchange):
        if any(note.got.at_s > end_s for end_s in ends_s):
            return not_strict("each result before the turn is complete", "one after it", note.got)
    return OK if calls else _NO_CALL


# What the caller notices


def _is_not_silent(exchange: Exchange) -> Ruling:
    calls = invocations(exchange)
    words = _words(exchange)
    for call in calls:
        began_s = call.got.at_s
        if any(got.at_s <= began_s for got in words):
            continue
        ends: list[Event] = [note.got for note in results(exchange) if note.id == call.id]
        ends += [*words, *exchange.of(Missed), *exchange.of(Ended)]
        ends_s = [event.at_s for event in ends if event.at_s >= began_s]
        silent_s = round(min(ends_s, default=began_s) - began_s, 1)
        if silent_s > _QUIET_S:
            rule = failed if silent_s > _SILENT_S else not_strict
            expected = f"words within {_QUIET_S:g} s of the invocation, or before it"
            return rule(expected, f"none for {silent_s:g} s", call.got)
    return OK if calls else _NO_CALL


def _ends_in_words(exchange: Exchange) -> Ruling:
    """The turn has words besides those that the model said with its call, and after a result."""
    said = "".join(piece.content for _, piece in _answer(exchange))
    if said.split() in ([], _FIRST.split()):
        got = f"only {said.strip()!r}" if said.strip() else "none"
        return failed("words after the call of the tool", got + but_dropped(exchange))
    returned = results(exchange)
    if returned and _LAST not in said:
        after = exchange.events[exchange.events.index(returned[-1].got) :]
        if not any(got in after for got in _words(exchange)):
            got = f"none{but_dropped(exchange)}"
            return failed("words after the result of the tool", got, returned[-1].got)
    return OK


def _is_called(rule: Judge, *, times: int = 1) -> Judge:
    """Rule only where the model could call a tool that the server offers, so many times."""

    def judge(exchange: Exchange) -> Ruling:
        if sum(map(_calls_a_tool, exchange.upstream)) >= times:
            return rule(exchange)
        if times > 1:
            return not_seen("a server that offers the model a tool which books, and asks it again")
        return not_seen("a server that offers the model a tool, such as book_appointment")

    return judge


def _calls_a_tool(asked: Asked) -> bool:
    """Whether the model could call what its script says."""
    names = [function.name for function in read_request(asked.request).offered]
    steps = asked.script.steps if asked.script else ()
    return any(
        step.is_invented or re.search(step.name, name)
        for step in steps
        if isinstance(step, CallTool)
        for name in names
    )


def _runs_both(exchange: Exchange) -> Ruling:
    returned = max([len(results(exchange)), *map(_returned, exchange.upstream)])
    if not returned and len(exchange.upstream) > 1:
        return not_seen("notes of the results, or messages of role 'tool' to the model")
    return OK if returned > 1 else failed("the results of two tool calls", str(returned or "none"))


def _returned(asked: Asked) -> int:
    """How many results a request tells the model."""
    return sum(message.role == "tool" for message in read_request(asked.request).messages)


def _runs_once(exchange: Exchange) -> Ruling:
    calls = {note.id: note for note in invocations(exchange)}
    ran: set[tuple[str, str]] = set()
    for note in results(exchange):
        call = calls.get(note.id)
        if call is None or note.fields.get("successful") is False:
            continue
        if call.what in ran:
            expected = "a tool that is not run again with the same arguments"
            return failed(expected, f"a second result of {call.what[0]!r}", note.got)
        ran.add(call.what)
    return OK if calls else not_seen("tool_call_invocation and tool_call_result of what is run")


CASES: Final[tuple[Case, ...]] = (
    Case(
        id="tools/1",
        title="announces a tool call before its result",
        requirement="Each tool_call_result comes after an invocation with the same tool_call_id.",
        why="The transcript shows a result of nothing: neither you nor the model can follow it.",
        source="docs/protocol.md, section 4",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="send tool_call_invocation when the tool is called, and keep its id for the result",
        step="07",
        scripts=_ONE_CALL,
        moves=_ONE_TURN,
        judge=_announces_each_result,
    ),
    Case(
        id="tools/2",
        title="writes the arguments as JSON",
        requirement="The arguments of an invocation are a JSON object in a string.",
        why="Whoever reads the transcript later cannot read what the tool was called with.",
        source="docs/protocol.md, section 4",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="encode the arguments as JSON once, or hand on the string that the model wrote",
        step="07",
        scripts=_ONE_CALL,
        moves=_ONE_TURN,
        judge=_writes_arguments_as_json,
    ),
    Case(
        id="tools/3",
        title="uses a tool_call_id once",
        requirement="No two invocations have the same tool_call_id, not even in different calls.",
        why="Results are taken for those of another call.",
        source="docs/protocol.md, section 4",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="make a random id for each invocation, such as a UUID; count nothing",
        step="07",
        scripts=(
            Script(when="for tomorrow, please.", steps=(_CALL,)),
            Script(when="for Monday, please.", steps=(_CALL,)),
            Script(steps=(Say(_LAST),)),
        ),
        moves=(
            *(Open(), Greeted(), Ask(1, _SAID), Answered(1)),
            *(Open(line="b"), Greeted(line="b")),
            Ask(1, _SAID.replace("tomorrow", "Monday"), line="b"),
            *(Answered(1, line="b"), Watch()),
        ),
        judge=_uses_an_id_once,
    ),
    Case(
        id="tools/4",
        title="writes notes that can be read",
        requirement="A note about a tool has all its fields, and what must be a string is one.",
        why="The platform drops what it cannot read: the call of the tool leaves no trace.",
        source="docs/protocol.md, section 4",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="send tool_call_id, name, arguments and content as strings; encode an object as JSON",
        step="07",
        scripts=_ONE_CALL,
        moves=_ONE_TURN,
        judge=_can_be_read,
    ),
    Case(
        id="tools/5",
        title="says something while a tool runs",
        requirement="A tool that takes longer than a second is announced in words.",
        why="The caller hears nothing, asks whether anybody is there, and so begins a new turn.",
        source="docs/protocol.md, section 5",
        grade=Grade.FIELD,
        severity=Severity.WARNING,
        fix="say a holding line under the open id before the tool runs, without completing the "
        "turn",
        step="07",
        company=Company.TIMED,
        scripts=_ONE_CALL,
        moves=_ONE_TURN,
        judge=_is_not_silent,
    ),
    Case(
        id="tools/6",
        title="speaks after a tool call without text",
        requirement="A model's tool call without any text ends in spoken words and a closed turn.",
        why="Models mostly call a tool without a word: the caller waits for an answer for ever.",
        source="docs/protocol.md, section 11",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="ask the model again with the result of the tool, and say what it answers under the "
        "same response_id, before content_complete",
        step="07",
        needs=_LLM,
        scripts=_ONE_CALL,
        moves=_ONE_TURN,
        judge=_is_called(all_of(is_answered(1), _ends_in_words)),
    ),
    Case(
        id="tools/7",
        title="runs parallel tool calls",
        requirement="Two tool calls in one answer of the model are both run, and then it speaks.",
        why="Half of what the caller wanted is left undone, or the model refuses to go on.",
        source="docs/protocol.md, section 11",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="gather the pieces of the calls by their index, run every one, and send a result for "
        "each id",
        step="07",
        needs=_LLM,
        scripts=(Script(steps=(Say(_FIRST), _CALL, _CALL)), Script(steps=(Say(_LAST),))),
        moves=_ONE_TURN,
        judge=_is_called(all_of(_runs_both, is_answered(1), _ends_in_words)),
    ),
    Case(
        id="tools/8",
        title="does nothing twice",
        requirement="A tool that ran in a superseded turn is not run again by the next one.",
        why="The caller says one word too early, and is booked or charged twice.",
        source="docs/protocol.md, section 10",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="remember for each call_id what was run with which arguments; return that result",
        step="07",
        needs=_LLM,
        scripts=(
            Script(when="tomorrow, please.", steps=(Say(_FIRST), CallTool(_DOES, otherwise="."))),
            Script(when="tomorrow, please.", steps=(Wait(1.0), Say(_LAST))),
            Script(when="say tomorrow?", steps=(Say(_FIRST), CallTool(_DOES, otherwise="."))),
            Script(steps=(Say(_LAST),)),
        ),
        moves=(
            Open(),
            Greeted(),
            Ask(1, _SAID),
            ModelAsked(2),
            Ask(2, "Sorry, did you say tomorrow?"),
            Answered(2),
            Watch(),
        ),
        judge=_is_called(_runs_once, times=2),
    ),
    Case(
        id="tools/9",
        title="survives arguments that are not JSON",
        requirement="A tool call whose arguments are not JSON still ends in words and a closed "
        "turn.",
        why="Models do write broken JSON: the call goes on mute.",
        source="docs/protocol.md, section 10",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="catch what reading the arguments raises, and tell the model, or say that it failed",
        step="07",
        company=Company.NONE,
        needs=_LLM,
        scripts=(
            Script(steps=(Say(_FIRST), CallTool(_LOOKS_OR_DOES, '{"day": tomorrow'))),
            Script(steps=(Say(_LAST),)),
        ),
        moves=_ONE_TURN,
        judge=_is_called(all_of(is_answered(1), _ends_in_words)),
    ),
    Case(
        id="tools/10",
        title="notes each result in time",
        requirement="Each invocation gets a tool_call_result before its turn is complete.",
        why="The next request carries a call without a result, which most models refuse.",
        source="docs/protocol.md, section 3",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="send tool_call_result as soon as the tool returns, also when it failed",
        step="07",
        scripts=_ONE_CALL,
        moves=_ONE_TURN,
        judge=_notes_each_result,
    ),
    Case(
        id="tools/11",
        title="survives a tool that there is not",
        requirement="A call of a tool that was never offered still ends in words and a closed "
        "turn.",
        why="Models make up names of tools: the call goes on mute.",
        source="docs/protocol.md, section 10",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="answer a name that you do not know with a result that says so, and ask again",
        step="07",
        company=Company.NONE,
        needs=_LLM,
        scripts=(
            Script(steps=(Say(_FIRST), CallTool("read_their_mind", is_invented=True))),
            Script(steps=(Say("I cannot do that."),)),
        ),
        moves=_ONE_TURN,
        judge=_is_called(all_of(is_answered(1), _ends_in_words)),
    ),
)
"""In the order of the lessons."""
