"""YAML read strictly: plain data, and where in the file each piece of it stands.

PyYAML alone keeps the last of two equal keys, builds dates, obeys tags, and lets a few aliases
grow into a billion values. Here each of these is an error that names its line and column.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import yaml

from llmws_tutorial.errors import ScenarioError

MAX_NODES: Final = 10_000
"""How many values a file may hold, those that come in through aliases included."""
MAX_DEPTH: Final = 20
"""How deep lists and mappings may be nested."""

_PLAIN: Final = {"null", "bool", "int", "float"}
_HINT: Final = "a text with : # { [ * & @ or quotes in it is put in quotes"


@dataclass(frozen=True)
class Node:
    """One value of a file.

    Attributes:
        place: where it begins, as FILE:LINE:COLUMN.
        value: the plain data: None, a truth value, a number, a text, a list or a dict.
        source: a scalar as it is written in the file; empty for a list and a mapping.
        parts: the nodes of a list by index, those of a mapping by key.
        keys: where each key of a mapping stands.
    """

    place: str
    value: Any
    source: str = ""
    parts: Mapping[str | int, "Node"] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def size(self) -> int:
        """How many values this is, itself included."""
        return 1 + sum(part.size for part in self.parts.values())

    @cached_property
    def height(self) -> int:
        """How many levels this has, its own included."""
        return 1 + max((part.height for part in self.parts.values()), default=0)

    @property
    def got(self) -> str:
        """What stands here, in words for an error."""
        match self.value:
            case None:
                return "empty"
            case bool():
                return f"the truth value {self.source}"
            case int() | float():
                return f"the number {self.source}"
            case str():
                return quoted(self.value)
        return "a list" if isinstance(self.value, list) else "a mapping"

    def find(self, path: Iterable[str | int]) -> "Node":
        """Follow a path of keys and indexes, as far as it leads."""
        found = self
        for step in path:
            if step not in found.parts:
                break
            found = found.parts[step]
        return found


def quoted(text: str) -> str:
    """Quote a text for an error; a long one is cut."""
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def parse(text: str, name: str) -> Node:
    """Read the one YAML document of a text.

    Args:
        text: the content of a file.
        name: how the file is called in errors.

    Raises:
        ScenarioError: when it is not one plain YAML document, with the place.
    """
    try:
        reader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        place = _place_of_character(text, error.position, name)
        raise ScenarioError(
            f"{place}: not a text file, expected UTF-8 without control characters"
        ) from None
    reader.name = name
    try:
        return _Document(reader).read()
    except yaml.MarkedYAMLError as error:
        raise ScenarioError(f"{_place(error.problem_mark)}: {_explain(error)}") from None
    except (ValueError, OverflowError):  # PyYAML's own slip: an escape beyond the last character
        raise ScenarioError(
            f"{_place(reader.get_mark())}: not YAML, a number or character out of range"
        ) from None


class _Document:
    """The document that a reader's events tell, built node by node."""

    def __init__(self, reader: yaml.SafeLoader) -> None:
        self._reader: Any = reader  # its stubs leave most methods untyped
        self._anchored: dict[str, Node] = {}
        self._count = 0

    def read(self) -> Node:
        self._reader.get_event()  # the stream begins
        if self._reader.check_event(yaml.StreamEndEvent):
            raise _error(self._reader.peek_event(), "the file is empty, expected a scenario")
        self._reader.get_event()  # the document begins
        root = self._node(depth=1)
        self._reader.get_event()  # the document ends
        if not self._reader.check_event(yaml.StreamEndEvent):
            raise _error(self._reader.peek_event(), "a second document, expected one a file")
        return root

    def _node(self, depth: int) -> Node:
        event = self._reader.get_event()
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _error(event, f"a tag, {quoted(tag)}, expected a plain value")
        self._check_limits(event, nodes=1, depth=depth)
        match event:
            case yaml.SequenceStartEvent():
                node = self._list(event, depth + 1)
            case yaml.MappingStartEvent():
                node = self._mapping(event, depth + 1)
            case _:
                node = self._scalar(event)
        if event.anchor is not None:
            self._anchored[event.anchor] = node  # only now: nothing can hold itself
        return node

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Node:
        name = str(event.anchor)
        node = self._anchored.get(name)
        if node is None:
            raise _error(event, f"alias *{name} has no finished &{name} before it")
        self._check_limits(event, nodes=node.size, depth=depth + node.height - 1)
        return node

    def _list(self, event: yaml.SequenceStartEvent, depth: int) -> Node:
        parts: dict[str | int, Node] = {}
        while not self._reader.check_event(yaml.SequenceEndEvent):
            parts[len(parts)] = self._node(depth)
        self._reader.get_event()
        return Node(_place(event.start_mark), [part.value for part in parts.values()], parts=parts)

    def _mapping(self, event: yaml.MappingStartEvent, depth: int) -> Node:
        parts: dict[str | int, Node] = {}
        keys: dict[str, str] = {}
        while not self._reader.check_event(yaml.MappingEndEvent):
            key = self._node(depth)
            self._check_key(key, keys)
            keys[key.value] = key.place
            parts[key.value] = self._node(depth)
        self._reader.get_event()
        value = {key: part.value for key, part in parts.items()}
        return Node(_place(event.start_mark), value, parts=parts, keys=keys)

    def _check_key(self, key: Node, keys: Mapping[str, str]) -> None:
        if not isinstance(key.value, str):
            fix = _HINT if key.parts else "put it in quotes"
            raise ScenarioError(f"{key.place}: a key is {key.got}, expected text; {fix}")
        if key.value in keys:
            line = keys[key.value].split(":")[-2]
            raise ScenarioError(
                f"{key.place}: key {quoted(key.value)} is there already, on line {line}"
            )

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        text = event.value
        tag = self._reader.resolve(yaml.ScalarNode, text, event.implicit)
        kind = tag.rpartition(":")[2]
        if kind == "timestamp":
            raise _error(event, f"{text} is a date, expected text; put it in quotes")
        value: Any = text
        if kind in _PLAIN and ":" not in text:  # or 12:30 were 750, by an old rule of YAML
            value = self._reader.construct_object(yaml.ScalarNode(tag, text))
        if isinstance(value, int | float) and not abs(value) < 2**63:  # nor is .nan
            raise _error(
                event, f"{quoted(text)} is out of range for a number; put a text in quotes"
            )
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise _error(event, "half a character, expected a whole one: \\U and eight digits")
        return Node(_place(event.start_mark), value, source=text)

    def _check_limits(self, event: yaml.Event, *, nodes: int, depth: int) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            raise _error(event, f"more than {MAX_NODES:,} values; do aliases multiply them?")
        if depth > MAX_DEPTH:
            raise _error(event, f"nested more than {MAX_DEPTH} levels deep")


def _error(event: yaml.Event, text: str) -> ScenarioError:
    return ScenarioError(f"{_place(event.start_mark)}: {text}")


def _explain(error: yaml.MarkedYAMLError) -> str:
    if "'\\t'" in (error.problem or ""):
        return "a tab, expected blanks: YAML is indented by blanks only"
    return f"not YAML, {error.problem}; {_HINT}"


def _place(mark: Any) -> str:
    return f"{mark.name}:{mark.line + 1}:{mark.column + 1}"


def _place_of_character(text: str, position: int, name: str) -> str:
    before = text[:position]
    return f"{name}:{before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}"
