"""The webhook: who is believed, what is answered, and what is done about it afterwards."""

import asyncio
import contextlib
import functools
import http.client
import json
import logging
import sys
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from fastapi import FastAPI

from llmws_tutorial.errors import SetupError
from llmws_tutorial.messages.signature import WINDOW_MS, sign
from llmws_tutorial.notebook import serve
from llmws_tutorial.server.webhook import WebhookEvent, WebhookLimits, webhook_router

KEY = "test-api-key"
ENDED = b'{"event":"call_ended"}'
PATIENCE_S = 30.0


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings and errors; whether lesser lines are there is up to who logged before."""
    return [line.message for line in caplog.records if line.levelno >= logging.WARNING]


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


def body(event: str = "call_ended", call_id: str = "c1", **call: Any) -> bytes:
    return json.dumps({"event": event, "call": {"call_id": call_id, **call}}).encode()


class Hook:
    """An app with the webhook in it, and the events that it handed on."""

    def __init__(self, on_event: Callable[[WebhookEvent], object] | None = None, **limits: Any):
        self.events: list[WebhookEvent] = []
        self.app = FastAPI()
        router = webhook_router(KEY, on_event or self.take, limits=WebhookLimits(**limits))
        self.app.include_router(router)

    async def take(self, event: WebhookEvent) -> None:
        self.events.append(event)

    async def post(self, *chunks: bytes, signature: str | None = "", last: Any = None) -> int:
        """Post a body in pieces, signed unless told otherwise; the status of the answer."""
        sent: list[Any] = []
        pieces = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        inbound = iter([*pieces, last or {"type": "http.request", "body": b""}])

        async def receive() -> Any:
            message = next(inbound, None)
            return message if message else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        signature = sign(b"".join(chunks), KEY, clock_ms()) if signature == "" else signature
        headers = [(b"x-retell-signature", signature.encode())] if signature else []
        scope = {"type": "http", "method": "POST", "path": "/webhook", "headers": headers}
        async with asyncio.timeout(PATIENCE_S):
            await self.app({**scope, "query_string": b""}, receive, send)
        status: int = sent[0]["status"]
        return status

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Hook"]:
        """The life of the app: leaving it is the shutdown, with every handler at its end."""
        async with asyncio.timeout(PATIENCE_S), self.app.router.lifespan_context(self.app):
            yield self

    async def answers(self, bodies: Iterable[bytes]) -> list[int]:
        async with self.running():
            return [await self.post(body) for body in bodies]


def answer(*chunks: bytes, **options: Any) -> int:
    return asyncio.run(Hook().post(*chunks, **options))


@pytest.mark.parametrize("key", ["", " \n"])
def test_a_blank_key_is_refused_before_anybody_can_sign_with_it(key: str) -> None:
    with pytest.raises(SetupError, match="blank"):
        webhook_router(key, print)


def test_an_event_is_answered_and_handed_on() -> None:
    hook = Hook()
    sent = body("call_analyzed", duration_ms=12)
    assert asyncio.run(hook.answers([sent])) == [204]
    [event] = hook.events
    assert (event.event, event.call_id, event.call["duration_ms"]) == ("call_analyzed", "c1", 12)
    assert event.fields == json.loads(sent)


def test_an_event_is_frozen_and_shows_no_personal_data() -> None:
    event = WebhookEvent(event="call_ended", call={"call_id": "c1", "transcript": "4111"})
    assert repr(event) == "WebhookEvent(event='call_ended')"
    with pytest.raises(AttributeError):
        event.event = "other"  # type: ignore[misc]


@pytest.mark.parametrize("signature", [None, "v=1,d=2", "é"])
def test_who_does_not_sign_is_answered_401(signature: str | None) -> None:
    hook = Hook()
    assert asyncio.run(hook.post(body(), signature=signature)) == 401
    assert hook.events == []


@pytest.mark.parametrize(
    ("signed", "key", "late_ms"),
    [
        (body(), KEY, 100 * WINDOW_MS),
        (body(), KEY, -100 * WINDOW_MS),
        (body(), "another-key", 0),
        (json.dumps(json.loads(body()), indent=1).encode(), KEY, 0),
    ],
    ids=["too old", "too new", "another key", "another body"],
)
def test_who_signs_wrongly_is_answered_401(signed: bytes, key: str, late_ms: int) -> None:
    hook = Hook()
    signature = sign(signed, key, clock_ms() - late_ms)
    assert asyncio.run(hook.post(body(), signature=signature)) == 401
    assert hook.events == []


def test_a_body_that_nobody_signed_is_never_parsed() -> None:
    assert answer(b"{not json", signature=None) == 401


@pytest.mark.parametrize(
    "signed",
    [
        b"",
        b"call_ended",
        b"null",
        b'["event"]',
        b"{}",
        b'{"event":7}',
        b'{"event":""}',
        b'{"data":{}}',
        b'{"event":"call_ended"',
        b'\xff{"event":"call_ended"}',
        b'\xef\xbb\xbf{"event":"call_ended"}',
        b"[" * 100_000,
        b'{"event":' + b"9" * 100_000 + b"}",
    ],
    ids=lambda signed: repr(signed[:24]),
)
def test_a_signed_body_that_is_no_event_is_answered_400(signed: bytes) -> None:
    assert answer(signed) == 400


@pytest.mark.parametrize("call", ["", ',"call":null', ',"call":[1]', ',"call":{"call_id":7}'])
def test_an_unknown_event_about_no_call_is_handed_on(call: str) -> None:
    hook = Hook()
    assert asyncio.run(hook.answers([f'{{"event":"chat_started"{call}}}'.encode()])) == [204]
    assert [(event.event, event.call_id) for event in hook.events] == [("chat_started", "")]


def test_a_body_may_come_in_pieces_up_to_its_limit() -> None:
    whole = body()
    pieces = [whole[:9], b"", whole[9:]]
    assert asyncio.run(Hook(body_bytes=len(whole)).post(*pieces)) == 204
    assert asyncio.run(Hook(body_bytes=len(whole) - 1).post(*pieces)) == 413


def test_a_body_that_nobody_signed_is_not_even_read() -> None:
    """Or strangers with slow bodies would take every place."""
    unreadable = "reading this raises"
    assert asyncio.run(Hook().post(last=unreadable, signature=None)) == 401
    with pytest.raises(TypeError):
        asyncio.run(Hook().post(last=unreadable))


def test_a_body_that_is_too_long_is_read_no_further() -> None:
    hook = Hook(body_bytes=2**20)
    piece = b"x" * 2**16
    tracemalloc.start()
    try:
        signature = f"v={clock_ms()},d={'0' * 64}"
        assert asyncio.run(hook.post(*[piece] * 4096, signature=signature)) == 413
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_a_body_that_does_not_come_is_answered_408() -> None:
    pending = {"type": "http.request", "body": b"{", "more_body": True}
    assert asyncio.run(Hook(read_s=0.05).post(body(), last=pending)) == 408


def test_a_sender_that_leaves_in_mid_body_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    hook = Hook()
    asyncio.run(hook.post(body(), last={"type": "http.disconnect"}))
    assert (hook.events, warned(caplog)) == ([], ["refused with 400: half a body"])


def test_too_many_bodies_at_once_are_sent_away_and_room_comes_back() -> None:
    async def play() -> list[int]:
        hook = Hook(at_once=1, read_s=0.05)
        pending = {"type": "http.request", "body": b"", "more_body": True}
        slow = asyncio.create_task(hook.post(body(), last=pending))
        await asyncio.sleep(0)
        return [await hook.post(body()), await slow, await hook.post(body())]

    assert asyncio.run(play()) == [503, 408, 204]


@pytest.mark.parametrize(
    ("bodies", "handed_on"),
    [
        ([body(), body()], 1),
        ([body(), body(call_status="ended")], 1),
        ([body(), body("call_analyzed")], 2),
        ([body(), body(call_id="c2")], 2),
        ([body("transcript_updated")] * 2, 1),
        ([body("transcript_updated", turn=1), body("transcript_updated", turn=2)], 2),
        ([ENDED, ENDED], 1),
        ([ENDED, b'{"event":"call_ended","call":{}}'], 2),
        ([b'{"event":"call_ended","call":{"call_id":"\\ud800"}}'] * 2, 1),
    ],
)
def test_an_event_that_comes_again_is_answered_and_dropped(
    bodies: list[bytes], handed_on: int
) -> None:
    hook = Hook()
    assert asyncio.run(hook.answers(bodies)) == [204, 204]
    assert len(hook.events) == handed_on


def test_an_event_is_the_same_under_another_signature() -> None:
    async def play() -> int:
        hook = Hook()
        async with hook.running():
            for earlier_ms in (0, 1000, 2000):
                signature = sign(body(), KEY, clock_ms() - earlier_ms)
                assert await hook.post(body(), signature=signature) == 204
        return len(hook.events)

    assert asyncio.run(play()) == 1


def test_only_the_last_events_are_remembered() -> None:
    hook = Hook(remembered=2)
    ids = ["c1", "c2", "c3", "c3", "c2", "c1"]
    asyncio.run(hook.answers(body(call_id=call_id) for call_id in ids))
    assert [event.call_id for event in hook.events] == ["c1", "c2", "c3", "c1"]


@pytest.mark.parametrize("event", ["call_ended", "transcript_updated"])
def test_what_is_remembered_is_small_whatever_came(event: str) -> None:
    hook = Hook(lambda event: None, remembered=10)

    async def play() -> int:
        await hook.post(body(event, "warm"))
        tracemalloc.start()
        for number in range(10):
            await hook.post(body(event, f"{number}" * 100_000))
        async with hook.running():
            pass
        return tracemalloc.get_traced_memory()[0]

    try:
        assert asyncio.run(play()) < 500_000
    finally:
        tracemalloc.stop()


def test_the_answer_does_not_wait_for_the_handler() -> None:
    async def play() -> list[str]:
        seen: list[str] = []
        finish = asyncio.Event()

        async def wait(_: WebhookEvent) -> None:
            await finish.wait()
            seen.append("handled")

        hook = Hook(wait)
        async with hook.running():
            seen.append(str(await hook.post(body())))
            finish.set()
        return seen

    assert asyncio.run(play()) == ["204", "handled"]


class Keeper:
    def __init__(self, events: list[WebhookEvent]) -> None:
        self.events = events

    async def __call__(self, event: WebhookEvent) -> None:
        self.events.append(event)


def handlers(events: list[WebhookEvent]) -> list[Callable[[WebhookEvent], object]]:
    async def add(to: list[WebhookEvent], event: WebhookEvent) -> None:
        to.append(event)

    partial = functools.partial(add, events)
    return [events.append, partial, Keeper(events), lambda event: add(events, event)]


@pytest.mark.parametrize("kind", range(4))
def test_anything_that_can_be_called_takes_events(kind: int) -> None:
    events: list[WebhookEvent] = []
    asyncio.run(Hook(handlers(events)[kind]).answers([body()]))
    assert [event.call_id for event in events] == ["c1"]


def test_a_plain_function_that_blocks_holds_up_nobody() -> None:
    finish = threading.Event()

    async def play() -> None:
        hook = Hook(lambda _: finish.wait(PATIENCE_S))
        async with hook.running():
            assert await hook.post(body()) == 204
            assert await hook.post(body(call_id="c2")) == 204
            assert not finish.is_set()
            finish.set()

    asyncio.run(play())


async def fails(event: WebhookEvent) -> None:
    raise ValueError(event.call["transcript"])


def fails_plainly(event: WebhookEvent) -> None:
    next(iter(()))


async def exits(event: WebhookEvent) -> None:
    sys.exit(3)


def exits_plainly(event: WebhookEvent) -> None:
    sys.exit(3)


async def hangs(event: WebhookEvent) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("on_event", "cause"),
    [
        (fails, "ValueError in fails, line "),
        (fails_plainly, "RuntimeError in "),
        (exits, "SystemExit in exits, line "),
        (exits_plainly, "SystemExit in exits_plainly, line "),
        (hangs, "TimeoutError in "),
    ],
)
def test_a_handler_that_fails_is_one_line_in_the_log(
    on_event: Any, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = [body(transcript="my card is 4111"), body(transcript="my card is 4111")]
    handler_s = 0.05 if on_event is hangs else PATIENCE_S
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(Hook(on_event, handler_s=handler_s).answers(sent)) == [204, 204]
    [line] = warned(caplog)
    assert line.startswith(f"event 'call_ended' of call 'c1': failed, {cause}")
    assert "4111" not in caplog.text


def test_too_many_events_at_once_are_sent_away_and_may_come_again() -> None:
    handled: list[str] = []

    async def play() -> list[int]:
        finish = asyncio.Event()

        async def wait(event: WebhookEvent) -> None:
            await finish.wait()
            handled.append(event.call_id)

        hook = Hook(wait, at_once=1)
        statuses = [await hook.post(body(call_id=call_id)) for call_id in ("c1", "c2", "c1")]
        finish.set()
        async with hook.running():
            pass
        return [*statuses, *await hook.answers([body(call_id="c2")])]

    assert asyncio.run(play()) == [204, 503, 204, 204]
    assert handled == ["c1", "c2"]


def test_a_handler_is_awaited_at_shutdown() -> None:
    seen: list[str] = []

    async def work(event: WebhookEvent) -> None:
        await asyncio.sleep(0.05)
        seen.append(event.call_id)

    asyncio.run(Hook(work).answers([body()]))
    assert seen == ["c1"]


def test_a_handler_that_takes_too_long_is_cancelled_at_shutdown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play() -> bool:
        stopped = asyncio.Event()

        async def wait(event: WebhookEvent) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        await Hook(wait, drain_s=0.05).answers([body()])
        return stopped.is_set()

    assert asyncio.run(play())
    assert warned(caplog) == ["event 'call_ended' of call 'c1': cancelled, the server stops"]


def test_a_plain_function_that_never_ends_holds_up_no_shutdown() -> None:
    finish = threading.Event()
    began = time.monotonic()
    asyncio.run(Hook(lambda _: finish.wait(60), drain_s=0.05).answers([body()]))
    assert time.monotonic() - began < PATIENCE_S
    [thread] = [thread for thread in threading.enumerate() if thread.name == "webhook"]
    assert thread.daemon
    finish.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_handler_that_will_not_stop_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmws_tutorial.server.webhook.STUBBORN_S", 0.05)

    async def play() -> int:
        tries: list[None] = []
        finish = asyncio.Event()

        async def stubborn(event: WebhookEvent) -> None:
            while not finish.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await finish.wait()
                tries.append(None)

        await Hook(stubborn, drain_s=0.05).answers([body()])
        finish.set()
        return len(tries)

    assert asyncio.run(play()) == 1


def test_a_log_line_is_escaped_short_and_without_the_body(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        sent = body("new\nINFO: forged", "c1\r\n" + "x" * 10_000, transcript="4111")
        asyncio.run(Hook().answers([sent, sent]))
        answer(body(transcript="4111"), signature="v=1\nINFO: forged,d=2")
    assert [line[:49] for line in caplog.messages[:2]] == [
        r"event 'new\nINFO: forged' of call 'c1\r\nxxxxxxxx"
    ] * 2
    assert all("\n" not in line and len(line) < 400 for line in caplog.messages)
    assert "4111" not in caplog.text
    assert "x" * 129 not in caplog.text


def test_on_a_real_server_the_route_works_under_a_prefix_and_hangs_up_on_floods() -> None:
    events: list[WebhookEvent] = []
    app = FastAPI()
    limits = WebhookLimits(body_bytes=500)
    app.include_router(webhook_router(KEY, events.append, limits=limits), prefix="/hooks")
    with serve(app, name="hook", show_log=False) as server:

        def request(method: str, data: bytes) -> tuple[int, str | None, bytes]:
            headers = {"X-Retell-Signature": sign(data, KEY, clock_ms())}
            line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
            with contextlib.closing(line):
                line.request(method, "/hooks/webhook", data, headers)
                reply = line.getresponse()
                return reply.status, reply.headers["connection"], reply.read()

        assert request("POST", body()) == (204, None, b"")
        assert request("POST", b"x" * 501) == (413, "close", b"")
        assert request("GET", b"")[0] == 405
        assert server.log.wait_for("event 'call_ended' of call 'c1': taken")
    assert [event.call_id for event in events] == ["c1"]
