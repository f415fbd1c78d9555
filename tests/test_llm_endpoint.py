"""The scripted model on a port, asked by the official client as a learner's server does."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from llmws_tutorial.errors import PortBusy
from llmws_tutorial.simulator.llm_endpoint import MODEL, served
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
    Wait,
)

PATIENCE_S: Final = 30.0
SOON_S: Final = 1.0
TOOLS: Final[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"party": {"type": "integer"}},
                "required": ["party"],
            },
        },
    }
    for name in ("book_table", "end_call")
]
Talk = Callable[[AsyncOpenAI, ScriptedLlm], Awaitable[Any]]


def model(*steps: Step, status: int = 200) -> ScriptedLlm:
    return ScriptedLlm([Script(steps=steps, status=status)])


@contextlib.asynccontextmanager
async def client(llm: ScriptedLlm, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    async with (
        asyncio.timeout(PATIENCE_S),
        served(llm) as url,
        AsyncOpenAI(base_url=url, api_key="none", max_retries=0, **options) as connected,
    ):
        yield connected


def ask(connected: AsyncOpenAI, said: str = "Hello?", **options: Any) -> Any:
    return connected.chat.completions.create(
        model="m", messages=[{"role": "user", "content": said}], **options
    )


async def chunks_of(llm: ScriptedLlm, **options: Any) -> list[ChatCompletionChunk]:
    async with client(llm) as connected:
        return [chunk async for chunk in await ask(connected, stream=True, **options)]


def streamed(llm: ScriptedLlm, **options: Any) -> list[ChatCompletionChunk]:
    return asyncio.run(chunks_of(llm, **options))


def words(chunks: list[ChatCompletionChunk]) -> list[str | None]:
    return [chunk.choices[0].delta.content if chunk.choices else None for chunk in chunks]


async def until(happened: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.005)


def test_words_come_one_chunk_each_and_end_with_a_reason() -> None:
    llm = model(Say("Good "), Wait(0.001), Say("day."))
    chunks = streamed(llm)
    assert words(chunks) == ["", "Good ", "day.", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert llm.asked[0].outcome == "finished"


def test_a_chunk_without_a_choice_comes_as_such() -> None:
    assert [len(chunk.choices) for chunk in streamed(model(Empty(), Say("A.")))] == [0, 1, 1, 1]


def test_a_line_is_sent_as_it_is() -> None:
    with pytest.raises(json.JSONDecodeError):
        streamed(model(Say("A."), Raw("data: {no json")))
    assert words(streamed(model(Raw(": a comment"), Say("A.")))) == ["", "A.", None]


def test_parallel_calls_of_tools_come_in_pieces() -> None:
    chunks = streamed(model(CallTool(), CallTool("end", {"why": "bye"}, "c2")), tools=TOOLS)
    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    for index, name, arguments in (
        (0, "book_table", {"party": 1}),
        (1, "end_call", {"why": "bye"}),
    ):
        head, *rest = [piece for piece in pieces if piece.index == index]
        assert head.id
        assert head.function
        assert (head.function.name, head.function.arguments) == (name, "")
        assert len(rest) >= 2
        texts = [piece.function.arguments or "" for piece in rest if piece.function]
        assert json.loads("".join(texts)) == arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_usage_comes_last_and_only_when_it_is_asked_for() -> None:
    chunks = streamed(model(Say("Good "), Say("day.")), stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert chunks[-1].usage.total_tokens == 3
    assert {chunk.usage for chunk in chunks[:-1]} == {None}
    assert {chunk.usage for chunk in streamed(model(Say("Good day.")))} == {None}


def test_the_whole_answer_comes_in_one_piece() -> None:
    async def talk() -> Any:
        async with client(model(Empty(), Say("Good "), Raw(":"), Say("day."))) as connected:
            return await ask(connected)

    whole = asyncio.run(talk())
    assert (whole.object, whole.choices[0].finish_reason) == ("chat.completion", "stop")
    assert whole.choices[0].message.content == "Good day."
    assert whole.usage.completion_tokens == 2


def test_tools_are_called_in_one_piece_too() -> None:
    async def talk() -> Any:
        async with client(model(CallTool(), CallTool("end", "{no json"))) as connected:
            return await ask(connected, tools=TOOLS)

    choice = asyncio.run(talk()).choices[0]
    called = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert called == [("book_table", '{"party": 1}'), ("end_call", "{no json")]
    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (401, openai.AuthenticationError, "invalid_api_key"),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, None),
    ],
)
def test_a_refusal_is_an_error_in_openais_shape(
    status: int, error: type[openai.APIStatusError], code: str | None
) -> None:
    llm = model(status=status)
    with pytest.raises(error) as refused:
        streamed(llm)
    assert (refused.value.status_code, refused.value.code) == (status, code)
    assert llm.asked[0].outcome == "refused"


def test_an_odd_request_is_told_what_is_wrong() -> None:
    with pytest.raises(openai.BadRequestError, match=r"got `str` - at `\$\.tools`"):
        streamed(model(), tools="book_table")


@pytest.mark.parametrize("body", [b"", b"{no json", b"[" * 100_000, b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused_and_kept(body: bytes) -> None:
    llm = model()

    async def talk() -> httpx.Response:
        async with served(llm) as url, httpx.AsyncClient() as plain:
            return await plain.post(f"{url}/chat/completions", content=body)

    answer = asyncio.run(talk())
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert (llm.asked[0].request, llm.asked[0].outcome) == ({}, "refused")


@pytest.mark.parametrize("stop", [Wait(60), Hang()])
def test_a_client_that_leaves_a_stream_is_noticed_at_once(stop: Step) -> None:
    llm = model(Say("La "), stop, Say("la."))

    async def talk() -> None:
        async with client(llm) as connected:
            stream = await ask(connected, stream=True)
            async for chunk in stream:
                if chunk.choices[0].delta.content == "La ":
                    break
            assert llm.running() == 1
            left_s = time.monotonic()
            await stream.close()
            await until(lambda: llm.running() == 0)
            assert llm.asked[0].ended_at_s is not None
            assert llm.asked[0].ended_at_s - left_s < SOON_S

    asyncio.run(talk())
    assert llm.asked[0].outcome == "aborted"


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_client_that_runs_out_of_patience_aborts_what_hangs(is_streamed: bool) -> None:
    llm = model(Hang())

    async def talk() -> None:
        async with client(llm, timeout=0.2) as connected:
            with pytest.raises((openai.APITimeoutError, httpx.ReadTimeout)):
                [chunk async for chunk in await ask(connected, stream=is_streamed)]
            await until(lambda: llm.running() == 0)

    asyncio.run(talk())
    assert llm.asked[0].outcome == "aborted"


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_break_cuts_the_connection_without_a_word_in_the_log(
    is_streamed: bool, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    llm = model(Say("La "), Break())

    async def talk() -> None:
        async with client(llm) as connected:
            [chunk async for chunk in await ask(connected, stream=is_streamed)]

    with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
        asyncio.run(talk())
    assert llm.asked[0].outcome == "broken"
    loud = [line.message for line in caplog.records if line.levelname not in ("DEBUG", "INFO")]
    assert (loud, capsys.readouterr().err) == ([], "")


def test_the_model_is_listed() -> None:
    async def talk() -> list[str]:
        async with client(model()) as connected:
            return [listed.id async for listed in await connected.models.list()]

    assert asyncio.run(talk()) == [MODEL]


def test_the_end_of_the_server_aborts_what_runs() -> None:
    llm = model(Say("La "), Hang())

    async def talk() -> None:
        async with served(llm) as url:
            connected = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
            await ask(connected, stream=True)
        assert llm.running() == 0
        await connected.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(talk())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_an_error_in_words(host: str) -> None:
    async def twice() -> None:
        async with served(ScriptedLlm(), host=host) as url, asyncio.timeout(PATIENCE_S):
            port = httpx.URL(url).port or 0
            async with served(ScriptedLlm(), port=port, host=host):
                raise AssertionError("two servers on one port")

    with pytest.raises(PortBusy, match=r"port \d+ at .* cannot be had"):
        asyncio.run(twice())


def test_a_port_that_does_not_exist_is_an_error_in_words() -> None:
    async def serve() -> None:
        async with served(ScriptedLlm(), port=70_000):
            raise AssertionError("no such port")

    with pytest.raises(PortBusy, match="port 70000 does not exist"):
        asyncio.run(serve())
