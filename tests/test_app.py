"""The app on a real socket: what a platform would see, and what is left behind."""

import asyncio
import contextlib
import gc
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from fastapi import FastAPI, WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from llmws_tutorial.checks import Conditions, Finding, in_memory, judge, select
from llmws_tutorial.errors import SetupError
from llmws_tutorial.messages import AgentInterrupt, ConfigFields, read_response
from llmws_tutorial.notebook import Server, serve
from llmws_tutorial.server import (
    DummyResponder,
    HangUp,
    Piece,
    Responder,
    ScriptedResponder,
    Settings,
    Turn,
    create_app,
)
from llmws_tutorial.server.session import EXCUSE
from llmws_tutorial.server.settings import ModelSettings
from llmws_tutorial.simulator import place_call
from tests.calling import calling as calling_in_memory
from tests.virtual_time import run_virtually

PATIENCE_S = 30.0
QUICK = Settings(first_piece_s=0.2, next_piece_s=0.2, facts_s=0.1)


@contextlib.contextmanager
def serving(responder: Responder, **options: Any) -> Iterator[Server]:
    options.setdefault("settings", Settings())
    with serve(create_app(responder, **options), name="app", show_log=False) as server:
        yield server


@contextlib.contextmanager
def calling(
    responder: Responder, call_id: str = "c1", **options: Any
) -> Iterator[ClientConnection]:
    """A call that was configured and greeted."""
    with serving(responder, **options) as server, dialled(server) as ws:
        while not received(ws).get("content_complete"):
            pass
        yield ws


def dialled(server: Server, path: str = "c1", origin: Any = None) -> ClientConnection:
    return connect(f"{server.websocket_url}{path}", proxy=None, origin=origin)


def received(ws: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(ws.recv(PATIENCE_S))
    return message


def ask(ws: ClientConnection, response_id: int, kind: str = "response_required") -> None:
    said = [{"role": "user", "content": "Hello?"}]
    request = {"interaction_type": kind, "response_id": response_id, "transcript": said}
    ws.send(json.dumps(request))


def answer(ws: ClientConnection, response_id: int) -> str:
    """The whole answer to a request, from nothing but its own frames."""
    text, is_complete = "", False
    while not is_complete:
        message = received(ws)
        assert message["response_id"] == response_id
        text, is_complete = text + message["content"], message["content_complete"]
    return text


def ping(ws: ClientConnection) -> None:
    ws.send('{"interaction_type":"ping_pong","timestamp":12}')
    assert received(ws) == {"response_type": "ping_pong", "timestamp": 12}


def counted(server: Server, sample: str) -> float:
    with urlopen(f"{server.url}metrics") as page:
        lines = [line for line in page.read().decode().splitlines() if line.startswith(sample)]
    return float(lines[0].rpartition(" ")[2]) if lines else 0


def until(server: Server, sample: str, value: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while counted(server, sample) != value:
        assert time.monotonic() < deadline, f"{sample} is {counted(server, sample)}"


def asgi(app: FastAPI, *frames: str, **scope: Any) -> list[Any]:
    """What an app sends on a socket without a network: all of it at once."""
    sent: list[Any] = []
    received = iter(
        [
            {"type": "websocket.connect"},
            *({"type": "websocket.receive", "text": text} for text in frames),
            {"type": "websocket.disconnect", "code": 1000, "reason": ""},
        ]
    )

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {
        "type": "websocket",
        "path": "/llm-websocket/c1",
        "headers": [(b"host", b"localhost")],
        "extensions": {"websocket.http.response": {}},
    }
    asyncio.run(app({**whole, **scope}, receive, send))
    return sent


class Endless:
    """Talks for ever, and notes how it was ended."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.said = 0
        self.ended: list[int] = []

    async def __call__(self, turn: Turn) -> AsyncIterator[Piece]:
        if turn.kind == "begin":
            return
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            while True:
                self.said += 1
                yield "la "
                await asyncio.sleep(0.01)
        finally:
            self.running -= 1
            self.ended.append(turn.response_id)


def test_configuration_and_greeting_come_first() -> None:
    with serving(DummyResponder()) as server, dialled(server) as ws:
        assert received(ws) == {"response_type": "config", "config": {"auto_reconnect": True}}
        assert received(ws)["content"] == "How may I help you?"


def test_a_correct_app_has_no_finding() -> None:
    async def look() -> list[Finding]:
        async with in_memory(create_app(DummyResponder(), settings=Settings())) as transport:
            return await judge(transport, select(), Conditions())

    findings = run_virtually(look())
    assert [str(finding) for finding in findings if finding.is_failure()] == []
    assert [finding.case.id for finding in findings if finding.passed]


def test_the_stand_in_hears_the_agent() -> None:
    script = ScriptedResponder(["Hello. "], [["We are ", 0.01, "open."], [HangUp(), "Bye."]])
    with serving(script) as server:
        record = asyncio.run(place_call(server.websocket_url, ["Are you open?", "Thanks."]))
    assert str(record).splitlines()[-1] == "agent: Bye."
    assert (record.disconnection_reason, record.dropped) == ("agent_hangup", [])


@pytest.mark.parametrize("kind", ["response_required", "reminder_required"])
def test_a_plain_function_is_a_responder(kind: str) -> None:
    with calling(lambda turn: f"{turn.kind} {len(turn.transcript)}") as ws:
        ask(ws, 1, kind)
        assert answer(ws, 1) == f"{kind.partition('_')[0]} 1"


def test_a_coroutine_is_a_responder() -> None:
    async def think(turn: Turn) -> str:
        await asyncio.sleep(0)
        return f"answer {turn.response_id}"

    with calling(think) as ws:
        ask(ws, 1)
        assert answer(ws, 1) == "answer 1"


def test_an_iterator_that_is_no_generator_is_a_responder() -> None:
    class Two:
        def __init__(self, turn: Turn) -> None:
            self.left = ["One. ", "Two."]

        def __aiter__(self) -> "Two":
            return self

        async def __anext__(self) -> Piece:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    with calling(Two) as ws:
        ask(ws, 1)
        assert answer(ws, 1) == "One. Two."


def test_pieces_go_out_while_the_answer_is_still_made() -> None:
    script = ScriptedResponder([], [["One. ", PATIENCE_S]])
    with calling(script) as ws:
        ask(ws, 1)
        assert received(ws)["content"] == "One. "
        ping(ws)


def test_a_newer_request_ends_the_older_generation() -> None:
    responder = Endless()
    with calling(responder) as ws:
        for response_id in range(1, 6):
            ask(ws, response_id)
            while received(ws)["response_id"] != response_id:
                pass
    assert responder.ended[:4] == [1, 2, 3, 4]
    assert responder.most == 1


def test_a_burst_of_requests_starts_one_generation() -> None:
    begun: list[int] = []

    async def think(turn: Turn) -> AsyncIterator[Piece]:
        begun.append(turn.response_id)
        yield f"answer {turn.response_id}"

    with calling(think, settings=Settings(settle_s=1)) as ws:
        for response_id in range(1, 101):
            ask(ws, response_id)
        assert answer(ws, 100) == "answer 100"
    assert begun == [0, 100]


def test_a_burst_of_coroutines_leaves_none_unawaited() -> None:
    async def think(turn: Turn) -> str:
        await asyncio.sleep(0.05)
        return "Yes."

    with calling(think) as ws:
        for response_id in range(1, 51):
            ask(ws, response_id)
        assert answer(ws, 50) == "Yes."
    gc.collect()  # a coroutine that nobody awaited would warn here, and a warning is an error


def test_hanging_up_ends_the_generation() -> None:
    responder = Endless()
    with serving(responder) as server:
        with dialled(server) as ws:
            ask(ws, 1)
            while received(ws).get("content") != "la ":
                pass
        until(server, 'llmws_turns_total{ended="cancelled",kind="response"}', 1)
    assert (responder.running, responder.ended) == (0, [1])


def test_a_generation_has_ended_before_the_next_piece_of_it() -> None:
    async def hang_up() -> tuple[float, float]:
        responder = Endless()
        async with calling_in_memory(responder) as caller:
            await caller.say("Sing!")
            await caller.hear(content="la ")
            said, at_s = responder.said, asyncio.get_running_loop().time()
        while responder.running:  # noqa: ASYNC110 - whoever generates tells nothing of its end
            await asyncio.sleep(0.001)
        return responder.said - said, asyncio.get_running_loop().time() - at_s

    pieces, took_s = run_virtually(hang_up())
    assert pieces <= 1
    assert took_s <= 0.01, "it makes one piece every 10 ms"


@pytest.mark.refuses_to_end
def test_a_generation_that_will_not_stop_holds_up_nobody_for_long() -> None:
    async def stubborn(turn: Turn) -> AsyncIterator[Piece]:
        while turn.response_id == 1:
            with contextlib.suppress(asyncio.CancelledError):
                yield "still "
                await asyncio.sleep(0.05)
        yield "Here."

    with calling(stubborn, settings=Settings(next_piece_s=3)) as ws:
        ask(ws, 1)
        received(ws)
        ask(ws, 2)
        while (message := received(ws))["response_id"] == 1:
            pass
        assert message["content"] == "Here."
        ask(ws, 3)


class Broken:
    """Fails in one of the ways in which a responder can."""

    def __init__(self, way: str) -> None:
        self.way = way

    def __call__(self, turn: Turn) -> Any:
        if turn.kind == "begin":
            return "Hi."
        return getattr(self, self.way)()

    def raises(self) -> str:
        raise KeyError("model")

    async def raises_later(self) -> str:
        raise ConnectionRefusedError

    async def hangs(self) -> str:
        await asyncio.sleep(PATIENCE_S)
        return "too late"

    async def says_nothing(self) -> AsyncIterator[Piece]:
        await asyncio.sleep(PATIENCE_S)
        yield "too late"

    def returns_a_number(self) -> int:
        return 7

    async def yields_a_number(self) -> AsyncIterator[Any]:
        yield 7

    def returns_half_a_character(self) -> str:
        return "\ud800"

    def exits(self) -> str:
        raise SystemExit(3)

    async def exits_later(self) -> AsyncIterator[Piece]:
        sys.exit(3)
        yield "never"

    def cancels(self) -> str:
        raise asyncio.CancelledError

    async def awaits_what_was_cancelled(self) -> str:
        inner = asyncio.ensure_future(asyncio.sleep(PATIENCE_S))
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner
        return "never"

    async def raises_a_group(self) -> str:
        raise BaseExceptionGroup("both", [KeyError("a"), KeyboardInterrupt()])

    async def yields_nothing(self) -> AsyncIterator[Piece]:
        return
        yield "never"


@pytest.mark.parametrize("way", [way for way in vars(Broken) if not way.startswith("_")])
def test_a_responder_that_fails_still_closes_its_turn_in_words(way: str) -> None:
    with calling(Broken(way), settings=QUICK) as ws:
        ask(ws, 1)
        assert answer(ws, 1) == EXCUSE
        ask(ws, 2)
        assert answer(ws, 2) == EXCUSE


def test_an_empty_answer_is_silence_and_no_failure() -> None:
    with calling(ScriptedResponder([], [[""]])) as ws:
        ask(ws, 1)
        assert answer(ws, 1) == ""
        ask(ws, 2, "reminder_required")
        assert answer(ws, 2) == ""


class SlowToStop:
    """Needs some time to clean up after each turn, as one that closes a stream does."""

    def __init__(self) -> None:
        self.open = self.most = 0

    async def __call__(self, turn: Turn) -> AsyncIterator[Piece]:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            yield f"turn {turn.response_id}"
            await asyncio.sleep(PATIENCE_S * (turn.response_id in (1, 2)))
        finally:
            await asyncio.sleep(0.1)
            self.open -= 1


def test_there_are_never_two_generations_also_when_they_are_slow_to_stop() -> None:
    responder = SlowToStop()
    with calling(responder, settings=Settings(settle_s=0)) as ws:
        ask(ws, 1)
        assert received(ws)["content"] == "turn 1"
        ask(ws, 2)
        ping(ws)  # the second has begun to wait for the first
        ask(ws, 3)
        assert answer(ws, 3) == "turn 3"
    assert responder.most == 1


def test_there_are_never_two_generations_across_two_sockets_of_a_call() -> None:
    responder = SlowToStop()
    with calling(responder, settings=Settings(settle_s=0)) as dead:
        ask(dead, 1)
        received(dead)
        url = f"ws://127.0.0.1:{dead.socket.getpeername()[1]}/llm-websocket/c1"
        with connect(url, proxy=None) as ws:
            received(ws)
            ask(ws, 3)
            assert answer(ws, 3) == "turn 3"
    assert responder.most == 1


def test_a_responder_that_never_waits_leaves_time_to_others() -> None:
    async def chatter(turn: Turn) -> AsyncIterator[Piece]:
        while turn.response_id == 1:
            yield "la "
        yield "Enough."

    with calling(chatter, settings=Settings(settle_s=0)) as ws:
        ask(ws, 1)
        received(ws)
        ask(ws, 2)
        while (message := received(ws))["response_id"] == 1:
            pass
        assert message["content"] == "Enough."


def test_a_responder_that_stops_in_mid_answer_excuses_itself_after_it() -> None:
    with calling(ScriptedResponder([], [["Well,", 1.0]]), settings=QUICK, excuse="Sorry.") as ws:
        ask(ws, 1)
        assert answer(ws, 1) == "Well, Sorry."


def test_a_greeting_awaits_the_facts_of_the_call() -> None:
    def greet(turn: Turn) -> str:
        return f"Hello {turn.facts.retell_llm_dynamic_variables.get('name', 'you')}."

    details = {"call": {"retell_llm_dynamic_variables": {"name": "Anna"}}}
    patient = Settings(facts_s=PATIENCE_S)
    with serving(greet, awaits_facts=True, settings=patient) as server, dialled(server) as ws:
        assert received(ws)["config"] == {"auto_reconnect": True, "call_details": True}
        ws.send(json.dumps({"interaction_type": "call_details", **details}))
        assert received(ws)["content"] == "Hello Anna."


def test_a_greeting_does_not_await_the_facts_for_ever() -> None:
    with calling(DummyResponder(), awaits_facts=True, settings=QUICK) as ws:
        ping(ws)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\x00", "Cannot find corresponding Retell LLM."),
        ("Hello", "Cannot parse incoming message."),
    ],
)
def test_a_frame_of_no_platform_closes_the_call(frame: str | bytes, reason: str) -> None:
    with calling(DummyResponder()) as ws:
        ws.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(PATIENCE_S)
        assert closed.value.rcvd
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1002, reason)


def test_an_odd_message_keeps_the_call_and_is_one_line_in_the_log() -> None:
    with serving(DummyResponder()) as server, dialled(server) as ws:
        ws.send('{"interaction_type":"new\\nINFO: forged"}')
        assert server.log.wait_for(r"ignored, unknown interaction_type 'new\nINFO: forged'")
        assert "INFO: forged" not in list(server.log)
        assert counted(server, 'llmws_drops_total{event="ignored"}') == 1


def test_a_call_that_was_lost_comes_back_without_a_greeting() -> None:
    with serving(DummyResponder()) as server:
        with dialled(server) as ws:
            received(ws)
            ws.socket.shutdown(2)
        until(server, "llmws_open_calls ", 0)
        with dialled(server) as ws:
            assert received(ws)["response_type"] == "config"
            ask(ws, 7)
            assert answer(ws, 7) == "I am sorry, can you say that again?"


def test_a_call_that_is_dialled_again_takes_over_from_its_dead_socket() -> None:
    responder = Endless()
    with serving(responder) as server, dialled(server) as dead:
        ask(dead, 1)
        while received(dead).get("content") != "la ":
            pass
        with dialled(server) as ws:
            assert received(ws)["response_type"] == "config"
            until(server, 'llmws_turns_total{ended="cancelled",kind="response"}', 1)
            ask(ws, 2)
            assert received(ws)["content"] == "la "
            assert {json.loads(text)["response_id"] for text in dead} <= {1}
            assert dead.close_code == 1001
    assert responder.most == 1


def test_a_call_that_was_lost_before_its_greeting_is_greeted() -> None:
    async def slow(turn: Turn) -> str:
        await asyncio.sleep(0.3)
        return "Hello."

    with serving(slow) as server:
        with dialled(server) as ws:
            received(ws)
            ws.socket.shutdown(2)
        until(server, "llmws_open_calls ", 0)
        with dialled(server) as ws:
            assert received(ws)["response_type"] == "config"
            assert answer(ws, 0) == "Hello."


def test_a_call_that_is_open_may_come_again_when_there_is_no_place_for_others() -> None:
    full = Settings(max_calls=1)
    with (
        serving(DummyResponder(), settings=full) as server,
        dialled(server) as dead,
        dialled(server) as ws,
    ):
        assert received(ws)["response_type"] == "config"
        assert [json.loads(text)["response_type"] for text in dead] == ["config", "response"]
        with pytest.raises(InvalidStatus, match="HTTP 503"), dialled(server, "c2"):
            pass


async def think(turn: Turn) -> str:
    return "Yes."


@pytest.mark.parametrize(
    "responder", [think, lambda turn: "Yes.", ScriptedResponder(["A"], [["B"]])]
)
def test_every_answer_is_timed(responder: Any) -> None:
    with serving(responder) as server, dialled(server) as ws:
        received(ws)
        answer(ws, 0)
        ask(ws, 1)
        answer(ws, 1)
        assert counted(server, "llmws_first_piece_seconds_count") == 2


def test_a_call_that_was_hung_up_is_greeted_when_its_id_comes_again() -> None:
    with serving(DummyResponder()) as server:
        for _ in range(2):
            with dialled(server) as ws:
                received(ws)
                assert received(ws)["content"] == "How may I help you?"
            until(server, "llmws_open_calls ", 0)


@pytest.mark.parametrize(
    ("path", "origin"),
    [("c1", "https://evil.example"), ("a%20b", None), ("x" * 200, None), ("", None)],
)
def test_who_is_not_the_platform_is_refused(path: str, origin: Any) -> None:
    with serving(DummyResponder()) as server:
        with pytest.raises(InvalidStatus, match="HTTP 403"), dialled(server, path, origin=origin):
            pass
        assert counted(server, 'llmws_refused_total{status="403"}') == 1


@pytest.mark.parametrize(
    ("name", "settings", "is_let_in"),
    [
        ("127.0.0.1:3000", {}, True),
        ("LOCALHOST", {}, True),
        ("[::1]:3000", {}, True),
        ("evil.example", {}, False),
        ("127.0.0.1.evil.example", {}, False),
        ("agent.example:443", {"hosts": "other.example, agent.example"}, True),
        ("evil.example", {"hosts": "agent.example", "secret": "s3cret"}, False),
        ("agent.example", {"secret": "s3cret"}, True),
    ],
)
def test_a_server_answers_to_its_own_names(
    name: str, settings: dict[str, str], is_let_in: bool
) -> None:
    headers = [(b"host", name.encode())]
    path = f"/llm-websocket/{settings.get('secret', '')}/c1".replace("//", "/")
    [first, *_] = asgi(
        create_app(DummyResponder(), settings=Settings(**settings)),  # type: ignore[arg-type]
        path=path,
        headers=headers,
    )
    assert first == (
        {"type": "websocket.accept"}
        if is_let_in
        else {"type": "websocket.http.response.start", "status": 421, "headers": []}
    )


@pytest.mark.parametrize("path", ["c1", "wrong/c1", "s3cret/more/c1"])
def test_a_secret_in_the_path_must_be_known(path: str) -> None:
    with serving(DummyResponder(), settings=Settings(secret="s3cret")) as server:
        with pytest.raises(InvalidStatus, match="HTTP 403"), dialled(server, path):
            pass
        with dialled(server, "s3cret/c1") as ws:
            received(ws)


def test_too_many_calls_are_refused_and_the_others_go_on() -> None:
    with serving(DummyResponder(), settings=Settings(max_calls=1)) as server, dialled(server) as ws:
        with pytest.raises(InvalidStatus, match="HTTP 503"), dialled(server, "c2"):
            pass
        ask(ws, 1)
        assert [received(ws)["response_type"] for _ in range(3)][-1] == "response"


def test_a_call_that_lasts_too_long_is_hung_up() -> None:
    with serving(DummyResponder(), settings=Settings(call_s=0.2)) as server, dialled(server) as ws:
        with contextlib.suppress(ConnectionClosed):
            while True:
                received(ws)
        assert ws.close_code == 1000


def test_a_message_out_of_turn_reaches_the_call() -> None:
    app = create_app(Endless(), settings=Settings())
    said = AgentInterrupt(interrupt_id=1, content="Wait, please.", content_complete=True)

    @app.post("/wait/{call_id}")
    async def wait(call_id: str) -> None:
        await app.state.calls[call_id].send(said)

    with serve(app, name="app", show_log=False) as server, dialled(server) as ws:
        ask(ws, 1)
        while received(ws).get("content") != "la ":
            pass
        with urlopen(f"{server.url}wait/c1", data=b""):
            pass
        while not (last := received(ws))["content_complete"]:
            pass
        assert (last["response_type"], last["response_id"]) == ("response", 1)
        assert read_response(json.dumps(received(ws))) == said
        ping(ws)


def test_ten_thousand_turns_leave_nothing_behind() -> None:
    async def think(turn: Turn) -> AsyncIterator[Piece]:
        yield f"{len(turn.transcript)}"

    async def talk() -> None:
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        outbox: asyncio.Queue[Any] = asyncio.Queue()
        inbox.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/llm-websocket/c1", "headers": []}
        headers = [(b"host", b"localhost")]
        app = create_app(think, settings=Settings(settle_s=0))
        call = asyncio.create_task(app({**scope, "headers": headers}, inbox.get, outbox.put))
        sizes = []
        for response_id in range(1, 10_001):
            said = [{"role": "user", "content": f"{response_id}"}]
            request = {"interaction_type": "response_required", "response_id": response_id}
            text = json.dumps({**request, "transcript": said})
            inbox.put_nowait({"type": "websocket.receive", "text": text})
            while f'"response_id":{response_id},"content":"","content_complete":true' not in (
                (await outbox.get()).get("text", "")
            ):
                pass
            if response_id in (1000, 10_000):
                gc.collect()
                sizes.append((len(gc.get_objects()), len(asyncio.all_tasks())))
        inbox.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
        await call
        (objects, tasks), (more_objects, more_tasks) = sizes
        assert more_objects - objects < 500
        assert more_tasks == tasks

    asyncio.run(talk())


def test_a_transcript_of_ten_thousand_utterances_stalls_nobody() -> None:
    async def read(turn: Turn) -> AsyncIterator[Piece]:
        yield f"I read {len(turn.transcript)}."

    longest = 0.0

    async def talk() -> None:
        nonlocal longest
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        outbox: asyncio.Queue[Any] = asyncio.Queue()
        inbox.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/llm-websocket/c1"}
        headers = [(b"host", b"localhost")]
        app = create_app(read, settings=Settings())
        call = asyncio.create_task(app({**scope, "headers": headers}, inbox.get, outbox.put))
        said = [{"role": "user", "content": "Hello, is anybody there?"}] * 10_000
        request = {"interaction_type": "response_required", "response_id": 1, "transcript": said}
        text = json.dumps(request)
        inbox.put_nowait({"type": "websocket.receive", "text": text})
        heard = ""
        while "I read 10000." not in heard:
            began = time.thread_time()  # what others do on this machine is not counted
            await asyncio.sleep(0)  # as another call would wait for its turn
            longest = max(longest, time.thread_time() - began)
            heard += "" if outbox.empty() else outbox.get_nowait().get("text", "")
        inbox.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
        await call

    asyncio.run(talk())
    assert longest < 0.25


def test_transcripts_are_logged_only_when_asked() -> None:
    for asked in (False, True):
        with serving(DummyResponder(), settings=Settings(logs_transcripts=asked)) as server:
            with dialled(server) as ws:
                received(ws)
                received(ws)
                ask(ws, 1)
                answer(ws, 1)
            assert ("Hello?" in str(server.log)) is asked
            assert ("can you say that again" in str(server.log)) is asked


@pytest.mark.parametrize("asked", [False, True])
def test_what_a_failing_responder_quotes_is_logged_only_when_asked(
    asked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def quote(turn: Turn) -> str:
        raise ValueError([said.content for said in turn.transcript])

    card = "my card is 4111 1111 1111 1111"
    request = {"interaction_type": "response_required", "response_id": 1}
    text = json.dumps({**request, "transcript": [{"role": "user", "content": card}]})
    app = create_app(quote, settings=Settings(logs_transcripts=asked))
    with caplog.at_level(logging.INFO):
        asgi(app, text)
    assert "failed, turn 1: ValueError" in caplog.text
    assert ("my card is [card number]" in caplog.text) is asked
    assert "4111" not in caplog.text


def test_the_app_says_how_it_is() -> None:
    with serving(DummyResponder()) as server, dialled(server) as ws:
        received(ws)
        with urlopen(f"{server.url}health") as page:
            assert json.load(page) == {"status": "ok", "calls": 1}
        with urlopen(server.url) as page:
            assert page.read() == b"Hello World!"


def test_the_app_can_be_mounted_beside_others() -> None:
    outer = FastAPI()
    outer.mount("/voice", create_app(DummyResponder(), settings=Settings()))
    with serve(outer, name="outer", show_log=False) as server:
        url = f"{server.url}voice/llm-websocket/"
        record = asyncio.run(place_call(url, ["Hello?"]))
    assert len(record.transcript) == 3


def test_the_last_words_are_said_also_where_no_second_disconnect_comes() -> None:
    async def slow(turn: Turn) -> AsyncIterator[Piece]:
        yield "Well. "
        await asyncio.sleep(0.05)
        yield "That is all."

    async def main() -> list[Any]:
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)
            if "Well. " in message.get("text", ""):
                inbox.put_nowait({"type": "websocket.disconnect", "code": 1012, "reason": ""})

        inbox.put_nowait({"type": "websocket.connect"})
        headers = [(b"host", b"localhost")]
        scope = {"type": "websocket", "path": "/llm-websocket/c1", "headers": headers}
        app = create_app(slow, settings=Settings())
        await asyncio.wait_for(app(scope, inbox.get, send), PATIENCE_S)
        return sent

    *_, words, last, close = asyncio.run(main())
    assert "That is all." in words["text"]
    assert '"content_complete":true' in last["text"]
    assert (close["type"], close["code"]) == ("websocket.close", 1012)


def test_a_middleware_of_ones_own_sees_the_calls() -> None:
    seen: list[str] = []

    class Watch:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["type"])
            await self.app(scope, receive, send)

    app = create_app(DummyResponder(), settings=Settings())
    assert len(asgi(app)) == 3
    assert seen == []
    app = create_app(DummyResponder(), settings=Settings())
    app.add_middleware(Watch)
    assert len(asgi(app)) == 3
    assert seen == ["websocket"]


def test_a_socket_of_ones_own_is_reached_beside_the_calls() -> None:
    app = create_app(DummyResponder(), settings=Settings())

    @app.websocket("/mine")
    async def mine(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("Hello")

    assert asgi(app, path="/mine", query_string=b"")[-1]["text"] == "Hello"


def test_without_the_extension_a_refusal_is_a_close(caplog: pytest.LogCaptureFixture) -> None:
    """As an ASGI server without websocket.http.response would ask."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"origin", b"https://evil.example")]
    scope = {"type": "websocket", "path": "/llm-websocket/c1", "headers": headers}
    with caplog.at_level(logging.WARNING):
        asyncio.run(create_app(DummyResponder(), settings=Settings())(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("dies_at", ["config", "response_id"])
def test_a_line_that_dies_is_logged_once(dies_at: str, caplog: pytest.LogCaptureFixture) -> None:
    """As uvicorn tells it: sending raises, and then comes a disconnect without a reason."""
    app = create_app(DummyResponder(), settings=Settings())
    received = iter(["websocket.connect", "websocket.disconnect"])

    async def receive() -> Any:
        return {"type": next(received), "code": 1005}

    async def send(message: Any) -> None:
        if dies_at in message.get("text", ""):
            raise OSError("gone")

    headers = [(b"host", b"localhost:3000")]
    scope = {"type": "websocket", "path": "/llm-websocket/c1", "headers": headers}
    with caplog.at_level(logging.INFO):
        asyncio.run(app(scope, receive, send))
    assert caplog.text.count("call 'c1': over, lost after 0.0 s") == 1
    assert "failed" not in caplog.text


def test_settings_come_from_the_environment_and_exported_ones_win(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("LLMWS_MAX_CALLS=5\nLLMWS_SECRET=from-file\nOTHER=1\n")
    monkeypatch.setenv("LLMWS_SECRET", "exported")
    assert (Settings().max_calls, Settings().secret) == (5, "exported")


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("LLMWS_MAX_CALLS", "10001", "expected it to be less than or equal to 10000"),
        ("LLMWS_SETTLE_S", "soon", "expected it to be a valid number"),
        ("LLMWS_BUDGET", "3", "expected it to be greater than or equal to 400"),
    ],
)
def test_a_setting_that_does_not_fit_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SetupError, match=f"^{variable} is '{value}', {problem}"):
        (ModelSettings if variable == "LLMWS_BUDGET" else Settings)()


def test_nothing_is_asked_for_when_the_configuration_says_so() -> None:
    config = ConfigFields(transcript_with_tool_calls=True)
    with serving(DummyResponder(), config=config) as server, dialled(server) as ws:
        assert received(ws)["config"] == {"transcript_with_tool_calls": True}
