"""Calls on disk: kept while they go on, listed, opened and deleted."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from llmws_tutorial.dashboard.history import Keeping, Shelf
from llmws_tutorial.dashboard.view import CallView
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator import Call, CallRecord, Frame
from tests.phone import asked, piece, settle

GREETING = Frame("server", piece(0, "Hi."), at_s=0.5)


def view_of(call: Call, call_id: str = "call_1", started_ms: int = 1) -> CallView:
    record = CallRecord(call_id, call, connections=1, started_ms=started_ms)
    return CallView(record, "ws://x/llm-websocket/", title="A scenario")


def kept(folder: Path, call_id: str = "call_1", **options: Any) -> list[str]:
    """Keep a call to its end; the result is the trouble with it."""
    view = view_of(asked("Hello?"), call_id, **options)
    trouble: list[str] = []
    keeping = Keeping(Shelf(folder), view, lambda event: trouble.append(event["text"]))
    for frame in (GREETING, Frame("server", piece(9), "never asked", 1.0)):
        keeping.take(frame)
        view.add(frame)
    view.record.call.receive(piece(1))
    settle(view.record.call)
    view.record.call.hang_up()
    view.changes()
    keeping.end()
    return trouble


def test_a_call_is_on_disk_from_its_first_frame_on(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "calls")
    keeping = Keeping(shelf, view_of(asked()), print)
    assert not shelf.folder.exists()
    keeping.take(GREETING)
    assert shelf.frame("call_1", 0) == GREETING.data
    assert shelf.folder.stat().st_mode & 0o777 == 0o700
    keeping.end()


def test_a_call_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    Keeping(Shelf(tmp_path), view_of(asked()), print).end()
    assert list(tmp_path.iterdir()) == []


def test_the_list_tells_of_each_call_the_latest_first(tmp_path: Path) -> None:
    assert kept(tmp_path, "call_1", started_ms=5) == []
    assert kept(tmp_path, "call_2", started_ms=6) == []
    latest, first = Shelf(tmp_path).list()
    assert (latest["call_id"], first["call_id"]) == ("call_2", "call_1")
    assert latest == {
        "call_id": "call_2",
        "bytes": (tmp_path / "call_2.jsonl").stat().st_size,
        "started_ms": 6,
        "url": "ws://x/llm-websocket/",
        "title": "A scenario",
        "ended": "user_hangup",
        "duration_s": 2.5,
        "turns": 2,
        "frames": 2,
        "dropped": 1,
        "llm_p50_ms": 0.0,
        "first_words": "Hello?",
    }


def test_a_call_that_was_kept_is_opened_as_it_looked(tmp_path: Path) -> None:
    kept(tmp_path)
    opened = Shelf(tmp_path).read("call_1")
    assert (opened["type"], opened["call_id"]) == ("opened", "call_1")
    assert [item["sent"] for item in opened["items"]] == ["Hi.", "Hello?", "Yes."]
    assert [frame["says"] for frame in opened["frames"]] == ["Hi.", "Yes."]
    assert opened["status"]["ended"] == "user_hangup"
    assert opened["log"][-1]["text"] == "the call ended: user_hangup"
    assert "summary" not in opened


def test_a_folder_that_is_not_there_has_no_calls(tmp_path: Path) -> None:
    assert Shelf(tmp_path / "nothing").list() == []


@pytest.mark.parametrize(
    "page",
    [
        None,
        b"",
        b"{",
        b"null",
        b"[" * 100_000,
        b'{"summary": {}}',
        b'{"summary": {"started_ms": "x"}}',
        b'{"summary": {"started_ms": 1}, "items": 5}',
        b"\xff\xfe",
    ],
)
def test_a_call_whose_process_was_killed_is_listed_and_opened(
    tmp_path: Path, page: bytes | None
) -> None:
    kept(tmp_path, "call_2", started_ms=5)
    kept(tmp_path)
    if page is None:
        (tmp_path / "call_1.json").unlink()
    else:
        (tmp_path / "call_1.json").write_bytes(page)
    shelf = Shelf(tmp_path)
    assert {one["call_id"] for one in shelf.list()} == {"call_1", "call_2"}
    opened = shelf.read("call_1")
    assert (len(opened["frames"]), opened["items"], opened["log"]) == (2, [], [])
    assert opened["status"] == {"type": "status", "call_id": "call_1", "is_over": True}


def test_a_moment_that_no_browser_can_show_is_none(tmp_path: Path) -> None:
    kept(tmp_path)
    page = tmp_path / "call_1.json"
    page.write_text(page.read_text().replace('"started_ms": 1', f'"started_ms": {10**30}'))
    shelf = Shelf(tmp_path)
    assert shelf.list()[0]["started_ms"] == (tmp_path / "call_1.jsonl").stat().st_mtime_ns // 10**6
    assert shelf.read("call_1")["started_ms"] == 0


def test_what_is_no_call_is_not_listed(tmp_path: Path) -> None:
    kept(tmp_path)
    (tmp_path / "a call.jsonl").write_text("x")
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "call_3.json").write_text("{}")
    (tmp_path / "full_disk.jsonl").touch()
    assert [one["call_id"] for one in Shelf(tmp_path).list()] == ["call_1"]


def test_a_recording_that_cannot_be_read_is_listed_and_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "call_1.jsonl").write_text("no recording\n")
    (tmp_path / "folder.jsonl").mkdir()
    shelf = Shelf(tmp_path)
    assert len(shelf.list()) == 2
    for call_id in ("call_1", "folder"):
        with pytest.raises(SetupError, match=r"recording"):
            shelf.read(call_id)


def test_a_copy_under_another_name_is_opened(tmp_path: Path) -> None:
    kept(tmp_path)
    (tmp_path / "call_1.jsonl").rename(tmp_path / "a-good-one.jsonl")
    assert Shelf(tmp_path).frame("a-good-one", 0) == GREETING.data


def test_a_recording_of_no_call_has_no_frames(tmp_path: Path) -> None:
    (tmp_path / "call_1.jsonl").write_text('{"llmws_recording": 1}\n')
    shelf = Shelf(tmp_path)
    assert shelf.read("call_1")["frames"] == []
    with pytest.raises(SetupError, match=r"^the call call_1 has 0 frames, not number 0$"):
        shelf.frame("call_1", 0)


@pytest.mark.parametrize(
    "call_id",
    ["", ".", "..", "../call_1", "a/b", "a\\b", "call_1.jsonl", "call_1\n", "\x00", "é", "x" * 101],
)
def test_an_id_is_no_path(tmp_path: Path, call_id: str) -> None:
    kept(tmp_path)
    shelf = Shelf(tmp_path / "calls")
    for ask in (shelf.path, shelf.read, shelf.forget, shelf.recorded, shelf.recorder):
        with pytest.raises(SetupError, match="there is no call"):
            ask(call_id)
    assert (tmp_path / "call_1.jsonl").exists()


def test_a_call_is_forgotten_with_both_files_and_again_is_harmless(tmp_path: Path) -> None:
    kept(tmp_path)
    Shelf(tmp_path).forget("call_1")
    Shelf(tmp_path).forget("call_1")
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_cannot_be_forgotten_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "call_1.json").mkdir()
    with pytest.raises(SetupError, match=r"^the call call_1 cannot be deleted: "):
        Shelf(tmp_path).forget("call_1")


def test_a_folder_that_cannot_be_made_is_told_once_and_the_call_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    [trouble] = kept(tmp_path / "file" / "calls")
    assert trouble == f"cannot keep calls in {tmp_path}/file/calls: not a directory; choose another"


def test_a_call_that_is_on_disk_already_is_not_written_over(tmp_path: Path) -> None:
    kept(tmp_path)
    before = (tmp_path / "call_1.jsonl").read_bytes()
    [trouble] = kept(tmp_path)
    assert "a recording is never overwritten" in trouble
    assert (tmp_path / "call_1.jsonl").read_bytes() == before


def test_a_recording_that_breaks_is_told_at_the_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "call_1.jsonl")
    reader = os.open(tmp_path / "call_1.jsonl", os.O_RDONLY | os.O_NONBLOCK)
    view = view_of(asked())
    trouble: list[str] = []
    keeping = Keeping(Shelf(tmp_path), view, lambda event: trouble.append(event["text"]))
    keeping.take(GREETING)
    os.close(reader)
    keeping.take(GREETING)
    keeping.take(GREETING)
    assert trouble == []
    with pytest.raises(SetupError, match=r"^the recording "):
        keeping.end()
    assert (tmp_path / "call_1.json").exists()


def test_what_a_call_looked_like_that_cannot_be_kept_is_told_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "call_1.json").mkdir()
    with pytest.raises(SetupError, match=r"^the call is not kept in .*: is a directory$"):
        kept(tmp_path)
    assert Shelf(tmp_path).recorded("call_1").ended


def test_what_was_kept_is_json_that_anybody_can_read(tmp_path: Path) -> None:
    kept(tmp_path)
    told = json.loads((tmp_path / "call_1.json").read_text())
    assert told["summary"]["first_words"] == "Hello?"
