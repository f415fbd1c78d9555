"""The webhook: who is let in, and what is answered."""

from typing import Final

from llmws_tutorial.checks.case import Case

CASES: Final[tuple[Case, ...]] = ()
"""In the order of the lessons."""
