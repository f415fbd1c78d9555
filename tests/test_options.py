"""What `llmws check` is told: wrong use is found before anything runs."""

import math
from pathlib import Path

import pytest

from llmws_tutorial.errors import SetupError
from llmws_tutorial.terminal.options import check_writable, read_headers, read_timeout, repeated


def test_headers_are_read_without_the_blanks_around_them() -> None:
    given = ["Authorization: Bearer a:b", "X-Key:1"]
    assert read_headers(given) == {"Authorization": "Bearer a:b", "X-Key": "1"}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("secret", "has no colon"),
        ("Key:", "is no header"),
        (": secret", "is no header"),
        ("K y: secret", "is no header"),
        ("Key: secret\r\nX: y", "is no header"),
        ("Key: secrét", "is no header"),
    ],
)
def test_what_is_no_header_is_refused_and_not_repeated(given: str, fault: str) -> None:
    said = f'the second --header {fault}: expected "Name: value" in ASCII'
    with pytest.raises(SetupError, match=f"^{said}$") as refused:
        read_headers(["A: b", given])
    assert "secr" not in str(refused.value)


@pytest.mark.parametrize(("before", "which"), [(0, "first"), (2, "third"), (3, "4th")])
def test_a_header_is_counted(before: int, which: str) -> None:
    given = [*(f"A{number}: b" for number in range(before)), "x"]
    with pytest.raises(SetupError, match=f"the {which} --header has no colon"):
        read_headers(given)


def test_a_header_is_given_once() -> None:
    with pytest.raises(SetupError, match="the header key is there twice, expected it once"):
        read_headers(["Key: a", "key: b"])


@pytest.mark.parametrize("seconds", [0, -1, 0.05, math.nan, math.inf])
def test_a_time_that_cannot_be_waited_for_is_refused(seconds: float) -> None:
    with pytest.raises(SetupError, match=r"--timeout is \S+, expected 0\.1 seconds or more"):
        read_timeout(seconds)


def test_a_file_that_can_be_written_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text("old")
    check_writable(path)
    assert (path.read_text(), read_timeout(0.1)) == ("old", 0.1)


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"cannot write .*none.x: no such file or directory"):
        check_writable(tmp_path / "none" / "x")


def test_a_check_is_repeated_with_what_was_given_and_no_value_of_a_header() -> None:
    assert repeated(5.0, {}, None, None) == ()
    words = repeated(1.5, {"Key": "secret"}, 8089, None)
    assert words == ("--timeout", "1.5", "--header", "Key: ...", "--llm", "8089")
    assert repeated(5.0, {}, None, "node x.mjs") == ("--start", "node x.mjs")
