"""Calls on disk: what is written and when, and what is said about a file that is wrong."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection, serve

from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.simulator import CallRecord, Frame
from llmws_tutorial.simulator.caller import Caller
from llmws_tutorial.simulator.dialer import act, new_record
from llmws_tutorial.simulator.recording import Ended, Opened, Recorder, read_recording
from llmws_tutorial.simulator.scenario import Step

PAGE: Final = (PROJECT / "docs" / "recordings.md").read_text()
HEADER: Final = '{"llmws_recording": 1}'
OPENED: Final = '{"call": "a", "opened": 1, "at_s": 0}'
ENDED: Final = '{"call": "a", "ended": "user_hangup", "close_code": 1000, "at_s": 2}'


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def connected(call_id: str = "a") -> CallRecord:
    record = new_record(call_id)
    record.connections = 1
    return record


def recorded(path: Path, *frames: Frame, call_id: str = "a") -> None:
    with Recorder(path) as recorder:
        keep = recorder.keeper(connected(call_id))
        for frame in frames:
            keep(frame)


def written(path: Path, *rest: str, end: str = "\n") -> Path:
    path.write_text("\n".join([HEADER, *rest]) + end)
    return path


def trouble(path: Path) -> str:
    with pytest.raises(SetupError) as caught:
        read_recording(path)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


async def polite(ws: ServerConnection) -> None:
    """Greet, and answer the first request twice."""
    await ws.send(json.dumps({"response_id": 0, "content": "Hi.", "content_complete": True}))
    async for frame in ws:
        if "response_id" in (request := json.loads(frame)):
            said = {"response_id": request["response_id"], "content": "Yes."}
            await ws.send(json.dumps({**said, "content_complete": True}))
            await ws.send(json.dumps({**said, "content_complete": True}))


def test_a_call_is_read_as_it_was_kept(path: Path) -> None:
    records = [new_record("call_1"), new_record("call_2")]

    async def place(recorder: Recorder, record: CallRecord, url: str) -> None:
        record.keeper = recorder.keeper(record)
        await act(url, record, Caller([Step(say="Hello?")]), speed=1000)
        recorder.ended(record)

    async def run() -> None:
        async with serve(polite, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            url = f"ws://127.0.0.1:{port}/llm-websocket/"
            with Recorder(path) as recorder:
                await asyncio.gather(*(place(recorder, record, url) for record in records))

    asyncio.run(run())
    calls = sorted(read_recording(path), key=lambda call: call.call_id)
    for call, record in zip(calls, records, strict=True):
        assert call.frames == record.frames
        assert call.events[0] == Opened(1, record.frames[0].at_s)
        assert call.ended == Ended("user_hangup", 1000, round(record.call.now_s, 6))
        assert [frame.dropped for frame in call.frames if frame.dropped] == [
            "response_id 1 was already complete"
        ]


def test_every_line_is_on_disk_as_soon_as_its_frame_has_passed(path: Path) -> None:
    with Recorder(path) as recorder:
        keep = recorder.keeper(connected())
        assert lines(path) == [{"llmws_recording": 1}]
        keep(Frame("platform", "Hi", at_s=1.234567))
        frame = {"call": "a", "at_s": 1.234567, "sender": "platform", "text": "Hi"}
        assert lines(path)[1:] == [{"call": "a", "opened": 1, "at_s": 1.234567}, frame]


@pytest.mark.parametrize(
    "data",
    [
        "",
        'a "quoted"\nline\r\u2028\0',
        "\ud83d and \udc4b",
        "👋 ü",
        b"",
        b"\x00\xff\n",
        "x" * 10**7,
    ],
    ids=["empty", "line ends", "half characters", "wide", "no bytes", "bytes", "long"],
)
def test_whatever_a_frame_holds_comes_back(path: Path, data: str | bytes) -> None:
    frame = Frame("server", data, "a reason", 0.5)
    recorded(path, frame, call_id="call/\ud800 ü\n")
    [call] = read_recording(path)
    assert call.call_id == "call/\ud800 ü\n"
    assert call.frames == [frame]
    assert path.read_bytes().isascii()


def test_sockets_are_written_before_their_first_frame_and_before_the_end(path: Path) -> None:
    record = connected()
    with Recorder(path) as recorder:
        keep = recorder.keeper(record)
        keep(Frame("platform", "one", at_s=1.0))
        record.connections = 2
        keep(Frame("platform", "two", at_s=2.0))
        record.connections = 4
        record.call.hang_up()
        recorder.ended(record)
    [call] = read_recording(path)
    frames = [Frame("platform", "one", at_s=1.0), Frame("platform", "two", at_s=2.0)]
    openings = [Opened(1, 1.0), Opened(2, 2.0), Opened(3, 0.0), Opened(4, 0.0)]
    assert call.events == [openings[0], frames[0], openings[1], frames[1], *openings[2:]]
    assert repr(call) == f"<RecordedCall: 2 frames, {Ended('user_hangup', None, 0.0)}>"


def test_a_call_that_never_began_leaves_no_line(path: Path) -> None:
    with Recorder(path) as recorder:
        record = new_record()
        recorder.keeper(record)
        recorder.ended(record)
    assert lines(path) == [{"llmws_recording": 1}]
    assert read_recording(path) == []


def test_two_calls_with_one_id_cannot_share_a_file(path: Path) -> None:
    with Recorder(path) as recorder:
        recorder.keeper(connected("twice"))
        with pytest.raises(SetupError, match=r"'twice' is in the recording .* an id of its own"):
            recorder.keeper(connected("twice"))


def test_a_file_that_holds_something_is_never_overwritten(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(SetupError, match=r"calls\.jsonl is not empty.*; choose another name"):
        recorded(path)
    assert path.read_text() == "mine"


def test_an_empty_file_will_do(path: Path) -> None:
    path.touch()
    recorded(path)
    assert lines(path) == [{"llmws_recording": 1}]


def test_a_place_that_cannot_be_written_is_said_before_the_call(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"cannot write .*: is a directory; expected a new file"):
        recorded(tmp_path)
    with pytest.raises(SetupError, match=r"cannot write .*: no such file or directory"):
        recorded(tmp_path / "nowhere" / "calls.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_said_before_the_call() -> None:
    with pytest.raises(SetupError, match=r"not whole: no space left on device; make room"):
        recorded(Path("/dev/full"))


def broken_pipe(path: Path) -> Recorder:
    """A recorder whose file takes the first line and no more."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    recorder = Recorder(path).__enter__()
    os.close(reader)
    return recorder


def test_a_call_outlives_a_recording_that_breaks(path: Path) -> None:
    recorder = broken_pipe(path)
    keep = recorder.keeper(connected())
    keep(Frame("platform", "lost"))
    keep(Frame("platform", "lost as well"))
    with pytest.raises(SetupError, match=r"calls\.jsonl is not whole: broken pipe"):
        recorder.__exit__(None, None, None)


def test_a_recording_that_breaks_does_not_hide_a_worse_error(path: Path) -> None:
    recorder = broken_pipe(path)
    recorder.keeper(connected())(Frame("platform", "lost"))
    recorder.__exit__(KeyError, KeyError(), None)


def test_a_last_line_that_is_cut_is_forgiven(path: Path) -> None:
    recorded(path, Frame("platform", "one"), Frame("platform", "two"))
    whole = path.read_bytes()
    for length in range(whole.rindex(b"{") + 1, len(whole) - 1):
        path.write_bytes(whole[:length])
        [call] = read_recording(path)
        assert call.frames == [Frame("platform", "one")]
        assert not call.is_whole


def test_a_last_line_without_its_line_end_counts(path: Path) -> None:
    [call] = read_recording(written(path, OPENED, ENDED, end=""))
    assert call.is_whole


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", r":3: got 'nonsense', expected a JSON object$"),
        ("[1]", r":3: got '\[1\]', expected a JSON object$"),
        ("", r":3: got '', expected a JSON object$"),
        ("[" * 10**5, r":3: got '\[+\.\.\., expected a JSON object$"),
        ("{}", r":3: got the keys none, expected one of: call, at_s, sender, text; call"),
        ('{"call": "a", "cal": 1}', r":3: got the key 'cal', expected one of call, at_s"),
        ('{"call": 1}', r":3: got call is 1, expected the id of a call, as text$"),
        ('{"at_s": -1}', r":3: got at_s is -1, expected seconds of the call, 0 and up$"),
        ('{"at_s": NaN}', r"at_s is nan, expected seconds"),
        ('{"at_s": 1e999}', r"at_s is inf, expected seconds"),
        ('{"at_s": true}', r"at_s is True, expected seconds"),
        ('{"at_s": "1"}', r"at_s is '1', expected seconds"),
        ('{"sender": "caller"}', r"sender is 'caller', expected 'platform' or 'server'$"),
        ('{"sender": []}', r"sender is \[\], expected 'platform' or 'server'$"),
        ('{"text": null}', r"text is None, expected the frame, as text$"),
        ('{"dropped": false}', r"dropped is False, expected the reason, as text$"),
        ('{"opened": true}', r"opened is True, expected the number of the socket, 1 and up$"),
        ('{"ended": null}', r"ended is None, expected the disconnection_reason, as text$"),
        ('{"close_code": 1000.5}', r"close_code is 1000\.5, expected a close code or null$"),
        (
            '{"call": "a", "at_s": 1, "sender": "server", "text": "", "base64": ""}',
            r"got the keys call, at_s, sender, text, base64, expected one of",
        ),
        (
            '{"call": "a", "opened": 2, "at_s": 1, "dropped": "x"}',
            r"got the keys call, opened, at_s, dropped, expected one of",
        ),
        (
            '{"call": "a", "at_s": 1, "sender": "server", "base64": "A*B"}',
            r":3: got base64 is 'A\*B', expected the bytes of a binary frame, in base64$",
        ),
        (
            '{"call": "b", "at_s": 1, "sender": "server", "text": ""}',
            r":3: got a line of the call 'b', expected the line first that opens its socket$",
        ),
        (ENDED.replace('"a"', '"b"'), r"got a line of the call 'b', expected the line first"),
        (OPENED, r":3: got socket 1 of the call 'a', expected socket 2$"),
        (OPENED.replace('"a"', '"b"').replace("1", "2"), r"socket 2 of the call 'b', expected soc"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(path: Path, line: str, said: str) -> None:
    found = trouble(written(path, OPENED, line, ENDED))
    assert found.startswith(f"{path}:3: ")
    assert re.search(said, found)


def test_after_its_end_a_call_has_no_line(path: Path) -> None:
    found = trouble(written(path, OPENED, ENDED, ENDED))
    assert found.endswith(":4: got a line of the call 'a', expected none, as that call has ended")


@pytest.mark.parametrize("text", ["", "a film", "{}", '["llmws_recording"]', "x" * 10**6])
def test_another_kind_of_file_is_no_recording(path: Path, text: str) -> None:
    path.write_text(text)
    expected = '{"llmws_recording": 1}'
    assert trouble(path) == f"{path}:1: got no recording, expected the first line to be {expected}"


def test_a_recording_of_another_version_is_refused(path: Path) -> None:
    path.write_text('{"llmws_recording": 2}\n')
    assert "got a recording of another format, {'llmws_recording': 2}, expected" in trouble(path)


def test_a_file_that_cannot_be_read_is_told_by_its_name(tmp_path: Path) -> None:
    assert "cannot read the recording" in trouble(tmp_path)
    assert trouble(tmp_path / "none").endswith(
        "none: no such file or directory; expected a file of --record"
    )


def test_the_example_of_the_page_can_be_read(path: Path) -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example
    path.write_text(example[1])
    [call] = read_recording(path)
    assert call.frames[-1].data == b"\x00\x01\x02"
    assert call.ended == Ended("error_llm_websocket_corrupt_payload", 1007, 1.5)


def test_the_page_names_every_key_of_a_line(path: Path) -> None:
    keys = {key for line in re.findall(r"^\{.*\}$", PAGE, re.MULTILINE) for key in json.loads(line)}
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert keys == rows | {"llmws_recording"}
    listed = trouble(written(path, '{"x": 1}')).partition("expected one of ")[2]
    assert set(listed.split(", ")) == rows
