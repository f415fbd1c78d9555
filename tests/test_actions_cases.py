"""The checks on actions: what each says about a server, and what it lets pass."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from llmws_tutorial.checks import Verdict, select
from llmws_tutorial.checks.samples import actions
from llmws_tutorial.checks.samples.right import ACTIONS, Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from tests.judging import END, answering, findings_about, ruling, words

PROTECTED: Final = {"no_interruption_allowed": True}
BYE: Final = words("Goodbye!", end_call=True, **PROTECTED)
NO_BYE: Final = "not seen: expected an action: the caller says 'Goodbye.'"
NO_NUMBER: Final = (
    "not seen: expected an action: the caller says 'Please put me through to a human. ... "
    "Please press one.'"
)
EMPTY: Final = {"transfer_number": "", "digit_to_press": "", "end_call": False}
ASKING: Final = [case.id for case in select("actions") if case.scripts]
WHEN_LOST: Final = "not seen: expected an action and an open call: the caller says 'Goodbye.'"


class ActsAfterTheModelSpoke(Right):
    """Tells the model of an action as of any tool, and lets it say the farewell."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        body = self.body([{"role": "user", "content": request["transcript"][-1]["content"]}])
        tool_calls: dict[int, Json] = {}
        async for text in self.read(model(body), tool_calls):
            yield text, {}
        functions = [tool_call["function"] for tool_call in tool_calls.values()]
        names = [function["name"] for function in functions if function["name"] in ACTIONS]
        if names:
            _, fields = self.act(call, names[0], json.loads(functions[0]["arguments"]))
            async for text in self.read(model(body), {}):
                yield text, fields


class AsksNoMore(Right):
    """Does not ask the model again once it has said goodbye."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        if call.says_goodbye:
            yield "Yes?", {}
            return
        async for piece in super().pieces(call, request):
            yield piece


class ActsByInterrupt(Right):
    """Says goodbye over whatever is said."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        farewell = {"content": "Goodbye!", "content_complete": True, "end_call": True}
        await call.send("agent_interrupt", interrupt_id=1, **farewell, **PROTECTED)


class HangsUpItself(Right):
    """Closes the socket right after it asked for a hang-up."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        await call.say(request["response_id"], "Goodbye!", end_call=True, **PROTECTED)
        await call.finish(request["response_id"])
        await call._ws.close()


@pytest.mark.parametrize("case_id", ASKING)
def test_a_server_without_a_model_shows_its_actions_as_well(case_id: str) -> None:
    assert ruling(Right, case_id, has_model=False) == "ok"


def test_a_model_may_be_asked_for_the_words_of_an_action() -> None:
    findings = findings_about(ActsAfterTheModelSpoke, select("actions"))
    assert [str(found) for found in findings if found.verdict is not Verdict.OK] == []


@pytest.mark.parametrize(
    ("case_id", "steps", "expected"),
    [
        ("actions/1", [BYE, END], "ok"),
        ("actions/1", [words("Goodbye!"), words("", end_call=True), END], "ok"),
        ("actions/1", [END], "not seen: expected an end_call: the caller says 'Goodbye.'"),
        (
            "actions/1",
            [words("Goodbye!"), END, words("", end_call=True)],
            "not seen: expected an end_call: the caller says 'Goodbye.'",
        ),
        (
            "actions/1",
            [words(" ", end_call=True, content_complete=True)],
            "failed: expected words in the turn of end_call, got none",
        ),
        ("actions/2", [words("Bye", **EMPTY | {"end_call": True}), END], "ok"),
        ("actions/2", [BYE, BYE, END], "ok"),
        (
            "actions/2",
            [words("I put you through.", transfer_number="+15550100"), BYE, END],
            "failed: expected one action in a turn, got transfer_number and end_call",
        ),
        (
            "actions/2",
            [END],
            "not seen: expected an action: the caller says 'Please put me through to a human.'",
        ),
        ("actions/3", [BYE, END], "ok"),
        ("actions/3", [words("I see. "), BYE, END], "ok"),
        ("actions/3", [words("", digit_to_press="1"), END], "ok"),
        ("actions/3", [words("Goodbye!", **PROTECTED), words("", end_call=True), END], "ok"),
        (
            "actions/3",
            [words("Goodbye!"), words("", end_call=True, content_complete=True)],
            "not strict: expected no_interruption_allowed with the words of an action, got "
            "'Goodbye!' without it",
        ),
        (
            "actions/3",
            [BYE, words("Have a nice day."), END],
            "failed: expected no_interruption_allowed with the words of an action, got 'Have a "
            "nice day.' without it",
        ),
        ("actions/3", [END], NO_BYE),
        ("actions/4", [BYE, END], "ok"),
        ("actions/4", [END], WHEN_LOST),
        ("actions/6", [BYE, END], "ok"),
        ("actions/6", [words("Bye", end_call=True, content_complete=True)], "ok"),
        (
            "actions/6",
            [BYE],
            "failed: expected content_complete in the turn of an action, got a turn that stays "
            "open",
        ),
        (
            "actions/6",
            [words("Goodbye!"), END, BYE],
            "failed: expected an action before its turn is complete, got response_id 1 was "
            "already complete",
        ),
        ("actions/6", [END], NO_BYE),
        ("actions/7", [END], "ok"),
        ("actions/7", [words("Yes", **EMPTY), END], "ok"),
        (
            "actions/7",
            [BYE, END],
            "failed: expected end_call only when the conversation is over, got end_call in an "
            "ordinary answer",
        ),
        ("actions/8", [words("I see."), END], "ok"),
        ("actions/8", [words("", **PROTECTED), END], "ok"),
        ("actions/8", [BYE, END], "ok"),
        ("actions/8", [words("Thank you. ", **PROTECTED), BYE, END], "ok"),
        (
            "actions/8",
            [words("I see.", **PROTECTED), END],
            "not strict: expected an answer that the caller can interrupt, got "
            "no_interruption_allowed in an ordinary one",
        ),
    ],
)
def test_actions_are_judged(case_id: str, steps: list[Any], expected: str) -> None:
    assert ruling(answering(*steps), case_id, has_model=False) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"transfer_number": "+15555550100"}, "ok"),
        ({"transfer_number": "+15555550100;ext=12"}, "ok"),
        ({"transfer_number": "+15555550100 ext. 12"}, "ok"),
        ({"transfer_number": "sip:desk@office.example"}, "ok"),
        ({"transfer_number": "tel:+15555550100"}, "ok"),
        ({"digit_to_press": "1"}, "ok"),
        ({"digit_to_press": "1w2#*A"}, "ok"),
        ({"end_call": True}, NO_NUMBER),
        (EMPTY, NO_NUMBER),
        ({"transfer_number": None}, NO_NUMBER),
        (
            {"transfer_number": "(555) 555-0100"},
            "not strict: expected a transfer_number such as '+15555550100', got '(555) 555-0100'",
        ),
        (
            {"transfer_number": "the front desk"},
            "failed: expected a transfer_number that can be dialled, got 'the front desk'",
        ),
        (
            {"digit_to_press": "one"},
            "failed: expected a digit_to_press of 0-9, * and #, got 'one'",
        ),
        ({"digit_to_press": 1}, "failed: expected digit_to_press as a string, got 1"),
        (
            {"transfer_number": 15555550100},
            "failed: expected transfer_number as a string, got 15555550100",
        ),
        ({"content": None}, NO_NUMBER),
    ],
)
def test_numbers_and_keys_are_judged(fields: dict[str, Any], expected: str) -> None:
    server = answering(words("One moment.") | fields, END)
    assert ruling(server, "actions/5", has_model=False) == expected


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (HangsUpItself, WHEN_LOST),
        (
            AsksNoMore,
            "not seen: expected a server that asks the model again when the caller speaks again",
        ),
        (
            actions.SaysGoodbyeOnce,
            "failed: expected the action again, in the next answer, got an answer without it",
        ),
    ],
)
def test_a_lost_action_is_looked_for(server: type[Right], expected: str) -> None:
    assert ruling(server, "actions/4") == expected


def test_no_answer_has_no_action_in_it() -> None:
    class FallsSilent(AsksNoMore):
        async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
            if not call.says_goodbye:
                yield self.act(call, "end_call", {})

    said = ruling(FallsSilent, "actions/4", has_model=False)
    assert said == "failed: expected the action again, in the next answer, got no answer"


@pytest.mark.parametrize("case_id", ["actions/1", "actions/2", "actions/3", "actions/6"])
def test_an_interrupt_can_have_an_action_as_well(case_id: str) -> None:
    assert ruling(ActsByInterrupt, case_id, has_model=False) == "ok"


def test_a_greeting_may_be_protected() -> None:
    class Insists(Right):
        async def greet(self, call: SampleCall) -> None:
            await call.finish(0, "This call is recorded.", **PROTECTED)

    assert ruling(Insists, "actions/8") == "ok"


def test_the_words_of_a_transfer_are_protected_as_well() -> None:
    class ProtectsFarewells(Right):
        def act(self, call: SampleCall, name: str, arguments: Json) -> Piece:
            content, fields = super().act(call, name, arguments)
            return content, {**fields, "no_interruption_allowed": "end_call" in fields}

    for has_model in (True, False):
        assert ruling(ProtectsFarewells, "actions/3", has_model=has_model) == (
            "failed: expected no_interruption_allowed with the words of an action, "
            "got 'I will put you through.' without it"
        )
