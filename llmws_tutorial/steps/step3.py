"""Step 3 of the guide: the endpoint and the dummy responder, wired together.

One object per call: greet, then answer frame by frame. A frame that no platform sends ends the
call with close code 1002, and nothing after it is read.

Run it with ``uvicorn llmws_tutorial.steps.step3:app --port 3000``.
"""

import json
from typing import NoReturn, cast

from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse

from llmws_tutorial.steps.step1 import hello, log
from llmws_tutorial.steps.step2 import LLMDummyMock, Request

app = FastAPI()
app.get("/", response_class=PlainTextResponse)(hello)


class BadFrame(Exception):
    """A frame that no platform would send; the text is the reason to close with."""


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity: Python's json reads them, JSON has no such words."""
    raise ValueError(f"{name} is not JSON")


def parse(text: str | None) -> Request:
    """Read one frame as a request; a binary frame has no text."""
    if text is None:
        raise BadFrame("Cannot find corresponding Retell LLM.")
    try:
        request = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise BadFrame("Cannot parse incoming message.") from None
    if not isinstance(request, dict):
        raise BadFrame("Cannot parse incoming message.")
    return cast(Request, request)


@app.websocket("/llm-websocket/{call_id}")
async def llm_websocket(ws: WebSocket, call_id: str) -> None:
    """Hold one call: greet, answer every request, close on a frame of nobody we know."""
    await ws.accept()
    log.info("call %r: connected", call_id)
    llm = LLMDummyMock()
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
