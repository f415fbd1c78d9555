"""Step 7, behind the guide: an agent that books, hangs up and transfers.

The model is told which tools there are. What it calls runs once a call, tool and arguments, however
often the caller interrupts; the result goes back to the model, and to the platform as a note.

Run it with ``uvicorn llmws_tutorial.steps.step7:app --port 3000``.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse

from llmws_tutorial.steps.step1 import hello
from llmws_tutorial.steps.step3 import BadFrame, parse
from llmws_tutorial.steps.step5 import ask, lifespan
from llmws_tutorial.steps.step6 import NUDGE, PatientClient, hold_call

HOLD = "One moment, please. "
ROUNDS = 4
TOOL_S = 10.0
LATE = "not done yet, it goes on: say so, and do not call it again"
LOST = "The caller spoke over your last words, so {} was not done: call it again if it is wanted."
DUTIES = (
    "You answer the phone of a clinic. Book once you know the day, the time and the name. Say that "
    "something is done only when a tool has done it. To change or cancel, put the caller through. "
    "What you have called so far, and what came of it:"
)
FAREWELLS = {
    "end_call": "Thank you for calling. Goodbye!",
    "transfer_call": "I am putting you through.",
}
ACTIONS: dict[str, dict[str, Any]] = {
    "end_call": {"end_call": True, "no_interruption_allowed": True},
    "transfer_call": {"transfer_number": "+15555550100", "no_interruption_allowed": True},
}
appointments: dict[str, str] = {}


def tool(name: str, description: str, *parameters: str) -> dict[str, Any]:
    """Describe a tool to a model: its parameters are texts, and all are needed."""
    texts = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": texts, "required": parameters}
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


TOOLS = [
    tool("book_appointment", "Book a time, as the caller says it.", "day", "time", "name"),
    tool("end_call", "Hang up when the caller is done; the farewell is said for you."),
    tool("transfer_call", "Put the caller through to a person, when they ask for one."),
]


async def book_appointment(day: str, time: str, name: str) -> str:
    """Write an appointment into the clinic's book, unless the time is taken."""
    if not (day and time and name):
        raise ValueError("ask the caller for what is missing")
    slot = f"{day}, {time}".casefold()
    if slot in appointments:
        raise ValueError("that time is taken, offer another one")
    appointments[slot] = name
    return f"booked for {name}: {slot}"


FUNCTIONS = {"book_appointment": book_appointment}


def collect(calls: dict[int, Any], delta: Any) -> None:
    """Put together what a model calls: it comes in pieces, several calls side by side."""
    for piece in delta.tool_calls or ():
        empty = {"id": piece.id, "type": "function", "function": {"name": "", "arguments": ""}}
        function = calls.setdefault(piece.index, empty)["function"]
        function["name"] += piece.function.name or ""
        function["arguments"] += piece.function.arguments or ""


def canonical(arguments: str) -> str:
    """Write arguments in the one form in which equal ones look equal."""
    with suppress(BadFrame, UnicodeError):  # half a character cannot be sent on
        return json.dumps(parse(arguments), sort_keys=True, ensure_ascii=False).encode().decode()
    return "{}"


async def note(ws: WebSocket, kind: str, run_id: str, **fields: Any) -> None:
    """Tell the platform of a tool; the line may be gone meanwhile."""
    with suppress(Exception):
        await ws.send_json({"response_type": f"tool_call_{kind}", "tool_call_id": run_id, **fields})


class Ledger(dict[str, asyncio.Task[str]]):
    """What one call has run, by tool and arguments; it outlives turns and lines."""

    ws: WebSocket

    async def use(self, call: Any) -> dict[str, str]:
        """Run what a model calls, unless it has run already; answer what it is told."""
        function = call["function"]
        function["arguments"] = canonical(function["arguments"])
        key = "{name} {arguments}".format(**function).casefold()
        if key not in self:
            self[key] = asyncio.create_task(self.run(key, **function))
        await asyncio.wait([run := self[key]], timeout=TOOL_S)
        result = run.result() if run.done() else LATE
        return {"role": "tool", "tool_call_id": call["id"], "content": result}

    async def run(self, key: str, name: str, arguments: str) -> str:
        """Run a tool to its end, also when its turn dies; what failed may be tried again."""
        run_id = uuid4().hex
        await note(self.ws, "invocation", run_id, name=name, arguments=arguments)
        try:
            result, is_done = str(await FUNCTIONS[name](**json.loads(arguments))), True
        except BaseException as error:  # it may even exit, or cancel itself
            result, is_done = f"failed: {error!r}", False
            del self[key]
        await note(self.ws, "result", run_id, content=result, successful=is_done)
        return result


ledgers: dict[str, Ledger] = {}


class ActingClient(PatientClient):
    """A response system that knows what was done, and ends a turn with an action."""

    action = lost = ""  # what the latest answer ends with, and what the caller has spoken over

    async def open(self, ws: WebSocket, call_id: str) -> None:
        """Take up what the call has done, also when the platform dials again."""
        await super().open(ws, call_id)
        self.ledger = ledgers.setdefault(call_id, Ledger())
        self.ledger.ws = ws

    def forget(self, call_id: str) -> None:
        """Let go of a call that does not come back."""
        super().forget(call_id)
        ledgers.pop(call_id, None)

    def duties(self) -> str:
        """Tell the model what it is for, what is done, and which action was cut off."""
        self.lost, self.action = self.action or self.lost, ""
        ran = [f"{key}: {run.result() if run.done() else LATE}" for key, run in self.ledger.items()]
        return "\n".join(["", DUTIES, *ran, self.lost and LOST.format(self.lost)])

    async def say(self, ws: WebSocket, response_id: int, content: str, **fields: Any) -> None:
        """Send a piece of an answer, with its action; a silence hears a lost one again."""
        content = FAREWELLS.get(self.action, NUDGE) if content == NUDGE else content
        await super().say(ws, response_id, content, **fields, **ACTIONS.get(self.action, {}))


class ClinicClient(ActingClient):
    """The booking agent of a clinic."""

    async def words(self, messages: list[Any]) -> AsyncGenerator[str, None]:
        """Let the model speak, run what it calls, and let it speak again."""
        messages[0]["content"] += self.duties()
        for _ in range(ROUNDS):
            said, calls = "", dict[int, Any]()
            async with aclosing(ask(self.llm, messages=messages, tools=TOOLS)) as deltas:
                async for delta in deltas:
                    collect(calls, delta)
                    if delta.content:
                        said += delta.content
                        yield delta.content
            used = [call for call in calls.values() if call["function"]["name"] not in ACTIONS]
            if not used:
                break
            yield " " if said.strip() else HOLD
            told = await asyncio.gather(*map(self.ledger.use, used))
            messages += [{"role": "assistant", "content": said, "tool_calls": used}, *told]
        if used or not (calls or said.strip()):
            raise RuntimeError("the model said nothing, or called one tool after another")
        self.lost, self.action = "", next((one["function"]["name"] for one in calls.values()), "")
        if self.action:
            yield f"{said and ' '}{FAREWELLS[self.action]}"


app = FastAPI(lifespan=lifespan)
app.get("/", response_class=PlainTextResponse)(hello)


@app.websocket("/llm-websocket/{call_id}")
async def llm_websocket(ws: WebSocket, call_id: str) -> None:
    """Take one call."""
    await hold_call(ws, call_id, ClinicClient(ws.state.llm))
