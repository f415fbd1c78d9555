"""Your side of a call: its table, and what it does about each frame."""

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llmws_tutorial.errors import ServerProtocolError
from llmws_tutorial.messages import (
    AgentConfig,
    AgentInterrupt,
    CallFacts,
    ConfigFields,
    Metadata,
    ToolCallInvocation,
    ToolCallResult,
    UpdateAgent,
    Utterance,
)
from llmws_tutorial.server import HangUp, Piece, Press, Transfer, Turn
from llmws_tutorial.server import session as session_module
from llmws_tutorial.server.effects import (
    EXPIRED,
    STOPPED,
    Cancel,
    Close,
    Effect,
    Log,
    Send,
    Start,
)
from llmws_tutorial.server.session import TRANSITIONS, Event, Session, State
from llmws_tutorial.server.turn import Note

HEARTBEATS = ConfigFields(auto_reconnect=True)
FACTS = ConfigFields(call_details=True)
WAIT = AgentInterrupt(interrupt_id=1, content="Wait.", content_complete=True)
NOTES: list[Note] = [
    WAIT,
    ToolCallInvocation(tool_call_id="t1", name="book", arguments="{}"),
    ToolCallResult(tool_call_id="t1", content="ok"),
    UpdateAgent(agent_config=AgentConfig(responsiveness=0.5)),
    Metadata(metadata={"seen": 1}),
]
PIECES: list[Piece] = [HangUp(), Transfer("+15551234567"), Press("1"), *NOTES]
REQUESTS = ["response_required", "reminder_required"]
HARMLESS = [
    '{"interaction_type":"update_only","transcript":[]}',
    '{"interaction_type":"ping_pong","timestamp":1}',
    '{"interaction_type":"call_details","call":{}}',
    '{"interaction_type":"new"}',
    '{"interaction_type":"ping_pong"}',
]


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


def test_the_server_stops_at_once_where_nothing_is_said() -> None:
    session = greeted()
    assert session.stop() == [STOPPED]
    assert STOPPED.code == 1012
    assert session.stop() == session.receive(asked(1)) == []


def test_a_greeting_that_still_waits_is_not_said_when_the_server_stops() -> None:
    session = Session("c1", config=FACTS, awaits_facts=True)
    assert session.stop() == []
    session.open()
    assert session.stop() == [STOPPED]
    assert session.stop_waiting() == []


def test_the_last_words_are_said_before_the_server_stops() -> None:
    session = answering()
    assert session.stop() == session.stop() == []
    assert sent(session.receive('{"interaction_type":"ping_pong","timestamp":12}'))
    assert sent(session.say(1, "We are "))
    last, close = session.finish(1, "open.")
    assert sent([last])[0]["content_complete"]
    assert close == STOPPED


def test_the_last_words_are_dropped_when_the_caller_wants_something_else() -> None:
    session = answering()
    session.stop(EXPIRED)
    assert session.receive(asked(2)) == [EXPIRED]
    assert session.say(1, "We are ") == session.finish(1) == session.finish(2) == []


def test_a_message_out_of_turn_leaves_the_turn_open() -> None:
    session = answering()
    [note] = sent(session.note(Metadata(metadata={"seen": 1})))
    assert note["response_type"] == "metadata"
    assert session.is_open(1)


def test_an_interrupt_out_of_turn_closes_the_turn_without_its_action() -> None:
    session = answering()
    session.say(1, HangUp())
    last, cancel, interrupt = session.note(WAIT)
    [frame] = sent([last])
    assert (frame["response_id"], frame["content_complete"], "end_call" in frame) == (
        1,
        True,
        False,
    )
    assert cancel == Cancel()
    assert sent([interrupt])[0]["response_type"] == "agent_interrupt"
    assert session.say(1, "Too late.") == []
    assert len(session.note(WAIT)) == 1


def test_nothing_is_sent_out_of_turn_before_the_configuration_or_after_the_end() -> None:
    session = Session("c1", config=HEARTBEATS)
    assert session.note(WAIT) == []
    session.open()
    session.end()
    assert session.note(WAIT) == []


@pytest.mark.parametrize("response_id", [0, -1, -(2**70)])
def test_an_id_that_no_request_has_is_ignored(response_id: int) -> None:
    session = answering()
    assert "expected 1 or more" in logged(session.receive(asked(response_id)))
    assert session.is_open(1)


def test_the_latest_request_counts_also_when_its_id_is_lower() -> None:
    session = answering(5)
    assert started(session.receive(asked(3))).response_id == 3
    assert session.finish(5) == []
    assert "asked before" in logged(session.receive(asked(5)))
    assert sent(session.finish(3, "Yes."))[0]["response_id"] == 3


def test_what_this_kit_does_not_know_is_kept() -> None:
    session = greeted()
    session.receive('{"interaction_type":"call_details","call":{"call_id":"c1","sip":{"x":1}}}')
    turn = started(session.receive(asked(1, mood="good")))
    assert (turn.facts.call_id, turn.details["sip"]) == ("c1", {"x": 1})
    assert turn.fields["mood"] == "good"
    assert Turn(0, "c1").fields == {}


class AnyCall(RuleBasedStateMachine):
    """Everything that can happen to a call, in any order, beside a model of what is alive."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session("c1", config=HEARTBEATS)
        self.asked: set[int] = set()
        self.alive: int | None = None
        self.ended: list[int] = []
        self.is_closed = False

    @initialize(again=st.booleans())
    def open(self, again: bool) -> None:
        first, *rest = self.session.open(again=again)
        assert sent([first])[0]["response_type"] == "config"
        self.check(rest)
        assert (self.alive == 0) is not again

    @rule(response_id=st.integers(-1, 8), kind=st.sampled_from(REQUESTS))
    def ask(self, response_id: int, kind: str) -> None:
        is_leaving = self.session.state is State.LEAVING
        is_new = response_id > 0 and response_id not in self.asked and not self.is_closed
        if is_new:
            self.asked.add(response_id)
            self.end_turn()
        effects = self.session.receive(asked(response_id, kind))
        self.check(effects)
        assert (self.alive == response_id) or not is_new or is_leaving

    @rule(text=st.text(), response_id=st.integers(-1, 8))
    def say(self, text: str, response_id: int) -> None:
        with contextlib.suppress(ServerProtocolError, UnicodeEncodeError):
            self.check(self.session.say(response_id, text), response_id)

    @rule(piece=st.sampled_from(PIECES), response_id=st.integers(-1, 8))
    def do(self, piece: Piece, response_id: int) -> None:
        self.check(self.session.say(response_id, piece), response_id)

    @rule(response_id=st.integers(-1, 8), fails=st.booleans())
    def end_one(self, response_id: int, fails: bool) -> None:
        end = self.session.fail if fails else self.session.finish
        self.check(end(response_id), response_id)

    @rule(frame=st.sampled_from(HARMLESS))
    def hear(self, frame: str) -> None:
        assert not any(isinstance(effect, Start) for effect in self.session.receive(frame))

    @rule(note=st.sampled_from(NOTES))
    def note(self, note: Note) -> None:
        self.check(self.session.note(note), self.alive)

    @rule(frame=st.sampled_from(["null", "Hello", None, b"{}"]))
    def break_in(self, frame: Any) -> None:
        self.end_turn()
        self.check(self.session.receive(frame))
        self.is_closed = True

    @rule()
    def stop(self) -> None:
        self.check(self.session.stop())

    @rule()
    def hang_up(self) -> None:
        self.end_turn()
        self.session.end()
        self.is_closed = True

    def end_turn(self) -> None:
        """Superseded, interrupted or closed: whatever was alive is over."""
        if self.alive is not None:
            self.ended.append(self.alive)
        self.alive = None

    def check(self, effects: list[Effect], speaker: int | None = None) -> None:
        for effect in effects:
            assert not self.is_closed, "nothing after the close"
            match effect:
                case Start(turn):
                    assert self.alive is None, "one generation a call"
                    self.alive = turn.response_id
                case Send(frame):
                    self.check_frame(json.loads(frame, parse_constant=pytest.fail), speaker)
                case Close():
                    self.end_turn()
                    self.is_closed = True

    def check_frame(self, frame: dict[str, Any], speaker: int | None) -> None:
        if frame["response_type"] == "response":
            assert frame["response_id"] == speaker == self.alive, "only the newest id speaks"
            if frame["content_complete"]:
                self.end_turn()

    @invariant()
    def every_turn_ends_once(self) -> None:
        assert len(self.ended) == len(set(self.ended))
        assert self.alive is None or self.session.is_open(self.alive)
        assert self.is_closed == (self.session.state is State.OVER)


test_whatever_happens_only_the_newest_turn_speaks_and_each_ends_once = AnyCall.TestCase
