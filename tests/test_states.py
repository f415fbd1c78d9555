"""The table of a call: it is the one that runs, whatever is done to a call."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from llmws_tutorial.messages import ReminderRequired, ResponseRequired, write
from llmws_tutorial.simulator import Call, CallRecord, Choices, Frame, State, states
from llmws_tutorial.simulator.states import TRANSITIONS, Event
from tests import phone

DRAWN: Final = re.compile(r"^    (\S.*?) {2,}(\S.*?) {2,}([A-Z]+)(?:$| )", re.MULTILINE)
MOVES: Final = {(state, following) for (state, _), following in TRANSITIONS.items()}


def test_the_table_in_the_docstring_is_the_table_that_runs() -> None:
    drawn: dict[tuple[State, Event], State] = {}
    for state, event, following in DRAWN.findall(str(states.__doc__)):
        of = State if state == "any" else [State[state]]
        drawn |= {(one, Event(event)): State[following] for one in of}
    assert drawn == TRANSITIONS


def test_every_state_is_reached_and_only_the_end_is_final() -> None:
    assert set(TRANSITIONS.values()) == set(State) - {State.MUTE}
    final = {state for state in State if all(to is state for of, to in MOVES if of is state)}
    assert final == {State.ENDED}


Act = tuple[str, Any]

texts = st.sampled_from(["", " ", "Yes. ", "One moment", "two three four. Five.", "好。你"])
fields = st.fixed_dictionaries(
    {"content": texts, "content_complete": st.booleans()},
    optional={
        "no_interruption_allowed": st.booleans(),
        "digit_to_press": st.just("1"),
        "transfer_number": st.sampled_from([None, "+1555"]),
        "end_call": st.sampled_from([False, False, True]),
    },
)
settings_of_agents = st.fixed_dictionaries(
    {},
    optional={
        "responsiveness": st.sampled_from([0, 0.5, 1]),
        "interruption_sensitivity": st.sampled_from([0, 0.5, 1]),
        "reminder_trigger_ms": st.sampled_from([1, 1000]),
        "reminder_max_count": st.integers(0, 3),
    },
)
events = st.sampled_from(
    [
        phone.wants(call_details=True, transcript_with_tool_calls=True),
        phone.event("tool_call_invocation", tool_call_id="t", name="n", arguments="{}"),
        phone.event("tool_call_result", tool_call_id="t", content="c"),
        phone.event("metadata", metadata={}),
        phone.event("ping_pong", timestamp=1),
        phone.event("shout"),
        '{"response_id": true, "content": 1}',
        "[]",
        "\ud800",
    ]
)
guesses = st.sampled_from(["", "", "I", "I want", "I want tea now please", phone.MUMBLE])
acts: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("answer"), st.tuples(st.integers(-1, 1), fields)),
    st.tuples(st.just("interrupt"), st.tuples(st.integers(7, 9), fields)),
    st.tuples(st.just("frame"), events | settings_of_agents.map(lambda to: phone.settings(**to))),
    st.tuples(st.just("frame"), st.text(max_size=5)),
    st.tuples(st.just("say"), st.sampled_from(["", "Stop!", "one two three four five six"])),
    st.tuples(st.just("hear"), st.tuples(guesses, st.sampled_from([None, None, 0.0, 0.5, 9.0]))),
    st.tuples(st.just("sound"), st.sampled_from([0, 4, 1000])),
    st.tuples(st.just("press"), st.sampled_from(["", "1", "4#"])),
    st.tuples(st.sampled_from(["mumble", "reconnect"]), st.none()),
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.25, 0.5, 0.75, 2.0, 12.0])),
)
endings: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("close"), st.sampled_from([1000, 1006, 1011])),
    st.tuples(st.just("frame"), st.just(b"\x00")),
    st.tuples(st.just("hang up"), st.none()),
    st.tuples(st.just("pass"), st.just(4000.0)),
)
GREETING: Final[Act] = ("answer", (0, {"content": "Hi.", "content_complete": True}))
scripts = st.tuples(
    st.sampled_from([[], [GREETING, ("pass", 0.75)]]), st.lists(acts, max_size=25)
).map(lambda parts: [*parts[0], *parts[1]])
choices = st.builds(
    Choices,
    words_per_s=st.just(2.0),
    voice_s=st.sampled_from([0.0, 0.25]),
    end_of_turn_s=st.sampled_from([0.0, 0.5]),
    reminder_max_count=st.integers(0, 2),
    interruption_sensitivity=st.sampled_from([0, 0.5, 1]),
    sentence_ends_with_chunk=st.booleans(),
    shows_unheard_words=st.booleans(),
    speaks_second_greeting=st.booleans(),
    ends_on_unknown_event=st.sampled_from([False, False, True]),
    answers_after_protected=st.booleans(),
    digits_end_turn=st.booleans(),
    asks_again_after_reconnect=st.booleans(),
    remembers_config=st.booleans(),
    details_once=st.booleans(),
)


def frame_of(call: Call, act: Act) -> str | bytes | None:
    """What a server sends in this act, if it is one of a server."""
    match act:
        case ("answer", (behind, said)):
            return json.dumps({"response_id": call.response_id + behind, **said})
        case ("interrupt", (interrupt_id, said)):
            return phone.event("agent_interrupt", interrupt_id=interrupt_id, **said)
        case ("frame", frame):
            return frame  # type: ignore[no-any-return]
    return None


def do(call: Call, act: Act) -> None:
    match act:
        case ("say", text):
            call.caller_says(text)
        case ("hear", (text, silent_s)):
            call.caller_is_heard(text, silent_s=silent_s)
        case ("sound", letters):
            assert isinstance(call.voice, phone.LateVoice)
            call.voice.letters = letters
            call.go_on()
        case ("press", keys):
            call.caller_presses(keys)
        case ("mumble", _):
            call.caller_mumbles()
        case ("reconnect", _):
            call.connected(again=True)
        case ("close", code):
            call.socket_closed(code)
        case ("hang up", _):
            call.hang_up()
        case ("pass", seconds):
            phone.pass_s(call, seconds)


@dataclass
class Witness:
    """Plays a call through, and notes what it does."""

    record: CallRecord
    ids: list[int] = field(default_factory=list)
    moves: set[tuple[State, State]] = field(default_factory=set)

    def play(self, script: list[Act]) -> None:
        call = self.record.call
        for act in script:
            if (frame := frame_of(call, act)) is not None:
                call.receive(frame)
                self.record.keep(Frame("server", frame, at_s=call.now_s))
            else:
                do(call, act)
            self.look(call)

    def look(self, call: Call) -> None:
        for message in call.take():
            self.record.keep(Frame("platform", write(message), at_s=call.now_s))
            if isinstance(message, ResponseRequired | ReminderRequired):
                self.ids.append(message.response_id)
        assert call.due_s >= call.now_s
        assert (call.state is State.ENDED) == (call.disconnection_reason is not None)
        assert (call.speaking is not None) == (call.state is State.SPEAKING)
        waited_for = [call.is_callers_turn, call.waits_for_server, call.waits_for_voice]
        assert sum([*waited_for, call.is_caller_talking]) <= 1
        assert call.reminder_due_s == float("inf") or call.is_callers_turn
        assert isinstance(call.voice, phone.LateVoice)
        assert len(call.voice.hushed) == len(set(call.voice.hushed))
        for turn in call.answers.turns:
            is_broken_off = call.state is State.ENDED and not turn.speech.is_over
            is_hushed = turn.ready_at_s is not None and (turn.is_cut or is_broken_off)
            assert (turn in call.voice.hushed) == is_hushed
            assert turn.sent.startswith(turn.heard)
            assert not (turn.is_cut and turn.has_acted)


class Watched(Call):
    """A call that keeps every state that it is in."""

    def __init__(self, choices: Choices) -> None:
        self.seen: list[State] = []
        super().__init__(choices=choices, voice=phone.LateVoice())

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "state":
            self.seen.append(value)
        super().__setattr__(name, value)


def played(script: list[Act], choices: Choices) -> tuple[Witness, Watched]:
    call = Watched(choices)
    witness = Witness(CallRecord("c1", call))
    witness.play(script)
    return witness, call


@settings(max_examples=1000, deadline=None)
@given(choices, scripts, endings, st.lists(acts, max_size=4))
def test_whatever_is_done_to_a_call_its_rules_hold(
    choices: Choices, before: list[Act], ending: Act, after: list[Act]
) -> None:
    witness, call = played([*before, ending], choices)
    assert witness.ids == list(range(1, call.response_id + 1))
    assert {*zip(call.seen, call.seen[1:], strict=False)} <= MOVES
    assert call.seen.count(State.ENDED) == 1
    frozen = (call.disconnection_reason, phone.lines(call), call.response_id)
    witness.play(after)
    assert (call.disconnection_reason, phone.lines(call), call.response_id) == frozen
    assert call.due_s == float("inf")


@settings(max_examples=100, deadline=None)
@given(choices, scripts)
def test_the_same_inputs_make_the_same_record(choices: Choices, script: list[Act]) -> None:
    once, again = (played(script, choices)[0].record for _ in range(2))
    assert once.frames == again.frames
    assert once.as_call() == again.as_call()
    assert once.log == again.log
