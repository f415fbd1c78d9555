"""Odd input: what ends a call, what must not, and which servers are right in either way."""

import asyncio
import contextlib
import json
from typing import Any, Final

import pytest
from fastapi import FastAPI, WebSocket
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from llmws_tutorial.checks import CASES, Case, Finding, Verdict, in_memory, judge, select
from llmws_tutorial.checks.cases import odd_frames as odd
from llmws_tutorial.checks.exchange import Ended, Exchange, Got
from llmws_tutorial.checks.moves import Ask
from llmws_tutorial.checks.samples.odd_input import WRONG
from llmws_tutorial.checks.samples.right import BadFrame, Json, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.messages import Response, write
from llmws_tutorial.server import DummyResponder, create_app
from llmws_tutorial.simulator.verdict import read_frame
from llmws_tutorial.steps import step1, step3
from tests.judging import findings_about, ruling
from tests.virtual_time import run_virtually

INPUT: Final = [case for case in CASES if case.topic == "input"]
FOREIGN: Final = [f"input/{number}" for number in range(1, 6)]
WORDS: Final = ["input/21", "input/22"]


def case(case_id: str) -> Case:
    [found] = select(case_id)
    return found


def findings_of(app: FastAPI, *ids: str) -> list[Finding]:
    """What the cases (all without any) find about an app without a secret in its path."""

    async def run() -> list[Finding]:
        async with in_memory(app) as transport:
            return await judge(transport, [case(one) for one in ids] or INPUT)

    return run_virtually(run())


def not_ok(findings: list[Finding]) -> dict[str, Verdict]:
    return {found.case.id: found.verdict for found in findings if found.verdict is not Verdict.OK}


def seen(*events: Ended | Got) -> Exchange:
    exchange = Exchange(lambda: 0.0)
    exchange.events.extend(events)
    return exchange


def response(response_id: int) -> str:
    return write(Response(response_id=response_id, content="I see.", content_complete=True))


def closed(code: int = 1002, reason: str = "") -> Ended:
    return Ended(at_s=0.0, code=code, reason=reason)


DROPPED: Final = "got the server dropped the connection without a close frame (1006)"
CLOSED: Final = "got the server closed with 1002 'Cannot parse incoming message.'"
RULINGS: Final = {
    "input/1": "failed: expected a close with 1002 after a binary frame, "
    "got the server closed with 1003 'Cannot find corresponding Retell LLM.'",
    "input/2": "failed: expected a close with 1002 after the text Hello, "
    "got the server closed with 1011 'Cannot parse incoming message.'",
    "input/3": f"failed: expected a close with 1002 after null, {DROPPED}",
    "input/4": "not strict: expected a close with 1002 after an empty text frame, got an open call",
    "input/5": f"failed: expected a close with 1002 after a list, {DROPPED}",
    "input/6": f"failed: expected an open call after an unknown event, {DROPPED}",
    "input/7": f"failed: expected an open call after an object without fields, {DROPPED}",
    "input/8": "failed: expected a whole answer with response_id 1 after unknown fields, got none",
    "input/9": f"failed: expected an open call after the role transfer_target, {DROPPED}",
    "input/10": "failed: expected a whole answer with response_id 1 after "
    "(unintelligible audio), got none",
    "input/11": f"failed: expected an open call after words that are null, {DROPPED}",
    "input/12": f"failed: expected an open call after a request without response_id, {DROPPED}",
    "input/13": f"failed: expected an open call after a request without transcript, {DROPPED}",
    "input/14": f"failed: expected an open call after a content that is null, {DROPPED}",
    "input/15": f"failed: expected an open call after half a character, {DROPPED}",
    "input/16": "failed: expected frames that are JSON after a heartbeat at NaN, got one with NaN",
    "input/17": "failed: expected a whole answer with response_id 1 after "
    "deep JSON in another call, got none",
    "input/18": f"failed: expected an open call after a message in three fragments, {CLOSED}",
    "input/19": f"failed: expected an open call after call_details, twice, {DROPPED}",
    "input/20": "failed: expected a whole answer with response_id 1 after "
    "an utterance of 900 kB, got none",
    "input/21": "not strict: expected the reason 'Cannot find corresponding Retell LLM.', "
    "got the server closed with 1002 'expected text'",
    "input/22": "not strict: expected the reason 'Cannot parse incoming message.', "
    "got the server closed with 1002 'expected JSON'",
}


@pytest.mark.parametrize("case_id", WRONG)
def test_a_ruling_names_what_was_sent_and_what_came_of_it(case_id: str) -> None:
    said, _, raised = ruling(WRONG[case_id], case_id).partition(": the app raised ")
    assert said == RULINGS[case_id]
    assert bool(raised) is said.endswith(DROPPED)


class Slow(Right):
    """Thinks for a while about each request, and reads nothing meanwhile."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        if type(request.get("response_id")) is int:
            await asyncio.sleep(4)
            await self.answer(call, request)


class Mute(Right):
    """Lets the caller speak first, and does not say so."""

    async def greet(self, call: SampleCall) -> None:
        pass


class Brief(Right):
    """Says everything in one frame."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        await call.finish(request["response_id"], "I see.")


class Chatty(Right):
    """Comments on every message, and has something to add to every answer."""

    async def take(self, call: SampleCall, message: Json) -> None:
        await call.send("metadata", metadata={"took": str(message)[:20]})
        await call.send("update_agent", agent_config={"responsiveness": 0.5})
        await super().take(call, message)

    async def answer(self, call: SampleCall, request: Json) -> None:
        await super().answer(call, request)
        fields = {"interrupt_id": request["response_id"], "content_complete": True}
        await call.send("agent_interrupt", content="And one more thing.", **fields)


class Plain(Right):
    """Asks the platform for nothing."""

    async def configure(self, call: SampleCall) -> None:
        pass


class Hesitant(Right):
    """Takes its time to close a call."""

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        close = ws.close

        async def close_later(code: int = 1000, reason: str | None = None) -> None:
            await asyncio.sleep(2)
            await close(code, reason)

        ws.close = close_later  # type: ignore[method-assign]
        await super().take_call(ws, secret, call_id)


@pytest.mark.parametrize("server", [Slow, Mute, Brief, Chatty, Plain, Hesitant])
def test_a_server_that_is_right_in_another_way_has_no_finding(server: type[Right]) -> None:
    assert not_ok(findings_about(server, INPUT)) == {}


class Patient(Right):
    """Never closes: what it cannot read it ignores."""

    def parse(self, text: str | None) -> Json:
        try:
            return super().parse(text)
        except BadFrame:
            return {}


def test_a_server_that_ignores_foreign_frames_will_do() -> None:
    assert not_ok(findings_about(Patient, INPUT)) == {
        **dict.fromkeys(FOREIGN, Verdict.NOT_STRICT),
        **dict.fromkeys(WORDS, Verdict.NOT_SEEN),
    }


@pytest.mark.parametrize(
    "app", [step3.app, create_app(DummyResponder())], ids=["step3", "create_app"]
)
def test_the_servers_of_the_kit_have_no_finding(app: FastAPI) -> None:
    assert not_ok(findings_of(app)) == {}


def test_a_server_that_answers_nothing_at_all_fails_where_an_answer_is_due() -> None:
    found = not_ok(findings_of(step1.app))
    assert set(found) == {one.id for one in INPUT}
    assert found["input/1"] is Verdict.FAILED  # it counts on text
    assert {found[one] for one in FOREIGN[1:]} == {Verdict.NOT_STRICT}


class IgnoresLists(Right):
    """Keeps the call at a list, and drops it at a number."""

    def parse(self, text: str | None) -> Json:
        return {} if text == "[1]" else {"number": text[5]} if text == "5" else super().parse(text)


def test_of_several_frames_the_one_that_fails_is_named() -> None:
    said = ruling(IgnoresLists, "input/5")
    assert said.startswith(f"failed: expected a close with 1002 after a number, {DROPPED}")


class ReadsOn(Right):
    """Closes a moment later, and reads on until then."""

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        self.ws = ws
        await super().take_call(ws, secret, call_id)

    def parse(self, text: str | None) -> Json:
        if text is None:
            self.closing = asyncio.create_task(self.close())
        return {} if text is None else super().parse(text)

    async def close(self) -> None:
        await asyncio.sleep(0.1)
        await self.ws.close(1002)


def test_an_answer_to_what_came_behind_a_foreign_frame_is_seen() -> None:
    assert ruling(ReadsOn, "input/1") == (
        "failed: expected nothing read any more after a binary frame, "
        "got an answer to the request behind it"
    )


@pytest.mark.parametrize("end", [[], [closed(1006, "a flood")]], ids=["open", "dropped"])
@pytest.mark.parametrize("case_id", WORDS)
def test_without_a_close_frame_there_is_no_reason_to_judge(case_id: str, end: list[Ended]) -> None:
    assert str(case(case_id).judge(seen(*end))) == (
        "not seen: expected a close frame, which can give a reason"
    )


@pytest.mark.parametrize("code", [1002, 1003, 1007])
def test_the_reason_is_judged_whatever_the_code(code: int) -> None:
    exchange = seen(closed(code, "Cannot parse incoming message."))
    assert str(case("input/22").judge(exchange)) == "ok"


@pytest.mark.parametrize("number", range(1, 6))
def test_any_reason_will_do_today(number: int) -> None:
    ends = [Ended(at_s=0.0, line=line, code=1002, reason="no") for line in odd.LINES]
    assert str(case(f"input/{number}").judge(seen(*ends))) == "ok"


def got(frame: str) -> Got:
    read = read_frame(frame)
    is_message = isinstance(read, Response)
    return Got(at_s=0.0, data=frame, **{"message" if is_message else "dropped": read})  # type: ignore[arg-type]


def test_frames_that_are_not_json_for_another_reason_are_no_business_of_nan() -> None:
    exchange = seen(got("pong"), got('{"timestamp": "NaN"}'), closed())
    assert str(case("input/16").judge(exchange)) == "ok"


@pytest.mark.parametrize("code", [1000, 1006, 1011])
def test_a_heartbeat_at_nan_ends_the_call_with_1002_or_not_at_all(code: int) -> None:
    found = case("input/16").judge(seen(closed(code)))
    assert found.verdict is Verdict.FAILED
    assert found.expected == "an open call after a heartbeat at NaN"


@pytest.mark.parametrize("one", INPUT, ids=lambda one: str(one.id))
def test_a_judge_that_sees_nothing_does_not_raise(one: Case) -> None:
    assert one.judge(seen()).verdict is not Verdict.OK


@pytest.mark.parametrize("one", INPUT, ids=lambda one: str(one.id))
def test_a_judge_that_sees_nonsense_does_not_raise(one: Case) -> None:
    nonsense = [got(frame) for frame in ("", "null", "[]", "{}", '{"response_id": true}', "NaN")]
    assert one.judge(seen(*nonsense, closed(4000))).verdict is not Verdict.OK


def frames(name: str) -> list[Any]:
    return [json.loads(frame) for frame in getattr(odd, name).values()]


def test_foreign_frames_are_no_json_objects() -> None:
    for frame in (*odd.NULL.values(), *odd.NO_OBJECTS.values()):
        assert not isinstance(json.loads(frame), dict)
    for frame in (*odd.NO_JSON.values(), *odd.EMPTY.values()):
        with pytest.raises(ValueError, match="Expecting value"):
            json.loads(frame)


@pytest.mark.parametrize("name", ["ROLES", "NOISE", "WORDS", "SCRIPTS"])
def test_what_must_be_answered_is_a_request_whose_last_words_are_the_callers(name: str) -> None:
    for request in frames(name):
        assert (request["interaction_type"], request["response_id"]) == ("response_required", 1)
        assert request["transcript"][-1]["role"] == "user"


@pytest.mark.parametrize("size", [len(odd.LONG), len(odd.DEEP)])
def test_no_frame_is_above_the_limit_of_a_mebibyte(size: int) -> None:
    assert 200_000 <= size < 2**20


def test_a_message_in_fragments_is_cut_over_lines_and_is_json() -> None:
    asked = Ask(1, frame=odd.SPREAD, pieces=3)
    assert len(odd.SPREAD.splitlines()) == 3
    assert str(asked).endswith(", in 3 fragments")
    assert json.loads(odd.SPREAD)["transcript"][-1]["role"] == "user"


def test_a_message_in_fragments_arrives_so_over_a_socket() -> None:
    fragments: list[str | bytes] = []

    async def answer(ws: ServerConnection) -> None:
        await ws.send(response(0))
        with contextlib.suppress(ConnectionClosed):
            fragments.extend([piece async for piece in ws.recv_streaming() if piece])
            await ws.send(response(1))
            await ws.wait_closed()

    async def run() -> list[Finding]:
        async with serve(answer, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            return await judge(Sockets(f"ws://127.0.0.1:{port}/"), [case("input/18")])

    [finding] = asyncio.run(asyncio.wait_for(run(), 10))
    assert (finding.verdict, len(fragments)) == (Verdict.OK, 3)
    assert "".join(map(str, fragments)) == odd.SPREAD


def test_every_frame_has_its_line() -> None:
    frame_sets = [value for name, value in vars(odd).items() if name.isupper()]
    assert all(len(one) <= len(odd.LINES) for one in frame_sets if isinstance(one, dict))
