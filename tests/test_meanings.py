"""What the page says of a frame, against the protocol's notes."""

import re

import pytest

from llmws_tutorial.dashboard.app import PAGE
from llmws_tutorial.notebook.doctor import PROJECT

TABLE = re.compile(r"const (PLATFORM|SERVER) = \{(.*?)\n\};", re.DOTALL)
ENTRY = re.compile(r'^  "?([\w ]+)"?: ".+",$', re.MULTILINE)


def explained(side: str) -> set[str]:
    """The kinds for which the page has a sentence."""
    tables = dict(TABLE.findall((PAGE / "meanings.js").read_text(encoding="utf-8")))
    return set(ENTRY.findall(tables[side]))


def documented(section: int) -> set[str]:
    """The kinds in the first table of a section of the notes."""
    notes = (PROJECT / "docs/protocol.md").read_text(encoding="utf-8")
    [text] = re.findall(rf"^## {section}\. .*?(?=^## )", notes, re.DOTALL | re.MULTILINE)
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table
    return set(re.findall(r"^\| `(\w+)`", table[0], re.MULTILINE))


@pytest.mark.parametrize(("side", "section"), [("PLATFORM", 3), ("SERVER", 4)])
def test_every_kind_of_the_protocol_has_a_sentence(side: str, section: int) -> None:
    assert documented(section) <= explained(side)
