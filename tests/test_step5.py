"""Step 5 between a caller and a model that says what it is told to, or fails."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final
from urllib.request import urlopen

import pytest

from llmws_tutorial.notebook import Server, check, serve
from llmws_tutorial.simulator import CallRecord, dial, place_call
from llmws_tutorial.simulator.llm_endpoint import create_endpoint
from llmws_tutorial.simulator.scripted_llm import (
    Asked,
    Break,
    CallTool,
    Empty,
    Hang,
    Raw,
    Say,
    Script,
    ScriptedLlm,
    Wait,
)
from llmws_tutorial.steps import step5
from tests.test_steps import GREETING, PATIENCE_S, Running, closing, heard, is_quiet, request

ASKED: Final = "Are you open on Sunday?"


@pytest.fixture
def ended() -> "SimpleQueue[Asked]":
    """What the model was asked, each as soon as it has ended."""
    return SimpleQueue()


@pytest.fixture
def model(ended: "SimpleQueue[Asked]") -> ScriptedLlm:
    return ScriptedLlm(on_end=ended.put)


@pytest.fixture
def provider(model: ScriptedLlm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The model at the address where the step looks for one."""
    with serve(create_endpoint(model), name="model", show_log=False) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.delenv("OPENAI_MODEL", raising=False)
        yield server


@pytest.fixture
def url(provider: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the step listens; it has little patience with the model."""
    monkeypatch.setattr(step5, "PATIENCE_S", 2.0)
    with serve(step5.app, name="step 5", show_log=False) as server:
        yield server.websocket_url


def call(url: str, *says: str | None) -> CallRecord:
    return asyncio.run(place_call(url, says or (ASKED,), speed=50))


def messages(model: ScriptedLlm) -> Any:
    """What the model was told last, without the prompt."""
    prompt, *said = model.asked[-1].request["messages"]
    assert prompt == {"role": "system", "content": step5.PROMPT}
    return said


def test_a_model_is_heard_before_it_has_finished(url: str, model: ScriptedLlm) -> None:
    model.add(Script(steps=(Say("Yes,"), Say(" we are."), Wait(0.8), Say(" From ten."))))
    turn = call(url).turns[-1]
    assert turn.heard == "Yes, we are. From ten."
    assert turn.voice_at_s is not None
    assert turn.complete_at_s is not None
    assert turn.voice_at_s < turn.complete_at_s


def test_a_model_is_told_the_whole_call(url: str, model: ScriptedLlm) -> None:
    call(url, "Hello?", ASKED)
    assert messages(model) == [
        {"role": "assistant", "content": "How may I help you?"},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "I understand."},
        {"role": "user", "content": ASKED},
    ]


def test_two_callers_have_nothing_in_common(url: str, model: ScriptedLlm) -> None:
    async def both() -> list[CallRecord]:
        says = ["I am the first."], ["I am the second."]
        return await asyncio.gather(*(place_call(url, one, speed=50) for one in says))

    asyncio.run(both())
    last = sorted(asked.request["messages"][-1]["content"] for asked in model.asked)
    assert last == ["I am the first.", "I am the second."]
    assert {len(asked.request["messages"]) for asked in model.asked} == {3}


@pytest.mark.parametrize("named", [None, "", "llama3.2"])
def test_the_model_is_the_one_that_is_set(
    named: str | None, url: str, model: ScriptedLlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is not None:
        monkeypatch.setenv("OPENAI_MODEL", named)
    call(url)
    assert model.asked[-1].request["model"] == (named or step5.MODEL)


FAILURES: Final = {
    "HTTP 500": (Script(status=500), "", ["refused", "refused"]),
    "HTTP 429": (Script(status=429), "", ["refused", "refused"]),
    "a wrong key": (Script(status=401), "", ["refused"]),
    "hangs": (Script(steps=(Hang(),)), "", ["aborted"]),
    "hangs later": (Script(steps=(Say("Let me see."), Hang())), "Let me see.", ["aborted"]),
    "breaks off": (Script(steps=(Say("We are open"), Break())), "We are open", ["broken"]),
    "garbage": (Script(steps=(Say("So"), Raw("data: {not json"), Hang())), "So", ["aborted"]),
    "no delta": (Script(steps=(Raw('data: {"choices": [{}]}'), Hang())), "", ["aborted"]),
    "nothing": (Script(), "", ["finished"]),
    "blanks": (Script(steps=(Empty(), Say(" \n"))), "", ["finished"]),
    "a tool": (Script(steps=(CallTool(name="book", is_invented=True),)), "", ["finished"]),
}


@pytest.mark.parametrize(("script", "said", "outcomes"), FAILURES.values(), ids=FAILURES)
def test_each_failure_ends_in_words_and_in_a_closed_turn(
    script: Script, said: str, outcomes: list[str], url: str, model: ScriptedLlm
) -> None:
    model.add(script)
    turn = call(url).turns[-1]
    assert turn.heard.split() == f"{said} {step5.EXCUSE}".split()
    assert turn.complete_at_s is not None
    assert [asked.outcome for asked in model.asked] == outcomes


def test_a_call_goes_on_after_a_failure(url: str, model: ScriptedLlm) -> None:
    model.add(Script(when="sunday", steps=(Break(),)))
    record = call(url, ASKED, "And on Monday?")
    assert [turn.heard.strip() for turn in record.turns[1:]] == [step5.EXCUSE, "I understand."]
    assert (record.connections, record.dropped, record.lapses) == (1, [], [])


def test_a_first_chunk_without_choices_is_no_failure(url: str, model: ScriptedLlm) -> None:
    model.add(Script(steps=(Empty(), Say("Yes."))))
    assert call(url).turns[-1].heard == "Yes."


def test_who_has_hung_up_is_not_paid_for(
    url: str, model: ScriptedLlm, ended: "SimpleQueue[Asked]"
) -> None:
    """Step 5 notices it with the next piece; the model is left then, not at its end."""
    story: tuple[Say | Wait, ...] = (Say("Once upon a time"), Wait(0.05)) * 200
    model.add(Script(steps=story))

    async def leave_early() -> None:
        async with asyncio.timeout(PATIENCE_S), dial(url, speed=10) as line:
            await line.listen(PATIENCE_S)
            await line.say("Tell me a story.")
            await line.until(lambda: bool(line.record.turns[-1].sent))

    asyncio.run(leave_early())
    assert ended.get(timeout=PATIENCE_S).outcome == "aborted"
    assert len(model.asked) == 1


def test_all_calls_share_a_client_and_its_connection(url: str, provider: Server) -> None:
    for _ in range(3):
        call(url, "Hello?", ASKED)
    ports = re.findall(r':(\d+) - "POST', str(provider.log))
    assert (len(ports), len(set(ports))) == (6, 1)


def test_the_client_lives_as_long_as_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")

    async def live() -> tuple[bool, bool]:
        async with step5.lifespan(step5.app) as state:
            during = state["llm"].is_closed()
        return during, state["llm"].is_closed()

    assert asyncio.run(live()) == (False, True)


@pytest.mark.parametrize(
    ("transcript", "said"),
    [
        ([], []),
        (None, []),
        (["Hello", None, {}, {"role": "user"}, {"content": 7}], []),
        ([{"role": "user", "content": "  "}, {"content": "Hi "}], [("user", "Hi")]),
        (
            [{"role": role, "content": role} for role in ("agent", "user", "system", "agent")],
            [("assistant", "agent"), ("user", "user"), ("user", "system"), ("assistant", "agent")],
        ),
        (
            [{"role": "user", "content": "(unintelligible audio)"}],
            [("user", "(unintelligible audio)")],
        ),
    ],
)
def test_a_transcript_is_read_as_far_as_it_can_be(
    transcript: Any, said: list[tuple[str, str]]
) -> None:
    assert step5.spoken(transcript) == said


def test_two_utterances_in_a_row_are_one_message() -> None:
    said = [("agent", "Hello."), ("user", "I"), ("user", "mean"), ("agent", "Yes?")]
    transcript = [{"role": role, "content": content} for role, content in said]
    assert [(one["role"], one["content"]) for one in step5.conversation(transcript)[1:]] == [
        ("assistant", "Hello."),
        ("user", "I mean"),
        ("assistant", "Yes?"),
    ]


def test_an_empty_transcript_still_has_a_prompt() -> None:
    assert step5.conversation([]) == [{"role": "system", "content": step5.PROMPT}]


@pytest.mark.parametrize(
    ("message", "wants"),
    [
        ({"interaction_type": "response_required", "response_id": 1}, True),
        ({"interaction_type": "reminder_required", "response_id": 2}, True),
        ({"interaction_type": "update_only", "response_id": 3}, False),
        ({"interaction_type": "response_required", "response_id": True}, False),
        ({"interaction_type": "response_required", "response_id": "1"}, False),
        ({"interaction_type": "response_required"}, False),
        ({}, False),
    ],
)
def test_only_a_request_with_an_id_wants_an_answer(message: Any, wants: bool) -> None:
    assert step5.wants_answer(message) is wants


def test_the_checks_of_the_step_pass(url: str, model: ScriptedLlm) -> None:
    class Served:
        websocket_url = url

    lines = check("05", Served(), model).text.splitlines()
    [count] = [line for line in lines if line.endswith(" passed")]
    assert count.split()[0] == count.split()[2]
    assert not [line for line in lines if " failed: " in line]


@pytest.mark.usefixtures("provider")
def test_it_runs_as_its_docstring_says(model: ScriptedLlm, tmp_path: Path) -> None:
    model.add(Script(steps=(Say("Yes."), Say(" From ten."))))
    running = Running(5, tmp_path / "log")
    with urlopen(f"http://{running.address}/", timeout=PATIENCE_S) as page:
        assert page.read() == b"Hello World!"
    with running.dial() as ws:
        assert heard(ws) == GREETING
        ws.send(request("update_only"))
        assert is_quiet(ws)
        ws.send(request("response_required", 1))
        frames = [heard(ws) for _ in range(3)]
        ws.send("Hello")
        assert closing(ws) == (1002, "Cannot parse incoming message.")
    assert [frame["content"] for frame in frames] == ["Yes.", " From ten.", ""]
    assert [frame["content_complete"] for frame in frames] == [False, False, True]
    assert {json.dumps([frame["response_id"], frame["end_call"]]) for frame in frames} == {
        "[1, false]"
    }
    assert "Traceback" not in running.stop()
