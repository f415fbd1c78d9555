"""Step 5, behind the guide: a model answers, and is spoken while it still writes.

Any model that speaks OpenAI's chat completions will do. Three variables say which: OPENAI_BASE_URL
(without it OpenAI's own), OPENAI_API_KEY and OPENAI_MODEL.

Run it with ``uvicorn llmws_tutorial.steps.step5:app --port 3000``.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse
from openai import AsyncOpenAI

from llmws_tutorial.steps.step1 import hello, log
from llmws_tutorial.steps.step2 import LLMDummyMock, Request, speech
from llmws_tutorial.steps.step3 import BadFrame, parse

MODEL = "gpt-4.1-mini"
PATIENCE_S = 8.0
EXCUSE = "I am sorry, something went wrong. Could you say that again?"
PROMPT = (
    "You are a friendly agent on a phone call. What you write is spoken aloud: use short, plain "
    "sentences without markdown, lists, emoji or links, and write numbers as words. Answer in one "
    "or two sentences, then let the caller speak. The caller's words come from speech recognition "
    "and may be wrong: when they make no sense, ask once again in other words."
)


def spoken(transcript: Any) -> list[tuple[str, str]]:
    """Read who said what from a transcript; what cannot be read is left out."""
    said = transcript if isinstance(transcript, list) else []
    pairs = [(one.get("role"), one.get("content")) for one in said if isinstance(one, dict)]
    return [
        ("assistant" if role == "agent" else "user", content.strip())
        for role, content in pairs
        if isinstance(content, str) and content.strip()
    ]


def conversation(transcript: Any) -> list[Any]:
    """Turn a transcript into a model's messages: two roles in turn, nothing empty."""
    messages = [{"role": "system", "content": PROMPT}]
    for role, content in spoken(transcript):
        if messages[-1]["role"] == role:
            messages[-1]["content"] += f" {content}"
        else:
            messages.append({"role": role, "content": content})
    return messages


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, AsyncOpenAI]]:
    """Hold one client for all calls: to make one takes long enough to be heard."""
    async with AsyncOpenAI(max_retries=1) as llm:
        yield {"llm": llm}


async def ask(llm: AsyncOpenAI, **question: Any) -> AsyncGenerator[Any, None]:
    """Stream what the model writes; to stop listening closes the stream."""
    model = os.environ.get("OPENAI_MODEL") or MODEL
    async with asyncio.timeout(PATIENCE_S):
        stream = await llm.chat.completions.create(model=model, stream=True, **question)
    async with stream:
        while True:
            async with asyncio.timeout(PATIENCE_S):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            if chunk.choices:
                yield chunk.choices[0].delta


def wants_answer(request: Any) -> bool:
    """Whether a message asks for words, under an id that can be answered."""
    kind, response_id = request.get("interaction_type"), request.get("response_id")
    return kind in ("response_required", "reminder_required") and type(response_id) is int


class LLMClient(LLMDummyMock):
    """A response system with a model behind it."""

    def __init__(self, llm: AsyncOpenAI) -> None:
        self.llm = llm

    async def words(self, messages: list[Any]) -> AsyncGenerator[str, None]:
        """Let the model continue a conversation, piece by piece."""
        async with aclosing(ask(self.llm, messages=messages)) as deltas:
            async for delta in deltas:
                if delta.content:
                    yield delta.content

    async def say(self, ws: WebSocket, response_id: int, content: str, **fields: Any) -> None:
        """Send a piece of an answer; the last one says that it is complete."""
        piece = {**speech(content), "content_complete": False, "response_id": response_id}
        await ws.send_json({**piece, **fields})


class StreamingClient(LLMClient):
    """The same, spoken while the model still writes."""

    async def draft_response(self, request: Request, ws: WebSocket) -> None:
        """Hand on what the model writes, and complete the turn in any case."""
        if not wants_answer(request):
            return
        response_id, rest = request["response_id"], EXCUSE
        try:
            async with aclosing(self.words(conversation(request.get("transcript")))) as words:
                async for content in words:
                    await self.say(ws, response_id, content)
                    rest = rest if content.isspace() else ""
        except Exception as error:
            log.error("Error in answering: %r", error)
            rest = f" {EXCUSE}"
        await self.say(ws, response_id, rest, content_complete=True)


async def hold_call(ws: WebSocket, call_id: str, llm: LLMClient) -> None:
    """Hold one call: greet, answer every request, close on a frame of nobody we know."""
    await ws.accept()
    log.info("call %r: connected", call_id)
    try:
        await llm.begin_message(ws)
        while (message := await ws.receive())["type"] == "websocket.receive":
            await llm.draft_response(parse(message.get("text")), ws)
    except BadFrame as bad:
        log.error("call %r: %s", call_id, bad)
        await ws.close(code=1002, reason=str(bad))
    except Exception as error:
        log.error("Error received in LLM websocket client: %r", error)
    log.info("call %r: closed", call_id)


app = FastAPI(lifespan=lifespan)
app.get("/", response_class=PlainTextResponse)(hello)


@app.websocket("/llm-websocket/{call_id}")
async def llm_websocket(ws: WebSocket, call_id: str) -> None:
    """Take one call."""
    await hold_call(ws, call_id, StreamingClient(ws.state.llm))
