"""A YAML tree as a msgspec struct, or one error in the words of its file."""

import difflib
import re
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from llmws_tutorial.errors import ScenarioError
from llmws_tutorial.simulator.yaml_tree import Node, quoted

T = TypeVar("T", bound=msgspec.Struct)

_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_KINDS: Final = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "array",
    dict: "object",
}
"""How msgspec calls what YAML can hold."""

_PATH: Final = re.compile(r"\.(\w+)|\[(\d+)\]")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*?)`?", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")


class Slip(ValueError):
    """Something wrong that no type can tell, raised by a struct about its own fields.

    Attributes:
        path: the keys and indexes that lead from the struct to what is wrong.
    """

    def __init__(self, text: str, *path: str | int) -> None:
        super().__init__(text)
        self.path = path


def convert(tree: Node, kind: type[T], *, value: Any) -> T:
    """Make a struct of a tree's value.

    Args:
        tree: where everything stands.
        kind: the struct to make.
        value: the value of the tree, its short forms spelled out.

    Raises:
        ScenarioError: when the value is no such struct, with the place in the file.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        path = [int(index) if index else key for key, index in _PATH.findall(where)]
        if isinstance(fault := error.__cause__, Slip):
            raise ScenarioError(f"{tree.find([*path, *fault.path]).place}: {fault}") from None
        node = tree.find(path)
        if where.endswith("[...]`"):  # msgspec does not tell which value of the mapping
            path, node = _culprit(text, path, node)
        raise ScenarioError(_explain(text, path, node, wanted=_type_at(kind, path))) from None


def choice_of(got: str, options: Collection[str]) -> str:
    """Say what to write instead: the option that is meant, or all there are."""
    near = difflib.get_close_matches(got, options, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(options)}"


def _explain(text: str, path: Sequence[str | int], node: Node, *, wanted: inspect.Type) -> str:
    """Say in words what msgspec says in types; `wanted` is what it was looking for."""
    if unknown := _UNKNOWN.fullmatch(text):
        key = unknown[1]
        place = node.keys.get(key, node.place)
        return f"{place}: unknown key {quoted(key)}, {choice_of(key, _fields(wanted))}"
    if missing := _MISSING.fullmatch(text):
        return f"{node.place}: key {missing[1]!r} is missing"
    expected = _in_words(text)
    if isinstance(wanted, inspect.LiteralType) and isinstance(node.value, str):
        expected = choice_of(node.value, [str(option) for option in wanted.values])
    is_unquoted = isinstance(node.value, bool | int | float) and "text" in expected
    fix = "; put it in quotes" if is_unquoted else ""
    return f"{node.place}: {_label(path)} is {node.got}, {expected}{fix}"


def _in_words(text: str) -> str:
    """Turn "Expected `str | null`, got `bool`" into "expected text"."""

    def words(types: re.Match[str]) -> str:
        return " or ".join(_WORDS[name] for name in types[1].split(" | ") if name != "null")

    return re.sub("`([^`]+)`", words, text.partition(", got ")[0]).replace("Expected", "expected")


def _label(path: Sequence[str | int]) -> str:
    if not path:
        return "the file"
    return f"an entry of {path[-2]}" if isinstance(path[-1], int) else str(path[-1])


def _culprit(text: str, path: list[str | int], node: Node) -> tuple[list[str | int], Node]:
    """Find the first value of a mapping that is of the type which msgspec refuses."""
    for key, value in node.parts.items():
        if text.endswith(f"got `{_KINDS[type(value.value)]}`"):
            return [*path, key], value
    return path, node


def _fields(kind: inspect.Type) -> dict[str, inspect.Type]:
    fields = kind.fields if isinstance(kind, inspect.StructType) else ()
    return {field.name: field.type for field in fields}


def _type_at(kind: type[msgspec.Struct], path: Sequence[str | int]) -> inspect.Type:
    """Find what a struct holds at the end of a path."""
    found = inspect.type_info(kind)
    for step in path:
        if isinstance(found, inspect.VarTupleType):
            found = found.item_type
        else:
            found = _fields(found).get(str(step), found)
        if isinstance(found, inspect.UnionType):
            found = found.types[0]  # of "... | None", which is how a struct says "optional"
    return found
