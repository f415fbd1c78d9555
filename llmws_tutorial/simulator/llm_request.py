"""What a model is asked: a request, checked as a provider does.

The shapes are those of OpenAI's chat completions. Fields that are not named here are
taken and not looked at, as is whatever is null.
"""

from collections import Counter
from typing import Annotated, Any, Final, Literal

import msgspec

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
"""Who can have said a message."""
MAX_NESTED: Final = 20
"""How many levels of made-up arguments there are; a schema that holds itself has no end."""

_MADE_UP: Final = {
    "string": "ten",
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "array": [],
    "null": None,
}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what a message says.

    Attributes:
        type: what it is; only "text" is read.
        text: the text.
    """

    type: str
    text: str | None = None


class CalledFunction(msgspec.Struct, frozen=True, kw_only=True):
    """What the model called.

    Attributes:
        name: the tool.
        arguments: a JSON object as a string, as the model wrote it.
    """

    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that the model made in an earlier answer.

    Attributes:
        id: what the tool's result refers to.
        type: always "function".
        function: what was called.
    """

    id: str
    type: Literal["function"]
    function: CalledFunction


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the conversation.

    Attributes:
        role: who said it, one of `ROLES`.
        content: what was said.
        tool_calls: the tools that the assistant called.
        tool_call_id: the call that a tool's result belongs to.
    """

    role: str
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            hint = "; the platform's agent is the assistant" if self.role == "agent" else ""
            raise ValueError(f"role is {self.role!r}, expected one of {', '.join(ROLES)}{hint}")
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError(f"content is missing, expected it in a message of role {self.role!r}")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("tool_call_id is missing, expected the id of the call that it answers")

    @property
    def text(self) -> str:
        """Everything in words that it says."""
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content if part.text)
        return self.content or ""


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call.

    Attributes:
        name: letters, digits, `_` and `-`, at most 64.
        parameters: the JSON schema of its arguments; None: it takes none.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    parameters: dict[str, Any] | None = None

    def made_up_arguments(self) -> Any:
        """Make up arguments that fit the schema: what it requires, and no more."""
        schema = self.parameters or {}
        return _made_up({"type": "object", **schema}, schema)


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the request offers.

    Attributes:
        type: always "function".
        function: what may be called.
    """

    type: Literal["function"]
    function: Function


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to stream.

    Attributes:
        include_usage: whether a last chunk says how many tokens were used.
    """

    include_usage: bool | None = None


class LlmRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a completion.

    Attributes:
        model: which model is to answer; any name will do.
        messages: the conversation so far, one message at least.
        stream: whether to answer in chunks.
        stream_options: how.
        tools: what the model may call.
        tool_choice: "none" forbids to call any.
    """

    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None

    def __post_init__(self) -> None:
        waiting: list[str] = []
        for index, message in enumerate(self.messages):
            if message.role == "tool":
                if message.tool_call_id not in waiting:
                    raise ValueError(
                        f"messages[{index}] answers the call {message.tool_call_id!r}, expected it "
                        "right behind the assistant's message that has this id in tool_calls"
                    )
                waiting.remove(message.tool_call_id)
                continue
            if waiting:
                break
            waiting = [call.id for call in message.tool_calls or ()]
            if len(Counter(waiting)) < len(waiting):
                raise ValueError(f"messages[{index}] has two tool_calls of one id")
        if waiting:
            raise ValueError(
                f"the call {waiting[0]!r} has no result, expected a message of role 'tool' for "
                "each of tool_calls, right behind them"
            )

    @property
    def said(self) -> str:
        """What the user said last; empty when the user said nothing."""
        said = (message.text for message in reversed(self.messages) if message.role == "user")
        return next(said, "")

    @property
    def told(self) -> list[str]:
        """The results of tools that came since the user spoke last."""
        texts: list[str] = []
        for message in self.messages:
            if message.role == "user":
                texts = []
            elif message.role == "tool":
                texts.append(message.text)
        return texts

    @property
    def offered(self) -> list[Function]:
        """The functions that the model may call now."""
        if self.tool_choice == "none":
            return []
        return [tool.function for tool in self.tools or ()]

    @property
    def wants_usage(self) -> bool:
        """Whether a last chunk is to say how many tokens were used."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def words(self) -> int:
        """How many words the conversation has."""
        return sum(len(message.text.split()) for message in self.messages)


def read_request(request: Any) -> LlmRequest:
    """Read a request's body.

    Args:
        request: what was parsed from JSON.

    Raises:
        ValueError: when a provider would refuse it; the text says where and why.
    """
    if not isinstance(request, dict):
        raise ValueError("the body is no JSON object, expected one with model and messages")
    try:
        return msgspec.convert(request, LlmRequest)
    except msgspec.ValidationError as error:
        text = str(error)
        raise ValueError(text[0].lower() + text[1:]) from None


def _made_up(schema: dict[str, Any], root: dict[str, Any], depth: int = 0) -> Any:
    """Make up a value of a JSON schema; `root` is where its references lead."""
    if depth > MAX_NESTED:
        return None
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind != "object":
        return _MADE_UP.get(kind)
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    return {name: _made_up(properties.get(name, {}), root, depth + 1) for name in required}


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference such as ``#/$defs/Day``, and take the first of several choices."""
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            schema = schema[key][0]
    found = root
    for name in str(schema.get("$ref", "")).split("/")[1:]:
        found = found.get(name, {})
    return found if "$ref" in schema else schema
