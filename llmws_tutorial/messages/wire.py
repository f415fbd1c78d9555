"""Frames to messages and back: one text frame holds one JSON object.

Reading is strict about types (``true`` is no number, ``"true"`` is no boolean, NaN is no JSON) and
tolerant about the rest: unknown fields and roles pass, because the platform adds both.
"""

import contextlib
import re
from typing import Any, Final

import msgspec

from llmws_tutorial.errors import (
    ForeignFrame,
    NotJson,
    PlatformProtocolError,
    ServerProtocolError,
    UnknownEvent,
)
from llmws_tutorial.messages.requests import CallDetails, CallFacts, Request, UnknownRequest
from llmws_tutorial.messages.responses import Response, ServerMessage


class _ResponseKind(msgspec.Struct):
    response_type: str = "response"  # absent in the original guide, which knows nothing else


_requests: Final = msgspec.json.Decoder(Request)
_server_messages: Final = msgspec.json.Decoder(ServerMessage)
_responses: Final = msgspec.json.Decoder(Response)
_response_kinds: Final = msgspec.json.Decoder(_ResponseKind)
_anything: Final = msgspec.json.Decoder()
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeEncodeError, RecursionError)
_ESCAPES: Final = re.compile(
    r"\\\\"  # a backslash
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a character in two halves
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_encoder: Final = msgspec.json.Encoder()
_written: Final = {
    kind: msgspec.json.Decoder(kind) for kind in (*Request.__args__, *ServerMessage.__args__)
}
_KNOWN_REQUESTS: Final = {kind.__struct_config__.tag for kind in Request.__args__}
_KNOWN_RESPONSES: Final = {kind.__struct_config__.tag for kind in ServerMessage.__args__}


def read_request(frame: str) -> Request | UnknownRequest:
    """Read a frame that the platform sent.

    Raises:
        ForeignFrame: when it is no JSON object, so that no platform can have sent it.
        PlatformProtocolError: when a field of a known event is missing or mistyped.
    """
    try:
        return _requests.decode(frame)  # type: ignore[no-any-return]
    except _UNREADABLE as error:
        problem = _lower_first(str(error))  # the error itself would keep the frame in memory
    if (mended := _mend(frame)) != frame:
        return read_request(mended)
    fields = read_object(frame)
    kind = fields.get("interaction_type", "")
    if isinstance(kind, str) and kind not in _KNOWN_REQUESTS:
        return UnknownRequest(interaction_type=kind, fields=fields)
    if kind == "call_details" and isinstance(fields.get("call"), dict):
        return CallDetails(call=_readable_facts(fields["call"]))
    raise PlatformProtocolError(f"mistyped frame: {problem}")


def read_object(frame: str) -> dict[str, Any]:
    """Read a frame as plain data, with the fields that this kit does not know.

    Raises:
        ForeignFrame: when it is no JSON object, so that no platform can have sent it.
    """
    try:
        found = _anything.decode(_mend(frame))
    except _UNREADABLE as error:
        raise ForeignFrame(f"not JSON: {_lower_first(str(error))}") from None
    if not isinstance(found, dict):
        raise ForeignFrame(f"expected a JSON object, got {type(found).__name__}")
    return found


def read_response(frame: str) -> ServerMessage:
    """Read a frame that a server sent.

    Raises:
        ServerProtocolError: when the platform would drop it: a field is missing or mistyped, or it
            is no object.
        NotJson: when it is not JSON.
        UnknownEvent: when the platform does not know the event.
    """
    kind = _decoded(_response_kinds, frame).response_type
    if kind not in _KNOWN_RESPONSES:
        known = ", ".join(sorted(map(str, _KNOWN_RESPONSES)))
        raise UnknownEvent(f"unknown response_type {kind!r}, expected one of {known}")
    decoder = _responses if kind == "response" else _server_messages
    return _decoded(decoder, frame)  # type: ignore[no-any-return]


def write(message: Request | ServerMessage) -> str:
    """Write a message as the text of one frame, if the other side would take it.

    Raises:
        ServerProtocolError: when it is no message, or a field has the wrong type, is out of range,
            or holds what JSON cannot.
    """
    reader = _written.get(type(message))
    if reader is None:
        raise ServerProtocolError(f"expected a message, got {type(message).__name__}")
    try:
        frame = _encoder.encode(message)
        reader.decode(frame)
    except (TypeError, UnicodeEncodeError, RecursionError) as error:
        raise ServerProtocolError(f"no JSON can hold it: {_lower_first(str(error))}") from None
    except msgspec.ValidationError as error:
        raise ServerProtocolError(f"mistyped message: {_lower_first(str(error))}") from None
    return frame.decode()


def _readable_facts(call: dict[str, Any]) -> CallFacts:
    """The facts of a call without those that are mistyped."""
    readable: dict[str, Any] = {}
    for name in call.keys() & set(CallFacts.__struct_fields__):
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert({name: call[name]}, CallFacts)
            readable[name] = call[name]
    return msgspec.convert(readable, CallFacts)


def _mend(frame: str) -> str:
    """The same JSON with half characters replaced.

    An escaped lone surrogate is JSON by its grammar, so it does not prove that the peer is foreign.
    """
    return _ESCAPES.sub(_whole, frame) if "\\u" in frame else frame


def _whole(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["half"] else escape[0]


def _decoded(decoder: "msgspec.json.Decoder[Any]", frame: str) -> Any:
    try:
        return decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise ServerProtocolError(f"mistyped frame: {_lower_first(str(error))}") from None
    except _UNREADABLE as error:
        raise NotJson(f"not JSON: {_lower_first(str(error))}") from None


def _lower_first(text: str) -> str:
    return text if text.startswith("JSON") else text[:1].lower() + text[1:]
