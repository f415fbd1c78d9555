"""Hanging up, transferring, pressing keys: done once the words are spoken."""

from typing import Final

from llmws_tutorial.checks.case import Case

CASES: Final[tuple[Case, ...]] = ()
"""In the order of the lessons."""
