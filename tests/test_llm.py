"""A responder over a model: what the model is asked, and what the caller hears."""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmws_tutorial.notebook import serve
from llmws_tutorial.server import Settings, create_app
from llmws_tutorial.server.llm import MOST_SAID, LlmResponder
from llmws_tutorial.server.provider import Provider
from llmws_tutorial.server.session import EXCUSE
from llmws_tutorial.server.settings import ModelSettings
from llmws_tutorial.simulator import CallRecord, dial, place_call
from llmws_tutorial.simulator.llm_endpoint import create_endpoint
from llmws_tutorial.simulator.scripted_llm import (
    Break,
    CallTool,
    Empty,
    Hang,
    Raw,
    Say,
    Script,
    ScriptedLlm,
    Step,
    Wait,
)
from tests.calling import calling, virtually
from tests.scripted_provider import provider_of
from tests.test_cli import child, complaint, llmws, press_ctrl_c, read_until

QUICK = Settings(first_piece_s=0.3, next_piece_s=0.3)
PATIENCE_S = 30.0
WORDLESS = 'data: {"id": "1", "choices": [{"index": 0, "delta": {}}]}'
SECRET = 'data: {"error": {"message": "a secret", "code": "too_much"}}'


def model_that(*steps: Step, status: int = 200) -> ScriptedLlm:
    return ScriptedLlm([Script(steps=steps, status=status)])


def provider(base_url: str) -> Provider:
    return Provider("m", settings=ModelSettings(base_url=base_url))


@contextlib.contextmanager
def agent(model: ScriptedLlm, settings: Settings | None = None) -> Iterator[str]:
    """The URL of a server whose agent speaks with the model."""
    with serve(create_endpoint(model), name="model", show_log=False) as endpoint:
        responder = LlmResponder(provider(f"{endpoint.url}v1"))
        app = create_app(responder, settings=settings or Settings())
        with serve(app, name="agent", show_log=False) as server:
            yield server.websocket_url


def call(model: ScriptedLlm, *says: str | None, settings: Settings | None = None) -> CallRecord:
    with agent(model, settings) as url:
        return asyncio.run(place_call(url, says, speed=200))


def roles(model: ScriptedLlm) -> list[tuple[str, str]]:
    return [
        (message["role"], message["content"]) for message in model.asked[-1].request["messages"]
    ]


def test_the_models_words_are_spoken_as_they_come() -> None:
    model = model_that(Empty(), Say("We are "), Wait(0.01), Say("open."), Raw(WORDLESS))
    record = call(model, "Are you open?")
    assert str(record).splitlines()[-1] == "agent: We are open."
    assert len([frame for frame in record.frames if '"content":"open."' in str(frame.data)]) == 1
    assert (record.dropped, model.asked[0].outcome) == ([], "finished")


def test_the_model_is_told_how_to_speak_and_what_was_said() -> None:
    model = model_that(Say("Yes."))
    call(model, "Are you open?")
    (role, prompt), *said = roles(model)
    request = model.asked[0].request
    assert (role, request["stream"], request["model"]) == ("system", True, "m")
    assert "tools" not in request  # some providers refuse an empty list
    assert "spoken aloud" in prompt
    assert said == [
        ("user", "(The call begins.)"),
        ("assistant", "How may I help you?"),
        ("user", "Are you open?"),
    ]


async def asked(responder: LlmResponder, *texts: str) -> list[str]:
    """What is said to each of these texts; none is a reminder."""
    async with calling(responder) as caller:
        return [
            await caller.ask(text, "response_required" if text else "reminder_required")
            for text in texts
        ]


def test_a_silence_is_broken_by_a_fixed_nudge_and_then_another_without_a_model() -> None:
    model = model_that(Say("Yes."))
    responder = LlmResponder(provider_of(model), nudges=("One?", "Two?"))
    said = virtually(asked(responder, "", "", "", "Hello?", ""))
    assert said == ["One?", "Two?", "Two?", "Yes.", "One?"]
    assert len(model.asked) == 1


def test_a_model_may_be_asked_to_break_a_silence() -> None:
    model = model_that(Say("Are you there?"))
    said = virtually(asked(LlmResponder(provider_of(model), nudges=()), ""))
    assert said == ["Are you there?"]
    assert "silent for a while" in model.asked[0].said


def test_what_nobody_can_say_is_not_said() -> None:
    model = model_that(Say("**Yes**, from\n"), Say("nine. Press 5*"))
    assert virtually(asked(LlmResponder(provider_of(model)), "Open?")) == [
        "Yes, from nine. Press 5*"
    ]


def test_a_model_that_says_nothing_is_asked_once_more() -> None:
    model = ScriptedLlm([Script(times=1, steps=(Say("..."),)), Script(steps=(Say(" Yes."),))])
    assert virtually(asked(LlmResponder(provider_of(model)), "Hello?")) == ["...Yes."]


@pytest.mark.parametrize("steps", [(), (CallTool("book", is_invented=True),)])
def test_a_model_that_says_nothing_twice_ends_in_an_excuse(steps: tuple[Step, ...]) -> None:
    model = model_that(*steps)
    assert virtually(asked(LlmResponder(provider_of(model)), "Hello?")) == [EXCUSE]
    assert len(model.asked) == 2


def test_what_was_said_before_a_model_failed_stays() -> None:
    model = model_that(Say("We open at"), Break())
    said = virtually(asked(LlmResponder(provider_of(model)), "When?"))
    assert said == [f"We open at {EXCUSE}"]


def test_a_long_call_is_cut_to_the_budget_of_the_provider() -> None:
    model = model_that(Say("Yes."))
    responder = LlmResponder(provider_of(model, budget=500))
    virtually(asked(responder, *["x" * 99] * 20))
    assert sum(len(message["content"]) for message in model.asked[-1].request["messages"][1:]) < 500


def test_it_greets_as_it_is_told() -> None:
    async def run() -> str:
        responder = LlmResponder(provider_of(ScriptedLlm()), greeting="Hello.")
        async with calling(responder) as caller:
            return caller.said()

    assert virtually(run()) == "Hello."


@pytest.mark.parametrize(
    "model",
    [
        model_that(status=500),
        model_that(status=401),
        model_that(),
        model_that(Empty()),
        model_that(Hang()),
    ],
    ids=["broken", "refused", "wordless", "empty", "slow"],
)
def test_a_model_that_fails_ends_the_turn_in_words(model: ScriptedLlm) -> None:
    settings = QUICK if model.scripts[0].steps == (Hang(),) else Settings()
    assert str(call(model, "Hello?", settings=settings)).splitlines()[-1] == f"agent: {EXCUSE}"


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (model_that(status=401), "the model 'm' answered with HTTP 401 (invalid_api_key)"),
        (model_that(Raw(SECRET)), "(too_much)"),
        (None, "the model 'm' cannot be reached at http://127.0.0.1:9/v1/"),
    ],
)
def test_why_a_model_failed_is_one_line_without_its_words(
    model: ScriptedLlm | None, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as stack:
        url = "http://127.0.0.1:9/"
        if model is not None:
            url = stack.enter_context(
                serve(create_endpoint(model), name="model", show_log=False)
            ).url
        app = create_app(LlmResponder(provider(f"{url}v1")), settings=Settings())
        server = stack.enter_context(serve(app, name="agent", show_log=False))
        with caplog.at_level(logging.INFO):
            asyncio.run(place_call(server.websocket_url, ["Hello?"], speed=200))
    [line] = [line for line in caplog.messages if ": failed, turn 1: " in line]
    assert problem in line
    assert "secret" not in caplog.text


def test_a_turn_that_dies_closes_the_stream_to_the_model_at_once() -> None:
    model = model_that(Say("la "), Hang())

    def outcomes() -> list[str]:
        return [asked.outcome for asked in model.asked]

    async def interrupt(url: str) -> None:
        async with dial(url, speed=200) as line:
            await line.listen(PATIENCE_S)
            await line.say("Sing!")
            await until(lambda: outcomes() == ["running"])
            await line.say("Another one!")
            await until(lambda: outcomes() == ["aborted", "running"])

    with agent(model) as url:
        asyncio.run(interrupt(url))
        asyncio.run(until(lambda: outcomes() == ["aborted", "aborted"]))


async def until(happened: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_an_agent_over_a_model_is_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = model_that(Say("We are "), Say("open."))
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-the-file\nOPENAI_BASE_URL=\n")
    with serve(create_endpoint(model), name="model", show_log=False) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{endpoint.url}v1")
        monkeypatch.setenv("LLMWS_SECRET", "s3cret")
        with child("serve", "--model", "m", "--port", "0") as process:
            url = read_until(process, r"(ws://127\.0\.0\.1:\d+/llm-websocket/)")
            record = asyncio.run(place_call(f"{url}s3cret/", ["Are you open?"]))
            press_ctrl_c(process)
    assert str(record).splitlines()[-1] == "agent: We are open."


def test_without_openai_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "openai", None)  # as if it were not there
    assert llmws("serve", "--model", "m") == 2
    assert complaint(capsys) == "llmws: models are spoken to with openai: pip install openai"


def test_the_app_closes_the_connections_to_the_model_when_it_ends() -> None:
    model = model_that(Say("Yes."))
    with serve(create_endpoint(model), name="model", show_log=False) as endpoint:
        asked_by = provider(f"{endpoint.url}v1")
        app = create_app(LlmResponder(asked_by), settings=Settings())
        for _ in range(2):  # a notebook starts its server again, in another event loop
            with serve(app, name="agent", show_log=False) as server:
                record = asyncio.run(place_call(server.websocket_url, ["Hello?"], speed=200))
                assert len(asked_by._clients) == 1
            assert asked_by._clients == {}
            assert str(record).splitlines()[-1] == "agent: Yes."


def test_a_model_that_goes_on_for_ever_is_cut_off_at_the_provider() -> None:
    model = ScriptedLlm([Script(steps=(*[Say("We are proud. ")] * 1000, Hang()))])

    async def run() -> str:
        async with calling(LlmResponder(provider_of(model))) as caller:
            return await caller.ask("Who are you?")

    assert MOST_SAID <= len(virtually(run())) < MOST_SAID + 20
    assert model.asked[0].outcome == "aborted"
