"""The notes about tools, and what happens to the turn meanwhile."""

from typing import Final

from llmws_tutorial.checks.case import Case

CASES: Final[tuple[Case, ...]] = ()
"""In the order of the lessons."""
