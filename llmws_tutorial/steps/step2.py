"""Step 2 of the guide: a dummy response system, not yet wired to the endpoint.

The types are the guide's, field by field. The server is still the one of step 1.

Run it with ``uvicorn llmws_tutorial.steps.step2:app --port 3000``.
"""

from typing import Literal, NotRequired, TypedDict

from fastapi import WebSocket

from llmws_tutorial.steps.step1 import app, log

__all__ = ["LLMDummyMock", "Request", "Response", "Utterance", "app"]


class Utterance(TypedDict):
    """What one side said in one go."""

    role: Literal["agent", "user"]
    content: str


class Request(TypedDict):
    """What the platform sends: a live transcript, and whether it wants an answer."""

    response_id: NotRequired[int]  # absent on update_only: there is nothing to answer
    transcript: list[Utterance]
    interaction_type: Literal["update_only", "response_required", "reminder_required"]


class Response(TypedDict):
    """What your server sends: something for the agent to say."""

    response_id: NotRequired[int]  # the id of the request it answers; 0 for the first message
    content: str
    content_complete: bool
    end_call: bool


def speech(content: str) -> Response:
    """Put a text into a complete response; whoever sends it adds the id."""
    return {"content": content, "content_complete": True, "end_call": False}


class LLMDummyMock:
    """A response system without a model: one greeting, and one answer to everything."""

    async def begin_message(self, ws: WebSocket) -> None:
        """Greet the caller: the first message answers no request, so its id is 0."""
        await ws.send_json({"response_id": 0, **speech("How may I help you?")})

    async def draft_response(self, request: Request, ws: WebSocket) -> None:
        """Apologise when an answer is wanted; stay quiet on a mere update."""
        if request.get("interaction_type") == "update_only":
            return
        apology = speech("I am sorry, can you say that again?")
        if "response_id" in request:
            apology["response_id"] = request["response_id"]
        try:
            await ws.send_json(apology)
        except Exception as error:
            log.error("Error in sending a response: %r", error)
