"""What strangers say is seen, and never obeyed."""

from xml.etree import ElementTree

import pytest

from llmws_tutorial.simulator.printable import LONGEST, fit_for_xml, shortened, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, é, 日本, [x]", "plain, é, 日本, [x]"),
        ("two\nlines", "two lines"),
        ("\x1b[2J\x07\x9b", r"\x1b[2J\x07\x9b"),
        ("\t\r", r"\t\r"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_would_be_obeyed_is_shown_by_its_code(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_a_long_text_is_cut_and_its_length_told() -> None:
    assert shortened("x" * LONGEST) == "x" * LONGEST
    assert shortened("x" * (LONGEST + 1)) == "x" * LONGEST + "… (501 characters)"


def test_xml_holds_whatever_is_made_fit_for_it() -> None:
    everything = "".join(map(chr, [*range(0x300), 0xD800, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F600]))
    element = ElementTree.Element("a")
    element.text = fit_for_xml(everything)
    read = ElementTree.fromstring(ElementTree.tostring(element, encoding="unicode")).text
    assert read
    assert read.endswith("\N{REPLACEMENT CHARACTER}" * 4 + "\U0001f600")
    assert "\t\n" in read
