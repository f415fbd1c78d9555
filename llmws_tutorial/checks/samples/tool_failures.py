"""Servers that a tool brings down, each in one way."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from llmws_tutorial.checks.samples.right import EXCUSE, Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.errors import UpstreamRefused


class CountsOnArguments(Right):
    """Counts on each argument, and takes one that is missing for a reason to give up."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Say the pieces as they come; a field that is missing leaves it open."""
        response_id = request["response_id"]
        try:
            async for content, fields in self.pieces(call, request):
                await call.say(response_id, content, **fields)
        except KeyError:
            return
        except Exception:
            await call.say(response_id, EXCUSE)
        await call.finish(response_id)


class GuardsTheFirst(Right):
    """Guards the first question of a turn to the model, and not the one after a tool."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin without a turn that has used a tool."""
        super().__init__(model)
        self.used_tools: set[SampleCall] = set()

    async def use_tools(self, call: SampleCall, tool_calls: list[Json]) -> list[Json]:
        """Run the tools, and leave the guarded part."""
        self.used_tools.add(call)
        return await super().use_tools(call, tool_calls)

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Say the pieces as they come, and the excuse if the first question fails."""
        response_id = request["response_id"]
        try:
            async for content, fields in self.pieces(call, request):
                await call.say(response_id, content, **fields)
        except UpstreamRefused:
            if call in self.used_tools:
                return
            await call.say(response_id, EXCUSE)
        except Exception:
            await call.say(response_id, EXCUSE)
        await call.finish(response_id)


class KeepsCallsOnly(Right):
    """Tells the model in the next turn what it called, and not what came of it."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin without a tool that was called."""
        super().__init__(model)
        self.called: dict[SampleCall, list[Json]] = {}
        self.kept: dict[SampleCall, list[Json]] = {}

    async def use_tools(self, call: SampleCall, tool_calls: list[Json]) -> list[Json]:
        """Run the tools, and note which they were."""
        self.called[call] = tool_calls
        return await super().use_tools(call, tool_calls)

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Give an answer; what was called in it is kept for the next one."""
        await super().answer(call, request)
        if call in self.called:
            self.kept[call] = self.called[call]

    async def think(self, call: SampleCall, request: Json, model: Model) -> AsyncIterator[Piece]:
        """Ask the model, and begin with what it called before."""

        def remind(body: Json) -> AsyncGenerator[Json, None]:
            before = {"role": "assistant", "tool_calls": self.kept[call]}
            return model({**body, "messages": [before, *body["messages"]]})

        asked = remind if call in self.kept else model
        async for piece in super().think(call, request, asked):
            yield piece


WRONG: Final[dict[str, type[Right]]] = {
    "tools/12": CountsOnArguments,
    "tools/13": GuardsTheFirst,
    "tools/14": KeepsCallsOnly,
}
"""For each case the server that fails it, and no other."""
