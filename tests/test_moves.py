"""What a case can do, as text: each move says what happens."""

from typing import get_args

import pytest

from llmws_tutorial.checks import CASES, moves
from llmws_tutorial.checks.moves import Ask, Move, Open, Send

LONG = "x" * 130
TEXTS = [
    (Open(), "open the socket"),
    (Open(origin="https://x"), "open the socket with Origin https://x"),
    (Open(is_wrong=True), "open the socket at a wrong path"),
    (moves.Greeted(), "wait for the whole first message (response_id 0)"),
    (moves.Update("Well"), "update_only: the caller has said 'Well'"),
    (Ask(1, "Hi"), "response_required, response_id 1: the caller has said 'Hi'"),
    (Ask(2, "", kind="reminder_required"), "reminder_required, response_id 2"),
    (Ask(1, frame="{}"), "{}"),
    (Ask(1, frame="{}", pieces=2), "{}, in 2 fragments"),
    (Send("null"), "null"),
    (Send("[\n1]"), "[ 1]"),
    (Send(""), "an empty text frame"),
    (Send(b"\0\0"), "a binary frame of 2 bytes"),
    (Send(LONG), f"{'x' * 100}... (130 characters)"),
    (moves.Answered(3), "wait for the whole answer 3"),
    (moves.Answered(3, within_s=9), "wait up to 9 s for the whole answer 3"),
    (moves.Watch(0.5), "watch for 0.5 s"),
    (moves.HangUp(), "hang up (close 1000)"),
    (moves.Drop(), "drop the line (no close frame)"),
    (moves.Drop(silently=True), "lose the line, and the server is not told"),
    (moves.ModelAsked(), "wait until the model is asked"),
    (moves.ModelAsked(2), "wait until the model is asked 2 times"),
    (moves.ModelLeft(1), "wait up to 1 s until no generation is running"),
    (moves.Post(b"{}"), "POST {}, signed now"),
    (moves.Post(b"{}", "never"), "POST {}, unsigned"),
    (moves.Post(b"{}", "wrong key"), "POST {}, signed with another key"),
    (moves.Post(b"{}", "ten minutes ago"), "POST {}, signed ten minutes ago"),
]


@pytest.mark.parametrize(("move", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_a_move_says_what_happens(move: Move, text: str) -> None:
    assert str(move) == text


def test_a_long_body_is_cut() -> None:
    assert str(moves.Post(b"\xff" * 130)).endswith("... (130 characters), signed now")


def test_every_kind_of_move_has_its_text_here() -> None:
    assert {type(move) for move, _ in TEXTS} == set(get_args(Move))


def test_every_move_of_every_case_fits_a_line() -> None:
    assert all("\n" not in str(move) and str(move) for case in CASES for move in case.moves)
