"""A model behind an endpoint: it is read, however it writes, and let go at once."""

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, Timeout

from llmws_tutorial.errors import ResponderError, SetupError
from llmws_tutorial.notebook.runtime import bind
from llmws_tutorial.server import provider
from llmws_tutorial.server.provider import RETRY_S, Provider, Signal, ToolUse, Written
from llmws_tutorial.server.settings import ModelSettings
from llmws_tutorial.simulator.llm_endpoint import served
from llmws_tutorial.simulator.scripted_llm import (
    Break,
    CallTool,
    Empty,
    Hang,
    Raw,
    Say,
    Script,
    ScriptedLlm,
    Step,
)
from tests.scripted_provider import provider_of, settled
from tests.virtual_time import run_virtually

ASKED = [{"role": "user", "content": "Hello?"}]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {}}} for name in ("book", "find")
]
PATIENCE_S = 30.0


@contextlib.asynccontextmanager
async def at(base_url: str) -> AsyncIterator[Provider]:
    provider = Provider("m", settings=ModelSettings(base_url=base_url, api_key="key"))
    yield provider
    await provider.close()


async def written(provider: Provider) -> list[Written]:
    pieces = [piece async for piece in provider.stream(ASKED, TOOLS)]
    await settled()
    return pieces


def answer(*steps: Step, status: int = 200) -> list[Written]:
    """What a model with these steps is read as; it does the same for every question."""
    return run_virtually(written(provider_of(ScriptedLlm([Script(steps=steps, status=status)]))))


def uses(*steps: Step) -> list[tuple[str, str]]:
    return [(use.name, use.arguments) for use in answer(*steps) if isinstance(use, ToolUse)]


def delta(**fields: Any) -> Raw:
    return Raw("data: " + json.dumps({"choices": [{"index": 0, "delta": fields}]}))


def call(**fields: Any) -> Raw:
    return delta(tool_calls=[fields])


def test_text_comes_first_and_tools_last() -> None:
    assert answer(Say("I "), Empty(), Say("see."), CallTool("book", {"a": 1}, "c1")) == [
        *("I ", "see."),
        Signal.CALLS,
        ToolUse("c1", "book", '{"a": 1}'),
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        [
            call(index=0, id="a", function={"name": "book", "arguments": '{"a":'}),
            call(index=1, id="b", function={"name": "find", "arguments": ""}),
            call(index=0, function={"arguments": "1}"}),
            call(index=1, function={"arguments": "{}"}),
        ],
        [
            call(index=0, id="a", function={"name": "book", "arguments": '{"a":1}'}),
            call(index=0, id="b", function={"name": "find", "arguments": "{}"}),
        ],
        [
            call(index=0, id="a", function={"name": "book", "arguments": '{"a":1}'}),
            call(index=0, id="b", function={"name": "find", "arguments": "{"}),
            call(index=0, function={"arguments": "}"}),
        ],
        [
            call(index=0, function={"name": "book", "arguments": '{"a":1}'}),
            call(index=0, function={"name": "find", "arguments": "{}"}),
        ],
        [
            call(id="a", function={"name": "book", "arguments": '{"a"'}),
            call(function={"arguments": ":1}"}),
            call(id="b", function={"name": "find", "arguments": "{}"}),
        ],
        [
            call(function={"name": "book", "arguments": '{"a":1}'}),
            call(function={"name": "find", "arguments": "{}"}),
        ],
        [
            call(index=0, id="a", function={"name": "book", "arguments": '{"a":'}),
            call(index=0, id="a", function={"name": "book", "arguments": "1}"}),
            call(index=0, id="a", function={"name": "book", "arguments": ""}),
            call(index=1, id="b", function={"name": "find", "arguments": "{}"}),
        ],
        [
            call(index=0, function={"name": "book", "arguments": '{"a":'}),
            call(index=0, function={"name": "book", "arguments": "1}"}),
            call(index=1, function={"name": "find", "arguments": "{}"}),
        ],
        [
            delta(
                tool_calls=[
                    {"index": 0, "id": "a", "function": {"name": "book", "arguments": '{"a":1}'}},
                    {"index": 1, "id": "b", "function": {"name": "find", "arguments": "{}"}},
                ]
            )
        ],
    ],
    ids=[
        "mixed",
        "all 0",
        "all 0 and cut",
        "all 0 without ids",
        "no index",
        "neither",
        "repeated",
        "named again",
        "in one chunk",
    ],
)
def test_calls_come_together_however_they_are_cut(pieces: Sequence[Step]) -> None:
    assert uses(*pieces) == [("book", '{"a":1}'), ("find", "{}")]


def test_arguments_may_be_an_object_or_missing() -> None:
    pieces = (
        call(index=0, id="a", function={"name": "book", "arguments": {"a": 1}}),
        call(index=1, id="b", function={"name": "find", "arguments": None}),
        call(index=2, id="c", function={"name": "book"}),
        call(index=3, id="d", function={"arguments": "{}"}),
        call(index=4),
    )
    assert uses(*pieces) == [("book", '{"a": 1}'), ("find", ""), ("book", "")]


def test_a_call_without_an_id_gets_one() -> None:
    [_, one, other] = answer(
        call(index=0, function={"name": "book"}), call(index=1, function={"name": "book"})
    )
    assert isinstance(one, ToolUse)
    assert isinstance(other, ToolUse)
    assert one.id != other.id


@pytest.mark.parametrize(
    "data",
    [
        "{}",
        '{"choices": []}',
        '{"choices": null}',
        '{"choices": 5}',
        '{"choices": [5]}',
        '{"choices": [{"delta": null}]}',
        '{"choices": [{}]}',
        '{"choices": [{"delta": {"role": "assistant", "content": null}}]}',
        '{"choices": [{"delta": {"content": 5}}]}',
        '{"choices": [{"delta": {"tool_calls": 5}}]}',
        '{"choices": [{"delta": {"tool_calls": [5]}}]}',
        "[]",
        "5",
        "null",
    ],
)
def test_a_chunk_that_says_nothing_is_passed_over(data: str) -> None:
    body = f'data: {data}\n\ndata: {{"choices": [{{"delta": {{"content": "Yes."}}}}]}}\n\n'
    said, _ = replied(http(200, body))
    assert "Yes." in said


@contextlib.asynccontextmanager
async def answering(*replies: bytes) -> AsyncIterator[tuple[Provider, list[str]]]:
    """A provider that replies so, connection by connection; an empty reply is none at all."""
    came: list[str] = []
    waiting = list(replies)

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        came.append("open")
        data = waiting.pop(0)
        writer.write(data)
        if not data:
            await reader.read()
            came.append("closed")
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with at(f"http://127.0.0.1:{port}/v1") as provider:
            yield provider, came


def http(status: int, body: str = "{}", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Nope", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


FINE = http(200, 'data: {"choices": [{"delta": {"content": "Yes."}}]}\n\ndata: [DONE]\n\n')


def replied(*replies: bytes) -> tuple[list[Written] | str, int]:
    """What comes of these replies, and how many connections it took."""

    async def run() -> tuple[list[Written] | str, int]:
        async with answering(*replies) as (provider, came):
            said: list[Written] | str
            try:
                said = await written(provider)
            except ResponderError as error:
                said = str(error)
            await settled()
            return said, len(came)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "reply",
    [http(500), http(503), http(429), http(429, retry_after="0.5"), http(429, retry_after="soon")],
    ids=["500", "503", "429", "in half a second", "some day"],
)
def test_what_may_pass_is_tried_once_more(reply: bytes) -> None:
    assert replied(reply, FINE) == (["Yes."], 2)
    assert replied(reply, reply)[1] == 2


def test_a_second_try_takes_a_moment_even_if_the_provider_asks_for_none() -> None:
    begins = time.monotonic()
    assert replied(http(429, retry_after="0"), FINE) == (["Yes."], 2)
    assert time.monotonic() - begins >= RETRY_S


def test_a_connection_that_was_cut_is_tried_once_more() -> None:
    assert replied(b"HTTP/1.1 2", FINE) == (["Yes."], 2)


@pytest.mark.parametrize(
    "reply",
    [http(401), http(400), http(429, retry_after="2"), http(429, retry_after="nan")],
    ids=["401", "400", "in 2 s", "nan"],
)
def test_what_stays_wrong_or_takes_too_long_is_not_tried_again(reply: bytes) -> None:
    assert replied(reply)[1] == 1


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (
            http(401, '{"error": {"message": "a secret", "code": "invalid_api_key"}}'),
            "answered with HTTP 401 (invalid_api_key)",
        ),
        (
            http(400, '{"error": {"message": "a secret", "code": "a secret", "type": "bad"}}'),
            "answered with HTTP 400 (bad)",
        ),
        (http(404, "<html>a secret"), "answered with HTTP 404 (no code)"),
        (
            http(200, 'data: {"error": {"message": "a secret", "code": 7}}\n\n'),
            "answered with an error (7)",
        ),
        (
            http(200, "data: a secret\n\n"),
            "broke off, or answered with no stream of completions (JSOND",
        ),
    ],
)
def test_why_it_failed_is_one_line_without_the_providers_words(reply: bytes, problem: str) -> None:
    error, _ = replied(reply)
    assert str(error).startswith(f"the model 'm' {problem}")
    assert "secret" not in str(error)


def test_a_body_of_something_else_is_a_model_that_says_nothing() -> None:
    assert replied(http(200, "<html>Please log in.</html>")) == ([], 1)


def test_a_stream_that_breaks_off_is_an_error_behind_its_words() -> None:
    async def run() -> None:
        model = ScriptedLlm([Script(steps=(Say("It is "), Break()))])
        async with served(model) as url, at(url) as provider:
            stream = provider.stream(ASKED)
            assert await anext(stream) == "It is "
            with pytest.raises(ResponderError, match="the model 'm' "):
                await anext(stream)

    asyncio.run(run())


def test_an_endpoint_that_is_not_there_is_named_without_its_password() -> None:
    async def run() -> None:
        async with at("http://me:secret@127.0.0.1:9/v1?key=secret") as provider:
            await written(provider)

    with pytest.raises(ResponderError) as caught:
        asyncio.run(run())
    assert str(caught.value) == "the model 'm' cannot be reached at http://127.0.0.1:9/v1/"


def test_a_provider_that_takes_too_long_is_not_asked_again() -> None:
    async def run() -> list[str]:
        async with answering(b"") as (silent, came):
            url = silent._settings.base_url
            soon = Timeout(PATIENCE_S, read=0.1)  # who is connected late is not silent yet
            async with AsyncOpenAI(base_url=url, api_key="any", timeout=soon) as client:
                with pytest.raises(ResponderError, match="the model 'm' took too long"):
                    await written(Provider("m", client=client))
            await until(lambda: "closed" in came)
        return came

    assert asyncio.run(run()) == ["open", "closed"]


def test_a_model_that_falls_silent_took_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "SILENT_S", 0.1)

    async def run() -> list[str]:
        model = ScriptedLlm([Script(steps=(Hang(),))])
        async with asyncio.timeout(PATIENCE_S), served(model) as url, at(url) as silent:
            with pytest.raises(ResponderError, match="the model 'm' took too long"):
                await written(silent)
        return [asked.outcome for asked in model.asked]

    assert asyncio.run(run()) == ["aborted"]


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110 - it happens at the other end of a socket
            await asyncio.sleep(0.001)


async def until_aborted(model: ScriptedLlm) -> None:
    await until(lambda: [asked.outcome for asked in model.asked] == ["aborted"])


def test_closing_it_closes_the_stream_at_once() -> None:
    async def run() -> None:
        model = ScriptedLlm([Script(steps=(Say("la "), Hang()))])
        async with served(model) as url, at(url) as provider:
            stream = provider.stream(ASKED)
            await anext(stream)
            await stream.aclose()
            await until_aborted(model)

    asyncio.run(run())


def test_cancelling_it_closes_the_stream_at_once() -> None:
    async def run() -> None:
        model = ScriptedLlm([Script(steps=(Say("la "), Hang()))])
        async with served(model) as url, at(url) as provider:
            stream = provider.stream(ASKED)
            await anext(stream)
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            await until_aborted(model)

    asyncio.run(run())


def test_it_can_be_cancelled_before_there_is_any_answer() -> None:
    async def run() -> bool:
        async with answering(b"") as (provider, came):
            task = asyncio.create_task(written(provider))
            await until(lambda: came == ["open"])
            task.cancel()
            await asyncio.wait({task})
            await until(lambda: came == ["open", "closed"])
            return task.cancelled()

    assert asyncio.run(run())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_it_can_be_used_from_one_event_loop_after_the_other() -> None:
    model = ScriptedLlm([Script(steps=(Say("Yes."),))])

    with bind(0) as free:
        port = free.getsockname()[1]
    settings = ModelSettings(base_url=f"http://127.0.0.1:{port}/v1")
    provider = Provider("m", settings=settings)

    async def run() -> None:
        async with served(model, port=port):
            assert await written(provider) == ["Yes."]
            assert await written(provider) == ["Yes."]

    for _ in range(3):
        asyncio.run(run())
    assert len(provider._clients) == 1
    provider._clients.clear()
    gc.collect()  # here, where what was left open is let pass


def test_the_model_is_told_what_it_may_call() -> None:
    model = ScriptedLlm()
    run_virtually(written(provider_of(model)))
    assert model.asked[0].request == {
        "model": "m",
        "messages": ASKED,
        "stream": True,
        "tools": TOOLS,
    }


# Settings


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and nothing exported."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "LLMWS_BUDGET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_key_and_endpoint_it_says_what_to_set(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    with pytest.raises(SetupError, match="set OPENAI_API_KEY, or OPENAI_BASE_URL"):
        Provider("m")


def test_without_a_model_it_says_what_to_set(nowhere: Path) -> None:
    with pytest.raises(SetupError, match="set OPENAI_MODEL to its name at the provider"):
        Provider(settings=ModelSettings(api_key="key"))


def test_settings_are_found_in_a_folder_above_and_what_is_exported_wins(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("OPENAI_MODEL=from-the-file", "OPENAI_API_KEY=key", "LLMWS_BUDGET=5000")
    (nowhere / ".env").write_text("\n".join(lines))
    (nowhere / "notebooks").mkdir()
    monkeypatch.chdir(nowhere / "notebooks")
    provider = Provider()
    assert (provider.model, provider.budget) == ("from-the-file", 5000)
    monkeypatch.setenv("OPENAI_MODEL", "exported")
    assert Provider().model == "exported"
    assert "'key'" not in repr(ModelSettings())


def test_an_endpoint_of_ones_own_needs_no_key(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(ResponderError, match=r"cannot be reached at http://127\.0\.0\.1:9/v1/"):
        asyncio.run(written(Provider("m")))
