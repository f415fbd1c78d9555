"""Turns: what is asked, under which id it is answered, and when it ends."""

from collections.abc import Iterator
from typing import Final

from llmws_tutorial.checks.case import (
    BOTH,
    OK,
    Case,
    Company,
    Grade,
    Ruling,
    Severity,
    failed,
    not_strict,
)
from llmws_tutorial.checks.exchange import Exchange, Got, Sent
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Open, Update, Watch
from llmws_tutorial.checks.rules import (
    drops_nothing,
    is_answered,
    loses_nothing,
    lost,
    once_it_speaks,
    worst,
)
from llmws_tutorial.messages import Response
from llmws_tutorial.simulator.scripted_llm import Say, Script, Wait
from llmws_tutorial.simulator.verdict import Drop

_GRACE_S: Final = 0.5
"""How long what is on its way may still arrive after a newer request."""
_BOTH_S: Final = 12.0
"""How long a slow server may take for two answers, one after the other."""
_CONVERSATION: Final = (
    Open(),
    Greeted(),
    Update(),
    Ask(1),
    Answered(1),
    Ask(2, said="", kind="reminder_required"),
    Answered(2),
    Watch(),
)
_EMPTY_TRANSCRIPT: Final = (
    '{"interaction_type": "response_required", "response_id": 1, "transcript": []}'
)


def _keeps_quiet_at_updates(exchange: Exchange) -> Ruling:
    was_told = False
    for event in exchange.events:
        if isinstance(event, Sent):
            was_told = was_told or "update_only" in str(event.data)
        elif isinstance(event, Got) and was_told and event.dropped and _is_response(event):
            return failed("no response to an update_only", "one that nobody has asked for", event)
    return OK


def _is_response(got: Got) -> bool:
    """Whether a frame is a response, or is meant as one: without an id it cannot be read."""
    return isinstance(got.message, Response) or '"content_complete"' in str(got.data)


def _lets_the_older_go(exchange: Exchange) -> Ruling:
    expected = "nothing more of an answer that was superseded"
    return worst(lost(got, expected, what) for got, what in _late(exchange))


def _late(exchange: Exchange) -> Iterator[tuple[Got, str]]:
    """Find each piece of an older answer that was not just on its way, and say what it is."""
    begun = 0
    for got, response in exchange.pieces("a"):
        if got.dropped is None:
            begun = max(begun, response.response_id)
        elif got.dropped.kind is Drop.STALE and response.response_id > 0:
            after_s = got.at_s - _superseded_at_s(exchange, response.response_id)
            if begun > response.response_id:
                yield got, f"a piece of answer {response.response_id} when {begun} had begun"
            elif after_s > _GRACE_S:
                what = f"a piece of answer {response.response_id}"
                yield got, f"{what} {after_s:.1f} s after the newer request"


def _superseded_at_s(exchange: Exchange, response_id: int) -> float:
    return next(
        turn.asked_at_s
        for turn in exchange.turns["a"]
        if turn.kind != "interrupt" and turn.response_id > response_id
    )


def _says_another_thing(exchange: Exchange) -> Ruling:
    answer, reminder = (_plain(exchange, response_id) for response_id in (1, 2))
    if answer and answer == reminder:
        return not_strict("other words for a caller who is silent", "the last answer once more")
    return OK


def _plain(exchange: Exchange, response_id: int) -> str:
    turn = exchange.turn(response_id)
    return " ".join(turn.sent.split()).casefold() if turn else ""


def _keeps_to_the_ids(exchange: Exchange) -> Ruling:
    for got, response in exchange.pieces("a"):
        if got.dropped is None:
            continue
        turn = exchange.turn(response.response_id)
        was_whole = turn is not None and turn.complete_at_s is not None
        is_stale = got.dropped.kind is Drop.STALE and was_whole  # one in flight is excused
        if is_stale or got.dropped.kind is Drop.UNKNOWN_ID:
            return failed("the id of the latest request", got.dropped.reason, got)
    return OK


def _names_each_type(exchange: Exchange) -> Ruling:
    for got, _ in exchange.pieces("a"):
        if '"response_type"' not in str(got.data):
            return failed("a response_type in each frame", "none", got)
    return OK


_SLOW: Final = (
    Script(steps=(Say("One moment. "), Wait(0.3), Say("I look. "), Wait(0.3), Say("Yes."))),
)
"""What the model says where there is one: at no time is it done at once."""

CASES: Final = (
    Case(
        id="turns/1",
        title="answers under the id of the request",
        requirement="A response_required is answered under its own response_id, to completion.",
        why="Content under any other id is dropped without a word; an open turn hangs for good.",
        source="guide, step 2; docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="copy response_id from the request, and set content_complete on the last piece",
        step="02",
        profiles=BOTH,
        moves=(Open(), Greeted(), Ask(1), Answered(1), Ask(3), Answered(3)),
        judge=is_answered(1, 3),
    ),
    Case(
        id="turns/2",
        title="answers nothing to an update",
        requirement="An update_only is not answered.",
        why="Nobody has asked: what is said is dropped, and with a model it is paid for.",
        source="guide, step 2; docs/protocol.md, section 3",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="return at once when interaction_type is update_only",
        step="02",
        profiles=BOTH,
        moves=(Open(), Greeted(), Watch(), Update(), Update("Hello, are you there?"), Watch()),
        judge=_keeps_quiet_at_updates,
    ),
    Case(
        id="turns/3",
        title="answers a reminder",
        requirement="A reminder_required is answered under its own response_id.",
        why="The caller is quiet and so is the agent: the call dies in silence.",
        source="guide, step 2; docs/protocol.md, section 3",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="treat reminder_required as a request: its response_id, an answer, content_complete",
        step="02",
        profiles=BOTH,
        moves=(Open(), Greeted(), Ask(1, said="", kind="reminder_required"), Answered(1)),
        judge=is_answered(1),
    ),
    Case(
        id="turns/4",
        title="answers one turn after another",
        requirement="One request after another is answered, whatever updates come meanwhile.",
        why="The agent answers once and then never again, or stops as soon as somebody coughs.",
        source="docs/protocol.md, section 2",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="go back to the receive loop after each answer; let no update end an answer, only "
        "a newer request does",
        step="02",
        profiles=BOTH,
        moves=(
            Open(),
            Greeted(),
            *(
                move
                for response_id in (1, 2, 3)
                for move in (Update(), Ask(response_id), Update("Well"), Answered(response_id))
            ),
        ),
        judge=is_answered(1, 2, 3),
    ),
    Case(
        id="turns/5",
        title="says nothing after the end of an answer",
        requirement="Nothing follows content_complete under the same response_id.",
        why="It is dropped without a word: the caller never hears it.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="set content_complete on the last piece only, and send it in one place only",
        step="03",
        profiles=BOTH,
        moves=(Open(), Greeted(), Ask(1), Answered(1), Watch(), Ask(2), Answered(2), Watch()),
        judge=once_it_speaks(
            loses_nothing(
                Drop.AFTER_COMPLETE, expected="nothing under an id after its content_complete"
            )
        ),
    ),
    Case(
        id="turns/6",
        title="sends nothing more of a superseded answer",
        requirement="Once a newer request is there, nothing more of the older answer is sent.",
        why="It is dropped, and while it is made the answer that is waited for comes late.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="run each answer in a task, with all that belongs to it; cancel it when a newer "
        "request comes",
        step="06",
        scripts=_SLOW,
        moves=(
            *(Open(), Greeted(), Ask(1), Ask(2), Answered(2)),
            *(Ask(3), Watch(), Ask(4), Answered(4), Watch(1.0)),
        ),
        judge=_lets_the_older_go,
    ),
    Case(
        id="turns/7",
        title="answers a request that supersedes another",
        requirement="A request right behind another is answered, also one without new words.",
        why="The caller went on after a pause: the agent does not answer at all.",
        source="docs/protocol.md, section 3",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="never skip a request because another one is being answered or looks like it",
        step="03",
        profiles=BOTH,
        moves=(
            *(Open(), Greeted(), Ask(1), Ask(2), Answered(2, within_s=_BOTH_S)),
            *(Ask(3), Ask(4, said=""), Answered(4, within_s=_BOTH_S)),
        ),
        judge=is_answered(2, 4),
    ),
    Case(
        id="turns/14",
        title="says something else to a reminder",
        requirement="A reminder does not bring the last answer once more, word for word.",
        why="A caller who is thinking hears a record that has stuck.",
        source="docs/protocol.md, section 3",
        grade=Grade.KIT,
        severity=Severity.ADVICE,
        fix="tell a reminder from a request: ask whether the caller is still there",
        step="06",
        scripts=(
            Script(steps=(Say("Yes, I can help you."),)),
            Script(steps=(Say("Are you still there?"),)),
        ),
        moves=(
            *(Open(), Greeted(), Ask(1), Answered(1)),
            *(Ask(2, said="", kind="reminder_required"), Answered(2)),
        ),
        judge=once_it_speaks(_says_another_thing),
    ),
    Case(
        id="turns/15",
        title="answers an empty transcript",
        requirement="A request whose transcript is empty is answered.",
        why="A caller who has not spoken yet never hears a word.",
        source="docs/protocol.md, section 3",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="do not count on a last utterance: transcript may be []",
        step="03",
        profiles=BOTH,
        company=Company.NONE,
        moves=(Open(), Greeted(), Ask(1, frame=_EMPTY_TRANSCRIPT), Answered(1)),
        judge=is_answered(1),
    ),
    Case(
        id="turns/16",
        title="sends frames that can be read",
        requirement="Each frame is text that holds a JSON object, with fields of the right type.",
        why="The platform drops what it cannot read, and ends the call at a binary frame.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="write each frame with a JSON library, send it as text, and keep to the types: ids "
        "are numbers, flags true or false, content a string",
        step="03",
        profiles=BOTH,
        moves=_CONVERSATION,
        judge=once_it_speaks(
            drops_nothing(
                Drop.MISTYPED,
                Drop.NOT_JSON,
                Drop.BINARY,
                expected="only frames that the platform can read",
            )
        ),
    ),
    Case(
        id="turns/17",
        title="says the type of each frame",
        requirement="Each frame says its response_type.",
        why="Without one it is taken for a response, which is kept up for old servers only.",
        source="docs/protocol.md, section 4",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix='add "response_type": "response" to the first message and to each answer',
        step="06",
        moves=_CONVERSATION,
        judge=once_it_speaks(_names_each_type),
    ),
    Case(
        id="turns/18",
        title="uses no id but that of the latest request",
        requirement="No response carries an id that was never asked, or that of an older request.",
        why="It is dropped without a word: the caller never hears it.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="hand the response_id of the request to whatever speaks; never keep it in a variable "
        "that the next request changes",
        step="02",
        profiles=BOTH,
        moves=(Open(), Greeted(), Ask(1), Answered(1), Watch(), Ask(2), Answered(2), Watch()),
        judge=once_it_speaks(_keeps_to_the_ids),
    ),
    Case(
        id="turns/19",
        title="sends no event that the platform does not know",
        requirement="Each response_type is one that the platform knows.",
        why="What it does not know it ignores: whatever the frame was for does not happen.",
        source="docs/protocol.md, section 4",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="send the eight events of the protocol only; data of your own belongs in metadata",
        step="06",
        moves=_CONVERSATION,
        judge=once_it_speaks(
            drops_nothing(Drop.UNKNOWN_EVENT, expected="events that the platform knows")
        ),
    ),
)
"""In the order of the lessons."""
