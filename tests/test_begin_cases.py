"""How a call begins, judged: what fails, and above all what does not."""

import pytest

from tests.by_hand import GREETING, Frames, Json, config, piece, ruling, says, server

FACTS = config(call_details=True)
ANSWER = says("Yes.")


def stops_without_type(message: Json) -> Frames:
    if message["interaction_type"] == "call_details":
        str(message["call"]["call_type"])
    return ANSWER(message)


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        ([GREETING], "not seen: expected a config: a server need not send one"),
        ([config(), GREETING], "ok"),
        ([config()], "ok"),
        (['{"response_type": "metadata", "metadata": {}}', config(), GREETING], "ok"),
        (["nonsense", config(), GREETING], "ok"),
        (
            [GREETING, config()],
            "failed: expected the config before the first message, got the first message",
        ),
    ],
)
def test_a_config_comes_first_or_never(greeting: Frames, said: str) -> None:
    assert ruling("begin/2", server(ANSWER, greeting=greeting)) == said


@pytest.mark.parametrize("greeting", [[GREETING], [config(), GREETING]])
def test_who_does_not_ask_for_facts_gets_none(greeting: Frames) -> None:
    wants = "not seen: expected a config that asks for call_details: a server need not"
    assert ruling("begin/3", server(ANSWER, greeting=greeting)) == wants


@pytest.mark.parametrize(
    "greeting",
    [
        [FACTS, GREETING],
        [FACTS, 2.0, GREETING],
        [FACTS],  # is mute in any call: the business of begin/1
        [FACTS, piece(0, "Hello", is_last=False)],
    ],
)
def test_missing_facts_may_be_met_in_any_way(greeting: Frames) -> None:
    assert ruling("begin/3", server(ANSWER, greeting=greeting)) == "ok"


def test_a_call_without_facts_is_not_lost() -> None:
    said = ruling("begin/3", server(stops_without_type, greeting=[FACTS, GREETING]))
    assert said.startswith("failed: expected an open call, got the server dropped the connection")


def test_a_call_without_facts_is_answered() -> None:
    mute = server(lambda _: [], greeting=[FACTS])
    assert ruling("begin/3", mute) == (
        "failed: expected a whole answer with response_id 1, got none"
    )


class GreetsByType:
    """Greets when the facts come, and never after facts without a type of call."""

    def __init__(self) -> None:
        self.is_mute = False

    def __call__(self, message: Json) -> Frames:
        if message["interaction_type"] != "call_details":
            return ANSWER(message)
        self.is_mute = self.is_mute or "call_type" not in message["call"]
        return () if self.is_mute else [GREETING]


def test_a_call_whose_first_facts_are_empty_is_not_mute() -> None:
    said = ruling("begin/3", server(GreetsByType(), greeting=[FACTS]))
    assert said == (
        "failed: expected a first message, got none, though a call with facts is greeted"
    )


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        ([GREETING], "ok"),
        ([piece(0, "Hel", is_last=False), 0.5, piece(0, "lo.")], "ok"),
        ([piece(0, "Hello.", is_last=False)], "ok"),
        (
            [GREETING, GREETING],
            "failed: expected one first message, got the call was greeted already: "
            "response_id 0 was complete",
        ),
        (
            [GREETING, piece(0)],
            "not strict: expected one first message, got the call was greeted already: "
            "response_id 0 was complete, though an empty piece",
        ),
    ],
)
def test_one_first_message_is_enough(greeting: Frames, said: str) -> None:
    assert ruling("begin/4", server(ANSWER, greeting=greeting)) == said
