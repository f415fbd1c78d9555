"""The runner: in which order, against which server, and to an end whatever that server does."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from llmws_tutorial.checks import CASES, Case, Conditions, Finding, Profile, Verdict, in_memory
from llmws_tutorial.checks.case import OK, Company, Grade, Need, Severity
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.moves import Answered, Ask, Drop, Greeted, Move, Open, Send, Watch
from llmws_tutorial.checks.probe import PATIENCE_S
from llmws_tutorial.checks.rules import is_answered, is_greeted, stays_open
from llmws_tutorial.checks.runner import (
    AT_ONCE,
    BACK_S,
    KEEPS_OTHERS,
    LIMIT_S,
    MUTE_AFTER,
    MUTE_S,
    judge,
    run_checks,
)
from llmws_tutorial.checks.samples.right import SECRET, Right
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.checks.transport import Socket
from llmws_tutorial.errors import CannotConnect, SetupError
from llmws_tutorial.notebook import serve as serve_app
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm
from llmws_tutorial.steps import step1, step2, step3
from tests.virtual_time import run_virtually

GUIDE: Final = [case for case in CASES if Profile.GUIDE in case.profiles]
QUICK: Final = Conditions(patience_s=0.3)
GREETING: Final = json.dumps({"response_id": 0, "content": "Hi.", "content_complete": True})
CASE: Final = Case(
    id="test/1",
    title="is greeted",
    requirement="The server greets.",
    why="-",
    source="-",
    grade=Grade.KIT,
    severity=Severity.ERROR,
    fix="-",
    step="01",
    moves=(Open(), Greeted()),
    judge=is_greeted(),
)
ASKS: Final = replace(CASE, moves=(Open(), Ask(1), Answered(1)), judge=is_answered(1))


def a_case(number: int, *did: Move, company: Company = Company.ANY, **fields: Any) -> Case:
    return replace(CASE, id=f"test/{number}", company=company, moves=did or CASE.moves, **fields)


def in_right(cases: Sequence[Case], **options: Any) -> list[Finding]:
    """What is found about the right server, in memory and in virtual time."""

    async def run() -> list[Finding]:
        async with in_memory(Right().app, path=f"/llm-websocket/{SECRET}/") as transport:
            return await judge(transport, cases, **options)

    return run_virtually(run())


Handler = Callable[[ServerConnection, Server], Awaitable[None]]


def about(
    handler: Handler, cases: Sequence[Case], conditions: Conditions = QUICK, within_s: float = 60
) -> list[Finding]:
    """What is found about a server of sockets; it must be there in time."""
    servers: list[Server] = []

    async def run() -> list[Finding]:
        async with serve(lambda ws: handler(ws, servers[0]), "127.0.0.1", 0) as server:
            servers.append(server)
            port = next(iter(server.sockets)).getsockname()[1]
            transport = Sockets(f"ws://127.0.0.1:{port}/", timeout_s=1)
            try:
                return await asyncio.wait_for(judge(transport, cases, conditions), within_s)
            finally:
                for ws in server.connections:
                    ws.transport.abort()

    return asyncio.run(run())


def verdicts(findings: list[Finding]) -> list[str]:
    return [finding.verdict.value for finding in findings]


def passed(findings: list[Finding]) -> list[str]:
    return [finding.case.id for finding in findings if finding.passed]


# What a URL is checked for


@pytest.mark.parametrize(
    ("app", "wanted"),
    [(step1.app, ["calls/1", "calls/2"]), (step2.app, ["calls/1", "calls/2"])],
)
def test_a_step_passes_what_it_has_built(app: Any, wanted: list[str]) -> None:
    with serve_app(app, name="judged", show_log=False) as server:
        run = run_checks(
            server.websocket_url, "calls/1", "calls/2", "begin/1", "turns/1", conditions=QUICK
        )
        assert passed(asyncio.run(run)) == wanted


def test_the_guide_s_server_passes_the_guide_s_checks() -> None:
    with serve_app(step3.app, name="judged", show_log=False) as server:
        run = run_checks(server.websocket_url, "calls", "begin", "turns", profile=Profile.GUIDE)
        findings = asyncio.run(run)
    topics = ("calls", "begin", "turns")
    assert [one.case.id for one in findings] == [c.id for c in GUIDE if c.topic in topics]
    assert {finding.verdict for finding in findings} <= {Verdict.OK, Verdict.NOT_SEEN}


@pytest.mark.parametrize("prefix", ["turn/1", "nonsense", "TURNS"])
def test_a_check_that_does_not_exist_is_refused(prefix: str) -> None:
    with pytest.raises(SetupError, match=f"no check in profile current starts with '{prefix}'"):
        asyncio.run(run_checks("ws://127.0.0.1:1/", prefix))


def test_a_url_that_cannot_be_dialled_is_refused() -> None:
    with pytest.raises(CannotConnect, match="cannot dial 'localhost:3000'"):
        asyncio.run(run_checks("localhost:3000"))


# Servers that are not there


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ws://127.0.0.1:1/llm-websocket/", "nothing answers"),
        ("ws://me@127.0.0.1:1/", "a user name and no password"),
    ],
)
def test_a_server_that_is_absent_fails_each_check_and_none_is_tried(url: str, said: str) -> None:
    findings = asyncio.run(run_checks(url))
    assert {finding.verdict for finding in findings} == {Verdict.FAILED}
    assert all(said in finding.ruling.got for finding in findings)
    assert not any(finding.exchange or finding.was_open for finding in findings)


def test_a_server_without_the_route_is_absent() -> None:
    with serve_app(step3.app, name="judged", show_log=False) as server:
        findings = asyncio.run(run_checks(f"{server.url}nowhere/", "begin"))
    assert "HTTP 403" in findings[0].ruling.got


def test_a_port_that_accepts_and_never_answers_is_absent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        transport = Sockets(f"ws://127.0.0.1:{port}/", timeout_s=0.3)
        findings = asyncio.run(judge(transport, CASES))
    assert len(findings) == len(CASES)
    assert findings[0].ruling.got.startswith(f"cannot call 127.0.0.1:{port}: no answer in 0.3 s")


# Hostile servers


async def never_reads(ws: ServerConnection, server: Server) -> None:
    ws.transport.pause_reading()
    await ws.wait_closed()


async def floods(ws: ServerConnection, server: Server) -> None:
    while True:
        await ws.send("{}" * 100)


async def floods_with_pieces(ws: ServerConnection, server: Server) -> None:
    async def endless() -> Any:
        while True:
            yield "x" * 1000

    await ws.send(endless())


async def floods_with_pings(ws: ServerConnection, server: Server) -> None:
    while True:
        await ws.ping()
        await asyncio.sleep(0)


async def closes_at_once(ws: ServerConnection, server: Server) -> None:
    await ws.close(1000)


async def drops_at_once(ws: ServerConnection, server: Server) -> None:
    ws.transport.abort()


async def breaks_websocket(ws: ServerConnection, server: Server) -> None:
    ws.transport.write(b"\x81\x02\xff\xff")
    await ws.wait_closed()


async def answers_in_binary(ws: ServerConnection, server: Server) -> None:
    async for _ in ws:
        await ws.send(GREETING.encode())


@pytest.mark.parametrize(
    "hostile",
    [
        never_reads,
        floods,
        floods_with_pieces,
        floods_with_pings,
        closes_at_once,
        drops_at_once,
        breaks_websocket,
        answers_in_binary,
    ],
)
def test_a_hostile_server_gets_a_verdict_for_each_check_in_time(hostile: Handler) -> None:
    cases = [case for case in CASES if case.topic in ("calls", "begin")]
    findings = about(hostile, cases, within_s=180)  # a flood is work for both ends
    assert [finding.case for finding in findings] == cases
    assert "begin/1" not in passed(findings)


def test_a_server_that_dies_half_way_gets_a_verdict_for_each_check() -> None:
    """The end of one of its calls is the end of all."""
    calls: list[ServerConnection] = []

    async def dies(ws: ServerConnection, server: Server) -> None:
        calls.append(ws)
        await ws.send(GREETING)
        if len(calls) >= 4:
            server.close(close_connections=False)
            for one in calls:
                one.transport.abort()
        await ws.wait_closed()

    cases = [a_case(number, Open(), Greeted(), Watch(0.5)) for number in range(20)]
    findings = about(dies, [replace(case, judge=stays_open()) for case in cases])
    assert len(findings) == 20
    assert passed(findings) == []
    [blamed] = [finding for finding in findings if finding.verdict is Verdict.FAILED]
    assert "nothing answers" in blamed.ruling.got
    others = [finding.ruling.expected for finding in findings if finding is not blamed]
    assert all("it went down while these ran side by side: test/" in told for told in others)


def test_an_answer_that_comes_before_the_line_drops_counts() -> None:
    async def drops(ws: ServerConnection, server: Server) -> None:
        await ws.send(GREETING)
        await ws.recv()
        ws.transport.abort()

    greeted, asks = about(drops, [CASE, replace(ASKS, id="test/2")])
    assert greeted.verdict is Verdict.OK
    assert asks.ruling.got == "the server dropped the connection without a close frame (1006)"


# Order


def test_cases_run_side_by_side_up_to_a_limit() -> None:
    open_now: list[int] = []

    async def counts(ws: ServerConnection, server: Server) -> None:
        open_now.append(len(server.connections))
        await ws.wait_closed()

    cases = [a_case(number, Open(), Watch(0.5), judge=stays_open()) for number in range(20)]
    assert verdicts(about(counts, cases)) == ["ok"] * 20
    assert max(open_now) == AT_ONCE


def test_cases_that_measure_time_come_after_the_others_and_risky_ones_last_and_alone() -> None:
    began: list[str] = []

    def case(number: int, company: Company) -> Case:
        def rules(exchange: Exchange) -> Any:
            began.append(company.name)
            return OK

        return a_case(number, Open(), Watch(1.0 / number), company=company, judge=rules)

    company = [Company.NONE, Company.TIMED, Company.ANY, Company.NONE, Company.TIMED, Company.ANY]
    in_right([case(number, one) for number, one in enumerate(company, 1)])
    assert began == ["ANY", "ANY", "TIMED", "TIMED", "NONE", "NONE"]


def test_findings_come_in_the_order_of_the_cases_and_are_told_as_they_are_made() -> None:
    told: list[str] = []
    cases = [a_case(1, Open(), Watch(2)), a_case(2, Open(), Watch(1))]
    findings = in_right(cases, progress=lambda finding: told.append(finding.case.id))
    assert [finding.case.id for finding in findings] == ["test/1", "test/2"]
    assert told == ["test/2", "test/1"]


# What cannot be seen


@pytest.mark.parametrize(
    ("need", "said"), [(Need.LLM, "--llm PORT, and your"), (Need.WEBHOOK, "--webhook URL and")]
)
def test_a_case_that_lacks_what_it_needs_is_not_seen(need: Need, said: str) -> None:
    [finding] = in_right([replace(CASE, needs=frozenset({need}))])
    assert finding.verdict is Verdict.NOT_SEEN
    assert finding.ruling.expected.startswith(said)
    assert finding.exchange is None


def test_nobody_waits_long_for_a_server_that_is_mute() -> None:
    class Silent(Right):
        async def take_request(self, call: Any, request: Any) -> None:
            pass

    async def run() -> tuple[list[Finding], float]:
        loop = asyncio.get_running_loop()
        cases = [replace(ASKS, id=f"test/{number}", company=Company.NONE) for number in range(40)]
        async with in_memory(Silent().app, path=f"/llm-websocket/{SECRET}/") as transport:
            return await judge(transport, cases), loop.time()

    findings, took_s = run_virtually(run())
    assert passed(findings) == []
    waits_s = MUTE_AFTER * PATIENCE_S + (40 - MUTE_AFTER) * MUTE_S
    assert took_s == pytest.approx(waits_s, abs=12)


def test_nobody_waits_long_for_a_greeting_that_never_comes() -> None:
    class Ungreeting(Right):
        async def greet(self, call: Any) -> None:
            pass

    async def run() -> tuple[list[Finding], float]:
        loop = asyncio.get_running_loop()
        greeted = (Open(), Greeted(), Ask(1), Answered(1))
        cases = [
            a_case(number, *greeted, company=Company.NONE, judge=is_answered(1))
            for number in range(40)
        ]
        async with in_memory(Ungreeting().app, path=f"/llm-websocket/{SECRET}/") as transport:
            return await judge(transport, cases), loop.time()

    findings, took_s = run_virtually(run())
    assert len(passed(findings)) == 40  # who does not greet is waited for nevertheless
    waits_s = MUTE_AFTER * PATIENCE_S + (40 - MUTE_AFTER) * MUTE_S
    assert took_s == pytest.approx(waits_s, abs=12)


def test_a_judge_that_raises_costs_no_other_finding() -> None:
    def judge_of_ours(exchange: Exchange) -> Any:
        raise KeyError("content")

    ours, other = in_right([replace(CASE, judge=judge_of_ours), replace(CASE, id="test/2")])
    assert ours.ruling.expected.endswith("please report that it raised KeyError('content')")
    assert other.verdict is Verdict.OK


def test_a_server_that_never_asks_the_model_is_not_seen() -> None:
    conditions = Conditions(llm=ScriptedLlm())
    [finding] = in_right([replace(CASE, needs=frozenset({Need.LLM}))], conditions=conditions)
    assert finding.ruling.expected.startswith("a server that asks this model: is OPENAI_BASE_URL")


def test_a_socket_that_is_refused_in_a_case_fails_it() -> None:
    class TakesOne(Right):
        def lets_in(self, ws: Any, secret: str) -> bool:
            return not ws.path_params["call_id"].endswith("_b")

    async def run() -> list[Finding]:
        async with in_memory(TakesOne().app, path=f"/llm-websocket/{SECRET}/") as transport:
            return await judge(transport, [a_case(1, Open(), Open(line="b"), judge=stays_open())])

    [finding] = run_virtually(run())
    assert finding.ruling.expected == "an open socket"
    assert "HTTP 403" in finding.ruling.got


def test_a_refusal_is_for_the_judge_where_it_is_wanted() -> None:
    assert verdicts(in_right([a_case(1, Open(is_wrong=True), judge=stays_open())])) == ["ok"]


# Servers that go down


class Falling:
    """A way to a server that is down for some time after a certain frame."""

    def __init__(self, inner: Any, down_s: float) -> None:
        self._inner = inner
        self._down_s = down_s
        self._back_s = 0.0
        self.has_secret = True
        self.has_webhook = False

    def is_well_again(self) -> None:
        self._back_s = 0.0

    async def open(self, call_id: str, **options: Any) -> Socket:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._back_s:
            raise CannotConnect("nothing answers", stage="TCP")
        if "test_2" in call_id:
            self._back_s = now_s + self._down_s
        opened: Socket = await self._inner.open(call_id, **options)
        return opened


def after_a_fall(down_s: float) -> list[Finding]:
    cases = [
        a_case(1, Open(), company=Company.NONE, judge=stays_open()),
        a_case(2, Open(), Send("null"), company=Company.NONE, judge=stays_open()),
        a_case(3, Open(), company=Company.NONE, judge=stays_open()),
        a_case(4, Open(), judge=stays_open()),
    ]

    async def run() -> list[Finding]:
        async with in_memory(Right().app, path=f"/llm-websocket/{SECRET}/") as transport:
            return await judge(Falling(transport, down_s), cases)  # type: ignore[arg-type]

    return run_virtually(run())


def test_a_server_that_a_case_takes_down_fails_that_case_and_hides_what_is_left() -> None:
    findings = after_a_fall(down_s=BACK_S + 1)
    assert verdicts(findings) == ["ok", "failed", "not seen", "ok"]
    assert str(findings[1].ruling) == (
        "failed: expected a server that is still there, got none: nothing answers"
    )
    assert findings[2].ruling.expected == (
        "a server that is there again after test/2: nothing answers"
    )


def fallen(*cases: Case, restarts: bool = False) -> list[Finding]:
    """A server that goes down for good at case 2, which runs beside others."""

    async def run() -> list[Finding]:
        async with in_memory(Right().app, path=f"/llm-websocket/{SECRET}/") as transport:
            falling = Falling(transport, down_s=1e6)

            async def restart() -> None:
                falling.is_well_again()

            conditions = Conditions(restart=restart if restarts else None)
            return await judge(falling, cases, conditions)  # type: ignore[arg-type]

    return run_virtually(run())


def test_a_fall_that_one_case_can_have_caused_alone_is_its_own() -> None:
    first = a_case(2, Open(), Drop(), Open(), judge=stays_open())
    risky = a_case(3, Open(), company=Company.NONE, judge=stays_open())
    findings = fallen(first, risky)
    assert verdicts(findings) == ["failed", "not seen"]
    assert findings[0].ruling.got == "none since test/2: nothing answers"


def test_a_fall_among_several_is_what_one_call_does_to_the_others() -> None:
    cases = [
        a_case(number, Open(), Watch(1), Drop(), Open(), judge=stays_open()) for number in (1, 2)
    ]
    keeps_others = replace(a_case(3, Open(), company=Company.NONE), id=KEEPS_OTHERS)
    *others, blamed = fallen(*cases, keeps_others)
    assert verdicts([*others, blamed]) == ["not seen", "not seen", "failed"]
    assert blamed.ruling.got == "none since test/1, test/2: nothing answers"


def test_a_server_that_can_be_restarted_is_tried_to_the_end() -> None:
    beside = a_case(2, Open(), Drop(), Open(), judge=stays_open())
    risky = a_case(3, Open(), company=Company.NONE, judge=stays_open())
    findings = fallen(beside, risky, restarts=True)
    assert verdicts(findings) == ["failed", "ok"]
    assert findings[0].ruling.expected == "a server that is still there"


def test_a_server_that_cannot_be_restarted_loses_no_finding() -> None:
    async def restart() -> None:
        raise SetupError("the server ended with 1")

    async def run() -> list[Finding]:
        async with in_memory(Right().app, path=f"/llm-websocket/{SECRET}/") as transport:
            falling = Falling(transport, down_s=1e6)
            return await judge(falling, cases, Conditions(restart=restart))  # type: ignore[arg-type]

    cases = [
        a_case(number, Open(), company=Company.NONE, judge=stays_open()) for number in range(4)
    ]
    findings = run_virtually(run())
    assert verdicts(findings) == ["ok", "ok", "failed", "not seen"]
    assert findings[3].ruling.expected == (
        "a server that is there again after test/2: the server ended with 1"
    )


def test_a_server_that_comes_back_in_time_goes_on() -> None:
    [_, fell, last, _] = after_a_fall(down_s=BACK_S / 2)
    assert fell.ruling.expected != "a server that is still there"
    assert last.verdict is Verdict.OK


# Time


@pytest.mark.parametrize(("patience_s", "limit_s"), [(1.0, LIMIT_S), (10.0, 2 * LIMIT_S)])
def test_a_case_without_end_is_ended(patience_s: float, limit_s: float) -> None:
    conditions = Conditions(patience_s=patience_s)
    endless, other = in_right([a_case(1, Open(), Watch(1e6)), a_case(2)], conditions=conditions)
    assert str(endless.ruling) == f"failed: expected an end within {limit_s:g} s, got none"
    assert other.verdict is Verdict.OK


def test_the_waits_are_long_enough_for_a_slow_server() -> None:
    async def slow(ws: ServerConnection, server: Server) -> None:
        await asyncio.sleep(0.3)
        await ws.send(GREETING)
        await ws.recv()
        await asyncio.sleep(0.3)
        await ws.send(GREETING.replace("0", "1", 1))
        await ws.wait_closed()

    assert verdicts(about(slow, [CASE, ASKS], Conditions(patience_s=3))) == ["ok", "ok"]


def test_a_finding_knows_how_long_it_took() -> None:
    [finding] = in_right([CASE])
    assert 0 <= finding.took_s < 5
    assert finding.was_open
