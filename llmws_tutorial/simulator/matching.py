"""Whether a pattern is found in what was said, and an end to the search.

A pattern such as ``(a+)+$`` takes years over a line of text, and nothing can stop Python's own
search: until it is over it holds up every thread, and Ctrl-C. So another process searches.
"""

import json
import subprocess
import sys
from typing import Final

PATIENCE_S: Final = 2.0
"""How long a search may take; mostly it is a start of Python, some 30 ms (seconds)."""
_SEARCH: Final = "import json, re, sys; print(re.search(*json.load(sys.stdin)) is not None)"


def is_found(pattern: str, text: str) -> bool:
    """Whether a regular expression, one that can be compiled, is found in a text.

    Raises:
        TimeoutError: when the search has no end.
    """
    command = [sys.executable, "-I", "-S", "-W", "ignore", "-c", _SEARCH]
    asked = json.dumps([pattern, text]).encode()
    try:
        found = subprocess.run(
            command, input=asked, capture_output=True, check=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(
            f"the search for {pattern!r} took longer than {PATIENCE_S:g} s"
        ) from None
    return found.stdout.strip() == b"True"
