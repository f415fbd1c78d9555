"""What a sample server changes is shown, whatever it is."""

import pytest

from llmws_tutorial.checks.explain import explain
from llmws_tutorial.checks.samples.gallery import WRONG, changed
from llmws_tutorial.checks.samples.right import Right


class WaitsForEver(Right):
    """Has more patience than a caller."""

    patience_s = 600.0

    def lets_in(self, ws: object, secret: str) -> bool:
        """Let everybody in."""
        return self.is_kind()

    def is_kind(self) -> bool:
        """Say yes."""
        return True


@pytest.fixture(autouse=True)
def sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WRONG, "begin/1", WaitsForEver)


def test_attributes_methods_and_what_is_its_own_are_shown() -> None:
    patience, lets_in, own = changed("begin/1")
    assert patience == ("patience_s = 4.0\n", "patience_s = 600.0\n")
    assert lets_in[0].startswith("def lets_in(self, ws: WebSocket, secret: str) -> bool:\n    ")
    assert lets_in[1].endswith("    return self.is_kind()\n")
    assert own[0] == ""


def test_an_explanation_shows_the_right_side_inside_its_class() -> None:
    assert "class Right:\n    patience_s = 4.0\n\n    def lets_in(" in explain("begin/1")
