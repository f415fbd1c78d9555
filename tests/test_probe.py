"""A case at work: each move, and the patience with a server that does not do its part."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import WebSocket

from llmws_tutorial.checks import moves
from llmws_tutorial.checks.case import OK, Case, Grade, Need, Severity
from llmws_tutorial.checks.exchange import Event, Exchange, Missed, Posted, Refused, Sent
from llmws_tutorial.checks.memory import Memory, in_memory
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Move, Open, Watch
from llmws_tutorial.checks.probe import PATIENCE_S, Conditions, observe
from llmws_tutorial.checks.samples.right import SECRET, WEBHOOK_KEY, Right
from llmws_tutorial.checks.transport import LineEnded, Socket
from llmws_tutorial.simulator.scripted_llm import Hang, Say, Script, ScriptedLlm
from tests.virtual_time import run_virtually

CASE = Case(
    id="test/1",
    title="is a test",
    requirement="It is observed.",
    why="-",
    source="-",
    grade=Grade.KIT,
    severity=Severity.ERROR,
    fix="-",
    step="01",
    moves=(),
    judge=lambda exchange: OK,
)


class Mute(Right):
    """Takes the call and says nothing."""

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        await ws.accept()
        while (await ws.receive())["type"] != "websocket.disconnect":
            pass


class Closing(Right):
    """Hangs up as soon as it is asked something."""

    async def take_request(self, call: Any, request: Any) -> None:
        await call._ws.close(1011)


def saw(
    server: type[Right],
    *did: Move,
    scripts: Iterable[Script] = (),
    has_model: bool = False,
    patience_s: float = PATIENCE_S,
) -> Exchange:
    """What is seen while these moves are made."""

    async def run() -> Exchange:
        model = ScriptedLlm(now_s=asyncio.get_running_loop().time)
        app = server(model.stream if has_model else None).app
        conditions = Conditions(
            llm=model if has_model else None, webhook_key=WEBHOOK_KEY, patience_s=patience_s
        )
        path = f"/llm-websocket/{SECRET}/"
        async with in_memory(app, path=path, webhook="/webhook") as memory:
            case = replace(CASE, moves=did, scripts=tuple(scripts), needs=frozenset(Need))
            return await observe(case, memory, conditions)

    return run_virtually(run())


def missed(exchange: Exchange) -> list[tuple[float, str]]:
    return [(round(one.at_s, 1), one.what) for one in exchange.of(Missed, None)]


def said(exchange: Exchange) -> list[str]:
    """The caller's words in each request."""
    requests = [json.loads(one.data) for one in exchange.of(Sent)]
    return [one["transcript"][-1]["content"] for one in requests if "transcript" in one]


# Waiting


def test_what_comes_is_waited_for_no_longer_than_it_takes() -> None:
    exchange = saw(Right, Open(), Greeted(), Ask(1), Answered(1))
    assert missed(exchange) == []
    assert exchange.now_s < 0.5
    turn = exchange.turn(1)
    assert turn
    assert turn.sent == "I see. What else can I do for you?"


def test_what_does_not_come_is_waited_for_once() -> None:
    exchange = saw(Mute, Open(), Ask(1), Answered(1), Ask(2), Answered(2))
    assert missed(exchange) == [
        (5.0, "wait for the whole answer 1"),
        (5.0, "wait for the whole answer 2"),
    ]


def test_a_server_that_does_not_greet_may_still_answer() -> None:
    exchange = saw(Mute, Open(), Greeted(), Ask(1), Answered(1), patience_s=2)
    assert [at_s for at_s, _ in missed(exchange)] == [2.0, 4.0]


def test_nobody_is_waited_for_on_a_line_that_has_ended() -> None:
    exchange = saw(Closing, Open(), Greeted(), Ask(1), Answered(1), Ask(2))
    assert missed(exchange) == [(exchange.of(Missed)[0].at_s, "wait for the whole answer 1")]
    assert exchange.now_s < 0.5
    assert len(said(exchange)) == 1


def test_a_line_that_was_not_opened_has_no_answers() -> None:
    exchange = saw(Right, Open(is_wrong=True), Greeted(), Ask(1), Answered(1))
    [refusal] = exchange.of(Refused)
    assert "HTTP 403" in str(refusal)
    assert refusal.stage == "HTTP"
    assert exchange.now_s < 0.5


def test_time_passes_while_one_watches() -> None:
    assert saw(Mute, Open(), Watch(3600)).now_s == pytest.approx(3600)


# What is sent


def test_each_line_is_a_call_of_its_own() -> None:
    exchange = saw(Right, Open(), Open(line="b"), Greeted(), Greeted(line="b"), moves.HangUp("b"))
    frames = [json.loads(one.data) for one in exchange.of(Sent, None)]
    calls = [frame["call"]["call_id"] for frame in frames if "call" in frame]
    assert [call[:13] + call[-2:] for call in calls] == ["check_test_1__a", "check_test_1__b"]
    assert calls[0][:-1] != calls[1][:-1]


def test_updates_frames_and_drops_are_made() -> None:
    exchange = saw(
        Right, Open(), Greeted(), moves.Update("Well"), moves.Send("null"), moves.Drop(), Open()
    )
    assert exchange.of(Sent)[-2].data != exchange.of(Sent)[-1].data
    assert "null" in [one.data for one in exchange.of(Sent)]
    assert "we hung up" in [str(event) for event in exchange.events]


# The model


def scripted(*, has_model: bool = True) -> Exchange:
    first, second = Script(steps=(Say("One."),)), Script(steps=(Say("Two."),))
    asks = (Open(), Greeted(), Ask(1), Answered(1), Ask(2), Answered(2), Ask(3), Answered(3))
    return saw(Right, *asks, scripts=[first, second], has_model=has_model)


def test_the_model_does_what_the_case_says_in_order_and_the_last_thing_again() -> None:
    exchange = scripted()
    answers = [turn.sent for turn in exchange.turns["a"]]
    assert answers[1:] == ["One.", "Two.", "Two."]
    assert [asked.outcome for asked in exchange.upstream] == ["finished"] * 3


def test_a_case_is_known_to_the_model_by_a_number_in_the_caller_s_words() -> None:
    words = said(scripted())
    assert len(set(words)) == 1
    assert words[0].startswith("Hello, can you help me? My number is ")


def test_without_a_model_the_caller_s_words_are_as_they_are() -> None:
    exchange = scripted(has_model=False)
    assert set(said(exchange)) == {"Hello, can you help me?"}
    assert exchange.upstream == []


def test_a_generation_is_waited_for_until_it_has_begun_and_ended() -> None:
    hangs = Script(steps=(Hang(),))
    asks = (Open(), Greeted(), Ask(1), moves.ModelAsked(), moves.ModelLeft(1.0), moves.HangUp())
    exchange = saw(Right, *asks, moves.ModelLeft(), scripts=[hangs], has_model=True)
    assert [what for _, what in missed(exchange)] == [
        "wait up to 1 s until no generation is running"
    ]
    assert [asked.outcome for asked in exchange.upstream] == ["aborted"]


def test_a_model_that_is_not_asked_is_missed() -> None:
    exchange = saw(Mute, Open(), moves.ModelAsked(2), scripts=[Script(steps=(Say("x"),))])
    assert missed(exchange) == [(5.0, "wait until the model is asked 2 times")]


# The webhook


def test_webhooks_are_signed_as_the_case_says() -> None:
    ways: list[Any] = ["now", "never", "wrong key", "ten minutes ago"]
    posts: list[Move] = [moves.Post(b'{"event": "call_started"}', way) for way in ways]
    exchange = saw(Right, *posts)
    assert [posted.status for posted in exchange.of(Posted)] == [204, 401, 401, 401]
    assert str(exchange.of(Posted)[0]) == "the webhook answered 204"


class Failing(Right):
    """Raises at each webhook."""

    def know(self, event: Any) -> int:
        raise ValueError("unknown")


def test_a_webhook_that_raises_is_a_problem_and_no_error() -> None:
    [posted] = saw(Failing, moves.Post(b"{}")).of(Posted)
    assert posted.problem == "it raised ValueError('unknown')"


# A server that does not read


class Deaf:
    """A socket whose peer never reads and never says anything."""

    def __init__(self) -> None:
        self.is_dropped = False

    async def send(self, data: str | bytes, pieces: int = 1) -> None:
        await asyncio.Future()

    async def receive(self) -> str | bytes:
        await asyncio.Future()
        raise LineEnded(1006)

    async def hang_up(self) -> bool:
        return False

    def drop(self) -> None:
        self.is_dropped = True


class Deafness(Memory):
    """A way to nobody who listens."""

    def __init__(self) -> None:
        super().__init__(lambda: None, path="/", webhook=None)  # type: ignore[arg-type, return-value]
        self.socket = Deaf()

    async def open(self, call_id: str, **options: Any) -> Socket:
        return self.socket


@pytest.mark.parametrize("move", [moves.Update(), Ask(1), moves.Send("x")], ids=str)
def test_a_server_that_never_reads_is_given_up(move: Move) -> None:
    transport = Deafness()

    async def run() -> list[Event]:
        case = replace(CASE, moves=(Open(), move, Greeted(), moves.HangUp()))
        exchange = await observe(case, transport, Conditions(patience_s=2))
        return exchange.events

    events = run_virtually(run())
    assert "in vain: the server does not read" in [str(event) for event in events]
    assert events[-1].at_s == 2.0
    assert transport.socket.is_dropped


def test_a_hang_up_without_an_answer_is_noted() -> None:
    async def run() -> Exchange:
        case = replace(CASE, moves=(Open(), moves.HangUp()))
        return await observe(case, Deafness(), Conditions())

    assert str(run_virtually(run()).events[-1]) == "we hung up, and the server did not close"
