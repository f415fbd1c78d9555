"""The exercises of step 05: when a voice begins, and what a model is asked."""

from typing import Any, Final

from llmws_tutorial.checks.case import OK, Ruling, failed
from llmws_tutorial.notebook.exercises.registry import exercise
from llmws_tutorial.simulator.speech import Speech

_ANSWERS: Final = (
    ("Yes", ", we", " are.", " On Sunday"),
    ("Yes! We are", " open."),
    ("We are open", " from ten"),
    ("Good", " morning", ".", " How are you?"),
    ("Good morning. How", " are you?"),
    ("It costs 3.50", " euros", "."),
    ("", "", "Who", " is", " calling? "),
)


@exercise("05.1")
def _judge_pieces_until_voice(answer: Any) -> Ruling:
    for pieces in _ANSWERS:
        expected = _pieces_until_voice(pieces)
        if (got := answer(list(pieces))) != expected:
            return failed(repr(expected), f"{got!r} for {list(pieces)}")
    return OK


def _pieces_until_voice(pieces: tuple[str, ...]) -> int:
    """Ask the stand-in itself."""
    speech, count = Speech(), 0
    while not speech.has_sentence:
        count += 1
        speech.add(pieces[count - 1], is_last=count == len(pieces), is_protected=False)
    return count


_SYSTEM: Final = {"role": "system", "content": "You are brief."}
_SAID: Final = (
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Open on Sunday?"},
    {"role": "assistant", "content": "From ten."},
    {"role": "user", "content": "Thanks."},
)
_KEPT: Final = {1000: 4, 37: 4, 36: 3, 31: 3, 30: 2, 16: 2, 15: 1, 7: 1, 3: 1}
"""How many of the messages above fit into so many characters; the newest stays in any case."""


@exercise("05.2")
def _judge_shortened(answer: Any) -> Ruling:
    for budget, kept in _KEPT.items():
        messages = [_SYSTEM, *_SAID]
        expected = [_SYSTEM, *_SAID[-kept:]]
        got = answer(messages, budget)
        if got != expected:
            return failed(_in_short(expected), f"{_in_short(got)} with a budget of {budget}")
        if messages != [_SYSTEM, *_SAID]:
            return failed("the list that was given, as it was", _in_short(messages))
    return OK


def _in_short(messages: Any) -> str:
    """Messages a line each, as far as they are messages."""
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return repr(messages)
    return repr([f"{one.get('role')}: {one.get('content')}" for one in messages])
