"""Where the ngrok token is found."""

from pathlib import Path

import pytest

from llmws_tutorial.notebook.ngrok_token import find_token

TOKEN = "good-2Jx7secret"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the learner's own, and nothing exported."""
    monkeypatch.delenv("NGROK_AUTHTOKEN", raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_a_token_none_is_found() -> None:
    assert find_token() is None


def test_an_exported_token_wins_over_the_one_in_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"NGROK_AUTHTOKEN={TOKEN}\n")
    assert find_token() == TOKEN
    monkeypatch.setenv("NGROK_AUTHTOKEN", "exported")
    assert find_token() == "exported"


def test_a_blank_exported_token_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"NGROK_AUTHTOKEN={TOKEN}\n")
    monkeypatch.setenv("NGROK_AUTHTOKEN", "  ")
    assert find_token() is None
