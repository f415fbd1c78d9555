"""A scripted model behind the real client, without a port: for tests in virtual time."""

import asyncio
import importlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from llmws_tutorial.errors import UpstreamRefused
from llmws_tutorial.server.provider import Provider
from llmws_tutorial.server.settings import ModelSettings
from llmws_tutorial.simulator.llm_chunks import Chunk
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm


def provider_of(llm: ScriptedLlm, *, budget: int = 24_000) -> Provider:
    """A provider that asks this model, in the event loop that it is first used in."""
    transport: Any = _Transport(llm)
    http = DefaultAsyncHttpxClient(transport=transport)
    client = AsyncOpenAI(api_key="any", base_url="http://model/v1", http_client=http)
    provider = Provider("m", settings=ModelSettings(LLMWS_BUDGET=budget), client=client)
    # it is found in a thread, for which virtual time does not wait
    vars(provider._own)["_platform"] = "Unknown"
    return provider


async def settled() -> None:
    """Let the event loop close the generators that the client leaves behind."""
    for _ in range(10):  # they hold one another
        await asyncio.sleep(0)


class _Transport:
    """Takes the client's requests to the model, and streams its answers back."""

    def __init__(self, llm: ScriptedLlm) -> None:
        self._llm = llm

    async def handle_async_request(self, request: Any) -> Any:
        library = importlib.import_module(type(request).__module__.partition(".")[0])
        chunks = self._llm.stream(json.loads(request.content))
        try:
            first = await anext(chunks)
        except UpstreamRefused as error:
            return library.Response(error.status, json={"error": {"message": str(error)}})
        headers = {"content-type": "text/event-stream"}
        return library.Response(200, headers=headers, stream=_body(library, first, chunks))

    async def aclose(self) -> None:
        pass


def _body(library: Any, first: Chunk, chunks: AsyncGenerator[Chunk, None]) -> Any:
    class Body(library.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield _event(first)
            async for chunk in chunks:
                yield _event(chunk)
            yield b"data: [DONE]\n\n"

        async def aclose(self) -> None:
            await chunks.aclose()

    return Body()


def _event(chunk: Chunk) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()
