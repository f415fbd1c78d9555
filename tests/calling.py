"""A call to an app in memory, frame by frame: what is said and done is woven as a platform does."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from llmws_tutorial.checks import in_memory
from llmws_tutorial.checks.transport import Socket
from llmws_tutorial.server import Responder, Settings, create_app
from tests.virtual_time import run_virtually

Json = dict[str, Any]
_Result = TypeVar("_Result")
PATIENCE_S = 100.0


class Caller:
    """Somebody on the telephone.

    Attributes:
        frames: what the server sent, each with its time.
        woven: what was said and done.
    """

    def __init__(self, socket: Socket) -> None:
        self.frames: list[tuple[float, Json]] = []
        self.woven: list[Json] = []
        self.response_id = 0
        self.weaves = False
        self._socket = socket

    async def say(self, text: str = "", kind: str = "response_required") -> None:
        """Say something, or nothing; do not wait for the answer."""
        if text:
            self.woven.append({"role": "user", "content": text})
        self.response_id += 1
        said = [entry for entry in self.woven if entry["role"] in ("agent", "user")]
        request = {
            "interaction_type": kind,
            "response_id": self.response_id,
            "transcript": said,
        }
        if self.weaves:
            request["transcript_with_tool_calls"] = self.woven
        await self._socket.send(json.dumps(request))

    async def hear(self, **wanted: Any) -> Json:
        """Listen until a frame has these fields."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame: Json = json.loads(await self._socket.receive())
                self.frames.append((asyncio.get_running_loop().time(), frame))
                self._weave(frame)
                if wanted.items() <= frame.items():
                    return frame

    async def hear_for(self, seconds: float) -> None:
        """Listen for some time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hear(nothing=True)

    async def ask(self, text: str = "", kind: str = "response_required") -> str:
        """Say something, and listen to the whole answer."""
        await self.say(text, kind)
        await self.hear(response_id=self.response_id, content_complete=True)
        return self.said()

    def said(self, response_id: int | None = None) -> str:
        """What was said under an id; the last one, without one."""
        wanted = self.response_id if response_id is None else response_id
        return "".join(
            frame["content"] for frame in self.of("response") if frame["response_id"] == wanted
        )

    def of(self, kind: str) -> list[Json]:
        """The frames of a kind."""
        return [frame for _, frame in self.frames if frame["response_type"] == kind]

    def _weave(self, frame: Json) -> None:
        kind = frame["response_type"]
        if kind == "config":
            self.weaves = frame["config"].get("transcript_with_tool_calls", False)
        elif kind.startswith("tool_call"):
            entry = {key: value for key, value in frame.items() if key != "response_type"}
            self.woven.append({"role": kind, **entry})
        elif kind == "response" and frame["content"]:
            last = self.woven[-1] if self.woven else {}
            if last.get("role") == "agent":
                last["content"] += frame["content"]
            else:
                self.woven.append({"role": "agent", "content": frame["content"]})


@contextlib.asynccontextmanager
async def calls_of(
    responder: Responder, *call_ids: str, **settings: Any
) -> AsyncIterator[list[Caller]]:
    """Call an agent from several telephones, and hear its greetings."""
    app = create_app(responder, settings=Settings(**settings))
    async with in_memory(app) as transport:
        callers = [Caller(await transport.open(call_id)) for call_id in call_ids]
        for caller in callers:
            await caller.hear(response_id=0, content_complete=True)
        yield callers


@contextlib.asynccontextmanager
async def calling(responder: Responder, **settings: Any) -> AsyncIterator[Caller]:
    """Call an agent, and hear its greeting."""
    async with calls_of(responder, "c1", **settings) as [caller]:
        yield caller


def virtually(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a test in virtual time."""
    return run_virtually(work)
