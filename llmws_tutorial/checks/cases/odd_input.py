"""What arrives that is odd, broken or foreign."""

from typing import Final

from llmws_tutorial.checks.case import Case

CASES: Final[tuple[Case, ...]] = ()
"""In the order of the lessons."""
