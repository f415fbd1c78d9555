"""`serve`, in this process; what only a kernel can show is in `test_kernel`."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from fastapi import FastAPI, WebSocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from llmws_tutorial.errors import PortBusy, SetupError
from llmws_tutorial.notebook import Server, runtime, serve

IN_TIME_S: Final = 5.0
"""The second in which a server stops, and what a busy machine may add; no handler here ends."""
app = FastAPI()


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Leave no server behind, and no other app under the name `app`."""
    before = app
    yield
    globals()["app"] = before
    for server in list(runtime._servers.values()):
        server.stop()


def answering(text: str) -> FastAPI:
    made = FastAPI()
    made.get("/")(lambda: text)
    return made


def page(server: Server) -> str:
    with urlopen(server.url, timeout=5) as answer:
        return str(answer.read().decode())


def stop_time_s(server: Server) -> float:
    started = time.monotonic()
    server.stop()
    return time.monotonic() - started


def can_bind(port: int) -> bool:
    with contextlib.suppress(PortBusy):
        runtime.bind(port).close()
        return True
    return False


def holding(hold: Any) -> tuple[FastAPI, threading.Event]:
    """An app whose call handler does one thing, and an event for when it has begun."""
    made, begun = FastAPI(), threading.Event()

    @made.websocket("/llm-websocket/{call_id}")
    async def hang(ws: WebSocket, call_id: str) -> None:
        await ws.accept()
        begun.set()
        await hold()

    return made, begun


def test_a_server_runs_until_the_block_is_left() -> None:
    with serve(answering("here"), show_log=False) as server:
        assert page(server) == '"here"'
        assert repr(server) == "<Server 'app': running>"
    assert repr(server) == "<Server 'app': stopped>"
    assert can_bind(server.port)


def test_stopping_again_is_harmless() -> None:
    server = serve(answering("here"), show_log=False)
    server.stop()
    server.stop()
    assert not server.is_running


def test_the_name_of_the_variable_names_the_server() -> None:
    assert serve(app, show_log=False).name == "app"
    assert serve(app, name="mine", show_log=False).name == "mine"


def test_serving_a_name_again_stops_the_old_server_and_keeps_its_port() -> None:
    first = serve(answering("first"), name="same", show_log=False)
    second = serve(answering("second"), name="same", show_log=False)
    assert (first.is_running, second.port) == (False, first.port)
    assert page(second) == '"second"'


def test_serving_a_name_on_another_port_frees_the_old_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    first = serve(answering("first"), name="same", show_log=False)
    second = serve(answering("second"), name="same", port=port, show_log=False)
    assert second.port == port
    assert can_bind(first.port)


def test_the_port_of_a_stopped_server_may_have_gone_to_somebody_else() -> None:
    first = serve(answering("first"), name="same", show_log=False)
    first.stop()
    with socket.create_server(("127.0.0.1", first.port)):
        second = serve(answering("second"), name="same", show_log=False)
        assert second.port != first.port


def test_two_names_are_two_servers() -> None:
    one = serve(answering("one"), name="one", show_log=False)
    two = serve(answering("two"), name="two", show_log=False)
    assert (page(one), page(two)) == ('"one"', '"two"')


def test_a_busy_port_is_an_error_in_words_and_the_old_server_goes_on() -> None:
    old = serve(answering("old"), name="same", show_log=False)
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        with pytest.raises(PortBusy, match=f"port {port} cannot be had .*: end the program"):
            serve(answering("new"), name="same", port=port)
    assert page(old) == '"old"'


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(PortBusy, match="does not exist, expected 1 to 65535"):
        serve(app, port=port)


def test_what_is_no_app_is_refused() -> None:
    with pytest.raises(SetupError, match=r"cannot serve str, expected an app such as FastAPI\(\)"):
        serve("app")


def test_the_last_definition_of_a_route_wins() -> None:
    mine = answering("first")
    with serve(mine, show_log=False) as server:
        mine.get("/")(lambda: "second")
        mine.get("/")(lambda: "third")
        mine.post("/")(lambda: "another method is another route")
        assert page(server) == '"third"'
    assert [route.methods for route in mine.routes if route.path == "/"] == [{"GET"}, {"POST"}]  # type: ignore[attr-defined]


def test_the_last_definition_of_the_app_wins() -> None:
    globals()["app"] = answering("first")
    with serve(app, show_log=False) as server:
        globals()["app"] = answering("second")
        assert page(server) == '"second"'


def test_an_app_that_is_deleted_or_spoilt_is_served_on() -> None:
    globals()["app"] = answering("first")
    with serve(app, show_log=False) as server:
        globals()["app"] = "no app at all"
        assert page(server) == '"first"'


def test_any_asgi_app_can_be_served() -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"short"})

    with serve(bare, show_log=False) as server, pytest.raises(HTTPError, match="418"):
        page(server)


def test_an_app_that_fails_to_start_says_why() -> None:
    @contextlib.asynccontextmanager
    async def fail(_: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("the database is away")
        yield

    with pytest.raises(SetupError, match=r"the app did not start(.|\n)*the database is away"):
        serve(FastAPI(lifespan=fail))


def test_an_app_that_takes_too_long_to_start_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def dawdle(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(runtime, "_STARTUP_S", 0.1)
    with pytest.raises(SetupError, match="the app did not start"):
        serve(FastAPI(lifespan=dawdle))


def test_what_a_server_waits_for_when_it_stops_is_over_within_a_second() -> None:
    assert 2 * runtime.GRACE_S < 1


def test_a_stop_does_not_wait_for_a_handler_that_hangs() -> None:
    made, begun = holding(lambda: asyncio.Event().wait())
    server = serve(made, show_log=False)
    with connect(f"{server.websocket_url}call", close_timeout=1):
        assert begun.wait(5)
        assert stop_time_s(server) < IN_TIME_S
        assert can_bind(server.port)


@pytest.mark.refuses_to_end
def test_a_stop_does_not_wait_for_a_handler_that_refuses_to_end() -> None:
    release = threading.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)

    made, begun = holding(stubborn)
    server = serve(made, show_log=False)
    with connect(f"{server.websocket_url}call", close_timeout=1):
        assert begun.wait(5)
        assert stop_time_s(server) < IN_TIME_S
        assert can_bind(server.port)
    release.set()


def test_a_stop_does_not_wait_for_a_handler_that_blocks_its_thread() -> None:
    release = threading.Event()

    async def block() -> None:
        release.wait(20)

    made, begun = holding(block)
    server = serve(made, show_log=False)
    with connect(f"{server.websocket_url}call", close_timeout=0.1):
        assert begun.wait(5)
        assert stop_time_s(server) < IN_TIME_S
        assert can_bind(server.port)
        release.set()


def test_open_calls_are_told_to_come_back_when_the_server_stops() -> None:
    made, begun = holding(lambda: asyncio.Event().wait())
    server = serve(made, show_log=False)
    with connect(f"{server.websocket_url}call") as ws:
        assert begun.wait(5)
        server.stop()
        with pytest.raises(ConnectionClosed):
            ws.recv(timeout=5)
        assert ws.close_code == 1012


def test_fifty_open_calls_do_not_delay_the_stop() -> None:
    made, _ = holding(lambda: asyncio.Event().wait())
    server = serve(made, show_log=False)
    with contextlib.ExitStack() as calls:
        for number in range(50):
            calls.enter_context(connect(f"{server.websocket_url}{number}", close_timeout=1))
        assert stop_time_s(server) < IN_TIME_S


def test_a_handler_that_raises_leaves_the_server_well_and_its_traceback_in_the_log() -> None:
    async def fail() -> None:
        raise LookupError("no such patient")

    made, begun = holding(fail)
    with serve(made, show_log=False) as server:
        with connect(f"{server.websocket_url}call"):
            assert begun.wait(5)
        assert server.log.wait_for("LookupError: no such patient")
        assert server.is_running
