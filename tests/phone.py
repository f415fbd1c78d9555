"""A phone at hand: short words for what a server sends, what a caller does, what was heard."""

import json
from typing import Any, Final

from llmws_tutorial.simulator import Call, Choices, Dropped
from llmws_tutorial.simulator.turn import Turn

PACE: Final[dict[str, Any]] = {"words_per_s": 2.0, "voice_s": 0.25, "end_of_turn_s": 0.5}
"""Times that a float holds exactly: a word takes half a second."""

MUMBLE: Final = "(unintelligible audio)"


class LateVoice:
    """A voice that has a sound as soon as a test lets it, for so many letters of a turn.

    A word takes an eighth of a second a letter.
    """

    def __init__(self, letters: int = 1000) -> None:
        self.letters = letters
        self.asked: list[str] = []
        self.hushed: list[Turn] = []

    def delay_s(self, turn: Turn) -> float:
        return 0.125

    def say(self, turn: Turn) -> float | None:
        word, at = turn.speech.next_word, turn.speech.next_at
        assert word is not None
        assert at is not None
        self.asked.append(word)
        return len(word) / 8 if at < self.letters else None

    def hush(self, turn: Turn) -> None:
        self.hushed.append(turn)


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"response_type": kind, **fields})


def piece(response_id: int, content: str = "Yes.", **fields: Any) -> str:
    """The last piece of an answer, or all of it."""
    said = {"response_id": response_id, "content": content, "content_complete": True}
    return event("response", **{**said, **fields})


def part(response_id: int, content: str, **fields: Any) -> str:
    """A piece of an answer that goes on."""
    return piece(response_id, content, content_complete=False, **fields)


def interrupt(interrupt_id: int, content: str = "Listen.", **fields: Any) -> str:
    said = {"interrupt_id": interrupt_id, "content": content, "content_complete": True}
    return event("agent_interrupt", **{**said, **fields})


def settings(**fields: Any) -> str:
    return event("update_agent", agent_config=fields)


def wants(**fields: Any) -> str:
    return event("config", config=fields)


def new_call(**choices: Any) -> Call:
    return Call(choices=Choices(**{**PACE, **choices}))


def greeted(**choices: Any) -> Call:
    """A call at 0.75 s: the agent has said "Hi.", and it is the caller's turn."""
    call = new_call(**choices)
    call.receive(piece(0, "Hi."))
    settle(call)
    call.take()
    return call


def asked(text: str = "Hello?", **choices: Any) -> Call:
    """A call in which the caller has spoken, and request 1 is open; for one word it is 1.75 s."""
    call = greeted(**choices)
    say(call, text)
    call.take()
    return call


def speaking(content: str, *, words: int = 1, **fields: Any) -> Call:
    """A call in which the agent has said so many words of answer 1."""
    call = asked()
    call.receive(piece(1, content, **fields))
    pass_s(call, 0.25 + words / 2)
    return call


def say(call: Call, text: str) -> None:
    """Let the caller speak, and whatever follows at once."""
    call.caller_says(text)
    settle(call)


def settle(call: Call) -> None:
    """Let everything happen that comes by itself within two seconds."""
    while call.due_s <= call.now_s + 2:
        call.advance(call.due_s)


def pass_s(call: Call, seconds: float) -> None:
    call.advance(call.now_s + seconds)


def lines(call: Call) -> list[str]:
    """What was said and heard, one line an utterance."""
    return [f"{said.role}: {said.content}" for said in call.transcript]


def dropped(call: Call, frame: str | bytes) -> Dropped:
    """How the platform drops a frame; nothing of it is ever heard."""
    before = lines(call)
    verdict = call.receive(frame)
    assert isinstance(verdict, Dropped)
    assert lines(call) == before
    return verdict
