"""Small agents for one test."""

import json

from fastapi import FastAPI, WebSocket


def agent_that(
    *, greets: str = "Hi.", answers: str = "Yes.", ends: bool = False, slips: int = 0
) -> FastAPI:
    """An agent that hangs up when it answers, or answers an id that is off by some."""
    app = FastAPI()

    @app.websocket("/llm-websocket/{call_id}")
    async def endpoint(ws: WebSocket, call_id: str) -> None:
        async def say(response_id: int, content: str) -> None:
            end = ends and content == answers
            said = {"response_id": response_id, "content": content}
            await ws.send_text(json.dumps({**said, "content_complete": True, "end_call": end}))

        await ws.accept()
        await say(0, greets)
        async for frame in ws.iter_text():
            response_id = json.loads(frame).get("response_id")
            if response_id is not None:
                if slips:
                    await say(response_id + slips, "Lost.")
                await say(response_id, answers)

    return app
