"""What a model is told of a call: any call gives a request that a strict provider takes."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmws_tutorial.messages import Entry, Utterance
from llmws_tutorial.server.prompt import (
    BEGINS,
    BROKEN_OFF,
    LEFT_OUT,
    NO_RESULT,
    SILENT,
    VOICE_PROMPT,
    conversation,
)
from llmws_tutorial.server.settings import LEAST_BUDGET
from llmws_tutorial.simulator.llm_request import read_request

ROLES = st.sampled_from(["agent", "user", "transfer_target", "system", "dtmf", "sms", ""])
SAID = st.builds(
    Entry,
    role=ROLES,
    content=st.text(" ab\n", max_size=200) | st.text(max_size=9),
    digit=st.none() | st.just("5"),
)
IDS = st.none() | st.sampled_from(["", "a", "b", "c"])
CALLED = st.builds(
    Entry,
    role=st.just("tool_call_invocation"),
    tool_call_id=IDS,
    name=st.none() | st.text(max_size=80),
    arguments=st.none() | st.sampled_from(["", "{}", '{"a": 1}', "{", "[]", "[" * 9999]),
)
RETURNED = st.builds(
    Entry, role=st.just("tool_call_result"), tool_call_id=IDS, content=st.text(max_size=99)
)
CALLS = st.lists(SAID | CALLED | RETURNED, max_size=30)


def said(*utterances: tuple[str, str]) -> list[Utterance]:
    return [Utterance(role=role, content=content) for role, content in utterances]


def called(call_id: str, name: str = "book", arguments: str = "{}") -> Entry:
    return Entry(role="tool_call_invocation", tool_call_id=call_id, name=name, arguments=arguments)


def returned(call_id: str, content: str = "done") -> Entry:
    return Entry(role="tool_call_result", tool_call_id=call_id, content=content)


def texts(messages: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(message["role"], message["content"]) for message in messages]


def size(messages: list[dict[str, Any]]) -> int:
    calls = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    return sum(len(message["content"] or "") for message in messages) + sum(
        len(call["name"]) + len(call["arguments"]) for call in calls
    )


def test_two_roles_in_turn_and_nothing_empty() -> None:
    transcript = said(
        ("agent", "Hi. "),
        ("user", " One "),
        ("user", ""),
        ("transfer_target", "two"),
        ("agent", "OK"),
        ("user", "(unintelligible audio)"),
    )
    assert texts(conversation(transcript)) == [
        ("user", BEGINS),
        ("assistant", "Hi."),
        ("user", "One (transfer_target) two"),
        ("assistant", "OK"),
        ("user", "(unintelligible audio)"),
    ]
    assert "(unintelligible audio)" in VOICE_PROMPT


def test_a_call_without_a_word_can_be_answered() -> None:
    assert texts(conversation([])) == [("user", BEGINS)]


def test_the_last_word_is_the_callers() -> None:
    assert texts(conversation(said(("agent", "Hi."))))[-1] == ("user", SILENT)


def test_keys_that_the_caller_presses_are_told() -> None:
    messages = conversation([Entry(role="dtmf", digit="5")])
    assert texts(messages) == [("user", f"{BEGINS} (dtmf) pressed 5")]


def test_calls_of_tools_stand_with_their_results() -> None:
    messages = conversation(
        [
            *said(("user", "Book."), ("agent", "One moment.")),
            *(called("a"), called("b"), returned("b", "no"), returned("x")),
            *said(("user", "And?")),
            returned("a", "still"),
            returned("a", "yes"),
        ]
    )
    assert texts(messages) == [
        ("user", f"{BEGINS} Book."),
        ("assistant", "One moment."),
        ("tool", "yes"),
        ("tool", "no"),
        ("assistant", BROKEN_OFF),
        ("user", "And?"),
    ]
    ids = [call["id"] for call in messages[1]["tool_calls"]]
    assert ids == [messages[2]["tool_call_id"], messages[3]["tool_call_id"]]
    assert [len(one) for one in ids if one.isalnum()] == [9, 9]


def test_calls_one_after_the_other_stay_apart() -> None:
    messages = conversation([called("a"), returned("a"), called("b"), called("b")])
    assert texts(messages)[1:] == [
        ("assistant", None),
        ("tool", "done"),
        ("assistant", None),
        ("tool", NO_RESULT),
    ]


def test_words_between_two_calls_keep_them_apart() -> None:
    messages = conversation([called("a"), *said(("user", "And?")), called("b")])
    assert texts(messages)[1:] == [
        ("assistant", None),
        ("tool", NO_RESULT),
        ("assistant", BROKEN_OFF),
        ("user", "And?"),
        ("assistant", None),
        ("tool", NO_RESULT),
    ]


def test_a_call_that_is_told_twice_is_one() -> None:
    told = [called("a", arguments='{"n": 1}'), returned("a")]
    assert conversation([*told, called("a")]) == conversation(told)


@pytest.mark.parametrize("arguments", ["", "{", "[1]", "null"])
def test_what_a_model_wrote_as_arguments_is_an_object_for_the_next_one(arguments: str) -> None:
    [_, message, _] = conversation([called("a", "is this a name?", arguments)])
    function = message["tool_calls"][0]["function"]
    assert function == {"name": "is_this_a_name_", "arguments": "{}"}


def test_a_name_is_no_longer_than_providers_take() -> None:
    [_, message, _] = conversation([called("a", "x" * 65)])
    assert message["tool_calls"][0]["function"]["name"] == "x" * 64


@given(CALLS, st.integers(LEAST_BUDGET, 3000))
def test_any_call_is_a_request_that_providers_take(transcript: list[Entry], budget: int) -> None:
    messages = conversation(transcript, budget=budget)
    read_request({"model": "m", "messages": messages})
    sides = [
        message["role"]
        for message in messages
        if message["role"] != "tool" and not message.get("tool_calls")
    ]
    assert sides[0] == "user"
    assert all(one != other for one, other in itertools.pairwise(sides))
    assert messages[-1]["role"] in ("user", "tool")
    assert all(message["content"] != "" for message in messages if message["role"] != "tool")
    assert size(messages) <= budget


def long_call(turns: int) -> list[Utterance]:
    return said(*(("user" if n % 2 else "agent", f"{n:04d} " + "x" * 95) for n in range(turns)))


def test_the_oldest_is_left_out_and_said_to_be() -> None:
    first, *_, last = conversation(long_call(100), budget=2000)
    assert first["content"].startswith(LEFT_OUT)
    assert last["content"].startswith("0099")


def test_the_beginning_stays_the_same_for_many_turns() -> None:
    firsts = [conversation(long_call(n), budget=2000)[:2] for n in range(100, 140)]
    changes = sum(one != other for one, other in itertools.pairwise(firsts))
    assert changes <= 40 * 100 / (2000 / 4) + 1


def test_the_blanks_between_words_count() -> None:
    messages = conversation(said(*[("user", "x")] * LEAST_BUDGET), budget=LEAST_BUDGET)
    assert LEAST_BUDGET - 200 < size(messages) <= LEAST_BUDGET


def test_one_utterance_that_is_too_long_keeps_its_end() -> None:
    [message] = conversation(said(("user", "x" * 9000 + " the end")), budget=LEAST_BUDGET)
    assert message["content"].startswith(LEFT_OUT)
    assert message["content"].endswith("x the end")
    assert LEAST_BUDGET - 60 < len(message["content"]) <= LEAST_BUDGET


def test_a_result_that_is_too_long_is_left_out() -> None:
    messages = conversation([called("a"), returned("a", "x" * 9000)], budget=LEAST_BUDGET)
    assert texts(messages) == [("user", LEFT_OUT)]
