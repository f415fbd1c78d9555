"""Step 7 after an action that was thrown away: offered again, told to the model, never repeated.

No frame says that an action was lost: the next request does, whether the caller has spoken or not.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from websockets.sync.client import ClientConnection, connect

from llmws_tutorial.notebook import serve
from llmws_tutorial.simulator.llm_endpoint import create_endpoint
from llmws_tutorial.simulator.scripted_llm import CallTool, Hang, Say, Script, ScriptedLlm
from llmws_tutorial.steps import step6, step7
from llmws_tutorial.steps.step5 import EXCUSE
from tests.test_steps import heard, request

BYE = Script(when="bye", steps=(CallTool("end_call"),))
PERSON = Script(when="person", steps=(CallTool("transfer_call"),))
WORDS = Script(steps=(Say("Yes?"),))
LOST = step7.LOST.format("end_call")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLlm]:
    model = ScriptedLlm([BYE, PERSON, WORDS])
    with serve(create_endpoint(model), name="model", show_log=False) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield model


class Caller:
    """Somebody who talks to the step, request by request."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.response_id = 0

    def say(self, text: str, kind: str = "response_required") -> None:
        self.response_id += 1
        transcript = [{"role": "user", "content": text}]
        self.ws.send(request(kind, self.response_id, transcript=transcript))

    def hear(self) -> tuple[str, dict[str, Any]]:
        """The words of the answer, and its last frame."""
        words = ""
        while True:
            frame = heard(self.ws)
            words += frame["content"]
            if frame["content_complete"]:
                return words.strip(), frame

    def ask(self, text: str) -> str:
        self.say(text)
        return self.hear()[0]

    def be_silent(self) -> tuple[str, dict[str, Any]]:
        self.say("", "reminder_required")
        return self.hear()


@pytest.fixture
def caller(model: ScriptedLlm) -> Iterator[Caller]:
    with (
        serve(step7.app, name="step 7", show_log=False) as server,
        connect(f"{server.websocket_url}{uuid4().hex}", proxy=None) as ws,
    ):
        heard(ws)  # the config
        assert heard(ws)["content"] == step6.GREETING
        yield Caller(ws)


@pytest.mark.parametrize(("text", "name"), [("Bye!", "end_call"), ("A person!", "transfer_call")])
def test_into_a_silence_it_is_offered_again_in_its_own_words(
    caller: Caller, model: ScriptedLlm, text: str, name: str
) -> None:
    caller.ask(text)
    for _ in range(2):
        words, frame = caller.be_silent()
        assert words == step7.FAREWELLS[name]
        assert step7.ACTIONS[name].items() <= frame.items()
    assert len(model.asked) == 1


def test_a_caller_who_has_spoken_is_only_asked_whether_they_are_there(caller: Caller) -> None:
    caller.ask("Bye!")
    assert caller.ask("Wait.") == "Yes?"
    words, frame = caller.be_silent()
    assert (words, frame["end_call"]) == (step6.NUDGE, False)


def told_of_it(model: ScriptedLlm) -> list[bool]:
    return [LOST in asked.request["messages"][0]["content"] for asked in model.asked]


def test_a_turn_that_dies_does_not_take_the_news_with_it(
    caller: Caller, model: ScriptedLlm
) -> None:
    model.scripts.insert(0, Script(when="wait", times=1, steps=(Say("Well. "), Hang())))
    caller.ask("Bye!")
    caller.say("Wait.")
    assert heard(caller.ws)["content"] == "Well. "
    assert caller.ask("I said wait.") == "Yes?"
    assert told_of_it(model) == [False, True, True]


def test_a_model_that_fails_does_not_take_the_news_with_it(
    caller: Caller, model: ScriptedLlm
) -> None:
    model.scripts.insert(0, Script(when="wait", status=400))
    caller.ask("Bye!")
    assert caller.ask("Wait.") == EXCUSE
    assert caller.be_silent()[0] == step6.NUDGE
    assert caller.ask("Hello?") == "Yes?"
    assert told_of_it(model) == [False, True, True]
