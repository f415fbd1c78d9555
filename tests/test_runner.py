"""The runner: which checks, against which server, in what time, and how a finding reads."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from llmws_tutorial.checks import CASES, Finding, run_checks
from llmws_tutorial.errors import CannotConnect, SetupError
from llmws_tutorial.notebook import serve as serve_app
from llmws_tutorial.steps import step1, step2, step3

ALL: Final = [case.id for case in CASES]
PATIENCE_S: Final = 0.3
GREETING: Final = json.dumps({"response_id": 0, "content": "Hi.", "content_complete": True})


def judge(url: str, *prefixes: str, within_s: float = 10.0) -> list[Finding]:
    """The findings about a server, which must be there in time."""

    async def run() -> list[Finding]:
        return await run_checks(url, *prefixes, patience_s=PATIENCE_S)

    started = time.monotonic()
    findings = asyncio.run(asyncio.wait_for(run(), 2 * within_s))
    assert time.monotonic() - started < within_s
    return findings


def judge_raw(
    handler: Callable[[ServerConnection, Server], Awaitable[None]],
    *prefixes: str,
    patience_s: float = PATIENCE_S,
) -> list[Finding]:
    """The same about a handler, which is told its server as well."""
    servers: list[Server] = []

    async def run() -> list[Finding]:
        async with serve(lambda ws: handler(ws, servers[0]), "127.0.0.1", 0) as server:
            servers.append(server)
            port = next(iter(server.sockets)).getsockname()[1]
            return await run_checks(f"ws://127.0.0.1:{port}/", *prefixes, patience_s=patience_s)

    return asyncio.run(asyncio.wait_for(run(), 10))


def judge_app(app: Any, *prefixes: str) -> list[Finding]:
    with serve_app(app, name="judged", show_log=False) as server:
        return judge(server.websocket_url, *prefixes)


def ids(findings: list[Finding]) -> list[str]:
    return [finding.case.id for finding in findings]


def passed(findings: list[Finding]) -> list[str]:
    return [finding.case.id for finding in findings if finding.passed]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        return int(spare.getsockname()[1])


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (step1.app, ["connect/1", "connect/2", "turns/2"]),
        (step2.app, ["connect/1", "connect/2", "turns/2"]),  # the responder is not wired yet
        (step3.app, ALL),
    ],
    ids=["step1", "step2", "step3"],
)
def test_each_step_passes_what_it_has_built(app: Any, expected: list[str]) -> None:
    findings = judge_app(app)
    assert ids(findings) == ALL
    assert passed(findings) == expected


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        (["turns"], ["turns/1", "turns/2", "turns/3", "turns/4"]),
        (["turns/3"], ["turns/3"]),
        (["input/2", "begin"], ["begin/1", "input/2"]),
        (["turns/1", "turns"], ["turns/1", "turns/2", "turns/3", "turns/4"]),
    ],
)
def test_prefixes_choose_and_the_lessons_order(prefixes: list[str], expected: list[str]) -> None:
    assert passed(judge_app(step3.app, *prefixes)) == expected


@pytest.mark.parametrize("prefixes", [["turn/1"], ["begin", "nonsense"], ["TURNS"]])
def test_a_prefix_of_no_check_is_refused_with_the_known_ones(prefixes: list[str]) -> None:
    said = f"no check starts with '{prefixes[-1]}', expected one of connect/1, .*input/3"
    with pytest.raises(SetupError, match=said):
        judge("ws://127.0.0.1:1/", *prefixes)


def test_a_url_that_cannot_be_dialled_is_refused() -> None:
    with pytest.raises(CannotConnect, match="cannot dial 'localhost:3000'"):
        judge("localhost:3000")


def test_a_server_that_is_absent_fails_each_check() -> None:
    findings = judge(f"ws://127.0.0.1:{free_port()}/llm-websocket/", within_s=3)
    assert (ids(findings), passed(findings)) == (ALL, [])
    assert all("expected an open socket, got " in str(finding.wrong) for finding in findings)


def test_a_server_without_the_route_fails_each_check() -> None:
    with serve_app(step3.app, name="judged", show_log=False) as server:
        findings = judge(f"{server.url}nowhere/", within_s=3)
    assert (ids(findings), passed(findings)) == (ALL, [])
    assert "403" in str(findings[0].wrong)


def test_a_url_that_the_client_refuses_fails_each_check() -> None:
    findings = judge("ws://me@127.0.0.1:1/", within_s=3)
    assert passed(findings) == []
    assert "username provided without password" in str(findings[0].wrong)


def test_a_port_that_accepts_and_never_answers_fails_each_check() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=2 * len(CASES)) as listener:
        port = listener.getsockname()[1]
        findings = judge(f"ws://127.0.0.1:{port}/llm-websocket/", within_s=3)
    assert (ids(findings), passed(findings)) == (ALL, [])
    assert str(findings[0].wrong).startswith("expected an open socket, got timed out")


def test_a_server_that_hangs_after_the_handshake_gets_a_verdict_in_time() -> None:
    release = asyncio.Event()

    async def hangs(ws: ServerConnection, _: Server) -> None:
        ws.transport.pause_reading()
        await release.wait()
        ws.transport.abort()

    async def run() -> list[Finding]:
        async with serve(lambda ws: hangs(ws, server), "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            try:
                url = f"ws://127.0.0.1:{port}/"
                return await asyncio.wait_for(run_checks(url, patience_s=PATIENCE_S), 4)
            finally:
                release.set()

    findings = asyncio.run(run())
    assert ids(findings) == ALL
    assert passed(findings) == ["connect/1", "connect/2", "turns/2"]


def test_a_server_that_dies_half_way_gets_a_verdict_for_each_check() -> None:
    """It takes the first half of the calls, and the end of one of them is the end of all."""
    calls: list[ServerConnection] = []

    async def dies(ws: ServerConnection, server: Server) -> None:
        calls.append(ws)
        await ws.send(GREETING)
        if len(calls) == len(CASES) // 2:
            server.close(close_connections=False)
            for one in calls:
                one.transport.abort()
        await ws.wait_closed()

    findings = judge_raw(dies)
    assert ids(findings) == ALL
    assert set(passed(findings)) <= {"begin/1"}


def test_the_answers_of_a_server_that_drops_the_call_are_judged_as_far_as_they_came() -> None:
    async def drops(ws: ServerConnection, _: Server) -> None:
        await ws.send(GREETING)
        await ws.recv()
        ws.transport.abort()

    findings = judge_raw(drops, "begin", "turns/2", "turns/4")
    assert [finding.wrong for finding in findings] == [
        None,
        "expected an open call, got close code 1006",
        "expected a complete answer with response_id 1, got none",
    ]


def test_checks_run_side_by_side_each_on_its_own_call() -> None:
    paths: list[str] = []
    everybody = asyncio.Barrier(len(CASES))

    async def meets(ws: ServerConnection, _: Server) -> None:
        assert ws.request
        paths.append(ws.request.path)
        await everybody.wait()
        await ws.send(GREETING)
        await ws.wait_closed()

    assert "begin/1" in passed(judge_raw(meets))
    assert sorted(paths) == sorted(f"/check_{case_id.replace('/', '_')}" for case_id in ALL)


def test_a_finding_says_what_was_required_expected_and_got_and_the_fix() -> None:
    [finding] = judge_app(step1.app, "begin")
    assert str(finding) == (
        "begin/1 failed: expected a first message with response_id 0, got none; "
        "required: The first message has response_id 0 and is complete; "
        "fix: send the begin message right after accepting the socket"
    )


def test_a_finding_of_nothing_wrong_is_short() -> None:
    finding = Finding(CASES[0], None)
    assert finding.passed
    assert str(finding) == "connect/1 ok"


def test_the_waits_are_long_enough_for_a_slow_server() -> None:
    async def slow(ws: ServerConnection, _: Server) -> None:
        await asyncio.sleep(0.4)
        await ws.send(GREETING)
        await ws.recv()
        await asyncio.sleep(0.4)
        await ws.close(1002, "Cannot parse incoming message.")

    findings = judge_raw(slow, "begin", "input/3", patience_s=2)
    assert passed(findings) == ["begin/1", "input/3"]


def test_an_answer_that_never_comes_is_waited_for_once() -> None:
    async def greets_only(ws: ServerConnection, _: Server) -> None:
        await ws.send(GREETING)
        await ws.wait_closed()

    started = time.monotonic()
    [finding] = judge_raw(greets_only, "turns/4", patience_s=1)
    assert finding.wrong == "expected a complete answer with response_id 1, got none"
    assert time.monotonic() - started < 1.9
