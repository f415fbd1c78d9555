"""Step 6, behind the guide: today's protocol, and an agent one can interrupt.

Each answer is a task, so the call is heard while it is made: a newer request, or the end of the
call, cancels it, and heartbeats come back in time.

Run it with ``uvicorn llmws_tutorial.steps.step6:app --port 3000``.
"""

import asyncio
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse

from llmws_tutorial.steps.step1 import hello, log
from llmws_tutorial.steps.step2 import Request
from llmws_tutorial.steps.step3 import BadFrame, parse
from llmws_tutorial.steps.step5 import StreamingClient, lifespan, wants_answer

GREETING = "How may I help you?"
NUDGE = "Are you still there?"
SETTLE_S = 0.01
HUNG_UP = (1000, 1001)  # not 1005: uvicorn says so of a line that broke as well
CONFIG = {"auto_reconnect": True, "call_details": False, "transcript_with_tool_calls": False}
greeted: set[str] = set()


class ConfiguredClient(StreamingClient):
    """A response system that speaks today's protocol."""

    async def say(self, ws: WebSocket, response_id: int, content: str, **fields: Any) -> None:
        """Send a piece of an answer; each frame says its type."""
        await super().say(ws, response_id, content, response_type="response", **fields)

    async def open(self, ws: WebSocket, call_id: str) -> None:
        """Say what the platform is to send; greet, unless the call was here before."""
        await ws.send_json({"response_type": "config", "config": CONFIG})
        if call_id not in greeted:
            await self.say(ws, 0, GREETING, content_complete=True)
            greeted.add(call_id)

    def forget(self, call_id: str) -> None:
        """Let go of a call that does not come back."""
        greeted.discard(call_id)


class InterruptibleClient(ConfiguredClient):
    """The same; it listens while it answers, and stops when nobody wants the rest."""

    answering: asyncio.Task[None] | None = None

    async def take(self, message: Any, ws: WebSocket) -> None:
        """Return a heartbeat; begin an answer, and give up the one that it supersedes."""
        if message.get("interaction_type") == "ping_pong":
            pong = {"response_type": "ping_pong", "timestamp": message.get("timestamp")}
            await ws.send_json(pong)
        elif wants_answer(message):
            self.stop()
            self.answering = asyncio.create_task(self.answer(message, ws))

    def stop(self) -> None:
        """Give up the answer that is being made: cancelled, it closes its stream."""
        if self.answering is not None:
            self.answering.cancel()

    async def answer(self, request: Request, ws: WebSocket) -> None:
        """Answer one request, after a moment in which a newer one may come."""
        await asyncio.sleep(SETTLE_S)
        try:
            await self.draft_response(request, ws)
        except Exception as error:  # nobody awaits this task: what is not logged is lost
            log.error("Error in answering: %r", error)


class PatientClient(InterruptibleClient):
    """The same; it asks a caller who is silent whether they are there, and no model."""

    async def draft_response(self, request: Request, ws: WebSocket) -> None:
        """Answer a request; a reminder wants a nudge, and no second answer."""
        if request["interaction_type"] == "reminder_required":
            await self.say(ws, request["response_id"], NUDGE, content_complete=True)
        else:
            await super().draft_response(request, ws)


async def hold_call(ws: WebSocket, call_id: str, llm: InterruptibleClient) -> None:
    """Hold one call, through interruptions and lost lines."""
    await ws.accept()
    log.info("call %r: connected", call_id)
    try:
        await llm.open(ws, call_id)
        while (message := await ws.receive())["type"] == "websocket.receive":
            with suppress(WebSocketDisconnect):  # the next message says how it ended
                await llm.take(parse(message.get("text")), ws)
        if message["code"] in HUNG_UP:
            llm.forget(call_id)
    except BadFrame as bad:
        log.error("call %r: %s", call_id, bad)
        await ws.close(code=1002, reason=str(bad))
    except Exception as error:
        log.error("Error received in LLM websocket client: %r", error)
    finally:
        llm.stop()
    log.info("call %r: closed", call_id)


app = FastAPI(lifespan=lifespan)
app.get("/", response_class=PlainTextResponse)(hello)


@app.websocket("/llm-websocket/{call_id}")
async def llm_websocket(ws: WebSocket, call_id: str) -> None:
    """Take one call."""
    await hold_call(ws, call_id, PatientClient(ws.state.llm))
