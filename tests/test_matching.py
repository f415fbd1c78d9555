"""A pattern is found, or not, or the search for it is ended."""

import pytest

from llmws_tutorial.simulator import matching
from llmws_tutorial.simulator.matching import is_found

ENDLESS = ("^(a+)+$", "a" * 40 + "!")


def test_a_pattern_is_found_anywhere_in_any_text() -> None:
    assert is_found("(?i)b.t$", "A cat \ud800 \u202e\nand a BAT")
    assert not is_found("^bat", "a bat")


def test_a_search_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "PATIENCE_S", 0.2)
    with pytest.raises(TimeoutError, match=r"took longer than 0\.2 s$"):
        is_found(*ENDLESS)
