"""What a model writes and nobody can say: taken out on the way, piece by piece.

Only what is certain goes: marks of markdown at the edges of words and lines, code marks, emoji, and
line breaks; and what some models write into their text between tags, thoughts and calls of tools.
"5*3", "snake_case", "press #1" and "*67" stay as they are.
"""

import re
from typing import Final

_UNSPEAKABLE: Final = re.compile(
    r"(?s:<(?P<tag>think|tool_call)>.*?(?:</(?P=tag)>|\Z))"
    r"|(?P<line>\n\s*(?:(?:#{1,6}|[-*•])[ \t]+)?)"  # a new line, and the mark of a heading or item
    r"|\*\*+|__+|`+"
    r"|[\u200d\ufe0f\u2600-\u27bf\U0001f000-\U0001faff\ud800-\udfff]+"  # also halves
    r"|(?<![^\s(\"'])[*_](?=[^\W\d_])"  # *emphasis* begins
    r"|(?<=[^\W\d_])[*_](?!\w)|(?<=[.,;:!?])[*_](?!\w)"  # ... and ends
)
_UNDECIDED: Final = re.compile(
    r"(?s:<(?P<tag>think|tool_call)>.*?(?P<end></(?P=tag)>|\Z))|<[a-z_]{0,9}\Z"
    r"|\n\s*(?:#{0,6}|[-*•])[ \t]*\Z|[*_]+\Z"
)
"""The end of a text that means this or that, depending on what comes next, unless its tag ends."""


class Speakable:
    """Makes the text of one answer speakable while it comes."""

    def __init__(self) -> None:
        self._before = "\n"  # the last character that was decided: an answer begins a line
        self._held = ""

    def take(self, text: str) -> str:
        """Take a piece; the result is what can be spoken by now."""
        text = self._before + self._held + text
        undecided = next((at for at in _UNDECIDED.finditer(text) if not at["end"]), None)
        end = max(undecided.start(), 1) if undecided else len(text)
        self._held = text[end:]
        if undecided and undecided["tag"]:
            tag = f"<{undecided['tag']}>"
            # a thought may be long: only its last characters may be half of what ends it
            self._held = tag + self._held.removeprefix(tag)[-len(tag) :]
        return self._decide(text[:end])

    def end(self) -> str:
        """Take the end of the answer; the result is what was held back."""
        text, self._held = self._before + self._held, ""
        return self._decide(text).rstrip()

    def _decide(self, text: str) -> str:
        spoken = _UNSPEAKABLE.sub(_speak, text)
        first = _UNSPEAKABLE.sub(_speak, text[0])
        self._before = text[-1]
        return spoken[len(first) :]


def has_words(text: str) -> bool:
    """Whether there is anything to speak in it."""
    return any(map(str.isalnum, text))


def _speak(found: re.Match[str]) -> str:
    return " " if found["line"] else ""
