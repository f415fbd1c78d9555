"""The benchmarks run, and count what they say; never how long anything takes."""

import asyncio
import json
import os
import re
import subprocess
import sys
from itertools import islice
from typing import Any, Final

import pytest

from benchmarks import standin
from benchmarks.__main__ import COLUMNS, PACKAGES, describe, main, read_options
from benchmarks.caller import Caller, frame
from benchmarks.contestants import ANSWER, CONTESTANTS, GREETING, PIECE
from benchmarks.load import LOADS, WORDS, Cost, messages
from benchmarks.race import NAMES, Contestant
from benchmarks.works import PIECES, WORKS, Row
from llmws_tutorial.messages import ResponseRequired, UpdateOnly, read_request, unpack_utterances

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SHORT: Final = ["--scale", "0.004", "--rounds", "1", "--loop", "asyncio"]
SMALLEST: Final = {name.partition("-")[0]: name for name in reversed(WORKS)}.values()
"""A work for each load; the others only have more calls."""
UNMASKED: Final = 4
"""Where the text begins after the length of a frame: behind a mask of zeros."""


@pytest.mark.parametrize("name", SMALLEST)
def test_a_work_prints_its_rows(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, *SHORT])
    header, rule, *rows, nothing, setting = capsys.readouterr().out.splitlines()
    assert _cells(header) == list(COLUMNS)
    assert re.fullmatch(r"(\|(---|--:))+\|", rule)
    assert [_cells(row)[0] for row in rows] == [row.title for row in WORKS[name].rows]
    for row in rows:
        numbers = [float(dict(zip(COLUMNS, _cells(row), strict=True))[_title(of)]) for of in NAMES]
        assert all(number >= 0 for number in numbers)
    assert nothing == ""
    assert all(package in setting for package in PACKAGES)


def test_every_work_has_its_load_and_every_server_its_column() -> None:
    assert {name.partition("-")[0] for name in WORKS} == set(LOADS)
    assert set(CONTESTANTS) == set(NAMES)


def test_goals_are_judged_by_the_median_of_the_ratios_of_rounds() -> None:
    row = Row(title="a turn", unit="µs", of_plain=0.5, of_ceiling=1.5, most=20)
    costs = {"ours": [4.0, 12.0, 30.0], "plain": [10.0, 20.0, 90.0]}
    line = describe(row, 0, {name: _rounds(costs.get(name, [10.0, 10.0, 10.0])) for name in NAMES})
    found = dict(zip(COLUMNS, _cells(line), strict=True))
    assert (found["Ours/plain"], found["of the rounds"]) == ("0.40", "0.33-0.60")
    assert (found["Ours"], found["Plain"], found["Ours/ceiling"]) == ("12.0", "20.0", "1.20")
    assert found["Goal"] == "0.50 of plain met, 1.50 of ceiling met, 20 µs met"


def test_a_missed_goal_is_in_bold_and_a_ratio_to_nothing_is_left_out() -> None:
    row = Row(title="a turn", unit="µs", of_ceiling=1.5, most=20)
    line = describe(row, 0, {name: _rounds([30.0 if name == "ours" else 0.0]) for name in NAMES})
    found = dict(zip(COLUMNS, _cells(line), strict=True))
    assert found["Ours/plain"] == found["Ours/ceiling"] == ""
    assert found["Goal"] == "20 µs **missed**"


@pytest.mark.parametrize("server", NAMES)
@pytest.mark.parametrize(("pieces", "offers_deflate"), [(0, False), (PIECES, True)])
def test_every_server_does_the_same_work(server: str, pieces: int, offers_deflate: bool) -> None:
    parts = [(PIECE, False)] * pieces + [("" if pieces else ANSWER, True)]
    said = [(0, GREETING, True)]
    said += [(number, *part) for number in (1, 2) for part in parts]
    contestant = Contestant(server, "asyncio", pieces)
    try:
        config, *heard = asyncio.run(_heard(contestant, offers_deflate))
    finally:
        contestant.stop()
    assert config == {"response_type": "config", "config": {"auto_reconnect": True}}
    assert [(one["response_id"], one["content"], one["content_complete"]) for one in heard] == said
    assert {one["response_type"] for one in heard} == {"response"}


def test_a_server_that_answers_nothing_is_no_fast_one() -> None:
    contestant = Contestant("ours", "asyncio", 0)
    contestant.stop()
    load = [sys.executable, "-m", "benchmarks.load", "turn"]
    dead = [str(contestant.port), str(contestant.pid), "0.02", "False"]
    assert subprocess.run([*load, *dead], capture_output=True, check=False, timeout=30).returncode


def test_a_realistic_call_is_what_the_platform_sends() -> None:
    sent = [read_request(_text(one)) for one, _ in islice(messages(), 4 * WORDS)]
    requests = [request for request in sent if isinstance(request, ResponseRequired)]
    assert [request.response_id for request in requests] == [1, 2]
    assert {type(request) for request in sent} == {ResponseRequired, UpdateOnly}
    said = unpack_utterances(requests[1].transcript)
    assert [utterance.role for utterance in said] == ["agent", "user", "agent", "user"]
    assert {len(utterance.words) for utterance in said} == {WORDS}


@pytest.mark.parametrize(("size", "header"), [(125, 6), (126, 8), (2**16, 14)])
def test_a_frame_has_the_shortest_header(size: int, header: int) -> None:
    assert len(frame(bytes(size))) == header + size


@pytest.mark.parametrize("wrong", [["turns"], ["--rounds", "0"], ["--scale", "0"]])
def test_what_cannot_be_measured_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        read_options(wrong)


class _Listener(Caller):
    """A caller that keeps what it hears."""

    def __init__(self, *, offers_deflate: bool) -> None:
        super().__init__("call_1", offers_deflate=offers_deflate)
        self.heard: list[dict[str, Any]] = []

    def hear(self, payload: bytes) -> None:
        self.heard.append(json.loads(payload))
        super().hear(payload)


async def _heard(contestant: Contestant, offers_deflate: bool) -> list[dict[str, Any]]:
    """What a server says in a call of two turns."""
    caller = _Listener(offers_deflate=offers_deflate)
    async with asyncio.timeout(20):
        await caller.open(contestant.port)
        for sent, response_id in islice(messages(), 4 * WORDS):
            await (caller.ask(sent, response_id) if response_id else caller.tell(sent))
        await caller.hang_up()
    return caller.heard


def _text(sent: bytes) -> str:
    return sent[sent.index(bytes(UNMASKED)) + UNMASKED :].decode()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _title(server: str) -> str:
    return server.capitalize()


def _rounds(amounts: list[float]) -> list[Cost]:
    return [Cost(amounts=[one], began=0, ended=1, load_share=0.5) for one in amounts]


def test_the_stand_in_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    before = os.sched_getaffinity(0)
    standin.main(["--calls", "1", "--seconds", "1", "--rounds", "1"])
    os.sched_setaffinity(0, before)
    shown = capsys.readouterr().out
    assert re.search(r"^a call of ten turns: \d+ kB beside its recording", shown, re.MULTILINE)
    assert re.search(r"^a call of 3[45]\d\d s in memory: [\d.]+ s, \d+ frames$", shown, re.M)
    assert len(re.findall(r"^50 turns with .* without pauses: \d+ ms at best", shown, re.M)) == 2
    assert re.search(r"^1 calls at once for \d+ s: 1 turns answered$", shown, re.MULTILINE)
