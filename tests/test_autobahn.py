"""The listener against Autobahn's cases: what RFC 6455 asks of a server, as others tell it."""

import json
import platform
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests import test_listener
from tests.raw_peer import listening

PATIENCE_S: Final = 60.0
EXPECTED: Final = tomllib.loads(Path(__file__).with_name("autobahn.toml").read_text("utf-8"))
ACCEPTED: Final[dict[str, list[str]]] = {
    case: group["verdicts"] for group in EXPECTED["not_plain_ok"] for case in group["cases"]
}
stack = test_listener.stack

if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
    pytest.importorskip("kosoku")  # pyproject.toml does not ask for it there


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def echo_short(scope: Any, receive: Any, send: Any) -> None:
    """An echo that loses the last character of a text."""

    async def send_short(message: Any) -> None:
        await send({**message, "text": message["text"][:-1]} if "text" in message else message)

    await echo(scope, receive, send_short)


def judged(app: Any, topic: str, report: Path, **options: Any) -> dict[str, str]:
    """The verdict on each case of a topic; the report can be read in a browser.

    The runner has a process of its own: it changes Python's modules and where they are looked for.
    """
    runner = Path(sysconfig.get_path("scripts"), "kosoku")
    cases = topic.partition(" ")[0] + ".*"
    with listening(app, **options) as server:
        url = f"ws://127.0.0.1:{server.port}/"
        command = [str(runner), url, "-i", cases, "-p", "8", "-o", str(report)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    assert (report / "index.json").is_file(), done.stderr
    agents = json.loads((report / "index.json").read_text("utf-8")).values()
    return {case: verdict(found) for agent in agents for case, found in agent.items()}


def verdict(found: dict[str, Any]) -> str:
    on_messages, on_close = found["behavior"], found["behaviorClose"]
    if on_messages == on_close == "OK":
        return "OK"
    return f"{on_messages} / {on_close} / {found['remoteCloseCode']}"


def surprises(verdicts: dict[str, str]) -> dict[str, str]:
    """The cases that ended otherwise than expected, for better or for worse."""
    return {case: what for case, what in verdicts.items() if what not in ACCEPTED.get(case, ["OK"])}


@pytest.mark.parametrize("topic", EXPECTED["topics"])
def test_autobahns_cases_end_as_expected(stack: Any, topic: str, tmp_path: Path) -> None:
    verdicts = judged(echo, topic, tmp_path, **stack)
    assert surprises(verdicts) == {}
    assert len(verdicts) == EXPECTED["topics"][topic]


def test_an_echo_that_loses_a_character_is_a_surprise(tmp_path: Path) -> None:
    assert list(surprises(judged(echo_short, "7 closing", tmp_path))) == ["7.1.1"]


def test_a_case_that_ends_better_than_expected_is_a_surprise_too() -> None:
    assert surprises({"6.4.1": "OK", "7.1.5": "OK", "1.1.1": "OK"}).keys() == {"6.4.1", "7.1.5"}


def test_each_expected_result_belongs_to_a_topic() -> None:
    topics = {topic.partition(" ")[0] for topic in EXPECTED["topics"]}
    assert {case.partition(".")[0] for case in ACCEPTED} <= topics
