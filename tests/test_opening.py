"""One attempt to open a socket, against servers on this machine: how far it comes and what it says.

The certificates belong to the key beside them: `here` is for localhost and 127.0.0.1, `elsewhere`
for another name, `expired` is too old and `early` a century too young. Each is its own authority.
"""

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Subprotocol

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.simulator.opening import Stage, open_socket
from tests.sockets import free_port

Run = Callable[[Coroutine[Any, Any, Any]], Any]
PATIENCE_S: Final = 10.0
SHORT_S: Final = 0.2
CERTIFICATES: Final = Path(__file__).parent / "certificates"
NOTHING_ODD: Final = "llm-websocket/c1"


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run to the end on each kind of event loop, and leave no socket open."""
    loops: Any = asyncio if request.param == "asyncio" else pytest.importorskip("uvloop")

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
            return runner.run(asyncio.wait_for(main, PATIENCE_S))

    yield run
    gc.collect()  # what was not closed warns here, and a warning is an error


def serving(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem", CERTIFICATES / "key.pem")
    return context


def trusting(name: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATES / f"{name}.pem")


async def failure(url: str, **options: Any) -> tuple[str, str]:
    """The stage in which an attempt ends, and what is said about it."""
    with pytest.raises(CannotConnect) as caught:
        await open_socket(url, **options)
    assert caught.value.__suppress_context__
    return caught.value.stage, str(caught.value)


@contextlib.asynccontextmanager
async def served(tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[str]:
    """A WebSocket server; the answer is its host and port."""

    async def polite(ws: ServerConnection) -> None:
        await ws.wait_closed()

    options = {"handler": polite, "host": "127.0.0.1", "port": 0, **options}
    async with serve(ssl=tls, **options) as server:
        yield f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@contextlib.asynccontextmanager
async def answering(
    raw: bytes, *, stays: bool = False, asked: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """A port that reads a request and answers with these bytes; then it hangs up, or never does."""
    talking: set[asyncio.Task[None] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await reader.read(2**16)
            if asked:
                asked.set()
            writer.write(raw)
            if stays:
                await writer.drain()
                while await reader.read(2**16):
                    pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            await asyncio.gather(*filter(None, talking))


async def failure_with(raw: bytes, *, stays: bool = False, **options: Any) -> tuple[str, str]:
    async with answering(raw, stays=stays) as where:
        stage, said = await failure(f"ws://{where}/{NOTHING_ODD}", **options)
        prefix = f"cannot call {where}: "
        assert said.startswith(prefix)
        return stage, said.removeprefix(prefix)


def status(line: str, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {line}", "Content-Length: 0", "Connection: close", *headers, "", ""]
    return "\r\n".join(head).encode("latin-1")


def test_the_stages_are_told_as_they_begin(run: Run) -> None:
    stages: list[Stage] = []

    async def attempt() -> None:
        async with served() as where:
            await (await open_socket(f"ws://{where}/x/c1", progress=stages.append)).close()

    run(attempt())
    assert stages == [Stage.NAME, Stage.TCP, Stage.HTTP, Stage.OPEN]


def test_a_certificate_that_is_trusted_opens_the_call(run: Run) -> None:
    stages: list[Stage] = []

    async def attempt() -> None:
        async with served(serving("here")) as where:
            url = f"https://{where}/x/c1"
            opened = await open_socket(url, context=trusting("here"), progress=stages.append)
            await opened.close()

    run(attempt())
    assert stages == list(Stage)


def test_the_server_sees_the_path_and_no_more_than_it_needs(run: Run) -> None:
    seen: list[str] = []

    async def note(ws: ServerConnection) -> None:
        assert ws.request
        seen.extend([ws.request.path, *sorted(ws.request.headers)])

    async def attempt() -> None:
        async with served(handler=note) as where:
            await (await open_socket(f"ws://{where}/x/c1?key=a#there")).close()

    run(attempt())
    asked = ["Connection", "Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Upgrade"]
    assert seen == ["/x/c1?key=a", *(name.lower() for name in asked)]


def test_a_user_and_a_password_are_sent_and_not_said(run: Run) -> None:
    seen: list[str] = []

    async def note(ws: ServerConnection) -> None:
        assert ws.request
        seen.append(ws.request.headers["Authorization"])

    async def attempt() -> None:
        async with served(handler=note) as where:
            await (await open_socket(f"ws://anna:secret@{where}/x/c1")).close()

    run(attempt())
    assert seen == ["Basic YW5uYTpzZWNyZXQ="]


def test_an_open_socket_knows_the_habits_of_the_platform(run: Run) -> None:
    async def attempt() -> None:
        async with served() as where:
            opened = await open_socket(f"ws://{where}/x/c1")
            assert (opened.ping_interval, opened.close_timeout) == (None, 1.0)
            await opened.close()

    run(attempt())


@pytest.mark.parametrize(("most_bytes", "code"), [(9, 1009), (10, 1000), (None, 1000)])
def test_a_message_longer_than_wanted_ends_the_call(
    run: Run, most_bytes: int | None, code: int
) -> None:
    told: list[int | None] = []

    async def long(ws: ServerConnection) -> None:
        await ws.send("ten bytes.")
        await ws.wait_closed()
        told.append(ws.close_code)

    async def attempt() -> None:
        async with served(handler=long) as where:
            opened = await open_socket(f"ws://{where}/x/c1", most_bytes=most_bytes)
            with contextlib.suppress(ConnectionClosedError):
                assert await opened.recv() == "ten bytes."
            await opened.close()

    run(attempt())
    assert told == [code]


def test_a_name_that_nobody_knows_is_said_so(run: Run) -> None:
    stage, said = run(failure("ws://no-such-host.invalid/x/c1"))
    assert stage == "NAME"
    assert said.startswith("cannot call no-such-host.invalid: the name is unknown (")
    assert said.endswith("); is it right, and is there a network?")
    assert said.lower() == said


def test_a_name_of_this_machine_is_found(run: Run) -> None:
    async def attempt() -> None:
        async with served() as where:
            url = f"ws://localhost:{where.partition(':')[2]}/x/c1"
            await (await open_socket(url)).close()

    run(attempt())


def test_a_slow_name_server_is_given_up_and_not_waited_for_at_the_end(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    find = socket.getaddrinfo

    def slow(host: str, *args: Any, **options: Any) -> Any:
        if "flags" not in options:
            answers.wait(PATIENCE_S)
        return find("127.0.0.1" if answers.is_set() else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    before = set(threading.enumerate())
    started = time.monotonic()
    stage, said = run(failure("ws://slow.invalid/x/c1", timeout_s=SHORT_S))
    assert time.monotonic() - started < PATIENCE_S / 2
    assert stage == "NAME"
    assert said.endswith(
        "in 0.2 s from the name server; is there a network, and is the name right?"
    )
    answers.set()  # an answer that nobody waits for any more disturbs nobody
    for thread in set(threading.enumerate()) - before:
        assert thread.daemon
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("first", ["127.0.0.2", "127.255.255.255"])
def test_every_address_of_a_name_is_tried(
    run: Run, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    find = socket.getaddrinfo

    def two(host: str, port: int, **options: Any) -> Any:
        if host != "two.invalid" or "flags" in options:
            return find(host, port, **options)
        return [*find(first, port, **options), *find("127.0.0.1", port, **options)]

    async def attempt() -> None:
        async with served() as where:
            url = f"ws://two.invalid:{where.partition(':')[2]}/x/c1"
            await (await open_socket(url)).close()

    monkeypatch.setattr(socket, "getaddrinfo", two)
    run(attempt())


def test_a_port_on_which_nothing_listens_is_said_so(run: Run) -> None:
    port = free_port()
    stage, said = run(failure(f"ws://anna:secret@127.0.0.1:{port}/{NOTHING_ODD}"))
    why = "nothing answers (connection refused); is the server running?"
    assert (stage, said) == ("TCP", f"cannot call 127.0.0.1:{port}: {why}")


def test_an_address_to_which_no_way_leads_is_said_so(run: Run) -> None:
    stage, said = run(failure("ws://127.255.255.255:9/x/c1"))
    assert (stage, said.partition(": ")[2]) == (
        "TCP",
        "no way leads there (network is unreachable); is the address right?",
    )


def test_a_connection_that_does_not_open_is_given_up(run: Run) -> None:
    with (
        contextlib.ExitStack() as fillers,
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
    ):
        for _ in range(8):  # what waits to be accepted fills the queue
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        url = f"ws://127.0.0.1:{full.getsockname()[1]}/x/c1"
        stage, said = run(failure(url, timeout_s=SHORT_S))
    assert stage == "TCP"
    assert ": no answer in 0.2 s while the TCP connection opened; is the address right" in said


@pytest.mark.parametrize(
    ("certificate", "trusted", "why", "fix"),
    [
        ("here", None, "self-signed certificate", "the platform wants one of a known authority"),
        ("expired", "expired", "certificate has expired", "renew it"),
        ("early", "early", "certificate is not yet valid", "is the clock of both machines right?"),
        ("elsewhere", "elsewhere", "'127.0.0.1'", "call the server by an address in its"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_named_with_its_fault(
    run: Run, certificate: str, trusted: str | None, why: str, fix: str
) -> None:
    async def attempt() -> tuple[str, str]:
        async with served(serving(certificate)) as where:
            context = trusting(trusted) if trusted else None
            return await failure(f"wss://{where}/x/c1", context=context)

    stage, said = run(attempt())
    assert stage == "TLS"
    assert ": its certificate is not trusted (" in said
    assert why in said
    assert f"); {fix}" in said


def test_a_certificate_for_another_name_says_to_use_that_name(run: Run) -> None:
    async def attempt() -> tuple[str, str]:
        async with served(serving("elsewhere")) as where:
            url = f"wss://localhost:{where.partition(':')[2]}/x/c1"
            return await failure(url, context=trusting("elsewhere"))

    stage, said = run(attempt())
    assert stage == "TLS"
    assert "'localhost'.); call the server by a name in its certificate; " in said


@pytest.mark.parametrize("raw", [status("400 Bad Request"), b""])
def test_wss_to_a_server_without_tls_says_ws(run: Run, raw: bytes) -> None:
    async def attempt() -> tuple[str, str]:
        async with answering(raw) as where:
            return await failure(f"wss://{where}/{NOTHING_ODD}")

    stage, said = run(attempt())
    words = "wrong version number" if raw else "the server hung up"
    fix = "does it speak TLS? without, it is called with ws://"
    hint = "a server on this machine is called with ws://, not wss://"
    assert stage == "TLS"
    assert said.endswith(f": TLS failed ({words}); {fix}; {hint}")


def test_a_server_that_never_answers_in_tls_is_given_up(run: Run) -> None:
    async def attempt() -> tuple[str, str]:
        async with answering(b"", stays=True) as where:
            return await failure(f"wss://{where}/{NOTHING_ODD}", timeout_s=SHORT_S)

    stage, said = run(attempt())
    why = "no answer in 0.2 s after the TCP connection was open (no TLS answer)"
    assert stage == "TLS"
    assert f": {why}; is the server stuck?; " in said


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 404 Not Found\r\n"])
def test_a_server_that_never_answers_or_only_begins_to_is_given_up(run: Run, raw: bytes) -> None:
    stage, said = run(failure_with(raw, stays=True, timeout_s=SHORT_S))
    silent = (
        "no answer in 0.2 s after the TCP connection was open (no HTTP answer); "
        "is the server stuck?"
    )
    begun = (
        r"no whole answer in 0.2 s (it began with 'HTTP/1.1 404 Not Found\r\n'); "
        "is it a WebSocket server that listens there?"
    )
    assert (stage, said) == ("HTTP", begun if raw else silent)


def test_plain_ws_to_a_server_with_tls_says_wss(run: Run) -> None:
    async def attempt() -> tuple[str, str]:
        async with served(serving("here")) as where:
            return await failure(f"ws://{where}/{NOTHING_ODD}")

    stage, said = run(attempt())
    assert stage == "HTTP"
    assert said.endswith("; read its log; does it want wss://?")


@pytest.mark.parametrize(
    ("line", "why", "fix"),
    [
        ("200 OK", "a web page answers there", "does the URL end in /llm-websocket/, and is"),
        ("400 Bad Request", "the server saw no proper request", "does a proxy in between drop"),
        ("426 Upgrade Required", "the server saw no proper request", "does a proxy in between"),
        ("401 Unauthorized", "the server refused the socket", "is the route /llm-websocket/{call_"),
        ("403 Forbidden", "the server refused the socket", "is the route /llm-websocket/{call_id}"),
        ("404 Not Found", "the server found no page there", "does the URL end in /llm-websocket/"),
        ("421 Misdirected Request", "the server is not called by this name", "call it by its own"),
        ("429 Too Many Requests", "the server takes no more calls", "hang up some or raise its"),
        ("503 Service Unavailable", "the server takes no more calls", "hang up some or raise its"),
        ("500 Internal Server Error", "the server failed before it", "read the traceback in its"),
        ("502 Bad Gateway", "the tunnel is open but nothing answers behind it", "start the server"),
        ("504 Gateway Timeout", "the tunnel is open but nothing answers behind it", "start the"),
        ("300 Multiple Choices", "the server refused the socket", "101 is expected; look at its"),
        ("418 I'm a teapot", "the server refused the socket", "101 is expected; look at its log"),
    ],
)
def test_a_status_is_explained(run: Run, line: str, why: str, fix: str) -> None:
    stage, said = run(failure_with(status(line)))
    assert stage == "HTTP"
    assert said.startswith(why)
    assert f" (HTTP {line[:3]}); {fix}" in said


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_says_where_it_points(run: Run, code: int) -> None:
    calls: list[str] = []

    async def note(ws: ServerConnection) -> None:
        calls.append(ws.id.hex)

    async def attempt() -> str:
        async with served(handler=note) as where:
            target = f"ws://anna:secret@{where}/x/c1"
            _, said = await failure_with(status(f"{code} Moved", f"Location: {target}"))
            return said.replace(where, "THERE")

    assert run(attempt()) == (
        f"it redirects to 'ws://***@THERE/x/c1' (HTTP {code}); call that URL, without the call id"
    )
    assert calls == []


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ((), "''"),
        (("Location: http://[", "Location: /b"), "'http://[, /b'"),
        (("Location: /\x9b31m",), r"'/\x9b31m'"),
        ((f"Location: /{'a' * 999}",), f"'/{'a' * 199}'"),
    ],
)
def test_an_odd_redirect_is_shown_harmlessly(
    run: Run, headers: tuple[str, ...], shown: str
) -> None:
    _, said = run(failure_with(status("302 Found", *headers)))
    assert said.startswith(f"it redirects to {shown} (HTTP 302); ")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "the server hung up without an answer; read its log; does it want wss://?"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "the server speaks TLS; call it with wss://"),
        (b"SSH-2.0-\x1b[31m\r\n", r"no HTTP is spoken there, but 'SSH-2.0-\x1b[31m\r\n'; is the"),
    ],
)
def test_a_port_that_speaks_something_else_is_described(run: Run, raw: bytes, why: str) -> None:
    stage, said = run(failure_with(raw))
    assert (stage, said[: len(why)]) == ("HTTP", why)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n", "connection closed while reading HTTP headers"),
        (b"HTTP/1.0 404 No\r\n\r\n", "unsupported protocol; expected HTTP/1.1: HTTP/1.0 404 No"),
        (b"HTTP/1.1 " + b"a" * 9999, "expected no more than 8192 bytes"),
        (status("101 Yes", f"X: {'a' * 9999}"), "expected no more than 8192 bytes"),
        (status("101 Yes", *["X: a"] * 200), "expected no more than 128 headers"),
        (status("101 Yes"), "invalid Connection header: close"),
        (
            status("101 Yes", "Connection: upgrade", "Upgrade: \x9b"),
            r"expected protocol at 0 in \x9b",
        ),
    ],
)
def test_an_answer_that_opens_no_websocket_comes_with_the_reason(
    run: Run, raw: bytes, reason: str
) -> None:
    stage, said = run(failure_with(raw))
    assert stage == "HTTP"
    assert said.startswith("what answers there is no WebSocket server (")
    assert f"{reason}); is the port right?" in said


def test_a_server_that_chooses_what_nobody_offered_is_refused(run: Run) -> None:
    async def attempt() -> tuple[str, str]:
        choose: dict[str, Any] = {
            "subprotocols": ["x"],
            "select_subprotocol": lambda *_: Subprotocol("x"),
        }
        async with served(**choose) as where:
            return await failure(f"ws://{where}/{NOTHING_ODD}")

    stage, said = run(attempt())
    assert stage == "HTTP"
    assert "is no WebSocket server (no subprotocols supported); is the port right?" in said


def test_a_stranger_who_never_stops_talking_holds_nobody(run: Run) -> None:
    ended = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"220 mail ready\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        ended.set()

    async def attempt() -> tuple[str, str]:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            failed = await failure(f"ws://127.0.0.1:{port}/{NOTHING_ODD}")
            await ended.wait()
            return failed

    started = time.monotonic()
    stage, said = run(attempt())
    assert stage == "HTTP"
    assert r": no HTTP is spoken there, but '220 mail ready\r\n" in said
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("greeting", [b"220 mail ready\r\n", b""])
def test_a_stranger_who_is_faster_than_the_request_is_described(run: Run, greeting: bytes) -> None:
    with contextlib.ExitStack() as peers, socket.create_server(("127.0.0.1", 0)) as listener:

        def greet(stage: Stage) -> None:
            if stage is Stage.HTTP:  # the request is not yet on its way
                peer = peers.enter_context(listener.accept()[0])
                peer.sendall(greeting)
                peer.shutdown(socket.SHUT_WR)

        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/{NOTHING_ODD}"
        stage, said = run(failure(url, progress=greet))
    assert stage == "HTTP"
    spoke = r"no HTTP is spoken there, but '220 mail ready\r\n'; is the port right?"
    hung_up = "the server hung up without an answer; read its log; does it want wss://?"
    assert said.endswith(f": {spoke if greeting else hung_up}")


def test_the_hints_follow_the_fix(run: Run) -> None:
    stage, said = run(failure(f"ws://127.0.0.1:{free_port()}/c1"))
    assert stage == "TCP"
    assert "; is the server running?; the URL ends at the host: add the path" in said


@pytest.mark.parametrize("user", ["me", "me:%ff"])
def test_a_user_without_a_password_that_can_be_read_is_refused_in_words(
    run: Run, user: str
) -> None:
    stage, said = run(failure(f"ws://{user}@127.0.0.1:1/{NOTHING_ODD}"))
    assert (stage, said) == (
        "NAME",
        "cannot call 127.0.0.1:1: its URL has a user name and no password that can be read; "
        "write both, as user:password@, or neither",
    )


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_an_attempt_that_is_cancelled_leaves_nothing_open(run: Run, scheme: str) -> None:
    async def attempt() -> None:
        asked = asyncio.Event()
        async with answering(b"", stays=True, asked=asked) as where:
            dialling = asyncio.create_task(open_socket(f"{scheme}://{where}/x/c1"))
            await asked.wait()
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling

    run(attempt())
