"""Turns, judged: what fails, and above all what does not."""

from dataclasses import replace

import pytest

from llmws_tutorial.checks import CASES
from llmws_tutorial.checks.catalogue import select
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Open, Send
from llmws_tutorial.checks.rules import is_answered
from llmws_tutorial.checks.samples import turns, turns_llm
from llmws_tutorial.simulator.scripted_llm import CallTool, Script
from tests.by_hand import (
    GREETING,
    Answer,
    Frames,
    Json,
    on_request,
    piece,
    ruling,
    says,
    server,
)
from tests.judging import findings_about

OF_A_CONVERSATION = [f"turns/{number}" for number in (1, 2, 3, 4, 5, 6, 7, 15, 16, 17, 18, 19)]
PLAIN = {
    "in one piece": says("Yes, I can."),
    "in pieces": says("Yes, ", "I ", "can. ", "What ", "is it?", ""),
    "without a word": says(""),
    "slowly": says(0.3, "Yes. ", 0.2, "I can."),
    "with an empty first piece": says("", "Yes, I can."),
}
INTERRUPT = (
    '{"response_type": "agent_interrupt", "interrupt_id": 7, "content": "Sorry.", '
    '"content_complete": true}'
)
NOTES = (
    '{"response_type": "metadata", "metadata": {"mood": "good"}}',
    '{"response_type": "update_agent", "agent_config": {"responsiveness": 0.5}}',
)


def at_updates(*frames: str) -> Answer:
    """Answer as one must, and send something at each update."""

    def answer(message: Json) -> Frames:
        if message["interaction_type"] == "update_only":
            return frames
        return says("Yes, I can.")(message)

    return answer


def then(*frames: str) -> Answer:
    """Answer as one must, and send something behind it."""
    return on_request(lambda response_id: [piece(response_id, "Yes."), *frames])


@pytest.mark.parametrize("case_id", OF_A_CONVERSATION)
@pytest.mark.parametrize("answer", PLAIN.values(), ids=PLAIN)
def test_a_plain_server_passes(answer: Answer, case_id: str) -> None:
    assert ruling(case_id, server(answer)) == "ok"


@pytest.mark.parametrize("case_id", OF_A_CONVERSATION)
def test_so_does_one_that_sends_further_events(case_id: str) -> None:
    assert ruling(case_id, server(then(*NOTES), greeting=[*NOTES, GREETING])) == "ok"


@pytest.mark.parametrize("case_id", ["turns/5", "turns/6", "turns/18", "turns/2"])
def test_an_interrupt_is_no_response(case_id: str) -> None:
    greeting = [GREETING, INTERRUPT]
    assert ruling(case_id, server(at_updates(*NOTES), greeting=greeting)) == "ok"


@pytest.mark.parametrize("case_id", [case.id for case in CASES if case.id.startswith("turns/")])
def test_no_judge_raises_at_a_server_that_says_nothing_or_nonsense(case_id: str) -> None:
    for frames in ([], ["nonsense"], [b"\0"], ["[]"], ["{}"]):
        app = server(on_request(lambda _, frames=frames: frames), greeting=())  # type: ignore[misc]
        assert ruling(case_id, app).split(":")[0] in ("ok", "failed", "not seen")


@pytest.mark.parametrize(
    "frame",
    [
        piece(0, "I see."),
        piece(1, "I see."),
        '{"content": "I see.", "content_complete": true, "end_call": false}',
        '{"response_id": null, "content": "I see.", "content_complete": true}',
    ],
)
def test_an_update_wants_no_answer_of_any_form(frame: str) -> None:
    assert ruling("turns/2", server(at_updates(frame))) == (
        "failed: expected no response to an update_only, got one that nobody has asked for"
    )


def test_a_greeting_may_come_with_the_first_update_but_not_with_the_second() -> None:
    greetings = iter([GREETING])
    once = server(lambda _: list(greetings), greeting=())
    assert ruling("turns/2", once) == "ok"
    assert ruling("turns/2", server(at_updates(GREETING), greeting=())).startswith("failed")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"content": "More?"}, "failed"),
        ({"end_call": True}, "failed"),
        ({"transfer_number": "+15550100"}, "failed"),
        ({"digit_to_press": "1"}, "failed"),
        ({}, "not strict"),
    ],
)
def test_what_follows_the_end_of_an_answer_is_lost(fields: Json, said: str) -> None:
    late = on_request(lambda response_id: [piece(response_id), piece(response_id, **fields)])
    found = ruling("turns/5", server(late))
    empty = ", though an empty piece" if said == "not strict" else ""
    assert found == (
        f"{said}: expected nothing under an id after its content_complete, "
        f"got response_id 1 was already complete{empty}"
    )


def test_one_lost_word_counts_more_than_empty_pieces() -> None:
    late = on_request(lambda one: [piece(one), piece(one), piece(one, "More?")])
    assert ruling("turns/5", server(late)).startswith("failed")


def test_a_sequential_server_may_end_the_older_answer_at_once() -> None:
    assert ruling("turns/6", server(says("Yes, ", 0.1, "I ", 0.1, "can."))) == "ok"


def test_a_sequential_server_may_not_go_on_for_long() -> None:
    assert ruling("turns/6", server(says("Yes, ", 1.0, "I can."))) == (
        "failed: expected nothing more of an answer that was superseded, "
        "got a piece of answer 1 1.0 s after the newer request"
    )


def test_an_older_answer_does_not_come_between_the_words_of_the_newer() -> None:
    both = server(says(0.1, "Yes, ", 0.1, "I can."), is_sequential=False)
    assert ruling("turns/6", both) == (
        "failed: expected nothing more of an answer that was superseded, "
        "got a piece of answer 1 when 2 had begun"
    )


def test_to_close_an_older_turn_late_is_not_strict() -> None:
    late = server(says("Yes. ", 0.1, ""), is_sequential=False)
    assert ruling("turns/6", late) == (
        "not strict: expected nothing more of an answer that was superseded, "
        "got a piece of answer 1 when 2 had begun, though an empty piece"
    )


def test_a_greeting_that_comes_late_is_no_superseded_answer() -> None:
    late = server(says("Yes."), greeting=[5.5, GREETING])
    assert ruling("turns/6", late) == "ok"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says("Yes, I can."), "not strict: expected other words for a caller who is silent, "
         "got the last answer once more"),
        (on_request(lambda one: [piece(one, "Yes,  i can" if one == 1 else "Yes, I can ")]),
         "not strict: expected other words for a caller who is silent, "
         "got the last answer once more"),
        (on_request(lambda one: [piece(one, f"Answer {one}.")]), "ok"),
        (says(""), "ok"),
        (lambda _: (), "ok"),
    ],
)  # fmt: skip
def test_a_reminder_wants_other_words(answer: Answer, said: str) -> None:
    assert ruling("turns/14", server(answer)) == said


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"{}", "a binary frame, expected text: the platform closes with 1007"),
        ("{", "not JSON"),
        (piece(1, "I see.", end_call="false"), "mistyped frame"),
        ('{"response_type": "ping_pong", "timestamp": "now"}', "mistyped frame"),
    ],
)
def test_a_frame_that_cannot_be_read_fails(frame: str | bytes, why: str) -> None:
    found = ruling("turns/16", server(says("Yes."), greeting=[GREETING, frame]))
    assert found.startswith("failed: expected only frames that the platform can read, got ")
    assert why in found


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ('{"response_id": 0, "content": "Hi.", "content_complete": true}',
         "failed: expected a response_type in each frame, got none"),
        (r'{"response_id": 0, "content": "\"response_type\"", "content_complete": true}',
         "failed: expected a response_type in each frame, got none"),
        ('{ "content": "Hi.", "content_complete":true,"response_id":0 ,"response_type":"response"}',
         "ok"),
        ("{}", "ok"),
    ],
)  # fmt: skip
def test_each_frame_says_its_type(frame: str, said: str) -> None:
    assert ruling("turns/17", server(says("Yes."), greeting=[frame])) == said


@pytest.mark.parametrize(
    ("said_too", "said"),
    [
        (lambda one: piece(one + 1, "No."), "failed: expected the id of the latest request, "
         "got response_id 2 was never asked, the latest one is 1"),
        (lambda one: piece(max(one - 1, 1), "No."), "failed: expected the id of the latest request,"
         " got response_id 1 is not the latest one, 2"),
        (lambda one: piece(-1, "No."), "failed: expected the id of the latest request, "
         "got response_id -1 was never asked, the latest one is 1"),
        (lambda one: piece(0, "No."), "ok"),
        (lambda one: piece(one, "No."), "ok"),
    ],
)  # fmt: skip
def test_no_response_has_a_foreign_id(said_too: object, said: str) -> None:
    answer = on_request(lambda one: [said_too(one), piece(one, "Yes.")])  # type: ignore[operator]
    assert ruling("turns/18", server(answer)) == said


def test_a_piece_of_an_answer_in_flight_is_no_foreign_id() -> None:
    slow = server(says(5.4, "Yes."))
    assert ruling("turns/18", slow) == "ok"


def test_an_event_of_ones_own_is_ignored_by_the_platform() -> None:
    made_up = server(at_updates('{"response_type": "ack"}'))
    assert ruling("turns/19", made_up).startswith(
        "failed: expected events that the platform knows, got unknown response_type 'ack'"
    )


def test_a_number_of_ones_own_is_no_id() -> None:
    counted = iter(range(1, 9))
    own = server(on_request(lambda _: [piece(next(counted), "Yes.")]))
    assert ruling("turns/1", own) == (
        "failed: expected a whole answer with response_id 3, got none, but a frame that is "
        "dropped: response_id 2 is not the latest one, 3"
    )


@pytest.mark.parametrize("case_id", [*turns.WRONG, *turns_llm.WRONG])
def test_a_sample_that_is_wrong_in_one_way_takes_odd_messages_rightly(case_id: str) -> None:
    odd = ('{"interaction_type": "response_required", "transcript": []}', '{"interaction_type": 7}')
    moves = (Open(), Greeted(), *map(Send, odd), Ask(1), Answered(1))
    case = replace(*select("turns/1"), moves=moves, judge=is_answered(1))
    (found,) = findings_about({**turns.WRONG, **turns_llm.WRONG}[case_id], [case])
    assert str(found.ruling) == "ok"


def test_an_afterthought_does_not_spoil_a_goodbye() -> None:
    goodbye = Script(steps=(CallTool("end_call"),))
    case = replace(*select("turns/5"), scripts=(goodbye,))
    (found,) = findings_about(turns.AddsAnAfterthought, [case])
    assert str(found.ruling) == "ok"


def test_a_slow_sequential_server_may_answer_one_request_after_the_other() -> None:
    assert ruling("turns/7", server(says("Let me ", 4.0, "see."))) == "ok"
