"""The benchmarks run, and count what they say; never how long anything takes."""

import re
import subprocess
import sys
from typing import Final

import pytest

from benchmarks.__main__ import NAMES, Contestant, main, read_options
from benchmarks.caller import frame
from benchmarks.load import LOADS, messages
from benchmarks.works import WORKS
from llmws_tutorial.messages import ResponseRequired, UpdateOnly, read_request, unpack_utterances

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SHORT: Final = ["--scale", "0.02", "--rounds", "1", "--loop", "asyncio"]
NUMBER: Final = r"-?\d+\.\d"


@pytest.mark.parametrize("name", WORKS)
def test_a_work_prints_its_row(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, *SHORT])
    header, rule, row, *more = capsys.readouterr().out.strip().splitlines()
    assert header.startswith("| Work, on asyncio |")
    assert re.fullmatch(r"\|---\|---(\|--:)+\|", rule)
    work = WORKS[name]
    numbers = rf"({NUMBER} \| ){{3}}{NUMBER}.* \| {NUMBER}.* \|"
    assert re.fullmatch(rf"\| {re.escape(work.title)} \| {work.unit} \| {numbers}", row)
    assert (f": {work.of_plain:.2f})" in row) if work.of_plain else "(" not in row
    assert len(more) == (name == "p99")


def test_every_work_has_its_load() -> None:
    assert set(LOADS) == set(WORKS)


@pytest.mark.parametrize("server", NAMES)
@pytest.mark.parametrize("pieces", [0, 40])
def test_every_server_does_the_same_work(server: str, pieces: int) -> None:
    heard = {server: _heard(server, pieces) for server in (server, "ceiling")}
    assert len(set(map(str, heard.values()))) == 1


def test_a_server_that_answers_nothing_is_no_fast_one() -> None:
    contestant = Contestant("ours", "asyncio", 0)
    contestant.stop()
    load = [sys.executable, "-m", "benchmarks.load", "turn"]
    dead = [str(contestant.port), str(contestant.pid), "0.02", "False"]
    assert subprocess.run([*load, *dead], capture_output=True, check=False, timeout=30).returncode


def test_a_realistic_call_is_what_the_platform_sends() -> None:
    sent = [read_request(frame.decode()) for frame, _ in messages(4)]
    requests = [request for request in sent if isinstance(request, ResponseRequired)]
    assert [request.response_id for request in requests] == [1, 2]
    assert {type(request) for request in sent} == {ResponseRequired, UpdateOnly}
    said = unpack_utterances(requests[1].transcript)
    assert [utterance.role for utterance in said] == ["agent", "user", "agent", "user"]
    assert {len(utterance.words) for utterance in said} == {10}


@pytest.mark.parametrize(("size", "header"), [(125, 6), (126, 8), (2**16, 14)])
def test_a_frame_has_the_shortest_header(size: int, header: int) -> None:
    assert len(frame(bytes(size))) == header + size


@pytest.mark.parametrize("wrong", [["turns"], ["--rounds", "0"], ["--scale", "0"]])
def test_what_cannot_be_measured_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        read_options(wrong)
