"""The checks in full, in Markdown: ``python -m llmws_tutorial.checks.explain``.

Writes docs/checks.md. Its top is written by hand; what follows `BEGINS` is made from the cases and
the samples.
"""

import difflib
import inspect
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from llmws_tutorial.checks.case import BOTH, Case, Need
from llmws_tutorial.checks.catalogue import CASES, select
from llmws_tutorial.checks.moves import Move
from llmws_tutorial.checks.report import GRADES
from llmws_tutorial.checks.samples import right, sample_call
from llmws_tutorial.checks.samples.gallery import WRONG, changed
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator.printable import visible
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

PAGE: Final = Path(__file__).parents[2] / "docs" / "checks.md"
BEGINS: Final = "## All checks\n"
"""The heading at which the generated part of the page begins."""
RIGHT: Final = "right"
"""What stands for the whole of the server that is right, where a check is named."""
_MOST_STEPS: Final = 6
_NAME: Final = re.compile(r"[\w./{}<>:=-]*\w_\w(?:[\w./{}<>:=-]*[\w}>])?")
_MARKUP: Final = re.compile(r"[\\<*\[|]")


def explain(*prefixes: str) -> str:
    """The long form of each check that is meant; without any prefix a list.

    Args:
        prefixes: topics or ids; `RIGHT` is the whole of the server that is right.

    Raises:
        SetupError: when a prefix means no check; the text has the nearest ones.
    """
    if not prefixes:
        return "\n".join(_list(CASES))
    checks = [prefix for prefix in prefixes if prefix != RIGHT]
    for prefix in checks:
        must_mean_something(prefix)
    lines = [line for case in (select(*checks) if checks else ()) for line in long_form(case)]
    return "\n".join([*lines, *(right_server("#") if RIGHT in prefixes else ())])


def right_server(level: str) -> list[str]:
    """The server that every check is content with, whole."""
    return [
        f"{level} The right server",
        "",
        "Every check is content with it. It is `llmws_tutorial/checks/samples/right.py`:",
        "",
        *_code(inspect.getsource(right), "python"),
        "And `sample_call.py` beside it:",
        "",
        *_code(inspect.getsource(sample_call), "python"),
    ]


def must_mean_something(prefix: str) -> None:
    """Refuse what is no topic and no id of a check.

    Raises:
        SetupError: the text has the nearest ones.
    """
    try:
        select(prefix)
    except SetupError as error:
        names = dict.fromkeys(name for case in CASES for name in (case.topic, case.id))
        near = difflib.get_close_matches(prefix, names, n=3, cutoff=0.5)
        if not near:
            raise
        hint = f"did you mean {' or '.join(near)}?"
        raise SetupError(f"there is no check {prefix!r}: {hint}") from error


def page(old: str) -> str:
    """The whole page docs/checks.md, with its introduction as it is."""
    lines = [
        *_list(CASES, is_page=True),
        *(line for case in CASES for line in long_form(case, level="###")),
        *right_server("##"),
    ]
    introduction = old.partition(BEGINS)[0]
    return f"{introduction}{BEGINS}\n" + "\n".join(lines).rstrip("\n") + "\n"


def long_form(case: Case, *, level: str = "#") -> list[str]:
    """A check in full: what it wants and why, what it does, how to pass it."""
    return [
        f"{level} {case.id}",
        "",
        f"**{_prose(case.title[0].upper() + case.title[1:])}.** {_prose(case.requirement)}",
        "",
        f"* **Why** ({case.severity.value}): {_prose(case.why)}",
        f"* **Fix**: {_prose(case.fix)}.",
        f"* **Source**: {case.source}: {GRADES[case.grade]}.",
        f"* **Profile**: {_profiles(case)}. **Lesson**: step {case.step}.",
        *(f"* **Needs** {_prose(need.value)}." for need in Need if need in case.needs),
        "",
        "What the check does:",
        "",
        *_code("\n".join(_numbered(case.moves)), "text"),
        *_model(case.scripts),
        *_samples(case),
    ]


def anchor(case: Case) -> str:
    """What a renderer makes of the heading of a check, to be linked to."""
    return case.id.replace("/", "")


def _list(cases: Sequence[Case], *, is_page: bool = False) -> list[str]:
    """The checks in a table; on the page each leads to its long form."""
    lines = ["| Check | The server | A failure | Profile | Needs |", "|---|---|---|---|---|"]
    for case in cases:
        name = f"[{case.id}](#{anchor(case)})" if is_page else case.id
        title, cost = _prose(case.title), case.severity.value
        lines.append(f"| {name} | {title} | {cost} | {_profiles(case)} | {_options(case)} |")
    return [*lines, ""]


def _profiles(case: Case) -> str:
    return "both" if case.profiles == BOTH else ", ".join(sorted(p.value for p in case.profiles))


def _options(case: Case) -> str:
    return ", ".join(f"`--{need.name.lower()}`" for need in Need if need in case.needs)


def _numbered(moves: Sequence[Move]) -> list[str]:
    """The moves in words, each with its call where there are several."""
    lines = [getattr(move, "line", "") for move in moves]
    several = len({line for line in lines if line}) > 1
    return [
        f"{number:2}. {f'[{line}] ' if several and line else ''}{visible(str(move))}"
        for number, (move, line) in enumerate(zip(moves, lines, strict=True), 1)
    ]


def _model(scripts: Sequence[Script]) -> list[str]:
    """What the model does each time that it is asked."""
    if not scripts:
        return []
    told = [f"{number:2}. {_behaviour(script)}" for number, script in enumerate(scripts, 1)]
    return [
        "What the model does, the first time that it is asked, the second, ... (then the last):",
        "",
        *_code("\n".join(told), "text"),
    ]


def _behaviour(script: Script) -> str:
    when = f"asked with {script.when!r}: " if script.when else ""
    steps = [_step(step) for step in script.steps]
    if script.status != 200:
        steps = [f"refuses with HTTP {script.status}"]
    more = len(steps) - _MOST_STEPS
    shown = [*steps[:_MOST_STEPS], *([f"and so on ({more} more)"] if more > 0 else [])]
    return visible(when + (", ".join(shown) or "says nothing"))


def _step(step: Step) -> str:
    match step:
        case Say(text):
            return f"says {text!r}"
        case Wait(seconds):
            return f"waits {seconds:g} s"
        case CallTool(name=name, is_invented=True):
            return f"calls the tool {name}, which there is not"
        case CallTool(name=name):
            return f"calls a tool that matches {name}" if name.strip("*") else "calls a tool"
        case Raw(line):
            return f"sends the line {line!r}"
    return _PLAIN[type(step)]


_PLAIN: Final[dict[type[Step], str]] = {
    Empty: "sends a chunk without choices",
    Hang: "hangs",
    Break: "breaks off",
}


def _samples(case: Case) -> list[str]:
    """A server that is right, as far as it matters here, and one that is wrong."""
    if case.id not in WRONG:
        return []
    rights = "\n".join(text for text, _ in changed(case.id) if text)
    whole = "class Right:\n" + textwrap.indent(rights, "    ")
    return [
        *(["A server that is right:", "", *_code(whole, "python")] if rights else []),
        "One that fails this check, and no other; the rest of it is right:",
        "",
        *_code(inspect.getsource(WRONG[case.id]), "python"),
        f"The whole server, with all that is used here: `llmws explain {RIGHT}`, "
        "or the end of docs/checks.md.",
        "",
    ]


def _code(text: str, language: str) -> list[str]:
    fence = "```"
    return [f"{fence}{language}", text.rstrip("\n"), fence, ""]


def _prose(text: str) -> str:
    """Plain text as Markdown: names of fields as code, and no sign that means something."""
    pieces = _NAME.sub(lambda found: f"`{found[0]}`", text).split("`")
    pieces[::2] = [_MARKUP.sub(lambda found: f"\\{found[0]}", piece) for piece in pieces[::2]]
    return "`".join(pieces)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
