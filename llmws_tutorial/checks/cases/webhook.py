"""The webhook: who is let in, and what is answered."""

import json
from functools import partial
from typing import Any, Final

from llmws_tutorial.checks.case import (
    OK,
    Case,
    Grade,
    Judge,
    Need,
    Ruling,
    Severity,
    failed,
    not_seen,
)
from llmws_tutorial.checks.exchange import Exchange, Posted
from llmws_tutorial.checks.moves import Post

_UTTERANCES: Final = 720
_WORDS: Final = 15  # in each: three words a second for an hour
_ABSENT: Final = (404, 405)
"""What answers instead of a webhook that is not there."""


def _event(name: str, call_id: str, **fields: Any) -> bytes:
    """Write an event as compactly as can be: read and written again it is the same."""
    call = {"call_id": call_id, "call_type": "web_call", "agent_id": "agent", **fields}
    return json.dumps({"event": name, "call": call}, separators=(",", ":")).encode()


def _hour() -> bytes:
    """An event with the transcript of an hour: as text, and twice with the times of the words."""
    said = [
        {
            "role": ("agent", "user")[at % 2],
            "content": " ".join(["hello"] * _WORDS),
            "words": [
                {
                    "word": "hello",
                    "start": round(at * 5 + word / 3, 3),
                    "end": round(at * 5 + (word + 1) / 3, 3),
                }
                for word in range(_WORDS)
            ],
        }
        for at in range(_UTTERANCES)
    ]
    return _event(
        "call_analyzed",
        "check_hour",
        transcript="\n".join(f"{one['role']}: {one['content']}" for one in said),
        transcript_object=said,
        transcript_with_tool_calls=said,
    )


_RAW: Final = (
    b'{ "call" : {"duration_ms":1.0, "call_id":"check_raw", '
    b'"transcript":"User: caf\\u00e9 \\u003c3 \\/ 5"},  "event":"call_analyzed"} '
)
"""What no writer writes: blanks, order, escapes and 1.0 are lost when it is read and written."""


def _is_taken(exchange: Exchange) -> Ruling:
    """The last event is answered 2xx; the way to it has a time limit of its own."""
    for posted in exchange.of(Posted)[-1:]:
        if posted.status is None or not 200 <= posted.status < 300:
            return failed("2xx within 10 s", posted.problem or f"HTTP {posted.status}", posted)
    return OK


def _is_taken_again(exchange: Exchange) -> Ruling:
    first = exchange.of(Posted)[:1]
    if any(posted.status is None or not 200 <= posted.status < 300 for posted in first):
        return not_seen("a webhook that takes the event when it comes for the first time")
    return _is_taken(exchange)


def _refuses(what: str) -> Judge:
    def judge(exchange: Exchange) -> Ruling:
        for posted in exchange.of(Posted):
            if posted.status in _ABSENT:
                return not_seen(f"a webhook at this URL that takes POST, not HTTP {posted.status}")
            if posted.status is None or not 400 <= posted.status < 500:
                return failed(f"a refusal (4xx) of {what}", _answer(posted), posted)
        return OK

    return judge


def _answer(posted: Posted) -> str:
    if posted.status is None:
        return posted.problem
    return f"HTTP {posted.status}" + (": it raised" if posted.status == 500 else "")


_webhook: Final = partial(
    Case,
    source="docs/protocol.md, section 9",
    step="08",
    needs=frozenset({Need.WEBHOOK}),
)
"""A case of an event that is posted."""

CASES: Final = (
    _webhook(
        id="webhook/1",
        title="takes a signed event",
        requirement="A signed call_ended is answered 2xx within 10 s.",
        why="The platform sends it again and again, then gives up: you never learn of the call.",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="answer at once and work afterwards; what happened is in event, and the call in "
        "call (not data); use the API key that is marked for webhooks",
        moves=(
            Post(
                _event(
                    "call_ended",
                    "check_ended",
                    call_status="ended",
                    disconnection_reason="user_hangup",
                    start_timestamp=1_700_000_000_000,
                    end_timestamp=1_700_000_060_000,
                    duration_ms=60_000,
                    transcript="Agent: Hello.\nUser: Goodbye.\n",
                    transcript_object=[],
                    metadata={},
                    retell_llm_dynamic_variables={},
                )
            ),
        ),
        judge=_is_taken,
    ),
    _webhook(
        id="webhook/2",
        title="refuses an unsigned event",
        requirement="An event without a signature is refused with 4xx.",
        why="Whoever finds the URL can tell you about calls that never were.",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="answer 401 when the header x-retell-signature is missing; verify always, not only "
        "when it is there",
        moves=(Post(_event("call_started", "check_unsigned"), signed="never"),),
        judge=_refuses("an unsigned event"),
    ),
    _webhook(
        id="webhook/3",
        title="refuses an event that is signed with another key",
        requirement="An event that is signed with another key is refused with 4xx.",
        why="A signature that nobody compares lets everybody in who knows its form.",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="compute HMAC-SHA256 of the body and the milliseconds under your API key, and "
        "compare it in constant time",
        moves=(Post(_event("call_started", "check_forged"), signed="wrong key"),),
        judge=_refuses("an event that is signed with another key"),
    ),
    _webhook(
        id="webhook/4",
        title="refuses an old signature",
        requirement="An event that was signed ten minutes ago is refused with 4xx.",
        why="Whoever saw one event can send it again for ever.",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="refuse when v is more than 5 minutes from your own clock, either way",
        moves=(Post(_event("call_started", "check_replayed"), signed="ten minutes ago"),),
        judge=_refuses("an event that was signed ten minutes ago"),
    ),
    _webhook(
        id="webhook/5",
        title="verifies the raw body",
        requirement="A signature is verified over the bytes that came: any JSON is taken.",
        why="Parsed and written again a body has other bytes: real events are refused, and "
        "only some of them, so that no test finds it.",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="read the raw body (Express: express.raw; FastAPI: await request.body()), verify "
        "it, then parse it",
        moves=(Post(_RAW),),
        judge=_is_taken,
    ),
    _webhook(
        id="webhook/6",
        title="takes an unknown event",
        requirement="A signed event with an unknown name is answered 2xx.",
        why="The day that the platform adds an event, each is refused and comes four times.",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="answer 2xx to every signed event, and ignore those that you do not know",
        moves=(Post(_event("call_applauded", "check_unknown")),),
        judge=_is_taken,
    ),
    _webhook(
        id="webhook/7",
        title="takes an event that was here before",
        requirement="The same event is answered 2xx each time that it comes.",
        why="It comes again when your answer was lost: refused, it goes on coming.",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="answer 2xx to an event that you have already, and do nothing more about it",
        moves=(Post(_event("call_started", "check_twice")),) * 2,
        judge=_is_taken_again,
    ),
    _webhook(
        id="webhook/8",
        title="takes the transcript of an hour",
        requirement="A signed event with the transcript of an hour, over 1 MB, is answered 2xx.",
        why="The longest calls, and only they, are missing from your books.",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="raise the limit for a body to 4 MiB: Express has 100 kB, nginx 1 MiB by default",
        moves=(Post(_hour()),),
        judge=_is_taken,
    ),
    _webhook(
        id="webhook/9",
        title="refuses what is no JSON object",
        requirement="A signed body that is no JSON object is refused with 4xx, not with 5xx.",
        why="A traceback in the log at every odd body hides those that matter.",
        grade=Grade.KIT,
        severity=Severity.ADVICE,
        fix="catch the parser's error, make sure that it is an object, and answer 400",
        moves=(Post(b"null"), Post(b"Hello")),
        judge=_refuses("what is no JSON object"),
    ),
)
"""In the order of the lessons."""
