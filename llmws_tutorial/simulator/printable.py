"""What strangers say, made fit to be written down: seen, and never obeyed.

A terminal and a browser obey some characters: they clear it, change its title, write over other
lines, or turn the direction of what follows. XML cannot hold some others.
"""

import re
from typing import Final

LONGEST: Final = 500
"""How many characters of a text are shown."""
_OBEYED: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def visible(text: str) -> str:
    """Show a text in one line, and each character that would be obeyed by its code."""
    return _OBEYED.sub(_code, text.replace("\n", " "))


def shortened(text: str) -> str:
    """Cut a text that is too long to be read, and say how long it was."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def fit_for_xml(text: str) -> str:
    """Replace what XML cannot hold: control characters and halves of characters."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _code(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
