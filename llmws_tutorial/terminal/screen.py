"""What strangers say, made fit for a terminal: seen, and never obeyed.

A terminal obeys some characters: they clear it, change its title, or write over other lines. Here
such a character is shown by its code.
"""

import re
from typing import Final

from rich.markup import escape

LONGEST: Final = 500
"""How many characters of a dropped frame are shown."""
_OBEYED: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """Show a text of the other side in one line, its brackets as they are."""
    return escape(_OBEYED.sub(_code, text.replace("\n", " ")))


def shortened(text: str) -> str:
    """Cut a text that is too long to be read, and say how long it was."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _code(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
