"""Requests to a model: what a provider would refuse, and arguments made up from a schema."""

from typing import Any, Final

import pytest

from llmws_tutorial.simulator.llm_request import ROLES, Function, read_request

USER: Final = {"role": "user", "content": "Hello?"}
NO_CONTENT: Final = "content is missing, expected it in a message of role"


def call(*ids: str) -> dict[str, Any]:
    function = {"name": "book", "arguments": "{}"}
    calls = [{"id": one, "type": "function", "function": function} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "done"}


CONVERSATIONS: Final[dict[str, tuple[list[Any], str]]] = {
    "nobody": ([], "expected `array` of length >= 1"),
    "the platform's role": (
        [{"role": "agent", "content": "Hi."}],
        f"role is 'agent', expected one of {', '.join(ROLES)}; the platform's agent is the "
        "assistant - at `$.messages[0]`",
    ),
    "no role of all": ([{"role": "bot", "content": "Hi."}], "role is 'bot', expected one of"),
    "a user without words": ([{"role": "user"}], f"{NO_CONTENT} 'user'"),
    "an assistant without anything": ([{"role": "assistant"}], f"{NO_CONTENT} 'assistant'"),
    "words that are none": ([{"role": "user", "content": 1}], "got `int` - at"),
    "a result of nothing": (
        [USER, result("c1")],
        "messages[1] answers the call 'c1', expected it right behind the assistant's message",
    ),
    "a result that comes twice": (
        [USER, call("c1"), result("c1"), result("c1")],
        "messages[3] answers the call 'c1'",
    ),
    "a result without an id": (
        [USER, call("c1"), {"role": "tool", "content": "done"}],
        "tool_call_id is missing",
    ),
    "a call without a result": ([USER, call("c1")], "the call 'c1' has no result"),
    "a result that comes late": (
        [USER, call("c1", "c2"), result("c1"), USER, result("c2")],
        "the call 'c2' has no result",
    ),
    "two calls of one id": (
        [USER, call("c1", "c1"), result("c1")],
        "messages[1] has two tool_calls of one id",
    ),
}


@pytest.mark.parametrize("case", CONVERSATIONS)
def test_a_conversation_that_a_provider_refuses_is_refused(case: str) -> None:
    messages, error = CONVERSATIONS[case]
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its text is compared below
        read_request({"model": "m", "messages": messages})
    assert error in str(refused.value)


def test_results_may_come_in_any_order() -> None:
    messages = [USER, call("c1", "c2"), result("c2"), result("c1"), call("c3"), result("c3"), USER]
    assert read_request({"model": "m", "messages": messages}).said == "Hello?"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ([], "the body is no JSON object"),
        ({"messages": [USER]}, "missing required field `model`"),
        ({"model": "m", "messages": [USER], "stream": 1}, "`$.stream`"),
        ({"model": "m", "messages": [USER], "tools": [{"type": "function"}]}, "`function`"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(wrong: Any, error: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its text is compared below
        read_request(wrong)
    assert error in str(refused.value)


@pytest.mark.parametrize("name", ["", "book a table", "x" * 65])
def test_a_tool_with_a_name_that_no_provider_takes_is_refused(name: str) -> None:
    tools = [{"type": "function", "function": {"name": name}}]
    with pytest.raises(ValueError, match="matching regex"):
        read_request({"model": "m", "messages": [USER], "tools": tools})


def test_what_is_null_or_unknown_is_taken() -> None:
    request = {"model": "m", "messages": [USER], "tools": None, "stream": None, "temperature": 0}
    assert read_request(request).offered == []


@pytest.mark.parametrize(
    ("schema", "made_up"),
    [
        ({"type": "string"}, "ten"),
        ({"type": "integer"}, 1),
        ({"type": "number"}, 1.0),
        ({"type": "boolean"}, True),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, "ten"),
        ({"type": "string", "enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({}, "ten"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"$ref": "#/$defs/Day"}, "mon"),
        ({"allOf": [{"$ref": "#/$defs/Day"}]}, "mon"),
        ({"$ref": "#/$defs/Nothing"}, "ten"),
        ({"properties": {"b": {"type": "integer"}, "c": {}}, "required": ["b"]}, {"b": 1}),
        ({"type": "object"}, {}),
        ({"type": "object", "required": ["d"]}, {"d": "ten"}),
    ],
)
def test_arguments_are_made_up_from_what_the_schema_requires(
    schema: dict[str, Any], made_up: Any
) -> None:
    parameters = {
        "properties": {"a": schema, "unneeded": {"type": "string"}},
        "required": ["a"],
        "$defs": {"Day": {"enum": ["mon", "tue"]}},
    }
    arguments = Function(name="book", parameters=parameters).made_up_arguments()
    assert arguments == {"a": made_up}
    assert type(arguments["a"]) is type(made_up)


def test_a_tool_without_parameters_takes_no_arguments() -> None:
    assert Function(name="end_call").made_up_arguments() == {}


def test_a_schema_that_holds_itself_has_an_end() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    found = Function(name="walk", parameters=node).made_up_arguments()
    while found is not None:
        found = found["next"]
