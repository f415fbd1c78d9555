"""Servers that use tools wrongly, each in one way."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall


class RenamesResults(Right):
    """Gives each result an id of its own."""

    async def note_result(self, call: SampleCall, tool_call_id: str, content: str) -> None:
        """Note what a tool returned, under another id than the call of it."""
        await super().note_result(call, f"result_of_{tool_call_id}", content)


class WritesPython(Right):
    """Writes the arguments as Python shows them, in single quotes."""

    async def note_call(self, call: SampleCall, name: str, arguments: str) -> str:
        """Note that a tool is called, with its arguments made to a string."""
        return await super().note_call(call, name, str(json.loads(arguments)))


class NamesIdsByTool(Right):
    """Uses the name of the tool as the id of each call of it."""

    async def note_call(self, call: SampleCall, name: str, arguments: str) -> str:
        """Note that a tool is called, under an id that the next call of it has as well."""
        note = {"tool_call_id": f"tool_{name}", "name": name, "arguments": arguments}
        await call.send("tool_call_invocation", **note)
        return note["tool_call_id"]


class SendsObjects(Right):
    """Sends a result as the object that the tool returned."""

    async def note_result(self, call: SampleCall, tool_call_id: str, content: str) -> None:
        """Note what a tool returned, as it is."""
        answer = {"status": content}
        await call.send("tool_call_result", tool_call_id=tool_call_id, content=answer)


class KeepsSilent(Right):
    """Says nothing while a slow tool runs."""

    def hold(self) -> Piece:
        """Say nothing."""
        return "", {}

    async def book(self, day: str) -> str:
        """Book an appointment in a calendar that takes its time."""
        await asyncio.sleep(2)
        return await super().book(day)


class WaitsForText(Right):
    """Speaks after a tool only if the model had said something before it."""

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Stream what the model says, and nothing after a tool that came without text."""
        said = ""
        async for content, fields in super().think(call, request, model):
            if not said.startswith(self.hold()[0]):
                yield content, fields
            said += content


class RunsTheFirst(Right):
    """Runs only the first of several tools that the model called."""

    async def use_tools(self, call: SampleCall, tool_calls: list[Json]) -> list[Json]:
        """Run the tool that the model called."""
        return await super().use_tools(call, tool_calls[:1])


class RunsAgain(Right):
    """Runs a tool as often as the model calls it."""

    async def use_tool(self, call: SampleCall, name: str, arguments: str) -> str:
        """Run a tool, and forget what was done before."""
        self.done.clear()
        return await super().use_tool(call, name, arguments)


class TriesForEver(Right):
    """Tries a tool that fails again and again."""

    async def use_tool(self, call: SampleCall, name: str, arguments: str) -> str:
        """Run a tool until it works."""
        while True:
            try:
                return await super().use_tool(call, name, arguments)
            except json.JSONDecodeError:
                await asyncio.sleep(1)


class LosesResults(Right):
    """Notes what it calls, and not what comes of it."""

    async def note_result(self, call: SampleCall, tool_call_id: str, content: str) -> None:
        """Note nothing: the model knows it."""


class WaitsForUnknownTools(Right):
    """Waits for a tool that there is not."""

    async def use_tool(self, call: SampleCall, name: str, arguments: str) -> str:
        """Leave a tool of another name to somebody else, and wait for the result."""
        if name != "book":
            await asyncio.Event().wait()
        return await super().use_tool(call, name, arguments)


WRONG: Final[dict[str, type[Right]]] = {
    "tools/1": RenamesResults,
    "tools/2": WritesPython,
    "tools/3": NamesIdsByTool,
    "tools/4": SendsObjects,
    "tools/5": KeepsSilent,
    "tools/6": WaitsForText,
    "tools/7": RunsTheFirst,
    "tools/8": RunsAgain,
    "tools/9": TriesForEver,
    "tools/10": LosesResults,
    "tools/11": WaitsForUnknownTools,
}
"""For each case the server that fails it, and no other."""
