"""What a scripted model does, read from a YAML file.

The file is a list of scripts, described in docs/scripted_llm.md. `load_scripts` reads one, or
refuses it with the line and column of the first thing that is wrong.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from llmws_tutorial.errors import ScenarioError, in_words
from llmws_tutorial.simulator.conversion import Slip, convert
from llmws_tutorial.simulator.scripted_llm import (
    Break,
    CallTool,
    Empty,
    Hang,
    Raw,
    Say,
    Script,
    Step,
    Wait,
)
from llmws_tutorial.simulator.yaml_tree import Node, parse

MAX_BYTES: Final = 1024 * 1024
"""How large a file may be."""
ACTIONS: Final = ("say", "wait_s", "empty", "call_tool", "hang", "break", "raw")
"""What the model can do; a step is exactly one of them."""

_WORDLESS: Final = ("empty", "hang", "break")


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file; what is not a field of it is an error."""


class _CallOfTool(_Part, frozen=True, kw_only=True):
    name: str = "*"
    arguments: dict[str, Any] | str | None = None
    call_id: str | None = None
    otherwise: str = ""

    def __post_init__(self) -> None:
        try:
            re.compile("" if self.name == "*" else self.name)
        except (re.error, OverflowError, RecursionError) as error:
            raise Slip(f"name is no regular expression: {error}", "name") from None


class _Step(_Part, frozen=True, kw_only=True, rename={"breaks": "break"}):
    say: str | None = None
    wait_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    empty: bool = False
    call_tool: _CallOfTool | None = None
    hang: bool = False
    breaks: bool = False
    raw: str | None = None

    def __post_init__(self) -> None:
        actions = [name for name, value in self._given().items() if value not in (None, False)]
        if not actions:
            raise Slip(f"a step without an action, expected one of {', '.join(ACTIONS)}")
        if len(actions) > 1:
            raise Slip(f"{actions[1]} beside {actions[0]}, expected one action a step", actions[1])

    def _given(self) -> dict[str, Any]:
        values = (getattr(self, name) for name in self.__struct_fields__)
        return dict(zip(self.__struct_encode_fields__, values, strict=True))

    def step(self) -> Step:
        match self:
            case _Step(say=str(text)):
                return Say(text)
            case _Step(wait_s=float(seconds)):
                return Wait(seconds)
            case _Step(raw=str(line)):
                return Raw(line)
            case _Step(call_tool=_CallOfTool() as call):
                return CallTool(**msgspec.structs.asdict(call))
            case _Step(empty=True):
                return Empty()
        return Hang() if self.hang else Break()


class _Script(_Part, frozen=True, kw_only=True):
    when: str = ""
    told: str | None = None
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200
    steps: tuple[_Step, ...] = ()

    def __post_init__(self) -> None:
        if 200 < self.status < 400:
            raise Slip(
                f"status is {self.status}, expected 200, or an error of 400 to 599", "status"
            )
        if self.status != 200 and self.steps:
            raise Slip(f"steps beside the status {self.status}, expected no answer", "steps")


class _File(_Part, frozen=True, kw_only=True):
    scripts: tuple[_Script, ...]


def load_scripts(path: Path) -> list[Script]:
    """Read scripts from a file.

    Raises:
        ScenarioError: when there is no such file, or it holds no scripts.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        why = in_words(error)
        raise ScenarioError(f"{path}: cannot be read: {why}, expected a file") from None
    except ValueError:  # a NUL, or half a character
        raise ScenarioError(f"{str(path)!r}: no file has such a name") from None
    if len(data) > MAX_BYTES:
        raise ScenarioError(f"{path}: more than {MAX_BYTES:,} bytes, expected scripts")
    return read_scripts(data.decode("utf-8", "surrogateescape"), str(path))


def read_scripts(text: str, name: str = "scripts") -> list[Script]:
    """Read scripts from a text.

    Args:
        text: the content of a file.
        name: how the file is called in errors.

    Raises:
        ScenarioError: when it holds no scripts; FILE:LINE:COLUMN and what was expected.
    """
    root = parse(text, name)
    value = {"scripts": _spelled_out(root.value)}
    tree = Node(root.place, value, parts={"scripts": root})
    return [
        Script(
            when=script.when,
            told=script.told,
            times=script.times,
            status=script.status,
            steps=tuple(step.step() for step in script.steps),
        )
        for script in convert(tree, _File, value=value).scripts
    ]


def _spelled_out(scripts: Any) -> Any:
    """Spell out the short forms, such as `- hang`."""
    if not isinstance(scripts, list):
        return scripts
    return [_spelled_out_script(script) for script in scripts]


def _spelled_out_script(script: Any) -> Any:
    match script:
        case {"steps": list(steps)}:
            return {**script, "steps": [_spelled_out_step(step) for step in steps]}
    return script


def _spelled_out_step(step: Any) -> Any:
    match step:
        case "call_tool":
            return {step: {}}
        case str():
            return {step: True if step in _WORDLESS else None}
    return step
