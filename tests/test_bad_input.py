"""Whatever a peer sends: foreign frames end the call in 1002, odd ones leave it as it was."""

import json
import logging
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import pytest

from llmws_tutorial.server.settings import MESSAGE_BYTES
from tests.raw_peer import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    Listening,
    Peer,
    frame,
    listening,
)

ANSWER: Final = "I am sorry, can you say that again?"
DEEP: Final = 100_000
DIGITS: Final = b"9" * 100_000
call_ids = (f"call-{number}" for number in count())


@pytest.fixture(scope="module")
def server() -> Iterator[Listening]:
    with listening() as running:
        yield running


class Call(Peer):
    """A call that was configured and greeted."""

    def __init__(self, server: Listening) -> None:
        self.call_id = next(call_ids)
        super().__init__(server.call(self.call_id).socket)
        assert [self.read()[0] for _ in range(2)] == [TEXT, TEXT]

    def hear(self) -> dict[str, Any]:
        opcode, data = self.read()
        assert opcode == TEXT, (opcode, data)
        heard: dict[str, Any] = json.loads(data)
        return heard

    def is_answered(self, response_id: int) -> bool:
        heard = self.hear()
        return (heard["response_id"], heard["content"]) == (response_id, ANSWER)

    def goes_on(self) -> bool:
        """Whether a heartbeat and a request are answered, and nothing else was in the way."""
        self.send(TEXT, b'{"interaction_type":"ping_pong","timestamp":77}')
        self.send(TEXT, asked(7777))
        return self.hear()["timestamp"] == 77 and self.is_answered(7777)


def asked(response_id: Any, **fields: Any) -> bytes:
    request = {"interaction_type": "response_required", "response_id": response_id}
    return json.dumps({**request, "transcript": [], **fields}).encode()


def lines(caplog: pytest.LogCaptureFixture, call_id: str) -> list[str]:
    return [line for line in caplog.messages if f"call {call_id!r}: " in line]


FOREIGN: Final[dict[str, bytes]] = {
    "empty": b"",
    "blank": b" ",
    "plain text": b"Hello",
    "truncated": asked(1)[:-1],
    "one brace": b"{",
    "trailing": b"{} {}",
    "single quotes": b"{'interaction_type':'update_only'}",
    "a comment": b'{"interaction_type":"update_only"} // ok',
    "a byte-order mark": b"\xef\xbb\xbf" + asked(1),
    "null": b"null",
    "true": b"true",
    "a list": b"[" + asked(1) + b"]",
    "a number": b"1",
    "a string": b'"Hello"',
    "a bare NaN": b"NaN",
    "a NaN": b'{"interaction_type":"ping_pong","timestamp":NaN}',
    "an infinity": b'{"interaction_type":"ping_pong","timestamp":-Infinity}',
    "a NaN where nobody looks": b'{"interaction_type":"update_only","x":NaN}',
    "a bare 1e999": b"1e999",
    "1e999": b'{"interaction_type":"ping_pong","timestamp":1e999}',
    "endless levels": b"[" * DEEP,
    "many levels": b"[" * DEEP + b"]" * DEEP,
    "many levels in a transcript": b'{"interaction_type":"response_required","response_id":1,'
    b'"transcript":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "many levels of objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "many digits": DIGITS,
    "many digits in a timestamp": b'{"interaction_type":"ping_pong","timestamp":' + DIGITS + b"}",
    "many digits in an id": b'{"interaction_type":"response_required","response_id":'
    + DIGITS
    + b"}",
    "a control character": b'{"interaction_type":"update_only","x":"a\nb"}',
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_text_closes_1002_and_nothing_is_echoed(
    server: Listening, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = Call(server)
    with caplog.at_level(logging.INFO):
        call.send(TEXT, FOREIGN[name])
        opcode, data = call.read()
    assert (opcode, data) == (CLOSE, (1002).to_bytes(2) + b"Cannot parse incoming message.")
    call.send(CLOSE, data[:2])
    assert call.rest() == b""
    assert all(len(line) < 500 for line in lines(caplog, call.call_id))


@pytest.mark.parametrize("data", [b"", b"\x00", asked(1)], ids=["empty", "a null", "a request"])
def test_a_binary_frame_closes_1002_whatever_is_in_it(server: Listening, data: bytes) -> None:
    call = Call(server)
    call.send(BINARY, data)
    assert call.read() == (CLOSE, (1002).to_bytes(2) + b"Cannot find corresponding Retell LLM.")


def test_what_comes_after_a_foreign_frame_is_not_answered(server: Listening) -> None:
    call = Call(server)
    call.socket.sendall(frame(TEXT, b"Hello") + frame(TEXT, asked(1)) + frame(BINARY, b""))
    assert call.close_code() == 1002
    call.send(CLOSE, (1002).to_bytes(2))
    assert call.rest() == b""


SAID: Final = {"role": "user", "content": "Hello?"}
TOOL: Final = {
    "role": "tool_call_invocation",
    "tool_call_id": "t",
    "name": "book",
    "arguments": "{}",
}
UNANSWERED: Final[dict[str, bytes]] = {
    "no event": b"{}",
    "an unknown event": b'{"interaction_type":"new","response_id":1}',
    "an event that is null": b'{"interaction_type":null}',
    "an event that is a list": b'{"interaction_type":["ping_pong"]}',
    "an event in capitals": b'{"interaction_type":"PING_PONG","timestamp":1}',
    "half a character as event": b'{"interaction_type":"\\ud800"}',
    "a heartbeat without time": b'{"interaction_type":"ping_pong"}',
    "a heartbeat at true": b'{"interaction_type":"ping_pong","timestamp":true}',
    "a heartbeat at a string": b'{"interaction_type":"ping_pong","timestamp":"1"}',
    "facts that are none": b'{"interaction_type":"call_details"}',
    "facts that are a number": b'{"interaction_type":"call_details","call":7}',
    "an update of nothing": b'{"interaction_type":"update_only"}',
    "an update that is a string": b'{"interaction_type":"update_only","transcript":"Hello"}',
    "an update of half a character": b'{"interaction_type":"update_only","transcript":[{"role":'
    b'"user","content":"\\udc00"}],"turntaking":"user_turn"}',
    "an unknown turn": b'{"interaction_type":"update_only","turntaking":"my_turn"}',
    "a request without id": b'{"interaction_type":"response_required","transcript":[]}',
    "a reminder without id": b'{"interaction_type":"reminder_required"}',
    "an id that is true": asked(True),
    "an id that is null": asked(None),
    "an id that is a string": asked("1"),
    "an id that is a list": asked([1]),
    "an id of one and a half": asked(1.5),
    "an id of the greeting": asked(0),
    "a negative id": asked(-1),
}


@pytest.mark.parametrize("name", UNANSWERED)
def test_an_odd_message_is_a_line_in_the_log_at_most_and_the_call_goes_on(
    server: Listening, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = Call(server)
    with caplog.at_level(logging.INFO):
        call.send(TEXT, UNANSWERED[name])
        assert call.goes_on()
    assert len(lines(caplog, call.call_id)) <= 1


ANSWERED: Final[dict[str, tuple[int, bytes]]] = {
    "an id beyond 2^53": (2**53 + 1, asked(2**53 + 1)),
    "an id beyond 2^64": (2**64 + 1, asked(2**64 + 1)),
    "an id that is there twice": (
        2,
        b'{"interaction_type":"response_required","response_id":1,"response_id":2}',
    ),
    "no transcript": (1, b'{"interaction_type":"response_required","response_id":1}'),
    "an empty transcript": (1, asked(1)),
    "a transcript of null": (1, asked(1, transcript=None)),
    "a transcript that is a string": (1, asked(1, transcript="Hello")),
    "a transcript of anything": (1, asked(1, transcript=[None, 7, "Hello", [], {}, SAID])),
    "an unknown role": (1, asked(1, transcript=[{"role": "ghost", "content": "Boo"}])),
    "a role that is no string": (1, asked(1, transcript=[{"role": 7, "content": 7}])),
    "a tool call among utterances": (1, asked(1, transcript=[SAID, TOOL])),
    "words without times": (1, asked(1, transcript=[{**SAID, "words": [{"word": "Hello?"}]}])),
    "words that are none": (1, asked(1, transcript=[{**SAID, "words": 7}])),
    "half a character in speech": (1, asked(1, transcript=[{**SAID, "content": "a\ud800b"}])),
    "nothing intelligible": (
        1,
        asked(1, transcript=[{**SAID, "content": "(unintelligible audio)"}]),
    ),
    "unknown fields": (1, asked(1, timestamp=1, mood={"deep": [1, None]})),
    "a reminder": (1, asked(1, interaction_type="reminder_required")),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_an_odd_request_is_answered_and_the_call_goes_on(
    server: Listening, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = Call(server)
    response_id, request = ANSWERED[name]
    with caplog.at_level(logging.INFO):
        call.send(TEXT, request)
        assert call.is_answered(response_id)
        assert call.goes_on()
    assert lines(caplog, call.call_id) == []


@pytest.mark.parametrize(
    ("ids", "answered"),
    [([1, 1, 1], [1]), ([1, 2, 1, 2], [1, 2]), ([5, 3, 4, 5], [5, 3, 4])],
    ids=["repeated", "repeated in turns", "descending"],
)
def test_an_id_is_answered_once(server: Listening, ids: list[int], answered: list[int]) -> None:
    call = Call(server)
    for response_id in ids:
        call.send(TEXT, asked(response_id))
    assert [call.is_answered(response_id) for response_id in answered] == [True] * len(answered)
    assert call.goes_on()


BROKEN: Final[dict[str, tuple[int, bytes]]] = {
    "a reserved bit": (1002, b"\xc1\x80" + bytes(4)),
    "a reserved opcode": (1002, frame(3)),
    "a reserved control opcode": (1002, frame(11)),
    "no mask": (1002, b"\x81\x02{}"),
    "a ping in pieces": (1002, frame(PING, is_last=False)),
    "a ping that is too long": (1002, frame(PING, b"p" * 126)),
    "a continuation of nothing": (1002, frame(0, b"{}")),
    "a text within a text": (1002, frame(TEXT, b"{", is_last=False) + frame(TEXT, b"}")),
    "a close of one byte": (1002, frame(CLOSE, b"\x03")),
    "a close with a code of nobody": (1002, frame(CLOSE, (999).to_bytes(2))),
    "a close with a code that is never sent": (1002, frame(CLOSE, (1006).to_bytes(2))),
    "a close that is too long": (1002, frame(CLOSE, (1000).to_bytes(2) + b"x" * 124)),
    "a close that is not UTF-8": (1007, frame(CLOSE, (1000).to_bytes(2) + b"\xff")),
    "a text that is not UTF-8": (1007, frame(TEXT, b'{"a":"\xff"}')),
    "half a character in UTF-8": (1007, frame(TEXT, b'"\xe2\x82')),
    "a surrogate in UTF-8": (1007, frame(TEXT, b'"\xed\xa0\x80"')),
    "no UTF-8 in pieces": (1007, frame(TEXT, b'"\xe2', is_last=False) + frame(0, b'("')),
    "a message that is too long": (1009, frame(TEXT, b" " * (MESSAGE_BYTES + 1))),
    "a message that is too long in pieces": (
        1009,
        frame(TEXT, b" " * MESSAGE_BYTES, is_last=False) + frame(0, b"{}"),
    ),
    "a header that claims 2^62 bytes": (1009, b"\x81\xff" + (2**62).to_bytes(8) + bytes(4)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_websockets_own_rules_closes_as_its_text_says(
    server: Listening, name: str
) -> None:
    code, data = BROKEN[name]
    call, neighbour = Call(server), Call(server)
    call.socket.sendall(data)
    assert call.close_code() == code
    assert neighbour.goes_on()


def test_what_websockets_rules_allow_changes_nothing(server: Listening) -> None:
    call = Call(server)
    euro = asked(1, transcript=[{**SAID, "content": "€"}]).replace(b"\\u20ac", "€".encode())
    half = euro.index("€".encode()) + 1  # in the middle of a character
    pieces = frame(TEXT, euro[:half], is_last=False) + frame(PING, b"p") + frame(0, euro[half:])
    call.socket.sendall(frame(PONG, b"unasked") + pieces)
    assert call.read() == (PONG, b"p")
    assert call.is_answered(1)
    assert call.goes_on()


@pytest.mark.parametrize("text", ["a\nINFO: forged", "a\r\nforged", "\u2028forged", "\x1b[2Jx"])
def test_a_line_break_forges_no_line_in_the_log(
    server: Listening, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = Call(server)
    messages = [
        {"interaction_type": text},
        {"interaction_type": "update_only", "turntaking": text},
        {"interaction_type": "response_required", "response_id": text},
        {"interaction_type": "update_only", text: text, "transcript": [{"role": text}]},
    ]
    with caplog.at_level(logging.INFO):
        for message in messages:
            call.send(TEXT, json.dumps(message).encode())
        assert call.goes_on()
    logged = lines(caplog, call.call_id)
    assert len(logged) == 3
    assert [line for line in logged if not line.isprintable()] == []


def test_a_line_break_in_a_call_id_is_refused_and_forges_no_line(
    server: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        peer = server.dial(UPGRADE.format("a%0AINFO:%20forged") + "\r\n")
        assert peer.rest().startswith(b"HTTP/1.1 403 ")
    assert [line for line in caplog.messages if "\n" in line] == []
