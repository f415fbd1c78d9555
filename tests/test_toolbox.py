"""Tools: what a model reads of a function, and what it may call it with."""

import asyncio
import json
import threading
import warnings
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from llmws_tutorial.errors import SetupError, ToolError
from llmws_tutorial.server import Toolbox, Turn
from llmws_tutorial.server.toolbox import MOST_CHARACTERS, MOST_PROBLEMS, Tool

TURN = Turn(1, "c1")


async def book(
    day: Annotated[Literal["Monday", "Tuesday"], Field(description="a working day")],
    turn: Turn,
    seats: int = 2,
) -> str:
    """Book a table."""
    return f"{seats} on {day} for {turn.call_id}"


def run(tool: Tool, written: str = "{}") -> str:
    return asyncio.run(tool.run(tool.read(written).values, TURN))


def test_a_model_reads_name_docstring_and_annotations() -> None:
    assert Tool(book).offered == {
        "type": "function",
        "function": {
            "name": "book",
            "description": "Book a table.",
            "parameters": {
                "type": "object",
                "properties": {
                    "day": {
                        "type": "string",
                        "enum": ["Monday", "Tuesday"],
                        "description": "a working day",
                    },
                    "seats": {"type": "integer", "default": 2},
                },
                "required": ["day"],
                "additionalProperties": False,
            },
        },
    }


def test_the_function_gets_what_was_asked_for_and_the_turn() -> None:
    assert run(Tool(book), '{"day": "Monday", "seats": "3"}') == "3 on Monday for c1"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", "wrong arguments: day: Field required"),
        (" ", "wrong arguments: day: Field required"),
        ("null", "wrong arguments: Input should be an object"),
        ("[1]", "wrong arguments: Input should be an object"),
        ('{"day": "Mon', "wrong arguments: Invalid JSON"),
        ('{"day": "Monday", "seats": "many"}', "seats: Input should be a valid integer"),
        ('{"day": "Monday", "turn": {}}', "turn: Extra inputs are not permitted"),
        ("[" * 9999, "Invalid JSON: recursion limit exceeded"),
    ],
)
def test_what_is_wrong_is_said_to_the_model(written: str, problem: str) -> None:
    with pytest.raises(ToolError) as caught:
        Tool(book).read(written)
    assert problem in str(caught.value)
    assert "https" not in str(caught.value)


def test_arguments_that_mean_the_same_are_equal() -> None:
    tool = Tool(book)
    same = ('{"day": "Monday"}', '{"seats": 2, "day":  "Monday"}')
    assert len({tool.read(written).meaning for written in same}) == 1
    assert tool.read('{"day": "Tuesday"}').meaning != tool.read(same[0]).meaning


def test_case_and_blanks_mean_nothing_also_inside() -> None:
    def order(dishes: list[str], notes: dict[str, str]) -> None:
        """Order."""

    tool = Tool(order)
    one = tool.read('{"dishes": ["Fried  Rice"], "notes": {"a": "B"}}')
    other = tool.read('{"notes": {"a": "b"}, "dishes": ["fried rice"]}')
    assert one.meaning == other.meaning


def test_the_function_gets_plain_values() -> None:
    def greet(name: str, times: float = 1) -> str:
        """Greet."""
        return f"{name}!" * int(times)

    assert run(Tool(greet), '{"name": " Ann "}') == "Ann!"
    assert run(Tool(greet), '{"name": 7}') == "7!"
    with pytest.raises(ToolError, match="times: Input should be a finite number"):
        run(Tool(greet), '{"name": "Ann", "times": NaN}')
    with pytest.raises(ToolError, match="NaN and Infinity are not JSON"):
        run(Tool(greet), '{"name": NaN}')


def test_a_model_is_told_of_some_mistakes_at_once() -> None:
    def order(seats: list[int]) -> None:
        """Order."""

    with pytest.raises(ToolError) as caught:
        Tool(order).read(json.dumps({"seats": ["many"] * 9}))
    assert str(caught.value).count("a valid integer") == MOST_PROBLEMS


def test_any_name_of_a_parameter_will_do() -> None:
    def remember(json: str, copy: str, model_config: str, self: str = "me") -> str:
        """Remember."""
        return json + copy + model_config + self

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tool = Tool(remember)
    assert run(tool, '{"json": "a", "copy": "b", "model_config": "c"}') == "abcme"


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("fine", "fine"),
        ("", "done"),
        (None, "done"),
        (0, "0"),
        (False, "false"),
        ({"day": date(2026, 1, 2)}, '{"day":"2026-01-02"}'),
        (object, "<class 'object'>"),
        ("x" * 9999, "x" * MOST_CHARACTERS + " ..."),
    ],
)
def test_any_result_becomes_words(result: Any, told: str) -> None:
    def find() -> Any:
        """Find."""
        return result

    assert run(Tool(find)).strip('"') == told


def test_what_blocks_runs_in_a_thread() -> None:
    def find() -> str:
        """Find."""
        return threading.current_thread().name

    assert run(Tool(find)) != threading.main_thread().name


def _without_docstring() -> None: ...


def _without_annotation(day) -> None:  # type: ignore[no-untyped-def]
    """Book."""


def _of_any_number(*days: str) -> None:
    """Book."""


def _of_an_unknown(day: "Weekday") -> None:  # type: ignore[name-defined] # noqa: F821
    """Book."""


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (_without_docstring, "'_without_docstring' has no docstring: the model reads it"),
        (_without_annotation, "takes 'day' without an annotation"),
        (_of_any_number, r"takes \*days: str, expected named parameters"),
        (_of_an_unknown, "has an annotation of unknown 'Weekday'"),
        (lambda: None, "the tool '<lambda>' has a name that no model takes"),
    ],
)
def test_a_function_that_no_model_could_call_is_refused(function: Any, problem: str) -> None:
    with pytest.raises(SetupError, match=problem):
        Tool(function)


def test_a_box_holds_tools_by_name_and_leaves_the_functions_as_they_are() -> None:
    tools = Toolbox()
    assert tools.add(says="I look.", has_effect=True, timeout_s=3)(book) is book
    [tool] = tools
    assert (tool.name, tool.says, tool.has_effect, tool.timeout_s) == ("book", "I look.", True, 3)
    with pytest.raises(SetupError, match="there are two tools 'book', expected one of each name"):
        tools.add()(book)
