"""What your server sends to the platform, told apart by ``response_type``.

A frame without ``response_type`` is a `Response`: the original guide knows nothing else.
"""

from typing import Annotated, Any, Final

import msgspec

BEGIN_RESPONSE_ID: Final = 0
"""The id of the first message of a call. The ids in requests start at 1 and only grow."""

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Milliseconds = Annotated[float, msgspec.Meta(gt=0)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class _FromServer(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    repr_omit_defaults=True,
    tag_field="response_type",
):
    """A message of your server; its tag is the ``response_type``."""


class ConfigFields(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True
):
    """What a server asks the platform for; each is off unless asked for.

    Attributes:
        auto_reconnect: heartbeats every 2 s both ways, and a new connection when they stop.
        call_details: one `CallDetails` at the start.
        transcript_with_tool_calls: the woven transcript with every message.

    Source: docs/protocol.md, section 4 [ref].
    """

    auto_reconnect: bool = False
    call_details: bool = False
    transcript_with_tool_calls: bool = False


class Config(_FromServer, frozen=True, kw_only=True, tag="config"):
    """What this server wants of the platform.

    Sent by: your server, first of all; it takes effect on arrival.        Answer: none.

    Attributes:
        config: the wishes.

    Source: docs/protocol.md, section 4 [ref].
    """

    config: ConfigFields


class Pong(_FromServer, frozen=True, kw_only=True, tag="ping_pong"):
    """The answer to a heartbeat.

    Sent by: your server, at once, also while an answer is being made.        Answer: none.

    Attributes:
        timestamp: the one of the `Ping` (milliseconds since 1970).

    Source: docs/protocol.md, section 4 [ref].
    """

    timestamp: int


class Response(_FromServer, frozen=True, kw_only=True, tag="response"):
    """A piece of what the agent is to say, and what to do once it has been spoken.

    Sent by: your server, as often as it likes for one id.        Answer: none.

    Attributes:
        response_id: the id of the request that this answers; 0 for the first message.
        content: the text to speak; the pieces of one id are joined as they are.
        content_complete: whether this is the last piece for this id.
        no_interruption_allowed: whether the caller cannot talk over this content.
        end_call: whether to hang up once the content has been spoken.
        transfer_number: whom to transfer the call to once it has been spoken.
        show_transferee_as_caller: whether the caller's number is shown to that person.
        digit_to_press: the keys to press once it has been spoken.

    Source: docs/protocol.md, section 4 [ref].
    """

    response_id: int
    content: str
    content_complete: bool
    no_interruption_allowed: bool = False
    end_call: bool = False
    transfer_number: str | None = None
    show_transferee_as_caller: bool = False
    digit_to_press: str | None = None


class AgentInterrupt(_FromServer, frozen=True, kw_only=True, tag="agent_interrupt"):
    """Something to say now, over whoever speaks; it cancels any response in flight.

    Sent by: your server, at any time, in pieces if it likes.        Answer: none.

    Attributes:
        interrupt_id: an id of your own; another one discards earlier interrupts.
        content: the text to speak; the pieces of one id are joined as they are.
        content_complete: whether this is the last piece for this id.
        no_interruption_allowed: whether the caller cannot talk over this content.
        end_call: whether to hang up once the content has been spoken.
        transfer_number: whom to transfer the call to once it has been spoken.
        digit_to_press: the keys to press once it has been spoken.

    Source: docs/protocol.md, section 4 [ref].
    """

    interrupt_id: int
    content: str
    content_complete: bool
    no_interruption_allowed: bool = False
    end_call: bool = False
    transfer_number: str | None = None
    digit_to_press: str | None = None


class ToolCallInvocation(_FromServer, frozen=True, kw_only=True, tag="tool_call_invocation"):
    """A note for the woven transcript: a tool was called.

    Sent by: your server, when it calls one.        Answer: none.

    Attributes:
        tool_call_id: an id that is unique in the world.
        name: the tool.
        arguments: a JSON object, as a string.

    Source: docs/protocol.md, section 4 [ref].
    """

    tool_call_id: str
    name: str
    arguments: str


class ToolCallResult(_FromServer, frozen=True, kw_only=True, tag="tool_call_result"):
    """A note for the woven transcript: what a tool returned.

    Sent by: your server, after its `ToolCallInvocation`.        Answer: none.

    Attributes:
        tool_call_id: the id of the invocation.
        content: what came back, as text.
        successful: whether it worked; None reports nothing.

    Source: docs/protocol.md, section 4 [ref].
    """

    tool_call_id: str
    content: str
    successful: bool | None = None


class AgentConfig(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True
):
    """How the agent behaves in this call; None leaves a setting as it is.

    Attributes:
        responsiveness: how fast the agent answers (0 to 1).
        interruption_sensitivity: how easily the caller interrupts it (0 to 1).
        reminder_trigger_ms: the silence before a reminder (milliseconds, above 0).
        reminder_max_count: how many reminders at most (0: none).

    Source: docs/protocol.md, section 4 [ref].
    """

    responsiveness: _Share | None = None
    interruption_sensitivity: _Share | None = None
    reminder_trigger_ms: _Milliseconds | None = None
    reminder_max_count: _Count | None = None


class UpdateAgent(_FromServer, frozen=True, kw_only=True, tag="update_agent"):
    """A change of the agent's behaviour.

    Sent by: your server, at any time.        Answer: none.

    Attributes:
        agent_config: the settings to change.

    Source: docs/protocol.md, section 4 [ref].
    """

    agent_config: AgentConfig


class Metadata(_FromServer, frozen=True, kw_only=True, tag="metadata"):
    """Data for a web page that shows the call.

    Sent by: your server, at any time.        Answer: none; the platform hands it on.

    Attributes:
        metadata: anything that JSON can hold.

    Source: docs/protocol.md, section 4 [ref].
    """

    metadata: dict[str, Any]


ServerMessage = (
    Config
    | Pong
    | Response
    | AgentInterrupt
    | ToolCallInvocation
    | ToolCallResult
    | UpdateAgent
    | Metadata
)
"""Everything that a server may send."""
