"""The wire: every message of the original guide, both directions, as frozen types.

One text frame holds one JSON object. What the platform sends carries an ``interaction_type``;
what your server sends is a response. Field names are the platform's, verbatim.

Reading is strict about types (``true`` is no number, ``"true"`` is no boolean) and tolerant
about the rest: unknown fields and unknown roles pass, because the platform adds both.
"""

from typing import Any, Final

import msgspec

from llmws_tutorial.errors import PlatformProtocolError, ServerProtocolError

BEGIN_RESPONSE_ID: Final = 0
"""The id of the first message of a call. The ids in requests start at 1 and only grow."""


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """What one side said in one go.

    Attributes:
        role: ``agent`` or ``user``; the platform also sends others, which must be survived.
        content: the words as text; may be the literal ``(unintelligible audio)``.

    Source: docs/protocol.md, section 3.
    """

    role: str
    content: str


class UpdateOnly(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="interaction_type", tag="update_only"
):
    """The live transcript, for information.

    Sent by: the platform, while somebody speaks.        Answer: none.

    Attributes:
        transcript: the whole call so far, oldest first.

    Source: docs/protocol.md, section 3.
    """

    transcript: tuple[Utterance, ...]


class ResponseRequired(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="interaction_type", tag="response_required"
):
    """The caller has finished: it is the agent's turn.

    Sent by: the platform, once a turn.        Answer: responses with the same id.

    Attributes:
        response_id: the id to answer with (1 and up, growing); every older id is now dead.
        transcript: the whole call so far, oldest first; may be empty.

    Source: docs/protocol.md, section 3.
    """

    response_id: int
    transcript: tuple[Utterance, ...]


class ReminderRequired(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="interaction_type", tag="reminder_required"
):
    """The caller has been quiet for a while: the agent may nudge.

    Sent by: the platform, after silence.        Answer: responses with the same id.

    Attributes:
        response_id: the id to answer with (1 and up, growing); every older id is now dead.
        transcript: the whole call so far, oldest first.

    Source: docs/protocol.md, section 3.
    """

    response_id: int
    transcript: tuple[Utterance, ...]


Request = UpdateOnly | ResponseRequired | ReminderRequired
"""Everything that the platform sends in the original guide."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of what the agent is to say.

    Sent by: your server, as often as it likes for one id.        Answer: none.

    Attributes:
        response_id: the id of the request that this answers; 0 for the first message.
        content: the text to speak; the pieces of one id are joined as they are.
        content_complete: whether this is the last piece for this id.
        end_call: whether to hang up once the content has been spoken.

    Source: docs/protocol.md, section 4.
    """

    response_id: int
    content: str
    content_complete: bool
    end_call: bool = False


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The one field that says which event a server's frame is."""

    response_type: str = "response"  # absent in the original guide, which knows nothing else


_request_decoder: Final = msgspec.json.Decoder(Request)
_response_decoder: Final = msgspec.json.Decoder(Response)
_envelope_decoder: Final = msgspec.json.Decoder(_Envelope)
_encoder: Final = msgspec.json.Encoder()


def read_request(frame: str) -> Request:
    """Read a frame that the platform sent.

    Raises:
        PlatformProtocolError: when it is no JSON object or a field is missing or mistyped.
    """
    return _read(_request_decoder, frame, PlatformProtocolError)  # type: ignore[no-any-return]


def read_response(frame: str) -> Response:
    """Read a frame that a server sent.

    Raises:
        ServerProtocolError: when the platform would drop it: no JSON object, a field missing or
            mistyped, or an event other than a response.
    """
    kind = _read(_envelope_decoder, frame, ServerProtocolError).response_type
    if kind != "response":
        raise ServerProtocolError(f"unknown response_type {kind!r}, expected 'response'")
    return _read(_response_decoder, frame, ServerProtocolError)  # type: ignore[no-any-return]


def write(message: Request | Response) -> str:
    """Write a message as the text of one frame."""
    return _encoder.encode(message).decode()


def _read(
    decoder: "msgspec.json.Decoder[Any]",
    frame: str,
    blame: type[PlatformProtocolError] | type[ServerProtocolError],
) -> Any:
    try:
        return decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise blame(f"mistyped frame: {_lower_first(str(error))}") from None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise blame(f"not JSON: {_lower_first(str(error))}") from None


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
