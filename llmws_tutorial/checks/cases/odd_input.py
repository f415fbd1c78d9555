"""What arrives that is odd, broken or foreign.

Two things can be done about it, and everything is sent on a call of its own to see which. A frame
that no platform can have sent is *foreign*: it ends the call with 1002. Whatever else is *odd*
must not: the call goes on, and the next request is answered.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from llmws_tutorial.checks.case import (
    BOTH,
    OK,
    Case,
    Company,
    Grade,
    Judge,
    Profile,
    Ruling,
    Severity,
    Verdict,
    failed,
    not_seen,
    not_strict,
)
from llmws_tutorial.checks.cases import odd_frames as odd
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Open, Send, Watch
from llmws_tutorial.checks.rules import all_of, closes_1002, is_answered, stays_open
from llmws_tutorial.simulator.verdict import Drop

_DROPPED: Final = 1006


def _on_each(frames: odd.Frames, rule: Callable[[str], Judge]) -> Judge:
    """The rule holds on the call of each frame; where not, the ruling names the frame."""
    rules = [_after(what, rule(line)) for line, what in zip(odd.LINES, frames, strict=False)]

    def judge(exchange: Exchange) -> Ruling:
        rulings = sorted(
            (rule(exchange) for rule in rules), key=lambda one: one.verdict is not Verdict.FAILED
        )
        return next((ruling for ruling in rulings if ruling is not OK), OK)

    return judge


def _after(what: str, rule: Judge) -> Judge:
    def judge(exchange: Exchange) -> Ruling:
        ruling = rule(exchange)
        if ruling is OK:
            return OK
        return replace(ruling, expected=f"{ruling.expected} after {what}")

    return judge


def _lives_on(line: str) -> Judge:
    """The call stays open, and the next request is answered."""
    return all_of(stays_open(line), is_answered(2, line=line))


def _is_taken(line: str) -> Judge:
    """The request is answered as any other."""
    return all_of(stays_open(line), is_answered(1, line=line))


def _ends(line: str) -> Judge:
    """The call is closed with 1002, and what came behind it is not answered."""

    def judge(exchange: Exchange) -> Ruling:
        for got in exchange.responses(2, line):
            return failed("nothing read any more", "an answer to the request behind it", got)
        return OK

    return all_of(closes_1002(line), judge)


def _says(words: str) -> Judge:
    """The close frame, if there is one, gives the guide's reason; its code is not looked at."""

    def judge(exchange: Exchange) -> Ruling:
        end = exchange.ended()
        if end is None or end.code == _DROPPED:
            return not_seen("a close frame, which can give a reason")
        return OK if end.reason == words else not_strict(f"the reason {words!r}", str(end), end)

    return judge


def _writes_no_nan(exchange: Exchange) -> Ruling:
    for got in exchange.dropped(Drop.NOT_JSON):
        if "NaN" in str(got.data):
            return failed("frames that are JSON", "one with NaN", got)
    return OK


def _ends_or_lives_on(exchange: Exchange) -> Ruling:
    end = exchange.ended()
    return OK if end is not None and end.code == 1002 else _lives_on("a")(exchange)


_foreign: Final = partial(
    Case,
    source="guide, step 3; docs/protocol.md, sections 6 and 7",
    severity=Severity.WARNING,
    step="03",
    profiles=BOTH,
    company=Company.NONE,
)
"""A case of a frame that no platform can have sent."""
_odd: Final = partial(Case, severity=Severity.ERROR, step="03", profiles=BOTH, company=Company.NONE)
"""A case of what a platform may send one day."""

CASES: Final = (
    _foreign(
        id="input/1",
        title="closes with 1002 on a binary frame",
        requirement="A binary frame closes the call with 1002, and nothing after it is read.",
        why="It proves that the peer is not the platform: whoever it is talks at your expense. "
        "An exception instead drops the line without a word, as if your server were broken.",
        grade=Grade.REFERENCE,
        fix="ask whether a frame is text before you parse it; if not, close with 1002 and leave "
        "the receive loop",
        moves=(*odd.sent(odd.BINARY), Watch()),
        judge=_on_each(odd.BINARY, _ends),
    ),
    _foreign(
        id="input/2",
        title="closes with 1002 on text that is not JSON",
        requirement="Text that is not JSON closes the call with 1002, nothing after it is read.",
        why="A first test by hand, the word Hello, ends in a traceback and a dropped line.",
        grade=Grade.REFERENCE,
        fix="catch the parser's error, close with 1002, and leave the receive loop",
        moves=(*odd.sent(odd.NO_JSON), Watch()),
        judge=_on_each(odd.NO_JSON, _ends),
    ),
    _foreign(
        id="input/3",
        title="closes with 1002 on null",
        requirement="The JSON null is no message: it closes the call with 1002.",
        why="It parses, so it passes the first guard, and reading a field of it raises: in "
        "Node.js that ends the process, and every call in it.",
        grade=Grade.KIT,
        fix="after parsing make sure that it is an object; in JavaScript typeof null is 'object'",
        moves=(*odd.sent(odd.NULL), Watch()),
        judge=_on_each(odd.NULL, _ends),
    ),
    _foreign(
        id="input/4",
        title="closes with 1002 on an empty frame",
        requirement="An empty text frame is not JSON: it closes the call with 1002.",
        why="An empty text is false in most languages: what takes it for no frame at all ends "
        "the loop, or waits for ever.",
        grade=Grade.REFERENCE,
        fix="ask for the kind of the frame, not for its truth, and let the parser refuse it",
        moves=(*odd.sent(odd.EMPTY), Watch()),
        judge=_on_each(odd.EMPTY, _ends),
    ),
    _foreign(
        id="input/5",
        title="closes with 1002 on JSON that is no object",
        requirement="JSON that is not an object closes the call with 1002.",
        why="A list, a number or a string has no interaction_type: reading it raises, and the "
        "line drops without a close frame.",
        grade=Grade.KIT,
        fix="after parsing make sure that it is an object, before you read a field of it",
        moves=(*odd.sent(odd.NO_OBJECTS), Watch()),
        judge=_on_each(odd.NO_OBJECTS, _ends),
    ),
    _odd(
        id="input/6",
        title="survives an unknown event",
        requirement="A message with an unknown interaction_type leaves the call as it was.",
        why="The day that the platform adds an event, every call ends at it.",
        source="docs/protocol.md, sections 3 and 6",
        grade=Grade.REFERENCE,
        fix="give the dispatch on interaction_type a default branch that logs and goes on",
        moves=odd.sent(odd.UNKNOWN_EVENT),
        judge=_on_each(odd.UNKNOWN_EVENT, _lives_on),
    ),
    _odd(
        id="input/7",
        title="survives a message without interaction_type",
        requirement="A message without interaction_type leaves the call as it was.",
        why="Reading a field that is not there raises, and the caller hears the line drop.",
        source="docs/protocol.md, section 6",
        grade=Grade.FIELD,
        fix="read interaction_type with a default, and treat none as an unknown event",
        moves=odd.sent(odd.NO_EVENT),
        judge=_on_each(odd.NO_EVENT, _lives_on),
    ),
    _odd(
        id="input/8",
        title="answers in spite of unknown fields",
        requirement="A request with unknown fields, in every place, is answered.",
        why="A strict model refuses the first message after an update of the platform: all "
        "agents fall silent at once.",
        source="docs/protocol.md, section 3",
        grade=Grade.REFERENCE,
        fix="let your models ignore unknown fields (pydantic: extra='ignore'; no **fields into "
        "a constructor)",
        moves=(
            Open(),
            Greeted(),
            Send(odd.UNKNOWN_IN_UPDATE),
            Ask(1, frame=odd.UNKNOWN_IN_REQUEST),
            Answered(1),
        ),
        judge=_after("unknown fields", _is_taken("a")),
    ),
    _odd(
        id="input/9",
        title="answers in spite of unknown roles",
        requirement="A request is answered although its transcript holds unknown roles.",
        why="After a transfer, or a note of the system, every further turn is silent: each "
        "transcript holds that role again.",
        source="docs/protocol.md, section 3",
        grade=Grade.SDK,
        fix="map agent to assistant and every other role to user, or leave the others out",
        moves=odd.asked(odd.ROLES),
        judge=_on_each(odd.ROLES, _is_taken),
    ),
    _odd(
        id="input/10",
        title="answers words that were not understood",
        requirement="A request whose last words are (unintelligible audio) is answered.",
        why="The caller mumbled, waits, and hears nothing; most hang up.",
        source="docs/protocol.md, section 3",
        grade=Grade.SDK,
        fix="answer it as any other, best by asking the caller to say it again",
        moves=odd.asked(odd.NOISE),
        judge=_on_each(odd.NOISE, _is_taken),
    ),
    _odd(
        id="input/11",
        title="answers utterances without words or times",
        requirement="A request is answered whether or not its utterances bring words and times.",
        why="Whoever counts on the time of the last word goes silent when there is none.",
        source="docs/protocol.md, section 3",
        grade=Grade.SDK,
        fix="answer from content alone; where you read words, expect none, null and no times",
        moves=odd.asked(odd.WORDS),
        judge=_on_each(odd.WORDS, _is_taken),
    ),
    _odd(
        id="input/12",
        title="survives a request without a proper id",
        requirement="A request whose response_id is missing or no number does not end the call.",
        why="An id that cannot be read raises, and the call is lost for one message.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        fix="read response_id with care, and log and ignore a request without a whole number",
        moves=odd.sent(odd.IDS),
        judge=_on_each(odd.IDS, _lives_on),
    ),
    _odd(
        id="input/13",
        title="survives a transcript that is none",
        requirement="A request whose transcript is missing or no list does not end the call.",
        why="One odd message, and the caller hears the line drop.",
        source="docs/protocol.md, section 6",
        grade=Grade.KIT,
        fix="check that the transcript is a list before you walk over it; take none for empty",
        moves=odd.asked_again(odd.TRANSCRIPTS),
        judge=_on_each(odd.TRANSCRIPTS, _lives_on),
    ),
    _odd(
        id="input/14",
        title="survives utterances that are none",
        requirement="Utterances that are no objects, or hold no text, do not end the call.",
        why="One odd utterance is in every later transcript too: the call never recovers.",
        source="docs/protocol.md, section 6",
        grade=Grade.KIT,
        fix="skip what is no object, and what has no text as its content",
        moves=odd.asked_again(odd.UTTERANCES),
        judge=_on_each(odd.UTTERANCES, _lives_on),
    ),
    _odd(
        id="input/15",
        title="answers text in every script",
        requirement="A request is answered whatever characters its transcript holds.",
        why="One emoji, name or half a character, and that caller gets no answer any more.",
        source="docs/protocol.md, section 3",
        grade=Grade.KIT,
        fix="use UTF-8 everywhere; replace lone surrogates before you encode, log or send text on",
        moves=odd.asked(odd.SCRIPTS),
        judge=_on_each(odd.SCRIPTS, _is_taken),
    ),
    _odd(
        id="input/16",
        title="writes no NaN",
        requirement="A heartbeat at NaN, which is not JSON, is never sent back.",
        why="Some parsers read NaN, and their writers write it: the platform cannot read that.",
        source="docs/protocol.md, sections 5 and 6",
        grade=Grade.FIELD,
        fix="forbid NaN to the parser (Python: parse_constant) and to the writer "
        "(allow_nan=False), and close with 1002",
        moves=odd.sent(odd.NAN),
        judge=_after("a heartbeat at NaN", all_of(_writes_no_nan, _ends_or_lives_on)),
    ),
    _odd(
        id="input/17",
        title="survives JSON of endless depth",
        requirement="JSON that is nested very deeply in one call leaves the others alone.",
        why="A recursive parser overflows its stack: 200 kB from a stranger end every call.",
        source="docs/protocol.md, section 6",
        grade=Grade.KIT,
        fix="catch the parser's recursion error as well (Python: RecursionError), or use a "
        "parser with a limit",
        moves=(
            Open(line="b"),
            Greeted(line="b"),
            Open(),
            Greeted(),
            Send(odd.DEEP),
            Watch(),
            Ask(1, line="b"),
            Answered(1, line="b"),
        ),
        judge=_after("deep JSON in another call", _is_taken("b")),
    ),
    _odd(
        id="input/18",
        title="reads a message in fragments",
        requirement="A message in several WebSocket fragments, and over several lines, is one.",
        why="A proxy may cut a long message: what reads each piece alone understands none.",
        source="docs/protocol.md, section 3",
        grade=Grade.KIT,
        fix="parse messages, not frames or lines: let your WebSocket library join the fragments",
        moves=(Open(), Greeted(), Ask(1, frame=odd.SPREAD, pieces=3), Answered(1)),
        judge=_after("a message in three fragments", _is_taken("a")),
    ),
    _odd(
        id="input/19",
        title="survives facts that it did not ask for",
        requirement="call_details that come unasked, and twice, do not end the call.",
        why="After the line was dialled again they may come a second time.",
        source="docs/protocol.md, sections 6 and 10",
        grade=Grade.KIT,
        fix="keep the latest facts, or the first, and never count on their coming once",
        moves=(Open(), Greeted(), Send(odd.FACTS), Send(odd.FACTS), Ask(2), Answered(2)),
        judge=_after("call_details, twice", _lives_on("a")),
    ),
    _odd(
        id="input/20",
        title="answers an utterance of 900 kB",
        requirement="A request with one utterance of 900 kB is answered.",
        why="Frames grow with the call: a limit in the wrong place loses the longest calls.",
        source="docs/protocol.md, section 3",
        grade=Grade.FIELD,
        fix="limit the message, at 1 MiB or more, and shorten what goes to the model, not what "
        "you read",
        moves=(
            Open(),
            Greeted(),
            Ask(1, frame=odd.LONG),
            Answered(1),
        ),
        judge=_after("an utterance of 900 kB", _is_taken("a")),
    ),
    _foreign(
        id="input/21",
        title="closes on a binary frame in the guide's words",
        requirement="A close on binary says Cannot find corresponding Retell LLM.",
        why="Who looks at the log of the other side reads the reason that the guide explains.",
        grade=Grade.REFERENCE,
        severity=Severity.ADVICE,
        profiles=frozenset({Profile.GUIDE}),
        fix='close with the reason "Cannot find corresponding Retell LLM."',
        moves=(*odd.sent(odd.BINARY), Watch()),
        judge=_says("Cannot find corresponding Retell LLM."),
    ),
    _foreign(
        id="input/22",
        title="closes on bad JSON in the guide's words",
        requirement="A close on text that is not JSON says Cannot parse incoming message.",
        why="Who looks at the log of the other side reads the reason that the guide explains.",
        grade=Grade.REFERENCE,
        severity=Severity.ADVICE,
        profiles=frozenset({Profile.GUIDE}),
        fix='close with the reason "Cannot parse incoming message."',
        moves=(*odd.sent(odd.NO_JSON), Watch()),
        judge=_says("Cannot parse incoming message."),
    ),
)
"""In the order of the lessons."""
