"""A server's log: kept in any case, shown in plain Python, and only that server's."""

import logging
import threading
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from websockets.sync.client import connect

from llmws_tutorial.notebook import log, serve
from llmws_tutorial.steps import step1


def test_a_log_is_searched_iterated_and_printed() -> None:
    with (
        serve(step1.app, name="logged", show_log=False) as server,
        connect(f"{server.websocket_url}a") as ws,
    ):
        ws.send("Hello")
        assert server.log.wait_for("call 'a': received 'Hello'")
    assert "INFO: call 'a': received 'Hello'" in list(server.log)
    assert "received 'Hello'" in str(server.log)
    assert repr(server.log) == "<ServerLog>"


def test_waiting_for_a_line_that_never_comes_ends() -> None:
    with serve(step1.app, name="logged", show_log=False) as server:
        assert not server.log.wait_for("never", timeout_s=0.05)


def test_two_servers_keep_their_lines_apart() -> None:
    with (
        serve(step1.app, name="one", show_log=False) as one,
        serve(step1.app, name="two", show_log=False) as two,
        connect(f"{one.websocket_url}first"),
    ):
        assert one.log.wait_for("'first': connected")
        assert "first" not in two.log


def test_in_plain_python_the_log_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(step1.app, name="logged") as server, connect(f"{server.websocket_url}a") as ws:
        ws.send("Hello")
        server.log.wait_for("'a': received")
        ws.close()
        server.log.wait_for("'a': closed")
    shown = capsys.readouterr().out
    assert "INFO: call 'a': received 'Hello'" in shown
    assert "Started server process" not in shown  # what came before serve() returned


def test_a_log_that_is_not_shown_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(step1.app, name="logged", show_log=False) as server:
        assert server.log.wait_for("Started server process")
    assert capsys.readouterr().out == ""


def test_who_follows_is_told_every_line_and_new_ones_on_the_servers_own_thread() -> None:
    told: list[tuple[str, int]] = []
    with serve(step1.app, name="logged", show_log=False) as server:
        before = list(server.log)
        server.log.follow(lambda line: told.append((line, threading.get_ident())))
        with connect(f"{server.websocket_url}a") as ws:
            ws.send("Hello")
            assert server.log.wait_for("'a': received")
    assert [line for line, _ in told] == list(server.log)
    assert {thread for _, thread in told[: len(before)]} == {threading.get_ident()}
    assert len({thread for _, thread in told[len(before) :]} - {threading.get_ident()}) == 1


def test_a_line_that_comes_while_somebody_begins_to_follow_is_told_once_and_last() -> None:
    followed = log.ServerLog()
    told: list[str] = []
    is_writing = threading.Event()

    def write(text: str) -> None:
        is_writing.set()
        followed.emit(logging.makeLogRecord({"levelname": "INFO", "msg": text}))

    def take(line: str) -> None:
        if not told:
            writer.start()
            assert is_writing.wait(10)
        told.append(line)

    write("one")
    write("two")
    is_writing.clear()
    writer = threading.Thread(target=write, args=["three"])
    followed.follow(take)
    writer.join()
    assert told == ["INFO: one", "INFO: two", "INFO: three"]


def test_who_follows_no_more_is_told_nothing_and_may_say_so_twice() -> None:
    followed = log.ServerLog()
    told: list[str] = []
    other: list[str] = []
    unfollow = followed.follow(told.append)
    followed.follow(other.append)
    unfollow()
    unfollow()
    followed.emit(logging.makeLogRecord({"levelname": "INFO", "msg": "late"}))
    assert (told, other) == ([], ["INFO: late"])


def test_a_follower_that_fails_costs_neither_the_server_nor_the_other_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[str] = []

    def fail(line: str) -> None:
        if "received" in line:
            raise LookupError("the page has gone")

    with serve(step1.app, name="logged", show_log=False) as server:
        server.log.follow(fail)
        server.log.follow(told.append)
        with connect(f"{server.websocket_url}a") as ws:
            ws.send("Hello")
            assert server.log.wait_for("'a': received")
    assert "INFO: call 'a': received 'Hello'" in told
    assert "LookupError: the page has gone" in capsys.readouterr().err


def test_a_stopped_server_listens_to_nobody() -> None:
    with serve(step1.app, name="logged", show_log=False) as server:
        pass
    for name in ("uvicorn", "asyncio"):
        assert server.log not in logging.getLogger(name).handlers


def test_lines_of_the_learners_own_loggers_below_uvicorn_are_kept() -> None:
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def endpoint(ws: WebSocket, call_id: str) -> None:
        logging.getLogger("uvicorn.mine").warning("look here")

    with serve(app, show_log=False) as server:
        with pytest.raises(Exception, match="HTTP 500"):
            connect(f"{server.websocket_url}a")
        assert server.log.wait_for("WARNING: look here")


def test_in_a_kernel_the_thread_is_pinned_to_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[Any] = []

    class Shell:
        def get_parent(self) -> str:
            return "the cell"

        def set_thread_parent(self, parent: str) -> None:
            pinned.append(parent)

    monkeypatch.setattr(log, "_ipython", Shell)
    with serve(step1.app, name="logged", show_log=False):
        assert pinned == ["the cell"]


def test_in_a_kernel_that_cannot_pin_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log, "_ipython", object)
    with serve(step1.app, name="logged") as server, connect(f"{server.websocket_url}a"):
        assert server.log.wait_for("'a': connected")
    assert capsys.readouterr().out == ""
