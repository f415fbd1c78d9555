"""Servers that use tools wrongly, each in one way."""

from typing import Final

from llmws_tutorial.checks.samples.right import Right

WRONG: Final[dict[str, type[Right]]] = {}
"""For each case the server that fails it, and no other."""
