"""Every case, in the order of the lessons, and how to choose among them."""

from typing import Final

from llmws_tutorial.checks.case import Case, Profile
from llmws_tutorial.checks.cases import (
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
from llmws_tutorial.errors import SetupError

CASES: Final[tuple[Case, ...]] = (
    *calls.CASES,
    *begin.CASES,
    *sorted((*turns.CASES, *turns_llm.CASES), key=lambda case: case.number),
    *speech.CASES,
    *odd_input.CASES,
    *keepalive.CASES,
    *reconnect.CASES,
    *tools.CASES,
    *tool_failures.CASES,
    *actions.CASES,
    *endings.CASES,
    *webhook.CASES,
)
"""Every case, topic by topic."""


def select(*prefixes: str, profile: Profile | None = None) -> list[Case]:
    """Choose the cases of a profile whose ids start with one of the prefixes.

    Args:
        prefixes: topics, or parts of them, or whole ids; none: all cases.
        profile: the form of the protocol; None: any.

    Raises:
        SetupError: when no such case's id starts with one of the prefixes.
    """
    known = [case for case in CASES if profile is None or profile in case.profiles]
    for prefix in prefixes:
        if not any(_starts(case, prefix) for case in known):
            where = f" in profile {profile.value}" if profile else ""
            topics = ", ".join(dict.fromkeys(case.topic for case in known))
            raise SetupError(
                f"no check{where} starts with {prefix!r}, expected a topic ({topics}) or an id, "
                f"such as {known[0].id}"
            )
    return [case for case in known if not prefixes or any(_starts(case, one) for one in prefixes)]


def _starts(case: Case, prefix: str) -> bool:
    """Whether a prefix means a case: its topic, whole or in part, or its whole id."""
    return case.id == prefix if "/" in prefix else case.topic.startswith(prefix)
