"""The call itself: it is taken, kept, and no business of other calls."""

import json
from typing import Final

from llmws_tutorial.checks.case import (
    BOTH,
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
from llmws_tutorial.checks.exchange import Exchange, Opened
from llmws_tutorial.checks.moves import (
    Answered,
    Ask,
    Greeted,
    ModelAsked,
    Open,
    Send,
    Update,
    Watch,
)
from llmws_tutorial.checks.rules import all_of, is_answered, stays_open
from llmws_tutorial.simulator.scripted_llm import Asked, Say, Script, Wait

_EIGHT: Final = tuple("abcdefgh")
_SAID: Final = (
    *("I", "would", "like", "to", "book", "a", "table", "for", "two"),
    *("tomorrow", "evening", "at", "eight"),
)
_ORDER: Final = "58213"
_NAME: Final = "Bartholomew"
_MY_NAME: Final = "What is my name?"
_WHOLE: Final = "Please read me the whole timetable."
_SHORT: Final = "Is there a train at nine in the timetable?"
_LONG: Final = (Say("The first train leaves at five. "), *(Wait(1.0), Say("The next at six. ")) * 4)
_LLM: Final = frozenset({Need.LLM})
_UTTERANCES: Final = 700
_WORDS: Final = 20


def _long_request() -> str:
    """A request with the transcript of an hour, with the times of the words."""
    words = [{"word": "hello", "start": at * 0.3, "end": at * 0.3 + 0.3} for at in range(_WORDS)]
    said = [
        {"role": ("agent", "user")[at % 2], "content": "hello " * _WORDS, "words": words}
        for at in range(_UTTERANCES)
    ]
    return json.dumps(
        {"interaction_type": "response_required", "response_id": 1, "transcript": said}
    )


def _keeps_ids_apart(exchange: Exchange) -> Ruling:
    for line, own in (("a", (1, 2)), ("b", (7,))):
        for got, response in exchange.pieces(line):
            if response.response_id not in (0, *own):
                expected = f"in this call only answers to {' and '.join(map(str, own))}"
                return failed(expected, f"one to {response.response_id}", got)
    return OK


def _keeps_words_apart(exchange: Exchange) -> Ruling:
    told = ""
    for got, response in exchange.pieces("a"):
        told += response.content
        if _ORDER in told:
            return failed("no word of what another caller has said", _ORDER, got)
    return OK


def _asked_for(exchange: Exchange, said: str) -> list[Asked]:
    """What the model was asked when a caller had said this."""
    return [asked for asked in exchange.upstream if said in asked.said]


def _asks_for_both(exchange: Exchange) -> Ruling:
    whole, short = (_asked_for(exchange, said)[:1] for said in (_WHOLE, _SHORT))
    for long, quick in zip(whole, short, strict=False):
        if long.outcome == "finished" and (long.ended_at_s or 0.0) <= quick.at_s:
            expected = "a question to the model while it still writes for another call"
            return failed(expected, "one when that answer was done")
    return OK


def _tells_nothing_of_others(exchange: Exchange) -> Ruling:
    asked = _asked_for(exchange, _MY_NAME)
    if not asked:
        return not_seen("a question to the model in the words of the caller")
    if any(_NAME in json.dumps(one.request) for one in asked):
        return failed("no word of another caller in what the model is told", _NAME)
    return OK


def _is_kept_out(exchange: Exchange) -> bool:
    """Whether the socket never opened, or was closed before a word was said."""
    if not exchange.was_open:
        return True
    return exchange.ended() is not None and not any(exchange.pieces())


def _refuses_a_wrong_secret(exchange: Exchange) -> Ruling:
    if not exchange.has_secret:
        expected = "a secret in the path, /llm-websocket/<secret>/{call_id}"
        return not_strict(expected, "a path that anybody can guess")
    if _is_kept_out(exchange):
        return OK
    return failed("a refusal at a wrong secret", "an open socket", exchange.of(Opened)[0])


def _refuses_browsers(exchange: Exchange) -> Ruling:
    if _is_kept_out(exchange):
        return OK
    opened = exchange.of(Opened)[0]
    return not_strict("a refusal of a browser's socket", "an open socket", opened)


CASES: Final = (
    Case(
        id="calls/1",
        title="takes a call and keeps it",
        requirement="The server accepts a socket at /llm-websocket/{call_id} and keeps it open.",
        why="Every close is a dropped phone call.",
        source="guide, step 1; docs/protocol.md, section 1",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="accept the socket, then loop over its messages instead of returning; your log says "
        "what raises, if anything does",
        step="01",
        profiles=BOTH,
        moves=(Open(), Watch(1.0)),
        judge=stays_open(),
    ),
    Case(
        id="calls/2",
        title="keeps the call while the caller speaks",
        requirement="Updates keep the call open, whatever the server makes of them.",
        why="Updates come several times a second: a server that ends at one ends every call.",
        source="docs/protocol.md, section 6",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="stay in the receive loop after a message",
        step="01",
        profiles=BOTH,
        moves=(Open(), *map(Update, _SAID), Watch()),
        judge=stays_open(),
    ),
    Case(
        id="calls/3",
        title="keeps two calls apart",
        requirement="Two calls at once are answered each on its own socket, under its own ids, "
        "and from its own words.",
        why="One caller hears what was meant for another.",
        source="docs/protocol.md, section 2",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="make one object per call; keep no state of a call in a global or in the app",
        step="03",
        profiles=BOTH,
        moves=(
            Open(),
            Open(line="b"),
            Greeted(),
            Greeted(line="b"),
            Ask(7, f"My order number is {_ORDER}.", line="b"),
            Ask(1),
            Answered(1),
            Answered(7, line="b"),
            Ask(2, "What is my order number?"),
            Answered(2),
            Watch(),
        ),
        judge=all_of(
            _keeps_ids_apart, _keeps_words_apart, is_answered(1, 2), is_answered(7, line="b")
        ),
    ),
    Case(
        id="calls/4",
        title="takes eight calls at once",
        requirement="Eight calls at once are all answered.",
        why="Callers beyond the first hear nothing.",
        source="docs/protocol.md, section 1",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="let no call wait for another: await what takes time, or hand it to a thread",
        step="03",
        profiles=BOTH,
        moves=(
            *(Open(line=line) for line in _EIGHT),
            *(Ask(1, "What are your opening hours?", line=line) for line in _EIGHT),
            *(Answered(1, line=line) for line in _EIGHT),
        ),
        judge=all_of(*(is_answered(1, line=line) for line in _EIGHT)),
    ),
    Case(
        id="calls/5",
        title="a bad frame in one call leaves the others alone",
        requirement="What breaks one call leaves the other calls as they are.",
        why="One text frame ends the process, and with it every call on it.",
        source="docs/protocol.md, section 6",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="catch what parsing and handling a message can raise, in the handler of that socket",
        step="03",
        profiles=BOTH,
        company=Company.NONE,
        moves=(
            Open(line="b"),
            Greeted(line="b"),
            Open(),
            Send("null"),
            Send('{"interaction_type": 5, "transcript": 7}'),
            Watch(),
            Ask(1, line="b"),
            Answered(1, line="b"),
        ),
        judge=is_answered(1, line="b"),
    ),
    Case(
        id="calls/6",
        title="takes the transcript of an hour",
        requirement="A request with the transcript of a whole hour is answered.",
        why="Each message carries the whole call: with a small limit it is lost after some turns.",
        source="docs/protocol.md, section 3",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="raise the limit for one message to at least 1 MiB",
        step="03",
        profiles=BOTH,
        company=Company.NONE,  # what is read beside it counts as its time
        moves=(Open(), Greeted(), Ask(1, frame=_long_request()), Answered(1)),
        judge=all_of(stays_open(), is_answered(1)),
    ),
    Case(
        id="calls/7",
        title="wants a secret in the path",
        requirement="A socket is refused where a secret in the path is wrong.",
        why="The platform brings no key: whoever finds the address can talk at your expense.",
        source="docs/protocol.md, section 1",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="configure /llm-websocket/<a long random word>/, compare it before accepting, "
        "answer HTTP 403",
        step="08",
        moves=(Open(is_wrong=True), Watch(1.0)),
        judge=_refuses_a_wrong_secret,
    ),
    Case(
        id="calls/8",
        title="refuses browsers",
        requirement="A socket with an Origin is refused: browsers send one, the platform none.",
        why="A page that a colleague opens can call your server from inside your network.",
        source="docs/protocol.md, section 1",
        grade=Grade.KIT,
        severity=Severity.ADVICE,
        fix="answer HTTP 403 when the request has an Origin header",
        step="08",
        moves=(Open(origin="https://elsewhere.example"), Watch(1.0)),
        judge=_refuses_browsers,
    ),
    Case(
        id="calls/9",
        title="asks the model for two calls at once",
        requirement="While the model writes for one call, another call is answered as well.",
        why="One caller wants a long answer, and all the others wait in silence until it is said.",
        source="docs/protocol.md, section 1",
        grade=Grade.FIELD,
        severity=Severity.ERROR,
        fix="call the model asynchronously, or in a thread; hold nothing that another call needs "
        "(a lock, the only connection) while it writes",
        step="05",
        needs=_LLM,
        scripts=(Script(when=_WHOLE, steps=_LONG), Script(when=_SHORT, steps=(Say("Yes."),))),
        moves=(
            *(Open(line="b"), Greeted(line="b"), Open(), Greeted()),
            *(Ask(1, _WHOLE, line="b"), ModelAsked(), Ask(1, _SHORT), Answered(1)),
        ),
        judge=all_of(_asks_for_both, is_answered(1)),
    ),
    Case(
        id="calls/10",
        title="tells the model nothing of other callers",
        requirement="What one caller has said is not in what the model is told for another.",
        why="The agent calls people by the name of somebody else, and tells what it must not.",
        source="docs/protocol.md, section 2",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="make the model's messages anew from the transcript of each request; keep none of "
        "them in the app",
        step="05",
        needs=_LLM,
        scripts=(Script(steps=(Say("Very well."),)),),
        moves=(
            *(Open(line="b"), Greeted(line="b")),
            *(Ask(1, f"My name is {_NAME}.", line="b"), Answered(1, line="b")),
            *(Open(), Greeted(), Ask(1, _MY_NAME), Answered(1)),
        ),
        judge=_tells_nothing_of_others,
    ),
)
"""In the order of the lessons."""
