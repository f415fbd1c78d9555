"""The checks themselves, as data: an id, what is sent, what must come back.

They hold a server to the original guide (profile ``guide-2024``). Every case opens a new
connection, sends its frames after the first message, and looks at what the server did.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from llmws_tutorial.errors import ServerProtocolError
from llmws_tutorial.messages import Response, read_response


class Severity(Enum):
    """How much a failure costs on a real call."""

    ERROR = "breaks the call"
    WARNING = "hurts the call"


@dataclass(frozen=True)
class Answers:
    """What a server did on one connection.

    Attributes:
        greeting: the frames that came before anything was sent.
        frames: the frames that came after.
        close_code: the code with which the server closed; None when it kept the call.
        close_reason: the text that came with that code.
    """

    greeting: tuple[str | bytes, ...] = ()
    frames: tuple[str | bytes, ...] = ()
    close_code: int | None = None
    close_reason: str = ""


@dataclass(frozen=True)
class Case:
    """One thing that a server must do.

    Attributes:
        id: topic and number, stable for ever.
        requirement: what must happen, in one sentence.
        source: where that is written.
        severity: what it costs when it does not.
        fix: what to change in the server.
        sends: the frames to send once the first message is in; text or bytes.
        judge: what was wrong with the answers, "expected ..., got ..."; None when nothing was.
        answered: whether each request among the frames must be answered before the next frame
            is sent; a newer request would excuse the server from the older one.
        greeted: whether to wait for the first message before sending.
        closes: whether the server must close the call by itself.
    """

    id: str
    requirement: str
    source: str
    severity: Severity
    fix: str
    sends: tuple[str | bytes, ...]
    judge: Callable[[Answers], str | None]
    answered: bool = False
    greeted: bool = True
    closes: bool = False


def _request(kind: str, response_id: int | None = None, said: str = "Hello") -> str:
    request: dict[str, Any] = {
        "interaction_type": kind,
        "transcript": [{"role": "user", "content": said}],
    }
    if response_id is not None:
        request["response_id"] = response_id
    return json.dumps(request)


def _greets(answers: Answers) -> str | None:
    if not answers.greeting:
        return "expected a first message with response_id 0, got none"
    return _wrong_responses(answers.greeting, (0,))


def _accepts(answers: Answers) -> str | None:
    if answers.close_code is not None:
        return f"expected an open call, got close code {answers.close_code}"
    return None


def _is_silent(answers: Answers) -> str | None:
    if answers.frames:
        return f"expected no answer, got {_shown(answers.frames[0])}"
    return _accepts(answers)


def _answers_with(*response_ids: int) -> Callable[[Answers], str | None]:
    return lambda answers: _wrong_responses(answers.frames, response_ids)


def _closes_1002(reason: str) -> Callable[[Answers], str | None]:
    def judge(answers: Answers) -> str | None:
        got = (answers.close_code, answers.close_reason)
        if got != (1002, reason):
            return f"expected close code 1002 {reason!r}, got {_shown_close(answers)}"
        if answers.frames:
            return f"expected nothing after the bad frame, got {_shown(answers.frames[0])}"
        return None

    return judge


def _wrong_responses(frames: tuple[str | bytes, ...], response_ids: tuple[int, ...]) -> str | None:
    """Whether the frames are whole answers under these ids, one after another."""
    open_ids = list(response_ids)
    for frame in frames:
        try:
            response = read_response(_text(frame))
        except ServerProtocolError as error:
            return f"expected a response, got {_shown(frame)} ({error})"
        if not isinstance(response, Response):
            continue
        if response.response_id not in open_ids[:1]:
            expected = f"response_id {open_ids[0]}" if open_ids else "nothing more"
            return f"expected {expected}, got response_id {response.response_id}"
        if response.content_complete:
            del open_ids[0]
    if open_ids:
        return f"expected a complete answer with response_id {open_ids[0]}, got none"
    return None


def wants_answer(frame: str | bytes) -> bool:
    """Whether a frame that a case sends asks for an answer: only those carry an id."""
    return isinstance(frame, str) and '"response_id"' in frame


def is_complete(frame: str | bytes) -> bool:
    """Whether a server's frame ends an answer."""
    try:
        response = read_response(_text(frame))
    except ServerProtocolError:
        return False
    return isinstance(response, Response) and response.content_complete


def _text(frame: str | bytes) -> str:
    if isinstance(frame, bytes):
        raise ServerProtocolError("a binary frame, expected text")
    return frame


def _shown(frame: str | bytes) -> str:
    text = frame if isinstance(frame, str) else f"{len(frame)} bytes of binary"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _shown_close(answers: Answers) -> str:
    if answers.close_code is None:
        return "an open call"
    return f"{answers.close_code} {answers.close_reason!r}"


CASES: Final = (
    Case(
        id="connect/1",
        requirement="The server accepts a socket at /llm-websocket/{call_id} and keeps it open.",
        source="guide, step 1",
        severity=Severity.ERROR,
        fix="accept the socket, then loop over its messages instead of returning",
        sends=(),
        judge=_accepts,
        greeted=False,
    ),
    Case(
        id="connect/2",
        requirement="An update keeps the call open, whatever the server makes of it.",
        source="docs/protocol.md, section 6",
        severity=Severity.ERROR,
        fix="stay in the receive loop after a message",
        sends=(_request("update_only"),),
        judge=_accepts,
        greeted=False,
    ),
    Case(
        id="begin/1",
        requirement="The first message has response_id 0 and is complete.",
        source="guide, step 2; docs/protocol.md, section 2",
        severity=Severity.ERROR,
        fix="send the begin message right after accepting the socket",
        sends=(),
        judge=_greets,
    ),
    Case(
        id="turns/1",
        requirement="A response_required is answered under its own response_id, to completion.",
        source="guide, step 2; docs/protocol.md, section 5",
        severity=Severity.ERROR,
        fix="copy response_id from the request, and set content_complete on the last piece",
        sends=(_request("response_required", 1),),
        judge=_answers_with(1),
        answered=True,
    ),
    Case(
        id="turns/2",
        requirement="An update_only is not answered.",
        source="guide, step 2; docs/protocol.md, section 2",
        severity=Severity.WARNING,
        fix="return at once when interaction_type is update_only",
        sends=(_request("update_only"),),
        judge=_is_silent,
    ),
    Case(
        id="turns/3",
        requirement="A reminder_required is answered under its own response_id.",
        source="guide, step 2; docs/protocol.md, section 3",
        severity=Severity.ERROR,
        fix="answer reminder_required as you answer response_required",
        sends=(_request("reminder_required", 1),),
        judge=_answers_with(1),
        answered=True,
    ),
    Case(
        id="turns/4",
        requirement="One turn after another is answered, each under its own id.",
        source="docs/protocol.md, section 2",
        severity=Severity.ERROR,
        fix="keep reading after an answer, and take the id from each request",
        sends=(
            _request("response_required", 1),
            _request("update_only"),
            _request("response_required", 2),
        ),
        judge=_answers_with(1, 2),
        answered=True,
    ),
    Case(
        id="input/1",
        requirement="A binary frame closes the call with 1002, and nothing after it is read.",
        source="guide, step 3; docs/protocol.md, section 7",
        severity=Severity.ERROR,
        fix='close with code 1002 and "Cannot find corresponding Retell LLM.", then return',
        sends=(b"\x00\x01", _request("response_required", 1)),
        judge=_closes_1002("Cannot find corresponding Retell LLM."),
        closes=True,
    ),
    Case(
        id="input/2",
        requirement="A frame that is not JSON closes the call with 1002, nothing after it is read.",
        source="guide, step 3; docs/protocol.md, section 7",
        severity=Severity.ERROR,
        fix='close with code 1002 and "Cannot parse incoming message.", then return',
        sends=("Hello", _request("response_required", 1)),
        judge=_closes_1002("Cannot parse incoming message."),
        closes=True,
    ),
    Case(
        id="input/3",
        requirement="JSON that is not an object closes the call with 1002.",
        source="docs/protocol.md, section 6",
        severity=Severity.ERROR,
        fix="check that what you parsed is a dict before you look inside",
        sends=("null",),
        judge=_closes_1002("Cannot parse incoming message."),
        closes=True,
    ),
)
"""Every check, in the order of the lessons."""
