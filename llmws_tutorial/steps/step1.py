"""Step 1 of the guide: a WebSocket route beside the routes of an ordinary server.

It logs what arrives and says nothing yet: the first message comes with step 3.

Run it with ``uvicorn llmws_tutorial.steps.step1:app --port 3000``.
"""

import logging

from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse

log = logging.getLogger("uvicorn.llm_websocket")  # a child of uvicorn's: shown where uvicorn's is

app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
async def hello() -> str:
    """Answer a browser: the server's other routes go on as before."""
    return "Hello World!"


@app.websocket("/llm-websocket/{call_id}")
async def llm_websocket(ws: WebSocket, call_id: str) -> None:
    """Hold the connection of one call and log every message on it."""
    await ws.accept()
    log.info("call %r: connected", call_id)
    try:
        async for message in ws.iter_text():
            log.info("call %r: received %r", call_id, message)
    except Exception as error:
        log.error("Error received in LLM websocket client: %r", error)
    log.info("call %r: closed", call_id)
