"""Step 7, behind the guide: an agent that does something: it books, hangs up and transfers.

The model is told which functions there are. What it calls is run here, once a call and arguments,
however often the caller interrupts; what came of it goes back to the model, and to the platform.

Run it with ``uvicorn llmws_tutorial.steps.step7:app --port 3000``.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse

from llmws_tutorial.steps.step1 import hello
from llmws_tutorial.steps.step2 import Request
from llmws_tutorial.steps.step5 import PROMPT, ask, lifespan
from llmws_tutorial.steps.step6 import PatientClient, hold_call

RECEPTION = "+15555550100"
HOLD = "One moment, please. "
ROUNDS = 4
TOOL_S = 10.0
DUTIES = (
    "You answer the phone of a clinic. Book only what the caller has asked for and when you know "
    "the day, the time and the name. Never say that something is done unless a tool says so. "
)
LOST = "The caller spoke over your last words, so {} was not done; call it again if it is wanted. "
ACTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "end_call": ("Thank you for calling. Goodbye!", {"end_call": True}),
    "transfer_call": ("I am putting you through.", {"transfer_number": RECEPTION}),
}
appointments: dict[tuple[str, str], str] = {}
ran: dict[str, dict[str, asyncio.Task[str]]] = {}


def tool(name: str, description: str, /, **parameters: str) -> dict[str, Any]:
    """Describe a function to a model; its parameters are texts, and each is needed."""
    properties = {key: {"type": "string", "description": parameters[key]} for key in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


TOOLS = [
    tool(
        "book_appointment",
        "Book an appointment at the clinic.",
        day="the day, as the caller said it",
        time="the time of day, as the caller said it",
        name="the caller's name",
    ),
    tool("end_call", "Say goodbye and hang up, when the caller has nothing more to say."),
    tool("transfer_call", "Put the caller through to a person, when they ask for one."),
]


async def book_appointment(day: str, time: str, name: str) -> str:
    """Write an appointment into the clinic's book, if the time is free."""
    holder = appointments.setdefault((day.strip().casefold(), time.strip().casefold()), name)
    if holder != name:
        raise ValueError("that time is taken; offer another one")
    return f"booked for {name}: {day}, {time}"


FUNCTIONS = {"book_appointment": book_appointment}


def collect(calls: dict[int, dict[str, str]], delta: Any) -> None:
    """Put the calls of tools together, which a model writes piece by piece."""
    for part in delta.tool_calls or ():
        call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
        call["id"] = call["id"] or part.id or ""
        call["name"] += part.function.name or ""
        call["arguments"] += part.function.arguments or ""


def asked_and_told(calls: list[dict[str, str]], results: list[str]) -> list[Any]:
    """Write down for the model what it called, and what came of each."""
    asked = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in calls
    ]
    told = [
        {"role": "tool", "tool_call_id": call["id"], "content": result}
        for call, result in zip(calls, results, strict=True)
    ]
    return [{"role": "assistant", "tool_calls": asked}, *told]


class ToolClient(PatientClient):
    """A response system that can run the functions of a clinic."""

    async def open(self, ws: WebSocket, call_id: str) -> None:
        """Keep what a tool needs: where to note its call, and what this call has run."""
        self.ws, self.ran = ws, ran.setdefault(call_id, {})
        await super().open(ws, call_id)

    def forget(self, call_id: str) -> None:
        """Let go of a call that does not come back."""
        super().forget(call_id)
        ran.pop(call_id, None)

    async def use(self, name: str, arguments: str) -> str:
        """Run a tool, unless it has run in this call with these arguments already."""
        try:
            given = dict(json.loads(arguments or "{}").items())
        except (ValueError, AttributeError):
            return "failed: the arguments are no JSON object"
        key = f"{name} {json.dumps(given, sort_keys=True)}".casefold()
        if key not in self.ran:
            self.ran[key] = asyncio.create_task(self.run(key, name, given))
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self.ran[key]), TOOL_S)
        return "it takes longer than it should; say so, and do not call it again"

    async def run(self, key: str, name: str, given: dict[str, Any]) -> str:
        """Run a tool to its end, also when its turn dies, and note it for the platform."""
        tool_call_id = uuid4().hex
        await self.note("invocation", tool_call_id, name=name, arguments=json.dumps(given))
        try:
            result, is_done = await FUNCTIONS[name](**given), True
        except Exception as error:
            result, is_done = f"failed: {error!r}", False
            del self.ran[key]
        await self.note("result", tool_call_id, content=result, successful=is_done)
        return result

    async def note(self, kind: str, tool_call_id: str, **fields: Any) -> None:
        """Tell the platform of a tool; the line may be gone meanwhile."""
        note = {"response_type": f"tool_call_{kind}", "tool_call_id": tool_call_id}
        with suppress(WebSocketDisconnect, RuntimeError):
            await self.ws.send_json({**note, **fields})


class ActingClient(ToolClient):
    """The same; it also hangs up and transfers, with words that nobody can talk over."""

    action = lost = ""

    async def answer(self, request: Request, ws: WebSocket) -> None:
        """Answer one request; an action of the last answer was thrown away, as the call goes on."""
        self.action, self.lost = "", self.action
        await super().answer(request, ws)

    async def say(self, ws: WebSocket, response_id: int, content: str, **fields: Any) -> None:
        """Send a piece of an answer; with an action it is protected."""
        if self.action:
            fields |= {"no_interruption_allowed": True, **ACTIONS[self.action][1]}
        await super().say(ws, response_id, content, **fields)

    def duties(self) -> str:
        """Tell the model what it is for, what it has done, and what the caller cut off."""
        done = [f"Done: {key}: {run.result()}." for key, run in self.ran.items() if run.done()]
        return " ".join([DUTIES, *done, LOST.format(self.lost) if self.lost else ""])


class ClinicClient(ActingClient):
    """The booking agent of a clinic."""

    async def words(self, messages: list[Any]) -> AsyncGenerator[str, None]:
        """Let the model speak, run what it calls, and let it speak again."""
        messages[0]["content"] = f"{PROMPT} {self.duties()}"
        hold = HOLD
        for _ in range(ROUNDS):
            calls: dict[int, dict[str, str]] = {}
            async with aclosing(ask(self.llm, messages=messages, tools=TOOLS)) as deltas:
                async for delta in deltas:
                    collect(calls, delta)
                    if delta.content:
                        yield delta.content
                        hold = " "
            names = [call["name"] for call in calls.values()]
            if not names:
                return
            if set(names) <= set(ACTIONS):
                self.action = names[0]
                yield f" {ACTIONS[self.action][0]}"
                return
            yield hold
            uses = [self.use(call["name"], call["arguments"]) for call in calls.values()]
            messages += asked_and_told([*calls.values()], await asyncio.gather(*uses))
        raise RuntimeError("the model calls one tool after another")


app = FastAPI(lifespan=lifespan)
app.get("/", response_class=PlainTextResponse)(hello)


@app.websocket("/llm-websocket/{call_id}")
async def llm_websocket(ws: WebSocket, call_id: str) -> None:
    """Take one call."""
    await hold_call(ws, call_id, ClinicClient(ws.state.llm))
