"""For every case the sample server that is wrong in that way, and what it changes."""

import inspect
import textwrap
from typing import Final

from llmws_tutorial.checks.samples import (
    actions,
    begin,
    calls,
    endings,
    keepalive,
    odd_input,
    reconnect,
    speech,
    tool_failures,
    tools,
    turns,
    turns_llm,
    webhook,
)
from llmws_tutorial.checks.samples.right import Right

WRONG: Final[dict[str, type[Right]]] = {
    **calls.WRONG,
    **begin.WRONG,
    **turns.WRONG,
    **turns_llm.WRONG,
    **speech.WRONG,
    **odd_input.WRONG,
    **keepalive.WRONG,
    **reconnect.WRONG,
    **tools.WRONG,
    **tool_failures.WRONG,
    **actions.WRONG,
    **endings.WRONG,
    **webhook.WRONG,
}
"""The wrong servers, by the id of the one case that each fails."""


def changed(case_id: str) -> list[tuple[str, str]]:
    """Show what a wrong server does otherwise: pairs of right and wrong source.

    The right one is empty where the wrong server has something of its own.
    """
    wrong = WRONG[case_id]
    own = {name: member for name, member in vars(wrong).items() if _is_written(name, member)}
    rights = {name: getattr(Right, name) for name in own if hasattr(Right, name)}
    return [
        (_source(name, rights[name]) if name in rights else "", _source(name, member))
        for name, member in own.items()
    ]


def _is_written(name: str, member: object) -> bool:
    return inspect.isfunction(member) or not name.startswith("__")


def _source(name: str, member: object) -> str:
    if inspect.isfunction(member):
        return textwrap.dedent(inspect.getsource(member))
    return f"{name} = {member!r}\n"
