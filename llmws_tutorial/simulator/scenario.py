"""What a caller does in a call, what goes wrong, what is expected of the agent.

A scenario is a YAML file, described in docs/scenarios.md. `load` reads one, or refuses it with the
line and column of the first thing that is wrong.
"""

import re
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from llmws_tutorial.errors import ScenarioError, in_words
from llmws_tutorial.simulator.conversion import Slip, choice_of, convert
from llmws_tutorial.simulator.endings import REASONS
from llmws_tutorial.simulator.yaml_tree import parse, quoted

MAX_BYTES: Final = 1024 * 1024
"""How large a scenario file may be."""
ACTIONS: Final = (
    "say",
    "silent_s",
    "mumble",
    "press",
    "hang_up",
    "drop_line",
    "slow_s",
    "garble",
    "resend",
)
"""What a caller or the line can do; a step is exactly one of them."""
STARTS: Final = ("after_words", "after_s", "at_once")
"""When a step may begin, other than at the end of the agent's turn."""

CallType = Literal["phone_call", "web_call"]
Direction = Literal["inbound", "outbound"]

_SHIPPED: Final = (
    "greeting",
    "question",
    "interruption",
    "change_of_mind",
    "silence_and_reminder",
    "unintelligible",
    "line_drop",
    "goodbye",
    "transfer",
    "booking",
    "two_calls",
    "long_call",
)
_FOLDER: Final = Path(__file__).with_name("scenarios")
_NUMBER: Final = "{{call}}"
_WORDLESS: Final = ("mumble", "hang_up", "drop_line", "resend")
_TEXTS: Final = ("said", "not_said", "matches")
_AT_THE_TOP: Final = ("ends", "transferred_to", "pressed")

_AboveZero = Annotated[float, msgspec.Meta(gt=0)]
_ZeroOrMore = Annotated[float, msgspec.Meta(ge=0)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Words = Annotated[int, msgspec.Meta(ge=1)]
_Calls = Annotated[int, msgspec.Meta(ge=1, le=100)]
_Rounds = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class _Part(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    repr_omit_defaults=True,
):
    """A part of a scenario; what is not a field of it is an error."""

    def _require(self, is_right: bool, name: str, expected: str) -> None:
        if not is_right:
            raise Slip(f"{name} is {quoted(getattr(self, name))}, expected {expected}", name)

    def _require_words(self, *names: str) -> None:
        for name in names:
            text = getattr(self, name)
            self._require(text is None or bool(text.strip()), name, "some words")

    def _require_keys(self, name: str) -> None:
        keys = getattr(self, name)
        is_right = keys is None or bool(re.fullmatch(r"([0-9*#]|{{call}})+", keys))
        self._require(is_right, name, "keys of 0 to 9, * and #")


class ToolUse(_Part, frozen=True, kw_only=True):
    """A tool that the agent is to call.

    Attributes:
        name: the tool.
        arguments: what it is called with; further arguments do no harm.
    """

    name: str
    arguments: dict[str, Any] = {}

    def __post_init__(self) -> None:
        self._require_words("name")


class Expect(_Part, frozen=True, kw_only=True):
    """What is expected of the agent: in one step, or in the whole call.

    "Heard" is what the agent said until it was interrupted.

    Attributes:
        said: texts that are all heard, whatever their case and white space.
        not_said: texts of which none is heard.
        matches: regular expressions that are all found in what is heard.
        silent: whether the agent says nothing; None asks for neither.
        first_sentence_within_ms: how long a request may wait for the first complete sentence of its
            answer (milliseconds).
        tool: a tool that is called.
        drops: how many frames of the server the platform may drop.
        ends: why the call ends, one of `REASONS`; of a whole call only.
        transferred_to: the number to which the agent transfers; of a whole call only.
        pressed: the keys that the agent presses; of a whole call only.
    """

    said: tuple[str, ...] = ()
    not_said: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    silent: bool | None = None
    first_sentence_within_ms: _AboveZero | None = None
    tool: ToolUse | None = None
    drops: _Count | None = None
    ends: str | None = None
    transferred_to: str | None = None
    pressed: str | None = None

    def __post_init__(self) -> None:
        for name in _TEXTS:
            for index, text in enumerate(getattr(self, name)):
                if not text.strip():
                    raise Slip(f"{name} is {text!r}, expected some words", name, index)
        for index, pattern in enumerate(self.matches):
            if fault := _fault_of_pattern(pattern):
                raise Slip(f"matches is no regular expression: {fault}", "matches", index)
        if self.ends is not None and self.ends not in REASONS:
            raise Slip(f"ends is {quoted(self.ends)}, {choice_of(self.ends, REASONS)}", "ends")
        self._require_words("transferred_to")
        self._require_keys("pressed")


class Step(_Part, frozen=True, kw_only=True):
    """One thing that the caller does, or that goes wrong with the line.

    Exactly one of the first nine is set. At most one of the next three is; without them the step
    begins when the agent's turn is over.

    Attributes:
        say: what the caller says.
        silent_s: say nothing for so long (seconds of the call); a reminder may fall due.
        mumble: say something that cannot be understood.
        press: the keys that the caller presses (0 to 9, * and #).
        hang_up: end the call.
        drop_line: break the connection without a close frame; the platform dials again.
        slow_s: the platform neither reads nor sends for so long (seconds of the call).
        garble: a text that goes to the server as one frame, as it is.
        resend: send the last request again, the very same frame.
        after_words: begin when the agent has spoken so many words of its turn (1 and up).
        after_s: begin when the agent has been speaking for so long (seconds of the call).
        at_once: begin without waiting for the agent.
        expect: what the agent is to do from this step to the next.
    """

    say: str | None = None
    silent_s: _AboveZero | None = None
    mumble: bool = False
    press: str | None = None
    hang_up: bool = False
    drop_line: bool = False
    slow_s: _AboveZero | None = None
    garble: str | None = None
    resend: bool = False
    after_words: _Words | None = None
    after_s: _ZeroOrMore | None = None
    at_once: bool = False
    expect: Expect | None = None

    def __post_init__(self) -> None:
        actions = self._given(ACTIONS)
        if not actions:
            raise Slip(f"a step without an action, expected one of {', '.join(ACTIONS)}")
        if len(actions) > 1:
            raise Slip(f"{actions[1]} beside {actions[0]}, expected one action a step", actions[1])
        starts = self._given(STARTS)
        if len(starts) > 1:
            raise Slip(f"{starts[1]} beside {starts[0]}, expected one of them", starts[1])
        self._require_words("say")
        self._require_keys("press")
        for name in _AT_THE_TOP:
            if self.expect and getattr(self.expect, name) is not None:
                fix = "expected it below the scenario's own expect"
                raise Slip(f"{name} in a step, {fix}", "expect", name)

    @property
    def action(self) -> str:
        """Which of `ACTIONS` this step is."""
        return self._given(ACTIONS)[0]

    def _given(self, names: Collection[str]) -> list[str]:
        values = {name: getattr(self, name) for name in names}
        return [name for name, value in values.items() if value is not None and value is not False]


class CallOf(_Part, frozen=True, kw_only=True):
    """What the platform tells about a call to a server that asks for its details.

    Attributes:
        type: how the caller comes in.
        direction: who called whom; None on a web call.
        from_number: who calls, as "+15551234567".
        to_number: who is called.
        variables: values for the ``{{name}}`` in an agent's texts.
        metadata: whatever was attached to the call when it was created.
        agent_id: the agent of the dashboard that takes the call.
    """

    type: CallType = "web_call"
    direction: Direction | None = None
    from_number: str | None = None
    to_number: str | None = None
    variables: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    agent_id: str | None = None


class Scenario(_Part, frozen=True, kw_only=True):
    """One call, or several at once: who calls, what happens, what is expected.

    Attributes:
        scenario: its title, in one line.
        about: what it shows.
        needs: what a server must offer to pass, in words; empty when every server can.
        calls: how many calls there are at once (1 to 100); ``{{call}}`` in a text is the number
            of the call.
        call: what is known about the call.
        choices: settings of the stand-in that differ from its own, by name.
        patience_s: how long the caller waits for an answer before it goes on (seconds).
        repeat: how often the caller goes through its steps (1 to 1000).
        caller: the steps; none to listen to the greeting only.
        expect: what the agent is to do in the whole call.
    """

    scenario: str
    about: str = ""
    needs: str = ""
    calls: _Calls = 1
    call: CallOf | None = None
    choices: dict[str, bool | int | float | str] = {}
    patience_s: _AboveZero = 10.0
    repeat: _Rounds = 1
    caller: tuple[Step, ...]
    expect: Expect | None = None

    def __post_init__(self) -> None:
        self._require_words("scenario")
        self._require(len(self.scenario.splitlines()) == 1, "scenario", "a title of one line")

    @property
    def steps(self) -> tuple[Step, ...]:
        """Everything that the caller does: its steps, `repeat` times."""
        return self.caller * self.repeat

    def for_call(self, number: int) -> "Scenario":
        """Put the number of a call (1 and up) in the place of every ``{{call}}``."""
        return msgspec.convert(_filled(msgspec.to_builtins(self), str(number)), Scenario)


def shipped() -> tuple[str, ...]:
    """Name the scenarios of this package, in a good order to learn from."""
    return _SHIPPED


def load(source: str | Path) -> Scenario:
    """Read a scenario from a file.

    Args:
        source: the path of a YAML file, or the name of a shipped scenario.

    Raises:
        ScenarioError: when there is no such file, or it holds no scenario.
    """
    is_shipped = source in _SHIPPED
    path = _FOLDER / f"{source}.yaml" if is_shipped else Path(source)
    name = path.name if is_shipped else str(source)
    return read(_content(path, name), name)


def read(text: str, name: str = "scenario") -> Scenario:
    """Read a scenario from a text.

    Args:
        text: the content of a scenario file.
        name: how the file is called in errors.

    Raises:
        ScenarioError: when it is no scenario; FILE:LINE:COLUMN and what was expected.
    """
    tree = parse(text, name)
    return convert(tree, Scenario, value=_spelled_out(tree.value))


def _content(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        fix = choice_of(name, _SHIPPED)
        raise ScenarioError(f"{name}: no such file and no shipped scenario, {fix}") from None
    except OSError as error:
        why = in_words(error)
        raise ScenarioError(f"{name}: cannot be read: {why}, expected a file") from None
    except ValueError:  # a NUL, or half a character
        raise ScenarioError(f"{name!r}: no file has such a name") from None
    if len(data) > MAX_BYTES:
        raise ScenarioError(f"{name}: more than {MAX_BYTES:,} bytes, expected a scenario")
    return data.decode("utf-8", "surrogateescape")  # what is not UTF-8 is refused with its place


def _spelled_out(value: Any) -> Any:
    """Spell out the short forms: `- hang_up`, and one text where a list may be."""
    if not isinstance(value, dict):
        return value
    steps = value.get("caller")
    if isinstance(steps, list):
        value = {**value, "caller": [_spelled_out_step(step) for step in steps]}
    return _with_listed_texts(value)


def _spelled_out_step(step: Any) -> Any:
    match step:
        case str():
            return {step: True if step in _WORDLESS else None}
        case dict():
            return _with_listed_texts(step)
    return step


def _with_listed_texts(part: dict[str, Any]) -> dict[str, Any]:
    match part:
        case {"expect": dict(expect)}:
            single = {key: [expect[key]] for key in _TEXTS if _is_single(expect.get(key))}
            return {**part, "expect": {**expect, **single}}
    return part


def _is_single(value: Any) -> bool:
    return isinstance(value, str | bool | int | float)


def _filled(value: Any, number: str) -> Any:
    match value:
        case str():
            return value.replace(_NUMBER, number)
        case list() | tuple():
            return [_filled(part, number) for part in value]
        case dict():
            return {key: _filled(part, number) for key, part in value.items()}
    return value


def _fault_of_pattern(pattern: str) -> str | None:
    try:
        with warnings.catch_warnings(action="error"):  # a pattern that only warns is a slip as well
            re.compile(pattern.replace(_NUMBER, "1"))
    except (re.error, OverflowError, RecursionError, Warning) as error:
        return str(error)
    return None
