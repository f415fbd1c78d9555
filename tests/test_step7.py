"""Step 7 in conversations that go wrong: booked once, every turn ends in words, calls end as meant.

The callers are scripted, and so is the model: the one of ``examples/clinic.yaml``, which reacts to
what the tools return. The package's own responder goes through the same conversations.
"""

import asyncio
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from llmws_tutorial.notebook import Server, check, serve
from llmws_tutorial.notebook.checking import cases_of
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.server import Toolbox, create_app, end_call, holding, transfer
from llmws_tutorial.server.tools import ToolResponder
from llmws_tutorial.simulator import CallRecord
from llmws_tutorial.simulator.llm_endpoint import create_endpoint
from llmws_tutorial.simulator.llm_script import load_scripts
from llmws_tutorial.simulator.playing import Manner, play
from llmws_tutorial.simulator.scenario import Scenario, Step, load
from llmws_tutorial.simulator.scripted_llm import CallTool, Empty, Hang, Say, Script, ScriptedLlm
from llmws_tutorial.simulator.turn import Action
from llmws_tutorial.steps import step6, step7
from llmws_tutorial.steps.step5 import EXCUSE
from tests.test_steps import Running, heard
from tests.test_steps import request as frame

CLINIC: Final = PROJECT / "examples" / "clinic.yaml"
TOMORROW: Final = "tomorrow, ten in the morning"
MONDAY: Final = "monday, nine in the morning"
ADA: Final = "Ada Lovelace"
BOOKED: Final = f"booked for {ADA}: {TOMORROW}"
CROSSED: Final = re.compile(r"response_id \d+ is not the latest one, \d+|the call is over")
MOMENT_S: Final = 0.3
PATIENCE_S: Final = 30.0
QUICK: Final = Manner(speed=60)
CALM: Final = Manner(speed=5)
"""Speech lasts long enough for a busy machine to send, beside it, the end of the answer."""
NOTES: Final = ("tool_call_invocation", "tool_call_result")
AT_TEN: Final = Step(say="Tomorrow at ten, please.")


class Desk:
    """The clinic's desk: it books, after a while and not always at the first try."""

    def __init__(self) -> None:
        self.takes_s = 0.0
        self.fails = 0
        self.is_done = threading.Event()

    async def book_appointment(self, day: str, time: str, name: str) -> str:
        """Book an appointment at the clinic."""
        await asyncio.sleep(self.takes_s)
        if self.fails:
            self.fails -= 1
            raise OSError("the computer is down")
        result = await step7.book_appointment(day, time, name)
        self.is_done.set()
        return result


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLlm]:
    model = ScriptedLlm(load_scripts(CLINIC))
    with serve(create_endpoint(model), name="model", show_log=False) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield model


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()
    monkeypatch.setattr(step7, "appointments", {})
    monkeypatch.setitem(step7.FUNCTIONS, "book_appointment", desk.book_appointment)
    return desk


def packaged(desk: Desk) -> Any:
    tools = Toolbox()
    tools.add(has_effect=True)(desk.book_appointment)
    farewell = end_call.saying(step7.FAREWELLS["end_call"])
    number = step7.ACTIONS["transfer_call"]["transfer_number"]
    return create_app(ToolResponder("scripted", tools=tools, can=(farewell, transfer(number))))


@pytest.fixture(params=["the step", "the package"])
def server(
    model: ScriptedLlm,
    desk: Desk,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Server]:
    # a farewell waits for its action however slow the model is on a busy machine
    monkeypatch.setattr(holding, "HELD_S", PATIENCE_S)
    app = step7.app if request.param == "the step" else packaged(desk)
    with serve(app, name="clinic", show_log=False) as server:
        yield server


@pytest.fixture
def step(model: ScriptedLlm, desk: Desk) -> Iterator[Server]:
    with serve(step7.app, name="clinic", show_log=False) as server:
        yield server


def call(server: Server, *steps: Step, manner: Manner = QUICK, **options: Any) -> list[CallRecord]:
    """Play one scenario; what is dropped in it has crossed a new request, or the end, on the wire.

    The last turn is always complete.
    """
    scenario = Scenario(scenario="a call", caller=steps, **options)
    outcome = asyncio.run(play("a call", scenario, server.websocket_url, manner))
    for record in outcome.records:
        reasons = [str(frame.dropped) for frame in record.dropped]
        assert [reason for reason in reasons if not CROSSED.fullmatch(reason)] == []
        open_turns = [turn.response_id for turn in record.turns if turn.complete_at_s is None]
        assert record.turns[-1].response_id not in open_turns
    return [*outcome.records]


def results(record: CallRecord) -> list[str | None]:
    return [use.result for use in record.tool_calls]


@pytest.mark.parametrize("words", [1, 2, 3], ids="the caller talks over word {}".format)
def test_a_caller_who_interrupts_while_the_tool_runs_is_booked_once(
    server: Server, desk: Desk, words: int
) -> None:
    desk.takes_s = MOMENT_S
    again = Step(say="Yes, yes, tomorrow.", after_words=words)
    [record] = call(server, AT_TEN, again)
    assert results(record) == [BOOKED]
    assert "You are booked." in record.turns[-1].heard
    assert step7.appointments == {TOMORROW: ADA}


def test_a_caller_who_talks_over_the_result_is_booked_once(server: Server) -> None:
    cut = Step(say="Tomorrow, right?", after_s=1.5)
    [record] = call(server, AT_TEN, cut)
    assert results(record) == [BOOKED]
    assert "You are booked." in record.turns[-1].heard


def test_who_confirms_twice_is_booked_once(server: Server) -> None:
    yes = (Step(say="Yes, tomorrow."), Step(say="Yes, please, tomorrow at ten."))
    [record] = call(server, AT_TEN, *yes)
    assert results(record) == [BOOKED]
    assert all("You are booked." in turn.heard for turn in record.turns[1:])


def test_two_bookings_in_a_call_are_two(server: Server) -> None:
    [record] = call(server, AT_TEN, Step(say="And Monday at nine."), Step(say="Goodbye!"))
    assert step7.appointments == {TOMORROW: ADA, MONDAY: ADA}
    assert record.disconnection_reason == "agent_hangup"


def test_of_two_calls_for_one_time_one_is_told_that_it_is_taken(step: Server) -> None:
    records = call(step, AT_TEN, calls=2)
    heard = [record.turns[-1].heard for record in records]
    assert sorted("that time is taken" in text for text in heard) == [False, True]
    assert step7.appointments == {TOMORROW: ADA}


def test_a_tool_that_failed_is_run_again_when_it_is_asked_for_again(
    server: Server, desk: Desk
) -> None:
    desk.fails = 1
    [record] = call(server, AT_TEN, Step(say="Then try again: tomorrow at ten."))
    assert [use.successful for use in record.tool_calls] == [False, True]
    assert "did not work" in record.turns[1].heard
    assert step7.appointments == {TOMORROW: ADA}


def test_a_line_that_drops_loses_no_booking(server: Server, desk: Desk) -> None:
    desk.takes_s = MOMENT_S
    back = Step(say="Hello? Am I booked tomorrow?")
    [record] = call(server, AT_TEN, Step(drop_line=True, after_words=2), back, patience_s=1)
    assert (record.connections, record.lapses) == (2, [])
    assert results(record) == [BOOKED]
    assert "You are booked." in record.turns[-1].heard


def test_a_silent_caller_is_asked_and_nothing_is_done_again(
    server: Server, model: ScriptedLlm
) -> None:
    [record] = call(server, AT_TEN, Step(silent_s=15))
    assert (record.turns[-1].kind, record.turns[-1].heard) == ("reminder", step6.NUDGE)
    assert (len(record.tool_calls), len(model.asked)) == (1, 2)


def test_what_cannot_be_understood_books_nothing(server: Server) -> None:
    [record] = call(server, Step(mumble=True))
    assert "did not catch that" in record.turns[-1].heard
    assert (record.tool_calls, step7.appointments) == ([], {})


@pytest.mark.parametrize("words", [1, 2])
def test_a_farewell_that_is_talked_over_ends_the_call(server: Server, words: int) -> None:
    over = Step(say="Oh, and one more thing.", after_words=words)
    [record] = call(server, Step(say="That was all, goodbye."), over, manner=CALM)
    assert record.disconnection_reason == "agent_hangup"
    assert not record.turns[-1].is_cut


def test_a_transfer_in_the_middle_of_a_booking_goes_to_the_clinics_number(
    server: Server, desk: Desk
) -> None:
    desk.takes_s = MOMENT_S
    [record] = call(server, AT_TEN, Step(say="No, give me a person.", after_words=2))
    assert record.disconnection_reason == "call_transfer"
    assert record.turns[-1].action == Action("transfer_number", "+15555550100")
    assert desk.is_done.wait(PATIENCE_S)
    assert (len(record.tool_calls), step7.appointments) == (1, {TOMORROW: ADA})


@pytest.mark.parametrize("name", ["booking", "goodbye", "transfer"])
def test_the_shipped_scenarios_pass_with_the_model_of_the_example(
    server: Server, name: str
) -> None:
    outcome = asyncio.run(play(name, load(name), server.websocket_url))
    assert outcome.wrongs == ()


# What the provider sees, and what goes wrong at its end; the step alone


def call_of(
    scripts: Sequence[Script], model: ScriptedLlm, step: Server, *steps: Step
) -> CallRecord:
    model.scripts[:] = scripts
    [record] = call(step, *steps)
    return record


def test_the_follow_up_of_a_superseded_turn_is_given_up(model: ScriptedLlm, step: Server) -> None:
    scripts = [
        Script(when="hours", steps=(Say("At nine."),)),
        Script(told="", steps=(Say("You are booked. "), Hang())),
        Script(steps=(CallTool("book"),)),
    ]
    over = Step(say="What are your hours?", after_words=5)
    record = call_of(scripts, model, step, AT_TEN, over)
    assert [asked.outcome for asked in model.asked] == ["finished", "aborted", "finished"]
    assert record.turns[-1].heard == "At nine."
    told = model.asked[-1].request["messages"][0]["content"]
    assert 'book_appointment {"day": "ten", "name": "ten", "time": "ten"}: booked' in told


def test_a_run_that_goes_on_is_told_to_the_model(
    model: ScriptedLlm, step: Server, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step7, "TOOL_S", 0.7 * MOMENT_S)
    desk.takes_s = MOMENT_S
    scripts = [Script(told="goes on", steps=(Say("It takes longer."),)), *model.scripts]
    record = call_of(scripts, model, step, AT_TEN, Step(say="Tomorrow, please."))
    assert "It takes longer." in record.turns[1].heard
    assert "You are booked." in record.turns[2].heard
    assert results(record) == [BOOKED]


def test_a_lost_action_is_told_to_the_model_once(model: ScriptedLlm, step: Server) -> None:
    scripts = [
        Script(when="bye", steps=(Say("It was nice to talk to you. "), CallTool("end_call"))),
        Script(steps=(Say("At nine."),)),
    ]
    over = Step(say="When do you open?", after_words=2)
    record = call_of(scripts, model, step, Step(say="Bye."), over, Step(say="I see."))
    told = ["end_call was not done" in str(asked.request["messages"][0]) for asked in model.asked]
    assert told == [False, True, False]
    assert record.disconnection_reason == "user_hangup"


def test_a_model_that_has_spoken_needs_no_holding_line(model: ScriptedLlm, step: Server) -> None:
    booked = Script(told="booked", steps=(Say("You are booked."),))
    scripts = [booked, Script(steps=(Say("Let me see."), CallTool("book")))]
    assert call_of(scripts, model, step, AT_TEN).turns[-1].heard == "Let me see. You are booked."


@pytest.mark.parametrize("says", ["", "It was nice to talk to you."])
def test_a_farewell_is_set_off_from_what_the_model_has_said(
    model: ScriptedLlm, step: Server, says: str
) -> None:
    scripts = [Script(steps=(Say(says), CallTool("end_call")))]
    record = call_of(scripts, model, step, Step(say="Bye."))
    assert record.turns[-1].sent == f"{says} {step7.FAREWELLS['end_call']}".lstrip()


def test_an_action_beside_a_booking_waits_for_its_result(model: ScriptedLlm, step: Server) -> None:
    both = Script(when="ten", steps=(CallTool("book"), CallTool("end_call")))
    record = call_of([*model.scripts[:3], both, *model.scripts[3:]], model, step, AT_TEN)
    assert "You are booked." in record.turns[-1].heard
    assert record.disconnection_reason == "user_hangup"


def test_a_model_that_says_nothing_or_calls_for_ever_ends_in_an_excuse(
    model: ScriptedLlm, step: Server
) -> None:
    scripts = [
        Script(when="quiet", told="", steps=(Empty(),)),
        Script(when="silent", steps=(Empty(),)),
        Script(when="on", steps=(Say("Let me look. "), CallTool("minds", is_invented=True))),
        Script(steps=(CallTool("minds", is_invented=True),)),
    ]
    says = ("Be silent.", "For ever.", "Be quiet then.", "And on.")
    record = call_of(scripts, model, step, *(Step(say=text) for text in says))
    assert all(EXCUSE in turn.heard for turn in record.turns[1:])
    assert len(model.asked) == 1 + step7.ROUNDS + 2 + step7.ROUNDS


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{", "missing 3 required positional arguments"),
        ("[1]", "missing 3 required"),
        ({"day": "Monday"}, "missing 2 required"),
        ({"day": "Monday", "time": "", "name": "Ada"}, "ask the caller for what is missing"),
        ({"day": "Monday", "time": 10, "name": "Ada"}, "booked for Ada: monday, 10"),
    ],
)
def test_whatever_it_is_called_with_the_model_is_told_what_came_of_it(
    model: ScriptedLlm, step: Server, arguments: Any, told: str
) -> None:
    once = Script(times=1, steps=(CallTool("book", arguments),))
    record = call_of([once], model, step, AT_TEN)
    assert told in str(results(record)[0])
    assert told in model.asked[-1].request["messages"][-1]["content"]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3)], ids=repr)
def test_a_tool_that_gives_itself_up_gives_up_neither_turn_nor_server(
    model: ScriptedLlm, step: Server, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def give_up(**arguments: str) -> str:
        raise error

    monkeypatch.setitem(step7.FUNCTIONS, "book_appointment", give_up)
    record = call_of(model.scripts, model, step, AT_TEN, Step(say="Tomorrow, please."))
    assert all("did not work" in turn.heard for turn in record.turns[1:])
    assert results(record) == [f"failed: {error!r}"] * 2


def test_what_a_tool_returns_is_told_as_text(
    model: ScriptedLlm, step: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up(**arguments: str) -> list[int]:
        return [10, 11]

    monkeypatch.setitem(step7.FUNCTIONS, "book_appointment", look_up)
    record = call_of(model.scripts, model, step, AT_TEN)
    assert results(record) == ["[10, 11]"]
    assert EXCUSE not in record.turns[-1].heard
    assert model.asked[-1].request["messages"][-1]["content"] == "[10, 11]"


def test_equal_arguments_run_once_in_whatever_form(model: ScriptedLlm, step: Server) -> None:
    first = '{"day":"Monday", "time":"ten", "name":"ZOË"}'
    then = {"name": "Zoë", "time": "Ten", "day": "monday"}
    once = Script(times=1, steps=(CallTool("book", first), CallTool("book", then)))
    record = call_of([once], model, step, AT_TEN, Step(say="Thanks."))
    assert results(record) == ["booked for ZOË: monday, ten"]
    assert '"name": "zoë"' in model.asked[-1].request["messages"][0]["content"]


def test_half_a_character_in_a_tools_arguments_costs_no_other_turn(
    model: ScriptedLlm, step: Server
) -> None:
    half = r'{"day": "\ud800", "time": "ten", "name": "Ada"}'
    once = Script(times=1, steps=(CallTool("book", half),))
    record = call_of([once, *model.scripts], model, step, AT_TEN, Step(say="Goodbye."))
    assert "did not work" in record.turns[1].heard
    assert record.disconnection_reason == "agent_hangup"


def test_a_call_that_is_over_is_forgotten(step: Server) -> None:
    call(step, AT_TEN)
    assert step7.ledgers == {}


def test_the_package_passes_the_checks_of_the_step_with_the_same_function(
    model: ScriptedLlm, desk: Desk
) -> None:
    seen = cases_of("07", model)
    shown = check("07", packaged(desk), model).text
    count = len(seen) - shown.count(" not seen: ")
    assert f"{count} of {count} passed" in shown, shown


def test_as_a_process_of_its_own_it_books(model: ScriptedLlm, tmp_path: Path) -> None:
    running = Running(7, tmp_path / "log")
    with running.dial() as ws:
        said = [{"role": "user", "content": "Tomorrow, please."}]
        ws.send(frame("response_required", 1, transcript=said))
        frames = [heard(ws) for _ in range(8)]
    kinds = [one["response_type"] for one in frames]
    assert kinds == ["config", "response", "response", *NOTES, "response", "response", "response"]
    contents = [one.get("content") for one in frames[2:6]]
    assert contents == [step7.HOLD, None, BOOKED, "You are booked. "]
    assert "Traceback" not in running.stop()
