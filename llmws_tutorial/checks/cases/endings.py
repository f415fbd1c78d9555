"""How a call ends, and what must end with it."""

from typing import Final

from llmws_tutorial.checks.case import Case

CASES: Final[tuple[Case, ...]] = ()
"""In the order of the lessons."""
