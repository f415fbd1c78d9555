"""What strangers say, made fit for a terminal and for rich."""

from rich.markup import escape

from llmws_tutorial.simulator.printable import visible


def shown(text: str) -> str:
    """Show a text of the other side in one line, its brackets as they are."""
    return escape(visible(text))
