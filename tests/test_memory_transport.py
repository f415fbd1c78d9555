"""The way to an app in memory: what an app may do, and what uvicorn would make of it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from llmws_tutorial.checks.memory import LIFESPAN_S, App, Memory, in_memory
from llmws_tutorial.checks.transport import LineEnded, Socket
from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.simulator.opening import OPEN_TIMEOUT_S
from llmws_tutorial.simulator.posting import Attempt
from llmws_tutorial.simulator.webhooks import ANSWER_S
from tests.virtual_time import run_virtually

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Part = Callable[[Receive, Send], Awaitable[None]]
ACCEPT: Final = {"type": "websocket.accept"}
TEXT: Final = {"type": "websocket.send", "text": "hello"}
CLOSE: Final = {"type": "websocket.close", "code": 1011, "reason": "broken"}
scopes: list[dict[str, Any]] = []


def sending(*messages: dict[str, Any]) -> Part:
    """Take the call, send these messages, and return."""

    async def call(receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        for message in messages:
            await send(message)

    return call


async def nothing(receive: Receive, send: Send) -> None:
    """Do nothing at all."""


async def waits(receive: Receive, send: Send) -> None:
    """Wait without end."""
    await asyncio.Future()


async def fails(receive: Receive, send: Send) -> None:
    raise ValueError("a defect")


def app(websocket: Part = nothing, lifespan: Part = nothing, http: Part = nothing) -> App:
    parts = {"websocket": websocket, "lifespan": lifespan, "http": http}

    async def run(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await parts[scope["type"]](receive, send)

    return run


def within(made: App, use: Callable[[Memory], Awaitable[Any]]) -> Any:
    """What a use of an app in memory gives."""

    async def run() -> Any:
        async with in_memory(made, path="/calls/secret/", webhook="/hook") as memory:
            return await use(memory)

    return run_virtually(run())


async def opened(memory: Memory) -> Socket:
    return await memory.open("c1")


async def refusal(memory: Memory) -> str:
    with pytest.raises(CannotConnect) as raised:
        await memory.open("c1")
    return str(raised.value)


async def all_of(socket: Socket) -> list[str | bytes | tuple[int, str]]:
    """Everything that comes, to the end of the line."""
    got: list[str | bytes | tuple[int, str]] = []
    try:
        while True:
            got.append(await socket.receive())
    except LineEnded as end:
        return [*got, (end.code, end.reason)]


def all_from(*messages: dict[str, Any]) -> list[str | bytes | tuple[int, str]]:
    async def use(memory: Memory) -> list[str | bytes | tuple[int, str]]:
        return await all_of(await memory.open("c1"))

    return list(within(app(sending(*messages)), use))


async def post(memory: Memory) -> Attempt:
    return await memory.post(b"{}", {"X-Signature": "s"})


# The socket


def test_an_app_sees_the_platform_s_request() -> None:
    within(app(sending(ACCEPT)), opened)
    scope = scopes[-1]
    assert (scope["type"], scope["path"]) == ("websocket", "/calls/secret/c1")
    assert scope["headers"] == [(b"host", b"127.0.0.1")]


def test_a_wrong_secret_and_headers_are_sent_on_demand() -> None:
    async def use(memory: Memory) -> None:
        await memory.open("c1", headers={"Origin": "https://x"}, is_wrong=True)

    within(app(sending(ACCEPT)), use)
    assert scopes[-1]["path"] == "/calls/wrong-secret/c1"
    assert (b"origin", b"https://x") in scopes[-1]["headers"]


def test_frames_and_the_close_come_as_they_were_sent() -> None:
    binary = {"type": "websocket.send", "bytes": b"\0"}
    assert all_from(ACCEPT, TEXT, binary, CLOSE) == ["hello", b"\0", (1011, "broken")]


def test_a_close_without_a_code_is_1000() -> None:
    assert all_from(ACCEPT, {"type": "websocket.close", "reason": None}) == [(1000, "")]


def test_an_app_that_returns_drops_the_line() -> None:
    assert all_from(ACCEPT, TEXT) == ["hello", (1006, "")]


def test_an_app_that_raises_drops_the_line() -> None:
    async def call(receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await fails(receive, send)

    async def use(memory: Memory) -> Any:
        return await all_of(await memory.open("c1"))

    assert within(app(call), use) == [(1006, "the app raised ValueError('a defect')")]


def test_an_app_that_sends_after_its_close_is_told_and_hurts_nobody() -> None:
    assert all_from(ACCEPT, CLOSE, TEXT) == [(1011, "broken")]


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (sending({"type": "websocket.close"}), 403),
        (
            sending(
                {"type": "websocket.http.response.start", "status": 421, "headers": []},
                {"type": "websocket.http.response.body", "body": b"no"},
            ),
            421,
        ),
        (fails, 500),
        (nothing, 500),
        (sending(TEXT), 500),
    ],
    ids=["closes", "answers HTTP", "raises", "returns", "sends before it accepts"],
)
def test_a_socket_that_is_not_accepted_is_refused_with_its_status(call: Part, status: int) -> None:
    said = within(app(call), refusal)
    assert said.startswith(f"cannot call the app: it refused the socket (HTTP {status}); is the")


def test_an_app_that_never_accepts_is_given_up() -> None:
    said = within(app(waits), refusal)
    assert said == "cannot call the app: no answer in 7 s; does it accept the socket?"


def test_an_app_that_accepts_too_late_is_told_that_nobody_is_there() -> None:
    told: list[str] = []

    async def call(receive: Receive, send: Send) -> None:
        await asyncio.sleep(8)
        try:
            await send(ACCEPT)
        except OSError as error:
            told.append(str(error))

    within(app(call), refusal)
    assert told == ["the peer has gone"]


@pytest.mark.parametrize("leaves", [True, False])
def test_an_app_sees_what_is_sent_and_how_the_caller_left(leaves: bool) -> None:
    seen: list[Any] = []

    async def call(receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        while (message := await receive())["type"] == "websocket.receive":
            seen.append(message.get("text", message.get("bytes")))
        seen.append(message["code"])

    async def use(memory: Memory) -> None:
        socket = await memory.open("c1")
        await socket.send("text")
        await socket.send(b"bytes")
        if leaves:
            assert await socket.hang_up()
        socket.drop()

    within(app(call), use)
    assert seen == ["text", b"bytes", 1000 if leaves else 1006]


def test_an_app_that_floods_leaves_the_others_their_turn() -> None:
    async def call(receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        while True:
            await send(TEXT)

    async def use(memory: Memory) -> list[str | bytes]:
        socket = await memory.open("c1")
        got = [await socket.receive() for _ in range(3)]
        socket.drop()
        return got

    assert within(app(call), use) == ["hello"] * 3


def test_an_app_that_sends_to_nobody_without_end_is_cancelled() -> None:
    async def call(receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        while True:
            try:
                await send(TEXT)
            except OSError:
                await asyncio.sleep(1)

    within(app(call), opened)


@pytest.mark.refuses_to_end
def test_an_app_that_ignores_its_cancellation_holds_nobody_up_for_long() -> None:
    async def call(receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Future()

    async def run() -> float:
        async with in_memory(app(call)) as memory:
            await memory.open("c1")
        return asyncio.get_running_loop().time()

    assert run_virtually(run()) == pytest.approx(2 * OPEN_TIMEOUT_S)


# The lifespan


def test_an_app_lives_from_its_startup_to_its_shutdown() -> None:
    told: list[str] = []

    async def live(receive: Receive, send: Send) -> None:
        for done in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            told.append((await receive())["type"])
            await send({"type": done})

    within(app(sending(ACCEPT), live), opened)
    assert told == ["lifespan.startup", "lifespan.shutdown"]


@pytest.mark.parametrize("live", [nothing, fails])
def test_an_app_need_not_know_of_a_lifespan(live: Part) -> None:
    within(app(sending(ACCEPT), live), opened)


@pytest.mark.parametrize(
    ("message", "said"), [("no database", "no database"), ("", "it does not say why")]
)
def test_an_app_that_fails_to_start_is_not_called(message: str, said: str) -> None:
    async def live(receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": message})

    with pytest.raises(CannotConnect, match=f"the app does not start: {said}"):
        within(app(sending(ACCEPT), live), opened)


def test_an_app_that_never_starts_is_given_up() -> None:
    with pytest.raises(CannotConnect, match=f"no answer to lifespan.startup in {LIFESPAN_S:g} s"):
        within(app(sending(ACCEPT), waits), opened)


def test_an_app_that_never_ends_is_cancelled() -> None:
    async def live(receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        await asyncio.Future()

    within(app(sending(ACCEPT), live), opened)


# The webhook


def answering(status: int) -> Part:
    async def http(receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"{}"
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return http


def test_a_webhook_gets_the_body_and_its_status_is_the_answer() -> None:
    attempt = within(app(http=answering(401)), post)
    assert (attempt.status, attempt.problem) == (401, None)
    assert (scopes[-1]["method"], scopes[-1]["path"]) == ("POST", "/hook")
    assert (b"x-signature", b"s") in scopes[-1]["headers"]


@pytest.mark.parametrize(
    ("http", "wanted"),
    [
        (fails, (500, "it raised ValueError('a defect')")),
        (nothing, (None, "it returned without an answer")),
        (waits, (None, f"no answer in {ANSWER_S:g} s; answer first, then work")),
    ],
)
def test_a_webhook_without_an_answer_is_an_attempt_with_a_problem(
    http: Part, wanted: tuple[int | None, str]
) -> None:
    attempt = within(app(http=http), post)
    assert (attempt.status, attempt.problem) == wanted


def test_a_webhook_that_waits_for_more_waits() -> None:
    async def http(receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    assert within(app(http=http), post).status is None


# What it says of itself


@pytest.mark.parametrize(("path", "has"), [("/calls/secret/", True), ("/calls/", False)])
def test_a_second_segment_may_be_a_secret(path: str, has: bool) -> None:
    assert Memory(app(), path=path, webhook=None).has_secret is has


@pytest.mark.parametrize("webhook", ["/hook", None])
def test_a_webhook_is_there_or_not(webhook: str | None) -> None:
    assert Memory(app(), path="/", webhook=webhook).has_webhook is (webhook is not None)
