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
    **actions.WRONG,
    **endings.WRONG,
    **webhook.WRONG,
}
"""The wrong servers, by the id of the one case that each fails."""


def changed(case_id: str) -> list[tuple[str, str]]:
    """Show what a wrong server does otherwise: pairs of right and wrong source."""
    wrong = WRONG[case_id]
    names = [name for name, member in vars(wrong).items() if inspect.isfunction(member)]
    return [(_source(getattr(Right, name)), _source(getattr(wrong, name))) for name in names]


def _source(method: object) -> str:
    return textwrap.dedent(inspect.getsource(method))  # type: ignore[arg-type]
