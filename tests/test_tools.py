"""A responder whose model calls tools and acts: what the caller hears, and what is done."""

import asyncio
import json
import logging
from typing import Any, Literal

import pytest

from llmws_tutorial.errors import SetupError, ToolError
from llmws_tutorial.server import Toolbox, Turn, end_call, press_digits, transfer
from llmws_tutorial.server.holding import HELD_S, STILL
from llmws_tutorial.server.llm import NUDGES
from llmws_tutorial.server.session import EXCUSE
from llmws_tutorial.server.tools import ToolResponder
from llmws_tutorial.simulator.scripted_llm import (
    CallTool,
    Hang,
    Say,
    Script,
    ScriptedLlm,
    Step,
    Wait,
)
from tests.calling import Caller, calling, calls_of, virtually
from tests.scripted_provider import provider_of

Day = Literal["Monday", "Tuesday"]
LINE = "Let me book that for you."
BOOKED = "You are booked."
BOOK = CallTool("book_appointment", {"day": "Monday"})


class Clinic:
    """A clinic whose book takes its time, and may fail."""

    def __init__(self, takes_s: float = 1.0, *, failures: int = 0) -> None:
        self.booked: list[str] = []
        self.looked = 0
        self.tools = Toolbox()

        @self.tools.add(says=LINE, has_effect=True)
        async def book_appointment(day: Day, name: str = "") -> str:
            """Book an appointment."""
            nonlocal failures
            await asyncio.sleep(takes_s)
            if failures:
                failures -= 1
                raise RuntimeError("a secret of the database")
            self.booked.append(day)
            return f"booked for {day}"

        @self.tools.add()
        async def find_slots(turn: Turn) -> list[str]:
            """Find free slots."""
            await asyncio.sleep(takes_s)
            self.looked += 1
            return [turn.call_id]

    def agent(self, model: ScriptedLlm, **options: Any) -> ToolResponder:
        return ToolResponder(provider_of(model), tools=self.tools, **options)


def model_that(*answers: tuple[Step, ...]) -> ScriptedLlm:
    """A model that gives these answers, one after the other; the last one again and again."""
    scripts = [Script(steps=steps, times=1) for steps in answers[:-1]]
    return ScriptedLlm([*scripts, Script(steps=answers[-1])])


def told(model: ScriptedLlm, number: int = -1) -> list[dict[str, Any]]:
    """What the model was told behind the prompt."""
    return list(model.asked[number].request["messages"][1:])


def prompt(model: ScriptedLlm, number: int = -1) -> str:
    """The prompt, and what was put behind it."""
    return str(model.asked[number].request["messages"][0]["content"])


def results(caller: Caller) -> list[tuple[str, bool | None]]:
    return [(note["content"], note.get("successful")) for note in caller.of("tool_call_result")]


async def answered(
    clinic: Clinic, model: ScriptedLlm, text: str = "Book Monday.", **options: Any
) -> Caller:
    """A call with one question."""
    async with calling(clinic.agent(model, **options)) as caller:
        await caller.ask(text)
    return caller


def test_a_tool_is_announced_run_and_spoken_of_under_one_id() -> None:
    clinic, model = Clinic(), model_that((BOOK,), (Say(BOOKED),))
    caller = virtually(answered(clinic, model))
    assert caller.said() == f"{LINE} {BOOKED}"
    [call] = caller.of("tool_call_invocation")
    assert (call["name"], json.loads(call["arguments"])) == ("book_appointment", {"day": "Monday"})
    assert results(caller) == [("booked for Monday", True)]
    assert clinic.booked == ["Monday"]
    *_, asked, returned = told(model)
    assert asked["tool_calls"][0]["id"] == returned["tool_call_id"]
    assert returned["content"] == "booked for Monday"


def test_words_wait_for_an_action_only_where_there_may_be_one() -> None:
    def said_at_s(*can: Any) -> float:
        model = model_that((Say("Well."), Wait(2)))
        frames = virtually(answered(Clinic(), model, can=can)).frames
        return next(at_s for at_s, frame in frames if frame.get("content") == "Well.")

    assert said_at_s(end_call) - said_at_s() == pytest.approx(HELD_S)


def test_a_quick_tool_needs_no_holding_line() -> None:
    model = model_that((BOOK,), (Say(BOOKED),))
    assert virtually(answered(Clinic(0.1), model)).said() == BOOKED


def test_a_model_that_has_spoken_needs_no_holding_line() -> None:
    model = model_that((Say("One second."), BOOK), (Say(BOOKED),))
    assert virtually(answered(Clinic(), model)).said() == f"One second. {BOOKED}"


def test_a_quick_tool_and_a_slow_model_do_need_one() -> None:
    model = model_that((BOOK,), (Wait(2), Say(BOOKED)))
    assert virtually(answered(Clinic(0), model)).said() == f"{LINE} {BOOKED}"


def test_a_model_that_hangs_after_a_tool_ends_in_an_excuse() -> None:
    model = model_that((BOOK,), (Hang(),))
    caller = virtually(answered(Clinic(0), model))
    assert caller.said() == f"{LINE} {STILL} {EXCUSE}"
    assert caller.frames[-1][0] < 25


def test_tools_that_are_called_together_run_at_the_same_time() -> None:
    model = model_that((BOOK, CallTool("find_slots")), (Say(BOOKED),))
    caller = virtually(answered(Clinic(2), model))
    times = [at_s for at_s, frame in caller.frames if frame["response_type"] == "tool_call_result"]
    assert times[0] == times[1]
    assert results(caller) == [("booked for Monday", True), ('["c1"]', True)]
    [asked] = [one for one in told(model) if one.get("tool_calls")]
    assert [one["role"] for one in told(model)[-2:]] == ["tool", "tool"]
    assert len(asked["tool_calls"]) == 2


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (CallTool("book_appointment", '{"day": tomor'), "wrong arguments: Invalid JSON"),
        (CallTool("book_appointment", {}), "wrong arguments: day: Field required"),
        (CallTool("book_appointment", {"day": "Sunday"}), "day: Input should be 'Monday' or"),
        (
            CallTool("book_appointment", {"day": "Monday", "price": 1}),
            "price: Extra inputs are not permitted",
        ),
        (CallTool("cancel", is_invented=True), "there is no tool of this name; there are: book_"),
    ],
    ids=["broken", "missing", "wrong", "unknown", "invented"],
)
def test_what_is_wrong_with_a_call_is_told_to_the_model(call: CallTool, problem: str) -> None:
    clinic, model = Clinic(), model_that((call,), (Say("For which day?"),))
    caller = virtually(answered(clinic, model))
    assert caller.said() == "For which day?"
    assert problem in told(model)[-1]["content"]
    assert (clinic.booked, caller.of("tool_call_invocation")) == ([], [])


def test_a_model_that_goes_on_calling_ends_in_an_excuse() -> None:
    model = model_that((CallTool("find_slots"),))
    caller = virtually(answered(Clinic(), model))
    assert caller.said() == f"One moment, please. {EXCUSE}"
    assert len(model.asked) == 5


def test_a_model_that_says_nothing_is_asked_once_more() -> None:
    assert virtually(answered(Clinic(), model_that((), (Say("Yes."),)))).said() == "Yes."
    model = model_that(())
    assert virtually(answered(Clinic(), model)).said() == EXCUSE
    assert len(model.asked) == 2


def test_a_tool_that_fails_is_told_without_its_words_and_may_be_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clinic = Clinic(failures=1)
    model = model_that((BOOK,), (Say("Again?"),), (BOOK,), (Say(BOOKED),))

    async def run() -> Caller:
        async with calling(clinic.agent(model)) as caller:
            await caller.ask("Book Monday.")
            await caller.ask("Yes.")
        return caller

    with caplog.at_level(logging.INFO):
        caller = virtually(run())
    assert results(caller) == [
        ("It failed. Tell the caller so.", False),
        ("booked for Monday", True),
    ]
    assert clinic.booked == ["Monday"]
    [line] = [line for line in caplog.messages if "failed" in line]
    assert "tool book_appointment: RuntimeError in book_appointment" in line
    assert "secret" not in caplog.text + json.dumps(told(model))


def test_a_tool_may_say_itself_why_it_failed() -> None:
    tools = Toolbox()

    @tools.add(has_effect=True)
    async def cancel() -> None:
        """Cancel the appointment."""
        raise ToolError("there is no appointment")

    model = model_that((CallTool("cancel"),), (Say("There is none."),))

    async def run() -> Caller:
        async with calling(ToolResponder(provider_of(model), tools=tools)) as caller:
            await caller.ask("Cancel it.")
        return caller

    assert results(virtually(run())) == [("there is no appointment", False)]


def test_a_slow_tool_is_spoken_of_until_it_is_given_up() -> None:
    clinic = Clinic(100)
    model = model_that((CallTool("find_slots"),), (Say("It takes too long."),))
    caller = virtually(answered(clinic, model))
    said = "One moment, please. It takes a little longer, please hold on. It takes too long."
    assert caller.said() == said
    assert results(caller) == [("It took too long and was given up. Tell the caller so.", False)]
    assert clinic.looked == 0


def test_a_slow_tool_with_an_effect_runs_on_and_is_never_started_twice() -> None:
    clinic = Clinic(15)
    model = model_that((BOOK,), (Say("It takes long."),), (BOOK,), (Say(BOOKED),))

    async def run() -> Caller:
        async with calling(clinic.agent(model)) as caller:
            assert "It takes long." in await caller.ask("Book Monday.")
            assert await caller.ask("Is it done?") == f"{LINE} {BOOKED}"
        return caller

    caller = virtually(run())
    assert clinic.booked == ["Monday"]
    assert len(caller.of("tool_call_invocation")) == 1
    assert results(caller) == [
        ("It takes longer than expected, and is still running. Tell the caller so.", None),
        ("booked for Monday", True),
    ]


def test_what_ended_meanwhile_is_told_into_the_next_silence() -> None:
    clinic = Clinic(15)
    model = model_that((BOOK,), (Say("It takes long."),), (Say(BOOKED),))

    async def run() -> Caller:
        async with calling(clinic.agent(model)) as caller:
            await caller.ask("Book Monday.")
            assert "hold on" in await caller.ask(kind="reminder_required")
            await asyncio.sleep(10)
            assert await caller.ask(kind="reminder_required") == BOOKED
            assert await caller.ask(kind="reminder_required") == NUDGES[0]
        return caller

    caller = virtually(run())
    assert results(caller)[-1] == ("booked for Monday", True)
    assert "The caller is waiting" in told(model)[-1]["content"]


@pytest.mark.parametrize("weaves", [True, False])
def test_a_caller_who_says_it_twice_is_booked_once(weaves: bool) -> None:
    clinic = Clinic(2)
    model = model_that((BOOK,), (BOOK,), (Say(BOOKED),))

    async def run() -> Caller:
        async with calling(clinic.agent(model)) as caller:
            caller.weaves = weaves
            await caller.say("Yes.")
            await caller.hear(response_type="tool_call_invocation")
            await asyncio.sleep(1)
            assert await caller.ask("Yes, please.") == f"One moment, please. {BOOKED}"
        return caller

    caller = virtually(run())
    assert clinic.booked == ["Monday"]
    assert len(caller.of("tool_call_invocation")) == 1
    assert results(caller) == [("booked for Monday", True)]
    at_first = [message["content"] for message in told(model, 1)]
    assert at_first.index("booked for Monday") < len(at_first) - 1


def test_case_and_blanks_make_no_second_booking() -> None:
    clinic = Clinic()
    twice = [
        CallTool("book_appointment", {"day": "Monday", "name": name})
        for name in ("Ann Lee", " ann  LEE ")
    ]
    model = model_that(tuple(twice), (Say(BOOKED),))
    caller = virtually(answered(clinic, model))
    assert (clinic.booked, len(results(caller))) == (["Monday"], 1)


def test_calls_know_nothing_of_one_another() -> None:
    clinic = Clinic()
    model = model_that((BOOK,), (Say(BOOKED),), (BOOK,), (Say(BOOKED),))

    async def run() -> None:
        async with calls_of(clinic.agent(model), "a", "b") as callers:
            for caller in callers:
                await caller.ask("Book Monday.")

    virtually(run())
    assert clinic.booked == ["Monday", "Monday"]


def test_a_lookup_dies_with_its_turn_and_gets_a_result() -> None:
    clinic = Clinic(2)
    model = model_that((CallTool("find_slots"),), (Say("Never mind."),))

    async def run() -> Caller:
        async with calling(clinic.agent(model)) as caller:
            await caller.say("When are you free?")
            await caller.hear(response_type="tool_call_invocation")
            assert await caller.ask("Never mind.") == "Never mind."
        return caller

    caller = virtually(run())
    assert clinic.looked == 0
    assert results(caller) == [("It was interrupted before it was finished.", False)]


def test_a_turn_that_dies_closes_the_stream_at_once() -> None:
    model = model_that((Say("la "), Hang()), (Say("Yes?"),))

    async def run() -> list[str]:
        async with calling(Clinic().agent(model)) as caller:
            await caller.say("Sing.")
            await caller.hear(content="la ")
            await caller.ask("Stop.")
        return [asked.outcome for asked in model.asked]

    assert virtually(run()) == ["aborted", "finished"]


# Actions


def actions(caller: Caller) -> list[tuple[str, bool | None, bool]]:
    """The pieces of the last answer: words, whether it ends the call, whether they are safe."""
    return [
        (frame["content"], frame.get("end_call"), frame.get("no_interruption_allowed", False))
        for frame in caller.of("response")
        if frame["response_id"] == caller.response_id
    ]


def test_the_words_of_a_farewell_are_protected() -> None:
    bye = CallTool("end_call", {"farewell": "Thank you, **goodbye**!"})
    caller = virtually(answered(Clinic(), model_that((bye,)), "Bye.", can=(end_call,)))
    assert actions(caller) == [("Thank you, goodbye!", True, True), ("", True, True)]


def test_there_is_always_a_farewell() -> None:
    can = (end_call.saying("Auf Wiederhören."),)
    caller = virtually(answered(Clinic(), model_that((CallTool("end_call"),)), "Bye.", can=can))
    assert caller.said() == "Auf Wiederhören."


def test_a_model_that_has_parted_does_not_part_twice() -> None:
    bye = CallTool("end_call", {"farewell": "Goodbye."})
    model = model_that((Say("Thank you. "), Say("Good"), Say("bye"), Say("."), bye))
    caller = virtually(answered(Clinic(), model, "Bye.", can=(end_call,)))
    assert actions(caller) == [
        ("Thank you. ", None, False),
        ("Good", None, False),
        ("bye.", True, True),
        ("", True, True),
    ]


def test_words_are_not_held_back_for_long() -> None:
    model = model_that((Say("Well."), Wait(2), Say(" Goodbye."), Wait(2), CallTool("end_call")))
    caller = virtually(answered(Clinic(), model, "Bye.", can=(end_call,)))
    assert [words for words, *_ in actions(caller)] == ["Well.", " Goodbye.", " Goodbye.", ""]


async def barge_in(agent: ToolResponder, *texts: str, kind: str = "response_required") -> Caller:
    """A caller who speaks after a farewell."""
    async with calling(agent) as caller:
        await caller.ask(texts[0])
        for text in texts[1:]:
            await caller.ask(text, kind)
    return caller


BYE = CallTool("end_call")
LOST = "end_call was not carried out, because the caller spoke. Call it again if they still want"


def test_an_action_that_was_lost_is_told_to_the_model_until_it_has_answered() -> None:
    model = model_that((BYE,), (Say("Yes?"),), (Say("At nine."),))
    agent = Clinic().agent(model, can=(end_call,))
    virtually(barge_in(agent, "Bye.", "Wait.", "When?"))
    assert f"\n{LOST}" in prompt(model, 1)
    assert told(model, 1)[-1]["content"] == "Wait."
    assert LOST not in prompt(model, 2)


def test_a_lost_action_can_be_taken_again() -> None:
    model = model_that((BYE,), (BYE,))
    agent = Clinic().agent(model, can=(end_call,))
    caller = virtually(barge_in(agent, "Bye.", "Bye bye!"))
    assert actions(caller) == [("Goodbye.", True, True), ("", True, True)]


def test_a_lost_action_is_offered_again_into_a_silence_without_a_model() -> None:
    model = model_that((CallTool("end_call", {"farewell": "You are booked, bye."}),))
    agent = Clinic().agent(model, can=(end_call,))
    caller = virtually(barge_in(agent, "Bye.", "", kind="reminder_required"))
    assert actions(caller) == [("Goodbye.", True, True), ("", True, True)]
    assert len(model.asked) == 1


def test_an_action_that_the_caller_spoke_against_is_not_taken_into_a_silence() -> None:
    refusal = Script(when="wait", status=500)
    model = ScriptedLlm([refusal, Script(when="bye", steps=(BYE,)), Script(steps=(Say("Yes?"),))])

    async def run() -> list[str]:
        async with calling(Clinic().agent(model, can=(end_call,))) as caller:
            await caller.ask("Bye.")
            excuse = await caller.ask("No, wait!")
            nudge = await caller.ask(kind="reminder_required")
            await caller.ask("Hello?")
        return [excuse, nudge]

    assert virtually(run()) == [EXCUSE, NUDGES[0]]
    assert LOST in prompt(model)


def test_a_silence_after_an_answer_is_broken_by_a_nudge() -> None:
    model = model_that((BYE,), (Say("Yes?"),))

    async def run() -> str:
        async with calling(Clinic().agent(model, can=(end_call,))) as caller:
            await caller.ask("Bye.")
            await caller.ask("Wait.")
            return await caller.ask(kind="reminder_required")

    assert virtually(run()) == NUDGES[0]


def test_a_transfer_goes_to_a_number_of_the_list_and_to_no_other() -> None:
    to = CallTool("transfer_call", {"to": "doctor"})
    wrong = CallTool("transfer_call", {"to": "+15550000000"})
    model = model_that((wrong,), (to,))
    can = (transfer({"reception": "+15555550100", "doctor": "+15555550101"}),)
    caller = virtually(answered(Clinic(), model, "The doctor, please.", can=can))
    assert {piece.get("transfer_number") for piece in caller.of("response")[2:]} == {"+15555550101"}
    assert "to: Input should be 'reception' or 'doctor'" in told(model)[-1]["content"]
    assert caller.said() == "I will put you through."


def test_what_a_tool_did_meanwhile_is_noted_before_the_action() -> None:
    model = model_that((BOOK,), (Say("It takes long."),), (BYE,))

    async def run() -> Caller:
        async with calling(Clinic(15).agent(model, can=(end_call,))) as caller:
            await caller.ask("Book Monday.")
            await caller.ask("Bye.")
            await asyncio.sleep(10)
            await caller.ask(kind="reminder_required")
        return caller

    caller = virtually(run())
    assert results(caller)[-1] == ("booked for Monday", True)
    assert actions(caller) == [("Goodbye.", True, True), ("", True, True)]


def test_keys_are_not_pressed_again_into_a_silence() -> None:
    model = model_that((CallTool("press_digits", {"digits": "1#"}),))
    agent = Clinic().agent(model, can=(press_digits,))
    caller = virtually(barge_in(agent, "Press one.", "", kind="reminder_required"))
    assert caller.said() == NUDGES[0]


def test_keys_that_were_pressed_are_not_offered_again() -> None:
    model = model_that((CallTool("press_digits", {"digits": "1#"}),), (Say("And now?"),))
    agent = Clinic().agent(model, can=(press_digits,))
    caller = virtually(barge_in(agent, "Press one.", "Done."))
    assert {piece.get("digit_to_press") for piece in caller.of("response")} == {None, "1#"}
    assert "not carried out" not in prompt(model)


def test_keys_whose_words_were_cut_short_are_offered_again() -> None:
    model = model_that((CallTool("press_digits", {"digits": "1#"}),), (Say("And now?"),))

    async def run() -> None:
        async with calling(Clinic().agent(model, can=(press_digits,))) as caller:
            await caller.ask("Press one.")
            caller.woven[-1]["content"] = "One"
            await caller.ask("One moment, please?")
            assert await caller.ask(kind="reminder_required") == NUDGES[0]

    virtually(run())
    assert "press_digits was not carried out" in prompt(model)


def test_the_first_action_is_taken() -> None:
    model = model_that((CallTool("transfer_call"), BYE))
    can = (end_call, transfer("+15555550100"))
    caller = virtually(answered(Clinic(), model, "A human!", can=can))
    assert not any("end_call" in piece for piece in caller.of("response"))
    assert caller.said() == "I will put you through."


def test_an_action_beside_a_tool_waits_for_it() -> None:
    bye = CallTool("end_call", {"farewell": "You are booked, goodbye."})
    clinic = Clinic()
    caller = virtually(answered(clinic, model_that((BOOK, bye)), can=(end_call,)))
    assert (clinic.booked, caller.said()) == (["Monday"], f"{LINE} You are booked, goodbye.")
    assert caller.of("response")[-1]["end_call"]


def test_an_action_beside_a_tool_that_fails_is_not_taken() -> None:
    model = model_that((BOOK, BYE), (Say("It did not work."),))
    caller = virtually(answered(Clinic(failures=1), model, can=(end_call,)))
    assert caller.said() == f"{LINE} It did not work."
    assert "Not carried out yet" in json.dumps(told(model))


def test_an_action_beside_a_tool_that_cannot_be_run_is_not_taken() -> None:
    wrong = CallTool("book_appointment", {"day": "Sunday"})
    model = model_that((wrong, BYE), (Say("For which day?"),))
    caller = virtually(answered(Clinic(), model, can=(end_call,)))
    assert caller.said() == "For which day?"
    assert not any("end_call" in frame for frame in caller.of("response"))


def test_two_things_of_one_name_are_refused() -> None:
    tools = Toolbox()
    tools.add()(_named("end_call"))
    with pytest.raises(SetupError, match="two things are called 'end_call', expected one of each"):
        ToolResponder(provider_of(ScriptedLlm()), tools=tools, can=(end_call,))


def _named(name: str) -> Any:
    def function() -> None:
        """Do nothing."""

    function.__name__ = name
    return function


def test_a_model_may_be_asked_to_break_a_silence() -> None:
    model = model_that((Say("Hello?"),))

    async def run() -> str:
        async with calling(Clinic().agent(model, nudges=())) as caller:
            return await caller.ask(kind="reminder_required")

    assert virtually(run()) == "Hello?"
    assert "silent for a while" in told(model)[-1]["content"]


def test_the_platform_is_asked_for_the_transcript_with_tool_calls() -> None:
    model = model_that((Say("Yes."),))
    caller = virtually(answered(Clinic(), model))
    assert caller.of("config")[0]["config"] == {
        "auto_reconnect": True,
        "transcript_with_tool_calls": True,
    }
