"""Your side of a call: its table, and what it does about each frame."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmws_tutorial.messages import (
    CallFacts,
    ConfigFields,
    Metadata,
    ToolCallInvocation,
    ToolCallResult,
    Utterance,
)
from llmws_tutorial.server import HangUp, Piece, Press, Transfer, Turn
from llmws_tutorial.server import session as session_module
from llmws_tutorial.server.session import (
    TRANSITIONS,
    Close,
    Effect,
    Event,
    Log,
    Send,
    Session,
    Start,
    State,
)

HEARTBEATS = ConfigFields(auto_reconnect=True)
FACTS = ConfigFields(call_details=True)


def asked(response_id: int, kind: str = "response_required", **fields: Any) -> str:
    said = [{"role": "user", "content": "Hello?"}]
    request = {"interaction_type": kind, "response_id": response_id, "transcript": said}
    return json.dumps({**request, **fields})


def greeted(**options: Any) -> Session:
    session = Session("c1", **options)
    session.open()
    session.finish(0, "Hi.")
    return session


def answering(response_id: int = 1) -> Session:
    session = greeted()
    session.receive(asked(response_id))
    return session


def sent(effects: list[Effect]) -> list[dict[str, Any]]:
    return [json.loads(effect.frame) for effect in effects if isinstance(effect, Send)]


def started(effects: list[Effect]) -> Turn:
    [start] = effects
    assert isinstance(start, Start)
    return start.turn


def logged(effects: list[Effect]) -> str:
    [line] = effects
    assert isinstance(line, Log)
    return f"{line.event}, {line.text}"


def test_the_table_in_the_docstring_is_the_table_that_runs() -> None:
    rows = re.findall(r"^    ([A-Z]+|any) +(.+?) +([A-Z]{4,})\b", str(session_module.__doc__), re.M)
    told = set()
    for state, event, after in rows:
        for before in State if state == "any" else [State[state]]:
            told.add((before, Event(event), State[after]))
    assert told == {(before, event, after) for (before, event), after in TRANSITIONS.items()}


def test_the_configuration_goes_first_and_the_greeting_is_asked_for() -> None:
    config, start = Session("c1", config=HEARTBEATS).open()
    assert sent([config]) == [{"response_type": "config", "config": {"auto_reconnect": True}}]
    assert started([start]) == Turn(0, "c1")
    assert started([start]).kind == "begin"


def test_without_wishes_no_configuration_is_sent() -> None:
    assert started(Session("c1").open()).response_id == 0


def test_the_greeting_can_be_empty_so_that_the_caller_speaks_first() -> None:
    session = Session("c1")
    session.open()
    [greeting] = sent(session.finish(0))
    assert (greeting["content"], greeting["content_complete"]) == ("", True)


def test_a_greeting_that_awaits_the_facts_knows_them() -> None:
    session = Session("c1", config=FACTS, awaits_facts=True)
    assert len(session.open()) == 1
    frame = '{"interaction_type":"call_details","call":{"from_number":"+15551234567"}}'
    assert started(session.receive(frame)).facts == CallFacts(from_number="+15551234567")
    assert session.receive(frame) == []


def test_a_greeting_does_not_await_facts_that_nobody_asked_for() -> None:
    assert started(Session("c1", awaits_facts=True).open()).kind == "begin"


def test_a_greeting_stops_waiting_for_facts_that_never_come() -> None:
    session = Session("c1", config=FACTS, awaits_facts=True)
    session.open()
    assert started(session.stop_waiting()).facts == CallFacts()
    assert session.stop_waiting() == []


def test_a_request_takes_the_place_of_a_greeting_that_still_waits() -> None:
    session = Session("c1", config=FACTS, awaits_facts=True)
    session.open()
    assert started(session.receive(asked(1))).response_id == 1
    assert session.stop_waiting() == []


def test_a_call_that_comes_back_is_configured_again_and_not_greeted_again() -> None:
    session = Session("c1", config=HEARTBEATS)
    assert sent(session.open(again=True))[0]["response_type"] == "config"
    assert session.state is State.LISTENING
    turn = started(session.receive(asked(7)))
    assert turn.transcript == (Utterance(role="user", content="Hello?"),)


@pytest.mark.parametrize(
    ("kind", "expected"), [("response_required", "response"), ("reminder_required", "reminder")]
)
def test_a_request_starts_its_turn(kind: str, expected: str) -> None:
    turn = started(greeted().receive(asked(1, kind)))
    assert (turn.kind, turn.response_id, turn.call_id) == (expected, 1, "c1")


def test_a_turn_reads_the_transcript_with_tool_calls_when_asked() -> None:
    called = {"role": "tool_call_result", "tool_call_id": "t1", "content": "ok"}
    turn = started(greeted().receive(asked(1, transcript_with_tool_calls=[called])))
    [entry] = turn.transcript_with_tool_calls
    assert (entry.tool_call_id, entry.content) == ("t1", "ok")
    assert Turn(0, "c1").transcript_with_tool_calls == ()
    assert Turn(0, "c1").transcript == ()


def test_an_answer_goes_out_piece_by_piece_and_is_complete_once() -> None:
    session = answering()
    frames = sent([*session.say(1, "Yes, "), *session.say(1, ""), *session.say(1, "we do.")])
    frames += sent([*session.finish(1), *session.finish(1), *session.say(1, "And more.")])
    assert [(frame["content"], frame["content_complete"]) for frame in frames] == [
        ("Yes, ", False),
        ("we do.", False),
        ("", True),
    ]


def test_a_newer_request_kills_the_older_turn() -> None:
    session = answering(1)
    assert started(session.receive(asked(2))).response_id == 2
    assert session.say(1, "Too late.") == session.finish(1) == session.fail(1) == []
    assert sent(session.finish(2, "In time."))[0]["response_id"] == 2


def test_an_update_changes_nothing() -> None:
    session = answering()
    assert session.receive('{"interaction_type":"update_only","transcript":7}') == []
    assert session.is_open(1)


def test_a_request_that_is_sent_again_is_not_answered_again() -> None:
    session = answering()
    assert logged(session.receive(asked(1))) == "ignored, response_id 1 was asked before"
    session.finish(1, "Yes.")
    assert isinstance(session.receive(asked(1))[0], Log)


def test_a_heartbeat_is_echoed_while_an_answer_is_made() -> None:
    [pong] = sent(answering().receive('{"interaction_type":"ping_pong","timestamp":12}'))
    assert pong == {"response_type": "ping_pong", "timestamp": 12}


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        ('{"interaction_type":"new\\nline"}', r"ignored, unknown interaction_type 'new\nline'"),
        ("{}", "ignored, unknown interaction_type ''"),
        (asked("1"), "ignored, mistyped frame: expected `int`, got `str` - at `$.response_id`"),  # type: ignore[arg-type]
        ('{"interaction_type":"call_details","call":7}', "ignored, mistyped frame: expected"),
    ],
)
def test_an_odd_message_is_one_line_in_the_log_and_the_call_goes_on(frame: str, line: str) -> None:
    session = answering()
    assert logged(session.receive(frame)).startswith(line)
    assert session.is_open(1)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("Hello", "Cannot parse incoming message."),
        ("null", "Cannot parse incoming message."),
        (b"{}", "Cannot find corresponding Retell LLM."),
        (None, "Cannot find corresponding Retell LLM."),
    ],
)
def test_a_frame_of_no_platform_closes_and_nothing_follows(frame: Any, reason: str) -> None:
    session = answering()
    line, close = session.receive(frame)
    assert isinstance(line, Log)
    assert close == Close(1002, reason)
    assert session.receive(asked(2)) == session.say(1, "Yes.") == session.finish(1) == []


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        (HangUp(), {"end_call": True}),
        (Transfer("+15551234567"), {"transfer_number": "+15551234567"}),
        (
            Transfer("+15551234567", shows_caller=True),
            {"transfer_number": "+15551234567", "show_transferee_as_caller": True},
        ),
        (Press("12#"), {"digit_to_press": "12#"}),
    ],
)
def test_an_action_rides_on_every_frame_after_it(action: Piece, fields: dict[str, Any]) -> None:
    session = answering()
    pieces: list[Piece] = ["Fine. ", action, "Bye."]
    effects = [effect for piece in pieces for effect in session.say(1, piece)]
    first, second, last = sent([*effects, *session.finish(1)])
    assert not fields.keys() & first.keys()
    for frame in (second, last):
        assert frame.items() >= {**fields, "no_interruption_allowed": True}.items()


@pytest.mark.parametrize("actions", [(Press("1"), HangUp()), (HangUp(), Press("1"))])
def test_of_two_actions_the_one_that_the_platform_would_run_is_kept(actions: Any) -> None:
    session = answering()
    session.say(1, actions[0])
    assert "dropped, Press beside HangUp" in logged(session.say(1, actions[1]))
    [frame] = sent(session.finish(1, "Bye."))
    assert frame["end_call"]
    assert "digit_to_press" not in frame


def test_the_next_turn_knows_nothing_of_the_last_action() -> None:
    session = answering(1)
    session.say(1, HangUp())
    session.receive(asked(2))
    assert "end_call" not in sent(session.finish(2, "Yes?"))[0]


def test_notes_pass_through_and_leave_the_turn_open() -> None:
    session = answering()
    notes: list[Piece] = [
        ToolCallInvocation(tool_call_id="t1", name="book", arguments="{}"),
        ToolCallResult(tool_call_id="t1", content="ok"),
        Metadata(metadata={"seen": 1}),
    ]
    kinds = [sent(session.say(1, note))[0]["response_type"] for note in notes]
    assert kinds == ["tool_call_invocation", "tool_call_result", "metadata"]
    assert session.is_open(1)


@pytest.mark.parametrize(
    ("said", "excuse"), [([], "Sorry."), (["Well,"], " Sorry."), (["Well, "], "Sorry.")]
)
def test_a_turn_that_fails_is_closed_with_an_excuse(said: list[str], excuse: str) -> None:
    session = greeted(excuse="Sorry.")
    session.receive(asked(1))
    pieces: list[Piece] = [*said, HangUp()]
    for piece in pieces:
        session.say(1, piece)
    [frame] = sent(session.fail(1))
    assert (frame["content"], frame["content_complete"]) == (excuse, True)
    assert "end_call" not in frame


def test_a_call_that_is_over_stays_over() -> None:
    session = answering()
    session.end()
    session.end()
    assert session.receive("Hello") == session.finish(1) == []


@given(st.lists(st.sampled_from(["ask", "update", "say", "finish", "fail", "ping"]), max_size=40))
def test_every_turn_is_complete_once_or_dead(happenings: list[str]) -> None:
    session, latest = greeted(), 0
    completes: dict[int, int] = {}
    for happening in happenings:
        effects: list[Effect] = []
        if happening == "ask":
            latest += 1
            session.receive(asked(latest))
        elif happening == "update":
            effects = session.receive('{"interaction_type":"update_only"}')
        elif happening == "ping":
            effects = session.receive('{"interaction_type":"ping_pong","timestamp":1}')
        else:
            for response_id in range(latest + 1):
                act = {"say": lambda n: session.say(n, "x")}.get(
                    happening, getattr(session, happening, None)
                )
                assert act
                effects += act(response_id)
        for frame in sent(effects):
            if "response_id" in frame:
                assert frame["response_id"] == latest
                completes[latest] = completes.get(latest, 0) + frame["content_complete"]
    assert all(count <= 1 for count in completes.values())
