"""Tools: your functions, as a model may call them.

What a model may say is fixed by the annotations of the function: they become the JSON schema that
it reads, and they check what it wrote before anything is run.
"""

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import from_json, to_json

from llmws_tutorial.errors import SetupError, ToolError
from llmws_tutorial.server.prompt import Message
from llmws_tutorial.server.turn import Turn

TIMEOUT_S: Final = 10.0
"""How long a tool may take before the caller hears that it takes longer (seconds)."""
MOST_CHARACTERS: Final = 4000
"""How much of a result the model is told."""
MOST_PROBLEMS: Final = 5
"""How many mistakes in its arguments a model is told of at once."""
HOLDING_LINE: Final = "One moment, please."
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Arguments:
    """What a tool is called with.

    Attributes:
        written: the JSON object that the model wrote.
        values: what the function takes.
        meaning: the same as one text, equal for all that mean the same.
    """

    written: str
    values: Mapping[str, Any]
    meaning: str


class Tool:
    """A function that a model may call.

    Attributes:
        name: what it is called by: the name of the function.
        says: what the caller hears while it runs.
        has_effect: whether it changes something, so that it must not be done twice.
        timeout_s: how long a turn waits for it (seconds).
        offered: what the model is told about it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        says: str = HOLDING_LINE,
        has_effect: bool = False,
        timeout_s: float = TIMEOUT_S,
        ignores_unknown: bool = False,
    ) -> None:
        """Read the function's name, docstring and annotations.

        Args:
            function: what is run; a parameter that is annotated with `Turn` gets the turn.
            says: what the caller hears while it runs.
            has_effect: whether it changes something.
            timeout_s: how long a turn waits for it (seconds).
            ignores_unknown: whether an argument too many is let pass.

        Raises:
            SetupError: when a model could not know how to call it.
        """
        self.name = function.__name__
        self.says = says
        self.has_effect = has_effect
        self.timeout_s = timeout_s
        self._function = function
        if not _NAME.fullmatch(self.name):
            raise SetupError(f"the tool {self.name!r} has a name that no model takes")
        description = inspect.getdoc(function)
        if not description:
            raise SetupError(f"the tool {self.name!r} has no docstring: the model reads it")
        self._names, self._turn, self._arguments = _read_parameters(function, ignores_unknown)
        parameters = self._arguments.model_json_schema(schema_generator=_Schema)
        parameters.pop("title")
        about = {"name": self.name, "description": description, "parameters": parameters}
        self.offered: Message = {"type": "function", "function": about}

    def read(self, arguments: str) -> "Arguments":
        """Check what the model wrote.

        Raises:
            ToolError: when it does not fit; the text tells the model what to mend.
        """
        arguments = arguments.strip() or "{}"
        try:
            read = self._arguments.model_validate_json(arguments)
            from_json(arguments, allow_inf_nan=False)  # a text may be given as NaN: no JSON at all
        except ValidationError as error:
            raise ToolError(_problems(error)) from None
        except ValueError:
            raise ToolError("wrong arguments: NaN and Infinity are not JSON") from None
        values = {name: getattr(read, field) for field, name in self._names.items()}
        meant = _folded(read.model_dump(mode="json", by_alias=True))
        return Arguments(arguments, values, json.dumps(meant, sort_keys=True))

    async def run(self, values: Mapping[str, Any], turn: Turn) -> str:
        """Do it; what blocks (a plain ``def``) runs in a thread.

        Args:
            values: what the function takes.
            turn: the turn that it is done in.
        """
        given = {**values, self._turn: turn} if self._turn else values
        if inspect.iscoroutinefunction(self._function):
            result = await self._function(**given)
        else:
            result = await asyncio.to_thread(self._function, **given)
        return _in_words(result)


class Toolbox:
    """The tools of an agent, by name."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def add(
        self,
        *,
        says: str = HOLDING_LINE,
        has_effect: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> Callable[[_Function], _Function]:
        """Make a decorator that puts a function into the box, and leaves it as it is.

        Args:
            says: what the caller hears while it runs.
            has_effect: whether it changes something: then it is not done twice in a call with the
                same arguments, and a turn that dies does not stop it.
            timeout_s: how long a turn waits for it (seconds).

        Raises:
            SetupError: when a model could not know how to call it, or there is one of this name.
        """

        def add(function: _Function) -> _Function:
            tool = Tool(function, says=says, has_effect=has_effect, timeout_s=timeout_s)
            if self._tools.setdefault(tool.name, tool) is not tool:
                raise SetupError(f"there are two tools {tool.name!r}, expected one of each name")
            return function

        return add


class _Schema(GenerateJsonSchema):
    """Without titles, which say what the names say."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _read_parameters(
    function: Callable[..., Any], ignores_unknown: bool
) -> tuple[dict[str, str], str | None, type[BaseModel]]:
    """The names by field, the parameter that takes the turn, and what checks the arguments."""
    name = function.__name__
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise SetupError(f"the tool {name!r} has an annotation of unknown {error.name!r}") from None
    names: dict[str, str] = {}
    takes_turn: str | None = None
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise SetupError(f"the tool {name!r} takes {parameter}, expected named parameters")
        if parameter.name not in hints:
            raise SetupError(f"the tool {name!r} takes {parameter.name!r} without an annotation")
        if hints[parameter.name] is Turn:
            takes_turn = parameter.name
            continue
        field = f"field_{len(names)}"  # not its name, which may be one of pydantic's own
        names[field] = parameter.name
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[field] = (hints[parameter.name], Field(default, alias=parameter.name))
    config = ConfigDict(
        extra="ignore" if ignores_unknown else "forbid",
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
        str_strip_whitespace=True,
    )
    return names, takes_turn, create_model(name, __config__=config, **fields)


def _problems(error: ValidationError) -> str:
    """What is wrong with the arguments, for the model."""
    problems = [
        ": ".join([*(str(part) for part in problem["loc"]), problem["msg"]])
        for problem in error.errors()[:MOST_PROBLEMS]
    ]
    return "wrong arguments: " + "; ".join(problems)


def _folded(value: Any) -> Any:
    """Without what means nothing: case, and the width of blanks."""
    match value:
        case str():
            return " ".join(value.split()).casefold()
        case list():
            return [_folded(item) for item in value]
        case dict():
            return {key: _folded(item) for key, item in value.items()}
    return value


def _in_words(result: object) -> str:
    """A result as the model reads it: short, and never empty."""
    text = result if isinstance(result, str) else to_json(result, fallback=str).decode()
    text = "done" if result is None or not text.strip() else text
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ..."
