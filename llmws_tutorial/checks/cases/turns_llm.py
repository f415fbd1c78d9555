"""Turns with a model behind them: it fails, it hangs, it is asked too often."""

from collections.abc import Callable
from typing import Final

from llmws_tutorial.checks.case import (
    OK,
    Case,
    Company,
    Grade,
    Need,
    Ruling,
    Severity,
    failed,
    not_seen,
    not_strict,
)
from llmws_tutorial.checks.cases import odd_frames as odd
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, ModelAsked, ModelLeft, Open, Watch
from llmws_tutorial.checks.rules import all_of, but_dropped, is_answered
from llmws_tutorial.simulator.llm_request import read_request
from llmws_tutorial.simulator.scripted_llm import (
    Break,
    Empty,
    Hang,
    Say,
    Script,
    Wait,
)

_LLM: Final = frozenset({Need.LLM})
_LONG_S: Final = 20.0
_SHORT_S: Final = 10.0
"""How long a caller waits for a model that fails, at the very most."""
_BURST: Final = 10
_MOST: Final = 2
_CLOSING_S: Final = 0.25
"""How long a model may take to notice that a generation was given up."""
_TRIES: Final = 5
_HOURS: Final = "We close at half past nine."
_ODD: Final = {**dict(tuple(odd.WORDS.items())[1:3]), **odd.ROLES}
_UNDERSTOOD: Final = "I understand."
"""What the model says to a request that no script is for."""


def _is_aborted(exchange: Exchange) -> Ruling:
    first = exchange.upstream[0]
    if first.outcome not in ("running", "finished"):
        return OK
    got = "one that runs on" if first.outcome == "running" else "one that ran to its end"
    return failed("the first generation given up when the newer request came", got)


def _is_answered_in_words(exchange: Exchange) -> Ruling:
    turn = exchange.turn(1)
    if turn is None or turn.complete_at_s is None or any(map(str.isalnum, turn.sent)):
        return OK
    return failed("a few words of excuse", "a whole answer without a word")


def _says(text: str) -> Callable[[Exchange], Ruling]:
    """What the model said arrives, however it was cut and joined."""

    def judge(exchange: Exchange) -> Ruling:
        turn = exchange.turn(1)
        if turn is None or _letters(text) in _letters(turn.sent):
            return OK
        return failed(f"the words of the model, {text!r}", repr(turn.sent) + but_dropped(exchange))

    return judge


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _asks_for_few_at_once(exchange: Exchange) -> Ruling:
    asked = exchange.upstream
    most = max(
        sum(
            other.at_s <= one.at_s
            and (other.ended_at_s is None or one.at_s < other.ended_at_s - _CLOSING_S)
            for other in asked
            if other is not one
        )
        + 1
        for one in asked
    )
    if most <= _MOST:
        return OK
    return failed(f"at most {_MOST} generations at once", f"{most}, for {_BURST} requests")


def _never_goes_mute(exchange: Exchange) -> Ruling:
    times = len(exchange.upstream)
    if times > _TRIES:
        return failed(f"at most {_TRIES} questions to a model that says nothing", str(times))
    ruling = _is_answered_in_words(exchange)
    return ruling if ruling is OK else not_strict(ruling.expected, ruling.got)


def _tells_who_said_what(exchange: Exchange) -> Ruling:
    expected = f"a message of role 'assistant' with {_HOURS!r}"
    for asked in exchange.upstream[1:]:
        messages = read_request(asked.request).messages
        telling = [one for one in messages if _letters(_HOURS) in _letters(one.text)]
        if not telling:
            return failed(expected, "none: only what the caller said")
        for message in telling:
            is_all = _letters(message.text) == _letters(_HOURS)  # not a whole talk in one text
            if is_all and message.role != "assistant":
                return failed(expected, f"one of role {message.role!r}")
    return OK if exchange.upstream[1:] else not_seen("a second question to the model")


def _asks_in_spite_of_all(exchange: Exchange) -> Ruling:
    calls = {line: exchange.turn(1, line) for line in "z" + odd.LINES}
    said = {
        line: turn.sent for line, turn in calls.items() if turn and turn.complete_at_s is not None
    }
    if _letters(_UNDERSTOOD) not in _letters(said.get("z", "")):
        return not_seen("an answer in the words of the model")
    for line, what in zip(odd.LINES, _ODD, strict=False):
        if line in said and _letters(_UNDERSTOOD) not in _letters(said[line]):
            expected = f"the words of the model, {_UNDERSTOOD!r}, after {what}"
            return failed(expected, repr(said[line]))
    return OK


CASES: Final = (
    Case(
        id="turns/8",
        title="gives up a superseded generation",
        requirement="When a newer request comes, the generation of the older one is aborted.",
        why="It costs money and time, and nobody will ever hear it.",
        source="docs/protocol.md, section 5",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="run each answer in a task; cancel it when a newer request comes, and close the "
        "stream to the model in the cancellation",
        step="06",
        needs=_LLM,
        scripts=(
            Script(steps=(Say("One. "), *(Wait(0.2), Say("And more. ")) * 20)),
            Script(steps=(Say("Two."),)),
        ),
        moves=(
            *(Open(), Greeted(), Ask(1), ModelAsked(), Watch()),
            *(Ask(2), Answered(2), ModelLeft(within_s=1.0)),
        ),
        judge=_is_aborted,
    ),
    Case(
        id="turns/9",
        title="answers when the model answers an error",
        requirement="When the model answers HTTP 500, the turn ends, and in words.",
        why="The caller waits for an answer that never comes.",
        source="docs/protocol.md, section 2",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="catch the errors of the model, say that something went wrong, and set "
        "content_complete in any case",
        step="05",
        company=Company.NONE,
        needs=_LLM,
        scripts=(Script(status=500),),
        moves=(Open(), Greeted(), Ask(1), Answered(1, within_s=_SHORT_S)),
        judge=all_of(is_answered(1), _is_answered_in_words),
    ),
    Case(
        id="turns/10",
        title="ends the turn when the model hangs",
        requirement=f"When the model says nothing at all, the turn ends within {_LONG_S:g} s.",
        why="The caller listens to silence until somebody hangs up.",
        source="docs/protocol.md, section 2",
        grade=Grade.KIT,
        severity=Severity.ERROR,
        fix="limit the wait for the first piece of the model to some seconds by a timer of your "
        "own (a client's time-out often ends with the headers); then say so, and set "
        "content_complete",
        step="05",
        needs=_LLM,
        scripts=(Script(steps=(Hang(),)),),
        moves=(Open(), Greeted(), Ask(1), Answered(1, within_s=_LONG_S)),
        judge=is_answered(1),
        company=Company.TIMED,
    ),
    Case(
        id="turns/11",
        title="takes a first chunk without choices",
        requirement="What the model says arrives when its first chunk has empty choices.",
        why="Some providers begin each answer so: with them the agent never says a word.",
        source="docs/protocol.md, section 2",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="look whether a chunk has choices before reading the first one",
        step="05",
        company=Company.NONE,
        needs=_LLM,
        scripts=(Script(steps=(Empty(), Say("Yes, I can "), Say("help you."))),),
        moves=(Open(), Greeted(), Ask(1), Answered(1)),
        judge=all_of(is_answered(1), _says("Yes, I can help you.")),
    ),
    Case(
        id="turns/12",
        title="ends the turn when the model breaks off",
        requirement="When the stream of the model breaks in the middle, the turn ends.",
        why="The agent stops in mid-sentence, and the turn stays open for good.",
        source="docs/protocol.md, section 2",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="set content_complete in any case, also when reading the stream raises",
        step="05",
        company=Company.NONE,
        needs=_LLM,
        scripts=(Script(steps=(Say("I can help you. "), Say("It is "), Break())),),
        moves=(Open(), Greeted(), Ask(1), Answered(1, within_s=_SHORT_S)),
        judge=is_answered(1),
    ),
    Case(
        id="turns/13",
        title="asks the model for few answers at once",
        requirement=f"{_BURST} requests in a row start at most {_MOST} generations at once, and "
        "the last is answered.",
        why="A caller who keeps saying a few words costs ten answers, and hits your rate limit.",
        source="docs/protocol.md, section 5",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="cancel the older answer before the newer one begins, also one that still waits for "
        "its first piece; a few milliseconds of patience start no generation in vain",
        step="06",
        needs=_LLM,
        scripts=(Script(steps=(Wait(0.5), Say("Here I am."))),),
        moves=(
            *(Open(), Greeted()),
            *(Ask(response_id) for response_id in range(1, _BURST + 1)),
            Answered(_BURST, within_s=10.0),
        ),
        judge=all_of(is_answered(_BURST), _asks_for_few_at_once),
    ),
    Case(
        id="turns/20",
        title="tells the model who said what",
        requirement="What the agent said is told to the model as what the assistant said.",
        why="The model takes the agent's words for the caller's, or does not know them: it "
        "answers itself, and asks the same question again.",
        source="docs/protocol.md, section 3",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="make the model's messages from the whole transcript: role agent is assistant, role "
        "user is user",
        step="05",
        needs=_LLM,
        scripts=(Script(steps=(Say(_HOURS),)), Script(steps=(Say("Yes, then too."),))),
        moves=(
            *(Open(), Greeted(), Ask(1, "When do you close?"), Answered(1)),
            *(Ask(2, "And on Sunday?"), Answered(2)),
        ),
        judge=_tells_who_said_what,
    ),
    Case(
        id="turns/21",
        title="says something when the model says nothing",
        requirement="When the model ends without a word, the turn ends, and in words.",
        why="A filter of the provider, or a limit on tokens, leaves nothing to say: the caller "
        "hears silence.",
        source="docs/protocol.md, section 2",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="when a stream has ended with neither text nor a tool call, say an excuse, and set "
        "content_complete; ask again a few times at most",
        step="05",
        needs=_LLM,
        scripts=(Script(),),
        moves=(Open(), Greeted(), Ask(1), Answered(1, within_s=_LONG_S)),
        judge=all_of(is_answered(1), _never_goes_mute),
    ),
    Case(
        id="turns/22",
        title="asks the model in spite of odd transcripts",
        requirement="The model answers also where the transcript holds unknown roles, or words "
        "without times.",
        why="After a transfer or a note of the system each transcript holds such a thing: from "
        "then on the agent says nothing but its excuse.",
        source="docs/protocol.md, section 3",
        grade=Grade.SDK,
        severity=Severity.ERROR,
        fix="look into your log for what raises while the transcript is read; map agent to "
        "assistant, every other role to user or to nothing, and count on no words and no times",
        step="05",
        needs=_LLM,
        scripts=(Script(steps=(Say(_UNDERSTOOD),)),),
        moves=(
            *(Open(line="z"), Greeted(line="z"), Ask(1, line="z"), Answered(1, line="z")),
            *odd.asked(_ODD),
        ),
        judge=_asks_in_spite_of_all,
    ),
)
"""In the order of the lessons."""
