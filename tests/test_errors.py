"""What the system says, in words that fit into ours."""

import pytest

from llmws_tutorial.errors import in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "whatever", "/a/path"), "no such file or directory"),
        (OSError("No number"), "no number"),
    ],
    ids=["a number", "no number"],
)
def test_an_error_of_the_system_is_told_without_its_path(error: OSError, words: str) -> None:
    assert in_words(error) == words
