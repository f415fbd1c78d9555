"""The platform's webhooks, against receivers that take them, refuse them, or misbehave."""

import asyncio
import contextlib
import json
import math
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from llmws_tutorial.errors import SetupError
from llmws_tutorial.messages import SIGNATURE_HEADER, verify
from llmws_tutorial.notebook import serve
from llmws_tutorial.server import WebhookEvent, webhook_router
from llmws_tutorial.simulator.posting import Attempt
from llmws_tutorial.simulator.webhooks import (
    Delivery,
    DeliveryLimits,
    Webhooks,
    deliver,
)

KEY: Final = "test-api-key"
PATIENCE_S: Final = 30.0
SHORT_S: Final = 0.1
CALL: Final[dict[str, Any]] = {"call_id": "c1", "transcript": "Grüezi 🙂"}
TAKEN: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
NO_ANSWER: Final = f"no answer in {SHORT_S} s; answer first, then work"
Misbehaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "webhook delivery"]


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    yield
    for thread in threads():
        thread.join(PATIENCE_S)
    assert threads() == []


class Receiver:
    """A raw server that keeps what came, and answers in turn; its last answer is for all others.

    Attributes:
        lines: the first line of each request.
        headers: those of each request, with names in lower case.
        bodies: the body of each request.
    """

    def __init__(self, *answers: bytes | Misbehaviour) -> None:
        self.url = ""
        self.lines: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self._answers = list(answers)
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Leaving it waits until no connection is open."""
        async with asyncio.timeout(PATIENCE_S):
            server = await asyncio.start_server(self._take, "127.0.0.1", 0)
            async with server:
                yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhook"
            await asyncio.gather(*self._tasks)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._tasks.add(task)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        with contextlib.suppress(ConnectionError):
            if isinstance(answer, bytes):
                await self._read(reader)
                writer.write(answer)
            else:
                await answer(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ") for line in lines)}
        self.lines.append(first)
        self.headers.append(headers)
        self.bodies.append(await reader.readexactly(int(headers["content-length"])))


def limits(retries: int = 0, answer_s: float = PATIENCE_S) -> DeliveryLimits:
    return DeliveryLimits(answer_s=answer_s, pauses_s=(0.002,) * retries)


def post(receiver: Receiver, call: dict[str, Any] = CALL, **patience: Any) -> Delivery:
    async def play() -> Delivery:
        async with receiver.running() as url:
            options = limits(**patience)
            return await deliver(url, "call_ended", call, api_key=KEY, limits=options)

    return asyncio.run(play())


def problem(answer: bytes | Misbehaviour, answer_s: float = PATIENCE_S) -> str | None:
    """What is said about a receiver that answers so; it must not hold up the sender."""
    began_s = time.monotonic()
    [attempt] = post(Receiver(answer), answer_s=answer_s).attempts
    assert time.monotonic() - began_s < PATIENCE_S
    return attempt.problem


def problem_at(url: str, answer_s: float = PATIENCE_S) -> str | None:
    """What is said about a place where no receiver is."""
    options = limits(answer_s=answer_s)
    delivery = asyncio.run(deliver(url, "call_ended", CALL, api_key=KEY, limits=options))
    return delivery.attempts[-1].problem


def test_the_projects_own_receiver_takes_the_events_of_a_call() -> None:
    events: list[WebhookEvent] = []
    app = FastAPI()
    app.include_router(webhook_router(KEY, events.append))

    async def live(url: str) -> list[Delivery]:
        webhooks = Webhooks(url, api_key=KEY)
        for event in ("call_started", "call_ended", "call_analyzed"):
            await webhooks.send(event, CALL)
        return webhooks.deliveries

    with serve(app, name="hook", show_log=False) as server:
        deliveries = asyncio.run(live(f"{server.url}webhook"))
        assert server.log.wait_for("event 'call_analyzed' of call 'c1': taken")
    assert [delivery.attempts[0].status for delivery in deliveries] == [204, 204, 204]
    assert [event.event for event in events] == ["call_started", "call_ended", "call_analyzed"]
    assert events[0].call == CALL


def test_the_projects_own_receiver_refuses_another_key() -> None:
    app = FastAPI()
    app.include_router(webhook_router("another-key", print))
    with serve(app, name="hook", show_log=False) as server:
        said = problem_at(f"{server.url}webhook")
    assert said == "HTTP 401, expected 2xx; do both sides have the same API key?"


def test_an_event_is_json_that_is_signed() -> None:
    receiver = Receiver(TAKEN)
    assert post(receiver).is_taken
    [headers], [body] = receiver.headers, receiver.bodies
    assert json.loads(body) == {"event": "call_ended", "call": CALL}
    assert body.startswith(b'{"event":"call_ended","call":{"call_id":"c1",')
    assert headers["content-type"] == "application/json"
    verify(body, KEY, headers[SIGNATURE_HEADER])


def test_an_event_that_is_refused_comes_again_with_the_same_body_and_a_new_signature() -> None:
    receiver = Receiver(BUSY, TAKEN)
    delivery = post(receiver, retries=3)
    assert [attempt.status for attempt in delivery.attempts] == [503, 204]
    assert delivery.is_taken
    assert receiver.bodies[0] == receiver.bodies[1]
    first, second = (headers[SIGNATURE_HEADER] for headers in receiver.headers)
    assert first < second  # the time comes first
    verify(receiver.bodies[1], KEY, second)


def test_an_event_that_nobody_takes_is_given_up_after_three_retries() -> None:
    receiver = Receiver(BUSY)
    delivery = post(receiver, retries=3)
    assert not delivery.is_taken
    assert [attempt.status for attempt in delivery.attempts] == [503] * 4
    assert len(receiver.bodies) == 4


def test_the_platform_waits_ten_seconds_and_tries_four_times() -> None:
    assert DeliveryLimits().answer_s == 10
    assert len(DeliveryLimits().pauses_s) == 3


def test_the_pauses_are_kept() -> None:
    async def play() -> float:
        async with Receiver(BUSY).running() as url:
            options = DeliveryLimits(pauses_s=(0.05, 0.1))
            began_s = time.monotonic()
            await deliver(url, "call_ended", CALL, api_key=KEY, limits=options)
            return time.monotonic() - began_s

    assert 0.15 <= asyncio.run(play()) < PATIENCE_S


@pytest.mark.parametrize("status", [200, 202, 299])
def test_any_2xx_takes_an_event(status: int) -> None:
    [attempt] = post(Receiver(f"HTTP/1.1 {status} So\r\n\r\n".encode()), retries=3).attempts
    assert (attempt.status, attempt.problem) == (status, None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("199 Odd", "HTTP 199, expected 2xx"),
        ("300 Choices", "HTTP 300, expected 2xx"),
        ("304 Not Modified", "HTTP 304, expected 2xx"),
        (
            "404 Not Found",
            "HTTP 404, expected 2xx; is the route there, and is its path in the URL?",
        ),
        ("405 Not Allowed", "HTTP 405, expected 2xx; is the route there, and does it take POST?"),
        ("500 Oops\r\nLocation: /there", "HTTP 500, expected 2xx"),
    ],
)
def test_any_other_status_is_named(answer: str, said: str) -> None:
    assert problem(f"HTTP/1.1 {answer}\r\n\r\n".encode()) == said


@pytest.mark.parametrize("status", [301, 307, 399])
def test_a_redirect_is_named_and_not_followed(status: int) -> None:
    receiver = Receiver(f"HTTP/1.1 {status} There\r\nLocation: /there\r\n\r\n".encode(), TAKEN)
    [attempt] = post(receiver).attempts
    assert attempt.problem == (
        f"HTTP {status} to '/there', expected 2xx; "
        "redirects are not followed, give the URL where it leads"
    )
    assert receiver.lines == ["POST /webhook HTTP/1.1"]


def test_what_a_receiver_says_is_short_and_on_one_line() -> None:
    long = b"x" * 1000
    said = problem(b"HTTP/1.1 302 There\r\nLocation: a\r\n \x1b[31m" + long + b"\r\n\r\n")
    garbage = problem(b"\x1b[31m" + long + b"\r\n")
    for text in (said, garbage):
        assert text
        assert text.isprintable()
        assert len(text) < 250


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "the connection broke before an answer (remote end closed connection without resp"),
        (b"\r\n", "the answer is no HTTP ("),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the answer is no HTTP ('SSH-2.0-OpenSSH_9.6"),
        (b"HTTP/1.1 abc\r\n\r\n", "the answer is no HTTP ('HTTP/1.1 abc"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "the answer is no HTTP ('got more"),
        (b"x" * 2**20, "the answer is no HTTP ('got more than 65536 bytes"),
    ],
)
def test_what_is_no_answer_is_told_apart(answer: bytes, said: str) -> None:
    assert (problem(answer) or "").startswith(said)


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read for ever; that this ends shows that the sender hung up."""
    while await reader.read(2**16):
        pass


def repeating(first: bytes, piece: bytes, pause_s: float = 0.0) -> Misbehaviour:
    """Write a piece again and again for as long as the sender is there."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not reader.at_eof():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return answer


@pytest.mark.parametrize(
    "misbehaviour",
    [
        mute,
        repeating(b"", b"H", 0.01),
        repeating(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.01),
        repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
    ],
    ids=["mute", "trickles", "trickles headers", "continues"],
)
def test_who_never_comes_to_an_answer_is_given_up_in_time(misbehaviour: Misbehaviour) -> None:
    assert problem(misbehaviour, answer_s=SHORT_S) == NO_ANSWER


def test_who_does_not_read_is_given_up_in_time() -> None:
    call = {**CALL, "transcript": "x" * 2**24}
    is_given_up = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()  # the stream's own buffer holds some of what came
        await is_given_up.wait()

    async def play() -> Delivery:
        async with Receiver(deaf).running() as url:
            options = limits(answer_s=SHORT_S)
            delivery = await deliver(url, "call_ended", call, api_key=KEY, limits=options)
            is_given_up.set()
        return delivery

    [attempt] = asyncio.run(play()).attempts
    assert attempt.problem == NO_ANSWER


def test_who_answers_before_it_has_read_everything_is_heard() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Long\r\n\r\n")

    call = {**CALL, "transcript": "x" * 2**24}
    assert [attempt.status for attempt in post(Receiver(hasty), call).attempts] == [413]


def test_the_body_of_an_answer_is_not_waited_for() -> None:
    endless = repeating(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 2**16)
    assert problem(endless) is None


def test_a_port_on_which_nothing_listens_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    said = problem_at(f"http://127.0.0.1:{port}/webhook")
    assert said == "nothing answers (connection refused); is the receiver running?"


def test_a_name_that_nobody_knows_is_said_so() -> None:
    assert (problem_at("http://no-such-host.invalid/") or "").startswith("nothing answers (")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (TAKEN, "TLS failed (wrong version number); is http:// meant?"),
        (b"", "TLS failed ("),
        (mute, NO_ANSWER),
    ],
    ids=["plain", "closes", "mute"],
)
def test_https_to_a_receiver_without_tls_is_said_so(
    answer: bytes | Misbehaviour, said: str
) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.read(1)) == b"\x16"  # the first byte of a TLS handshake
        if isinstance(answer, bytes):
            writer.write(answer)
        else:
            await answer(reader, writer)

    async def play() -> str | None:
        async with Receiver(plain).running() as url:
            secure = url.replace("http:", "https:")
            options = limits(answer_s=SHORT_S if answer is mute else PATIENCE_S)
            delivery = await deliver(secure, "call_ended", CALL, api_key=KEY, limits=options)
        return delivery.attempts[0].problem

    assert (asyncio.run(play()) or "").startswith(said)


def test_a_connection_that_comes_about_too_late_carries_no_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_go_on = threading.Event()
    look_up = socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        may_go_on.wait(PATIENCE_S)
        return look_up(*args, **options)

    async def play() -> tuple[Delivery, bytes]:
        arrived: asyncio.Queue[bytes] = asyncio.Queue()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            arrived.put_nowait(await reader.read())

        async with Receiver(listen).running() as url:
            monkeypatch.setattr(socket, "getaddrinfo", slow)
            options = limits(answer_s=0.05)
            delivery = await deliver(url, "call_ended", CALL, api_key=KEY, limits=options)
            [late] = threads()
            assert late.daemon  # so that the process can end
            may_go_on.set()
            return delivery, await arrived.get()

    delivery, arrived = asyncio.run(play())
    assert (delivery.attempts[0].status, arrived) == (None, b"")


def test_who_is_cancelled_hangs_up() -> None:
    async def play() -> None:
        arrived = asyncio.Event()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await mute(reader, writer)

        async with Receiver(take).running() as url:
            task = asyncio.create_task(deliver(url, "call_ended", CALL, api_key=KEY))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(play())


@given(st.binary(max_size=64))
@settings(max_examples=50, deadline=None)
def test_whatever_a_receiver_answers_is_told_and_not_raised(noise: bytes) -> None:
    for answer in (noise, b"HTTP/1.1 " + noise, b"HTTP/1.1 302 \r\nLocation: " + noise):
        [attempt] = post(Receiver(answer)).attempts
        assert attempt.problem is None or attempt.problem.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "webhook",
        "127.0.0.1:8000/webhook",
        "ws://127.0.0.1/webhook",
        "http://",
        "http:///webhook",
        "http://[::1/webhook",
        "http://127.0.0.1:port/",
        "http://127.0.0.1:0/",
        "http://a..b/",
        "http://a b/",
        "http://a/\ud800",
    ],
)
def test_a_url_to_which_nothing_can_be_posted_is_refused_at_once(url: str) -> None:
    with pytest.raises(SetupError, match="expected http://host/path or https://host/path"):
        Webhooks(url, api_key=KEY)


@pytest.mark.parametrize("key", ["", " \n"])
def test_a_blank_key_is_refused_at_once(key: str) -> None:
    with pytest.raises(SetupError, match="blank"):
        asyncio.run(deliver("http://127.0.0.1:1/", "call_ended", CALL, api_key=key))


def test_a_call_that_is_no_json_is_a_mistake_of_the_sender() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        post(Receiver(TAKEN), {"cost": math.nan})


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("", "/"),
        ("?token=a", "/?token=a"),
        ("/hook?token=a%20b&x=1#top", "/hook?token=a%20b&x=1"),
        ("/hören sie", "/h%C3%B6ren%20sie"),
    ],
)
def test_the_path_and_the_query_arrive(written: str, sent: str) -> None:
    receiver = Receiver(TAKEN)

    async def play() -> None:
        async with receiver.running() as url:
            await deliver(url.removesuffix("/webhook") + written, "call_ended", CALL, api_key=KEY)

    asyncio.run(play())
    assert receiver.lines == [f"POST {sent} HTTP/1.1"]


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """What a receiver was told: the event, and the call."""
    bodies = [json.loads(body) for body in receiver.bodies]
    return [(body["event"], body["call"]["call_id"]) for body in bodies]


def test_the_events_of_a_call_come_one_after_the_other() -> None:
    receiver = Receiver(BUSY, BUSY, TAKEN)

    async def play() -> list[str]:
        async with receiver.running() as url:
            webhooks = Webhooks(url, api_key=KEY, limits=limits(retries=1))
            events = ("call_started", "call_ended", "call_analyzed")
            await asyncio.gather(*(webhooks.send(event, CALL) for event in events))
        return [f"{delivery.event} {delivery.is_taken}" for delivery in webhooks.deliveries]

    assert asyncio.run(play()) == ["call_started False", "call_ended True", "call_analyzed True"]
    assert told(receiver) == [
        ("call_started", "c1"),
        ("call_started", "c1"),
        ("call_ended", "c1"),
        ("call_analyzed", "c1"),
    ]


def test_one_call_does_not_wait_for_another() -> None:
    async def play() -> list[Delivery]:
        may_answer = asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken.set()
            await may_answer.wait()
            writer.write(TAKEN)

        taken = asyncio.Event()
        async with Receiver(slow, TAKEN).running() as url:
            webhooks = Webhooks(url, api_key=KEY)
            waiting = asyncio.create_task(webhooks.send("first", CALL))
            await taken.wait()
            await webhooks.send("second", {"call_id": "c2"})
            may_answer.set()
            await waiting
        return webhooks.deliveries

    assert [delivery.event for delivery in asyncio.run(play())] == ["second", "first"]


def test_a_call_is_sent_as_it_was_when_its_event_began() -> None:
    receiver = Receiver(TAKEN)

    async def play() -> None:
        async with receiver.running() as url:
            webhooks = Webhooks(url, api_key=KEY)
            call = {"call_id": "c1", "call_status": "ongoing"}
            tasks = [asyncio.create_task(webhooks.send(event, call)) for event in ("one", "two")]
            await asyncio.sleep(0)
            call["call_status"] = "ended"
            await asyncio.gather(*tasks)

    asyncio.run(play())
    assert [b'"ongoing"' in body for body in receiver.bodies] == [True, True]


def test_a_delivery_reads_as_one_line() -> None:
    refused = Attempt(status=503, problem="HTTP 503, expected 2xx", took_ms=4)
    taken = Attempt(status=204, problem=None, took_ms=12)
    delivery = Delivery(event="call_ended", attempts=(refused, taken))
    assert str(delivery) == (
        "call_ended: taken at attempt 2: HTTP 503, expected 2xx [4 ms]; HTTP 204 [12 ms]"
    )
    given_up = Delivery(event="call_ended", attempts=(refused,))
    assert str(given_up) == "call_ended: given up at attempt 1: HTTP 503, expected 2xx [4 ms]"


def test_a_delivery_is_frozen_and_looks_the_same_every_time() -> None:
    delivery = post(Receiver(TAKEN))
    assert repr(delivery) == (
        "Delivery(event='call_ended', attempts=(Attempt(status=204, problem=None),))"
    )
    with pytest.raises(AttributeError):
        delivery.event = "other"  # type: ignore[misc]


def test_an_attempt_is_timed() -> None:
    [attempt] = post(Receiver(mute), answer_s=SHORT_S).attempts
    assert SHORT_S * 1000 <= attempt.took_ms < PATIENCE_S * 1000
