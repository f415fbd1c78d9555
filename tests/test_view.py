"""What pages are told of a call: small rows, and all that has changed, once."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from llmws_tutorial.dashboard.view import MOST_LINE, MOST_TEXT, SHOWN, CallView, row, whole
from llmws_tutorial.simulator import Call, CallRecord, Frame
from tests.phone import (
    asked,
    greeted,
    interrupt,
    new_call,
    part,
    pass_s,
    piece,
    say,
    settle,
    speaking,
)

ODD: Final = (
    '{"interaction_type": "update_only", "transcript": [1]}',
    '{"interaction_type": "update_only", "transcript": ["x"]}',
    '{"interaction_type": "update_only", "transcript": [{"role": 1}]}',
    '{"interaction_type": "update_only", "transcript": 5}',
    '{"interaction_type": "update_only", "transcript": [NaN]}',
    f'{{"interaction_type": "update_only", "transcript": [{"[" * 100_000}',
    f'{{"response_type": {"[" * 100_000}',
    '{"response_type": "response", "content": "\\ud800"}',
    '{"response_type": "response", "content": "\ud800"}',
    '{"response_type": "response", "content": NaN}',
    "",
    "[]",
    "null",
    "Hello",
    '"\x00"',
)
BIG: Final = "x" * 1_000_000


def seen(data: str | bytes, sender: Any = "server", dropped: str | None = None) -> dict[str, Any]:
    return row(Frame(sender, data, dropped, 1.23456), 7)


def server(**fields: Any) -> dict[str, Any]:
    return seen(json.dumps(fields))


def view_of(call: Call, **fields: Any) -> CallView:
    return CallView(CallRecord("call_1", call, connections=1), "ws://x/", **fields)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def items(view: CallView) -> list[str]:
    return [f"{item['role']}: {item['sent']}" for item in view.items]


def test_a_row_tells_who_sent_what_when() -> None:
    assert server(response_type="response", response_id=3, content="Yes.") == {
        "n": 7,
        "at_s": 1.235,
        "sender": "server",
        "size": 66,
        "dropped": None,
        "kind": "response",
        "says": "Yes.",
        "id": 3,
    }


@pytest.mark.parametrize(
    ("message", "kind", "says", "number"),
    [
        ({"response_id": 0, "content": "Hi."}, "response", "Hi.", 0),
        (
            {"response_type": "agent_interrupt", "interrupt_id": 2, "content": ""},
            "agent_interrupt",
            "",
            2,
        ),
        (
            {"response_type": "tool_call_invocation", "name": "book"},
            "tool_call_invocation",
            "book",
            None,
        ),
        ({"response_type": "config"}, "config", "", None),
        ({"response_type": "response", "response_id": "1", "content": 5}, "response", "5", None),
        (
            {"response_type": "response", "response_id": True, "content": {"a": 1}},
            "response",
            "{'a': 1}",
            None,
        ),
        ({"response_type": 5}, "5", "", None),
        ({"transcript": 5, "content": "Odd."}, "response", "Odd.", None),
    ],
)
def test_a_message_of_a_server_is_told_by_what_it_says(
    message: dict[str, Any], kind: str, says: str, number: int | None
) -> None:
    told = server(**message)
    assert (told["kind"], told["says"], told["id"]) == (kind, says, number)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {
                "transcript": [
                    {"role": "agent", "content": "Hi."},
                    {"role": "user", "content": "Yes?"},
                ]
            },
            "user: Yes?",
        ),
        ({"transcript": [], "turntaking": "agent_turn"}, "agent_turn"),
        ({"transcript": []}, ""),
        ({}, ""),
        (
            {"transcript": [{"role": "user", "content": "x" * 999 + "."}]},
            f"user: {'x' * (SHOWN - 7)}.",
        ),
    ],
)
def test_a_message_of_the_platform_is_told_by_its_last_words(
    fields: dict[str, Any], says: str
) -> None:
    told = seen(json.dumps({"interaction_type": "update_only", **fields}), "platform")
    assert (told["kind"], told["says"]) == ("update_only", says)


def test_a_garbled_frame_of_the_platform_is_no_message() -> None:
    told = seen('{"surprise": true}', "platform")
    assert (told["kind"], told["says"]) == ("not a message", '{"surprise": true}')


def test_a_binary_frame_is_told_by_its_size() -> None:
    told = seen(b"\x00\xff")
    assert (told["kind"], told["says"], told["size"]) == ("binary", "", 2)


@pytest.mark.parametrize("sender", ["platform", "server"])
@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_an_odd_frame_is_told_all_the_same(data: str, sender: str) -> None:
    told = seen(data, sender)
    assert told["size"] == len(data)
    assert len(json.dumps(told)) < 2000


@pytest.mark.parametrize(
    "fields",
    [
        {"response_type": BIG},
        {"response_type": "response", "content": BIG},
        {"response_type": "tool_call_invocation", "name": BIG},
        {"interaction_type": BIG},
        {"interaction_type": "update_only", "turntaking": BIG},
        {"interaction_type": "update_only", "transcript": [{"role": BIG, "content": BIG}]},
    ],
    ids=range(6),
)
@pytest.mark.parametrize("sender", ["platform", "server"])
def test_a_row_stays_small(fields: dict[str, Any], sender: str) -> None:
    told = seen(json.dumps(fields), sender, BIG)
    assert told["size"] > 1_000_000
    assert len(json.dumps(told)) < 1000


def test_the_whole_frame_is_text_or_hexadecimal() -> None:
    assert whole(Frame("server", "Hello")) == "Hello"
    assert whole(Frame("server", b"\x00\xff")) == "00 ff"


def test_a_call_is_told_as_it_goes() -> None:
    view = view_of(greeted())
    assert kinds(view.changes()) == ["item", "status"]
    assert view.changes() == []
    say(view.record.call, "Hello?")
    events = view.changes()
    assert [event["sent"] for event in events if event["type"] == "item"] == ["Hello?", ""]
    assert items(view) == ["agent: Hi.", "user: Hello?", "agent: "]


def test_things_stand_in_the_order_in_which_they_began() -> None:
    view = view_of(new_call())
    call = view.record.call
    call.receive(piece(0, "Hi."))
    settle(call)
    for number in (1, 2):
        say(call, f"Say {number}.")
        call.receive(piece(number, f"Answer {number}."))
        settle(call)
    view.changes()  # all of it at once
    assert items(view) == [
        "agent: Hi.",
        "user: Say 1.",
        "agent: Answer 1.",
        "user: Say 2.",
        "agent: Answer 2.",
    ]
    assert [item["place"] for item in view.items] == [0, 1, 2, 3, 4]
    assert view.items[1]["at_s"] == 0.75


def test_what_is_settled_is_told_no_more_and_what_goes_on_is() -> None:
    view = view_of(greeted())
    for number in range(1, 301):
        say(view.record.call, "Next.")
        view.record.call.receive(piece(number, "Yes."))
        settle(view.record.call)
        events = [event for event in view.changes() if event["type"] == "item"]
        assert len(events) <= 3
    assert len(view.items) == 601
    assert len(view._moving) == 0


def test_a_recogniser_that_changes_its_mind_is_told() -> None:
    view = view_of(greeted())
    call = view.record.call
    call.caller_is_heard("their")
    view.changes()
    call.caller_is_heard("there")
    assert [event["sent"] for event in view.changes() if event["type"] == "item"] == ["there"]


def test_the_caller_is_heard_on_while_the_agent_talks_over_it_twice() -> None:
    view = view_of(asked())
    call = view.record.call
    call.caller_is_heard("I")
    for number in (1, 2):
        call.receive(interrupt(number, "Stop."))
        pass_s(call, 1)
        view.changes()
    call.caller_is_heard("I will not")
    view.changes()
    assert items(view)[-3:] == ["agent: Stop.", "user: I will not", "agent: Stop."]


def test_an_action_without_a_word_is_told() -> None:
    view = view_of(speaking("Good bye now."))
    view.changes()
    view.record.call.receive(interrupt(9, ""))
    view.changes()
    view.record.call.receive(part(1, "", end_call=True))
    view.record.call.receive(interrupt(10, "", content_complete=False, end_call=True))
    [item] = [event for event in view.changes() if event["type"] == "item" and event["id"] == 10]
    assert (item["action"], item["first_chunk_ms"]) == ("end_call", 0.0)


def test_a_cut_turn_shows_what_was_sent_and_what_was_heard() -> None:
    view = view_of(speaking("One two three four.", words=2))
    call = view.record.call
    call.caller_says("Stop.")
    settle(call)
    view.changes()
    turn = next(item for item in view.items if item["sent"] == "One two three four.")
    assert (turn["is_cut"], turn["heard_to"], turn["words_heard"]) == (True, len("One two"), 2)


def test_a_million_letters_make_small_events() -> None:
    view = view_of(greeted())
    call = view.record.call
    call.caller_is_heard(BIG)
    call.caller_is_heard(BIG, silent_s=9.0)
    settle(call)
    call.receive(part(1, BIG, transfer_number="1" * 100_000, digit_to_press="2" * 100_000))
    call.receive(piece(1, " More."))
    call.note(BIG)
    settle(call)
    for event in view.changes():
        assert len(json.dumps(event)) < MOST_TEXT + 2000
    assert {item["size"] for item in view.items} >= {len(BIG), len(BIG) + len(" More.")}
    assert max(len(line["text"]) for line in view.snapshot()["log"]) == MOST_LINE


def test_a_number_and_keys_without_end_are_cut() -> None:
    view = view_of(greeted())
    view.record.call.pressed += ["1" * 100_000] * 300
    view.record.call.transferred_to = "2" * 100_000
    status = view.status()
    assert len(status["transferred_to"]) == SHOWN
    assert len(json.dumps(status)) < 50_000


def test_whoever_comes_late_is_told_what_the_others_know() -> None:
    view = view_of(asked(), title="A scenario")
    frames = [Frame("server", piece(0, "Hi.")), Frame("platform", '{"interaction_type": "x"}')]
    told = [view.add(frame) for frame in frames]
    events = view.changes()
    snapshot = view.snapshot()
    assert [{"type": "frame", "call_id": "call_1", **seen} for seen in snapshot["frames"]] == told
    assert snapshot["items"] == [
        {key: value for key, value in event.items() if key not in ("type", "call_id")}
        for event in events
        if event["type"] == "item"
    ]
    assert snapshot["status"] == events[-1]
    assert (snapshot["url"], snapshot["title"]) == ("ws://x/", "A scenario")


def test_the_status_names_the_stage_until_the_call_is_open() -> None:
    view = CallView(CallRecord("call_1", new_call()), "ws://x/", stage="looking up the name")
    view.likely_fix = "is the name right?"
    status = view.status()
    assert (status["says"], status["likely_fix"]) == ("looking up the name", "is the name right?")
    assert (status["is_open"], status["is_over"], status["latency"]) == (False, False, {})
    view.stage = ""
    assert view.status()["says"] == view.record.call.state.value


def test_the_status_has_the_latency_in_the_platforms_names() -> None:
    view = view_of(asked())
    view.record.call.receive(piece(1))
    settle(view.record.call)
    assert view.status()["latency"]["llm"] == {"p50": 0.0, "p95": 0.0, "num": 1}


def test_ten_thousand_frames_are_ten_thousand_rows(tmp_path: Path) -> None:
    view = view_of(greeted())
    frame = Frame("server", piece(1, "A few words more."))
    for _ in range(10_000):
        view.add(frame)
    assert view.snapshot()["frames"][-1]["n"] == 9_999
    assert len(json.dumps(view.snapshot())) < 3_000_000
