"""What the platform sends to your server, told apart by ``interaction_type``."""

from typing import Any, Literal

import msgspec

from llmws_tutorial.messages.transcript import (
    RawEntries,
    RawTranscript,
    unpack_entries,
    unpack_utterances,
)

_NOTHING = msgspec.Raw(b"[]")
_UNPACK = {"transcript": unpack_utterances, "transcript_with_tool_calls": unpack_entries}


class _FromPlatform(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="interaction_type",
):
    """A message of the platform; its tag is the ``interaction_type``."""

    def __repr__(self) -> str:
        """Show what was said, not the raw JSON that carries it."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        shown = [
            f"{name}={_UNPACK[name](value) if name in _UNPACK else value!r}"
            for name, value in values.items()
            if value is not None and value is not _NOTHING
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


class Ping(_FromPlatform, frozen=True, kw_only=True, tag="ping_pong"):
    """A heartbeat.

    Sent by: the platform, every 2 s once `Config.auto_reconnect` is on.
    Answer: `Pong` with the same timestamp, within 5 s.

    Attributes:
        timestamp: when it was sent (milliseconds since 1970).

    Source: docs/protocol.md, section 3 [ref].
    """

    timestamp: int


class CallFacts(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True
):
    """What the platform knows about a call; all of it may be absent.

    Attributes:
        call_type: ``phone_call`` or ``web_call``.
        call_id: the id that is also in the URL.
        agent_id: the agent of the dashboard that took the call.
        call_status: ``registered``, ``not_connected``, ``ongoing``, ``ended`` or ``error``.
        direction: ``inbound`` or ``outbound``; absent on a web call.
        from_number: who calls, as +15551234567.
        to_number: who is called.
        metadata: whatever you attached to the call when you created it.
        retell_llm_dynamic_variables: the values of the ``{{name}}`` in your texts.
        opt_out_sensitive_data_storage: whether the platform keeps nothing of the call.

    Source: docs/protocol.md, section 3 [ref, sdk].
    """

    call_type: str | None = None
    call_id: str | None = None
    agent_id: str | None = None
    call_status: str | None = None
    direction: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    metadata: Any = None
    retell_llm_dynamic_variables: dict[str, str] = {}
    opt_out_sensitive_data_storage: bool | None = None


class CallDetails(_FromPlatform, frozen=True, kw_only=True, tag="call_details"):
    """Who is calling.

    Sent by: the platform, once and at once, when `Config.call_details` is on.    Answer: none.

    Attributes:
        call: what is known about the call.

    Source: docs/protocol.md, section 3 [ref].
    """

    call: CallFacts


class UpdateOnly(_FromPlatform, frozen=True, kw_only=True, tag="update_only"):
    """The live transcript, for information.

    Sent by: the platform, while somebody speaks.        Answer: none.

    Attributes:
        transcript: the whole call so far, oldest first.
        transcript_with_tool_calls: the same with tool calls woven in, if `Config` asked for it.
        turntaking: whose turn begins; None in mid-turn.

    Source: docs/protocol.md, section 3 [ref].
    """

    transcript: RawTranscript = _NOTHING
    transcript_with_tool_calls: RawEntries = _NOTHING
    turntaking: Literal["agent_turn", "user_turn"] | None = None


class ResponseRequired(_FromPlatform, frozen=True, kw_only=True, tag="response_required"):
    """The caller has finished: it is the agent's turn.

    Sent by: the platform, once a turn.        Answer: responses with the same id.

    Attributes:
        response_id: the id to answer with (1 and up, growing); every older id is now dead.
        transcript: the whole call so far, oldest first; may be empty.
        transcript_with_tool_calls: the same with tool calls woven in, if `Config` asked for it.

    Source: docs/protocol.md, section 3 [ref].
    """

    response_id: int
    transcript: RawTranscript = _NOTHING
    transcript_with_tool_calls: RawEntries = _NOTHING


class ReminderRequired(_FromPlatform, frozen=True, kw_only=True, tag="reminder_required"):
    """The caller has been quiet for a while: the agent may nudge.

    Sent by: the platform, after silence.        Answer: responses with the same id.

    Attributes:
        response_id: the id to answer with (1 and up, growing); every older id is now dead.
        transcript: the whole call so far, oldest first.
        transcript_with_tool_calls: the same with tool calls woven in, if `Config` asked for it.

    Source: docs/protocol.md, section 3 [ref].
    """

    response_id: int
    transcript: RawTranscript = _NOTHING
    transcript_with_tool_calls: RawEntries = _NOTHING


class UnknownRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A message of an event that this kit does not know; the platform adds some.

    Attributes:
        interaction_type: the event's name; empty when the message has none.
        fields: everything that the message holds.
    """

    interaction_type: str
    fields: dict[str, Any]


Request = Ping | CallDetails | UpdateOnly | ResponseRequired | ReminderRequired
"""Everything that the platform is known to send."""
