"""A small server that every check is content with: a method for each rule.

The wrong ones in this folder take it and change a method or two: what is wrong stands alone.
It is the long answer to "how should it look?"; `server.create_app` is the short one.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any, Final, NoReturn

from fastapi import FastAPI, Request, Response, WebSocket

from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.errors import BadSignature
from llmws_tutorial.messages import SIGNATURE_HEADER, verify

SECRET: Final = "a-long-random-word"  # noqa: S105 - it keeps nothing
"""The path segment before the call id."""
WEBHOOK_KEY: Final = "test-api-key"
"""What webhooks are signed with."""
EXCUSE: Final = "I am sorry, something went wrong. Can you say that again?"
"""What the agent says when the model fails."""
ACTIONS: Final = {"end_call": "", "transfer_call": "number", "press_digit": "digit"}
"""What a turn can end with, and the argument that it takes."""
TOOLS: Final = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {field: {"type": "string"}} if field else {},
                "required": [field] if field else [],
            },
        },
    }
    for name, field in {"book": "day", **ACTIONS}.items()
]
"""What the model may call."""

Json = dict[str, Any]
Model = Callable[[Json], AsyncGenerator[Json, None]]
"""A streaming model: takes the body of a chat-completions request, gives its chunks."""
Piece = tuple[str, Json]
"""Text to speak, and the further fields of its frame."""


class BadFrame(Exception):
    """A frame that no platform would send; the text is the reason to close with."""


class BadEvent(Exception):
    """A signed body that is no event."""


class Right:
    """A server that is right in every way.

    Attributes:
        app: what an ASGI server serves.
    """

    patience_s = 4.0

    def __init__(self, model: Model | None = None) -> None:
        """Make the app; without a model the agent only knows some fixed sentences."""
        self.model = model
        self.greeted: set[str] = set()
        self.done: dict[tuple[str, str, str], str] = {}
        self.app = FastAPI()
        self.app.add_api_websocket_route("/llm-websocket/{secret}/{call_id}", self.take_call)
        self.app.add_api_route("/webhook", self.take_event, methods=["POST"])

    # The call

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        """Hold one call from its first message to its last."""
        if not self.lets_in(ws, secret):
            await ws.close()  # before it was accepted, that is HTTP 403
            return
        await ws.accept()
        call = SampleCall(ws, call_id)
        try:
            await self.configure(call)
            if call_id not in self.greeted:
                call.beside(self.greet(call))
            while (message := await ws.receive())["type"] == "websocket.receive":
                await self.take(call, self.parse(message.get("text")))
            call.code = message["code"]
        except BadFrame as bad:
            await ws.close(1002, str(bad))
        finally:
            await self.leave(call)

    async def leave(self, call: SampleCall) -> None:
        """Give up what is being made for a caller who has gone, however it ended."""
        await call.end()

    def lets_in(self, ws: WebSocket, secret: str) -> bool:
        """Whether the caller knows the secret, and is no browser."""
        return hmac.compare_digest(secret, SECRET) and "origin" not in ws.headers

    async def configure(self, call: SampleCall) -> None:
        """Say first what the platform is to send."""
        wishes = ("auto_reconnect", "call_details", "transcript_with_tool_calls")
        await call.send("config", config=dict.fromkeys(wishes, True))

    async def greet(self, call: SampleCall) -> None:
        """Greet once a call, when its details came, or without them after two seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(call.facts.wait(), 2)
        self.greeted.add(call.call_id)
        await call.finish(0, "Hello, how may I help you?")

    # Its messages

    def parse(self, text: str | None) -> Json:
        """Read a frame; only what no platform can have sent ends the call."""
        if text is None:
            raise BadFrame("Cannot find corresponding Retell LLM.")
        try:
            message = json.loads(text, parse_constant=refuse_constant)
        except (ValueError, RecursionError):
            raise BadFrame("Cannot parse incoming message.") from None
        if not isinstance(message, dict):
            raise BadFrame("Cannot parse incoming message.")
        return message

    async def take(self, call: SampleCall, message: Json) -> None:
        """Do what a message asks for; what is odd or unknown asks for nothing."""
        match message.get("interaction_type"):
            case "ping_pong":
                await self.pong(call, message)
            case "call_details":
                call.facts.set()
            case "response_required" | "reminder_required":
                await self.take_request(call, message)
            case _:
                await self.take_other(call, message)

    async def pong(self, call: SampleCall, ping: Json) -> None:
        """Return a heartbeat at once, whatever else is going on."""
        await call.send("ping_pong", timestamp=ping.get("timestamp"))

    async def take_other(self, call: SampleCall, message: Json) -> None:
        """Answer nothing to an update, and to what is unknown."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Begin an answer in a task, so that the next message is read meanwhile."""
        if type(request.get("response_id")) is int:
            call.start(self.answer(call, request))

    # An answer

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Say the pieces as they come, and complete the turn in any case."""
        response_id = request["response_id"]
        try:
            async for content, fields in self.pieces(call, request):
                await call.say(response_id, content, **fields)
        except Exception:
            await call.say(response_id, EXCUSE)
        await call.finish(response_id)

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Find what to say, with or without a model."""
        said = last_words(request.get("transcript"))
        if request["interaction_type"] == "reminder_required":
            yield "Are you still there?", {}
        elif self.model is not None:
            await asyncio.sleep(0.01)  # a burst of requests starts one generation, not ten
            async for piece in self.think(call, request, self.model):
                yield piece
        else:
            async for piece in self.recite(call, said):
                yield piece

    async def recite(self, call: SampleCall, said: str) -> AsyncIterator[Piece]:
        """Answer without a model, by a word that was said."""
        if "goodbye" in said or call.says_goodbye:
            yield self.act(call, "end_call", {})
        elif "human" in said:
            yield self.act(call, "transfer_call", {"number": "+15550100"})
        elif "press" in said:
            yield self.act(call, "press_digit", {"digit": "1"})
        elif "appointment" in said:
            yield self.hold()
            await self.use_tool(call, "book", '{"day": "tomorrow"}')
            yield "You are booked for tomorrow.", {}
        else:
            yield "I see. ", {}
            yield "What else can I do for you?", {}

    def act(self, call: SampleCall, name: str, arguments: Json) -> Piece:
        """Announce an action in the frame that asks for it, so that nobody talks over it."""
        protected = {"no_interruption_allowed": True}
        if name == "end_call":
            call.says_goodbye = True
            return "Thank you for calling. Goodbye!", {"end_call": True, **protected}
        if name == "transfer_call":
            number = str(arguments.get("number"))
            return "I will put you through.", {"transfer_number": number, **protected}
        return "One moment.", {"digit_to_press": str(arguments.get("digit")), **protected}

    # A model and its tools

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Stream what the model says; then do what it asked for, and ask it again."""
        messages = conversation(request["transcript"])
        for _ in range(3):
            tool_calls: dict[int, Json] = {}
            is_mute = True
            async with aclosing(model(self.body(messages))) as chunks:
                async for text in self.read(chunks, tool_calls):
                    is_mute = is_mute and not text
                    yield text, {}
            if not tool_calls:
                if is_mute:
                    yield EXCUSE, {}
                return
            for function in (tool_call["function"] for tool_call in tool_calls.values()):
                if function["name"] in ACTIONS:
                    yield self.act(call, function["name"], json.loads(function["arguments"]))
                    return
            yield self.hold()
            messages.append({"role": "assistant", "tool_calls": list(tool_calls.values())})
            messages.extend(await self.use_tools(call, list(tool_calls.values())))
        yield EXCUSE, {}

    def body(self, messages: list[Json]) -> Json:
        """Ask a model of the chat-completions API."""
        return {"model": "any", "stream": True, "messages": messages, "tools": TOOLS}

    async def read(
        self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
    ) -> AsyncIterator[str]:
        """Give the text of a stream; gather the tool calls, which come in pieces."""
        while True:
            try:
                async with asyncio.timeout(self.patience_s):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            for choice in chunk["choices"][:1]:  # some providers send chunks without any
                delta = choice["delta"]
                for part in delta.get("tool_calls") or ():
                    gather(tool_calls, part)
                if delta.get("content"):
                    yield delta["content"]

    def hold(self) -> Piece:
        """Say that something takes a moment, before it does."""
        return "One moment, please. ", {}

    async def use_tools(self, call: SampleCall, tool_calls: list[Json]) -> list[Json]:
        """Run each tool that the model called, and tell it what came of that."""
        return [
            {
                "role": "tool",
                "tool_call_id": tool_call["id"],
                "content": await self.use_tool(call, **tool_call["function"]),
            }
            for tool_call in tool_calls
        ]

    async def use_tool(self, call: SampleCall, name: str, arguments: str) -> str:
        """Run a tool and note it; what was done already in this call is not done again."""
        if name != "book":
            return f"There is no tool {name}."
        day = json.loads(arguments)["day"]
        key = (call.call_id, name, day)
        if key not in self.done:
            tool_call_id = await self.note_call(call, name, arguments)
            self.done[key] = await self.book(day)
            await self.note_result(call, tool_call_id, self.done[key])
        return self.done[key]

    async def note_call(self, call: SampleCall, name: str, arguments: str) -> str:
        """Note that a tool is called, under an id that no other call of a tool has."""
        tool_call_id = f"tool_{secrets.token_hex(6)}"
        note = {"tool_call_id": tool_call_id, "name": name, "arguments": arguments}
        await call.send("tool_call_invocation", **note)
        return tool_call_id

    async def note_result(self, call: SampleCall, tool_call_id: str, content: str) -> None:
        """Note what a tool returned."""
        await call.send("tool_call_result", tool_call_id=tool_call_id, content=content)

    async def book(self, day: str) -> str:
        """Book an appointment: the one tool that there is."""
        return f"booked for {day}"

    # The webhook

    async def take_event(self, request: Request) -> Response:
        """Verify the raw body before anything is read from it, and answer at once."""
        body = await request.body()
        try:
            self.verify(body, request.headers.get(SIGNATURE_HEADER))
            event = self.parse_event(body)
        except BadSignature:
            return Response(status_code=401)
        except BadEvent:
            return Response(status_code=400)
        return Response(status_code=self.know(event))

    def verify(self, body: bytes, signature: str | None) -> None:
        """Raise BadSignature unless the platform signed this body just now."""
        verify(body, WEBHOOK_KEY, signature)

    def parse_event(self, body: bytes) -> Json:
        """Read an event; a signature does not make one of what is no JSON object."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            raise BadEvent from None
        if not isinstance(event, dict):
            raise BadEvent
        return event

    def know(self, event: Json) -> int:
        """Take an event, known or not; the answer is the HTTP status."""
        return 204


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity: Python's json reads them, JSON has no such words."""
    raise ValueError(f"{name} is not JSON")


def last_words(transcript: object) -> str:
    """Find what the caller said last; nothing, if nobody did or it cannot be read."""
    said = transcript if isinstance(transcript, list) else []
    users = [one for one in said if isinstance(one, dict) and one.get("role") == "user"]
    return str(users[-1].get("content")).lower() if users else ""


def conversation(transcript: list[Json]) -> list[Json]:
    """Turn a transcript into a model's messages."""
    names = {"agent": "assistant"}
    return [
        {"role": names.get(said["role"], "user"), "content": str(said["content"])}
        for said in transcript
    ]


def gather(tool_calls: dict[int, Json], part: Json) -> None:
    """Add a piece of a tool call to what came of it before."""
    whole = tool_calls.setdefault(
        part["index"],
        {"id": part.get("id"), "type": "function", "function": {"name": "", "arguments": ""}},
    )
    function = part.get("function") or {}
    whole["function"]["name"] += function.get("name") or ""
    whole["function"]["arguments"] += function.get("arguments") or ""
