"""A stand-in for the model provider: it says what its script says, or fails.

A request is answered by the first script that matches what the user said last and is not used up.
Everything that was asked is kept, with how it ended: so one sees from the provider's side what a
server asked, whether it gave a generation up, and how many ran at once.

Without I/O: `stream` hands out the chunks in process; `llm_endpoint` puts them on a port.
"""

import asyncio
import contextlib
import copy
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from llmws_tutorial.errors import UpstreamBroken, UpstreamRefused
from llmws_tutorial.simulator.llm_chunks import Chunk, ChunkWriter, completed
from llmws_tutorial.simulator.llm_request import Function, LlmRequest, read_request

LlmOutcome = Literal["running", "finished", "aborted", "broken", "refused"]
"""How an answer ended: aborted by the client, broken and refused by the script."""


@dataclass(frozen=True)
class Say:
    """A chunk of text.

    Attributes:
        text: what it says.
    """

    text: str


@dataclass(frozen=True)
class Wait:
    """A pause before what comes next.

    Attributes:
        seconds: how long it takes.
    """

    seconds: float


@dataclass(frozen=True)
class Empty:
    """A chunk whose ``choices`` are empty, as some providers send first."""


@dataclass(frozen=True)
class CallTool:
    """A call of a tool that the request offers; several in a row are made in parallel.

    Attributes:
        name: a regular expression that is searched in the names of the tools; "*" or "" takes the
            first one.
        arguments: what it is called with; a text is sent as it is, JSON or not; None makes up what
            the tool's schema requires.
        call_id: the id of the call; None makes one up.
        otherwise: what is said when no tool matches.
        is_invented: whether the name is called as it stands, though no such tool is offered.
    """

    name: str = "*"
    arguments: dict[str, Any] | str | None = None
    call_id: str | None = None
    otherwise: str = ""
    is_invented: bool = False


@dataclass(frozen=True)
class Hang:
    """Nothing more, until the client leaves."""


@dataclass(frozen=True)
class Break:
    """The connection is cut in the middle of the answer."""


@dataclass(frozen=True)
class Raw:
    """A line of the stream that is sent as it is.

    Attributes:
        line: the line, such as ``data: {"choices": [``.
    """

    line: str


Step = Say | Wait | Empty | CallTool | Hang | Break | Raw
"""One thing that the model does."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """What the model does with a request.

    Attributes:
        when: it answers requests whose last user message contains this, in any case; empty: all.
        told: of those, the requests behind a result of a tool that contains this, in any case;
            None: also those without a result.
        times: how often it is used; None: without end.
        status: the HTTP status; another one than 200 refuses the request.
        steps: what it does, in order.
    """

    when: str = ""
    told: str | None = None
    times: int | None = None
    status: int = 200
    steps: tuple[Step, ...] = ()


DEFAULT: Final = Script(steps=(Say("I understand."),))
"""What answers a request that no script matches."""


@dataclass(kw_only=True, eq=False)
class Asked:
    """A request, and what became of it.

    Attributes:
        request: its body; empty when that was no JSON object.
        at_s: when it came (seconds, by the clock of the model).
        said: the text of the last user message.
        script: what answered it; None: the default, or nothing, because the request was wrong.
        outcome: how it ended.
        ended_at_s: when it ended; None while it runs.
        most_at_once: how many answers by the same script were running when this one began, itself
            included.
        problem: why it was refused or broken off; empty when it was not.
    """

    request: dict[str, Any]
    at_s: float
    said: str = ""
    script: Script | None = None
    outcome: LlmOutcome = "running"
    ended_at_s: float | None = None
    most_at_once: int = 1
    problem: str = ""


class ScriptedLlm:
    """A model that says what it was told to.

    Attributes:
        scripts: what it does; the first that matches and is not used up answers.
        asked: every request, in order.
    """

    def __init__(
        self,
        scripts: Sequence[Script] = (),
        *,
        now_s: Callable[[], float] = time.monotonic,
        on_end: Callable[[Asked], None] | None = None,
    ) -> None:
        """Take the scripts; more may be added while it runs.

        Args:
            scripts: what it does.
            now_s: the clock that requests are dated by.
            on_end: told about each request as soon as it has ended.
        """
        self.scripts = list(scripts)
        self.asked: list[Asked] = []
        self._now_s = now_s
        self._on_end = on_end
        self._running: list[Asked] = []

    def add(self, script: Script) -> None:
        """Add a script behind the others."""
        self.scripts.append(script)

    def running(self) -> int:
        """Count the answers that are running now."""
        return len(self._running)

    async def stream(self, request: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Answer a request in chunks, without a connection.

        The last chunk has a ``finish_reason``, or the usage where the request wants it. To close
        the iterator, or to cancel whoever waits for it, is to abort the answer.

        Raises:
            UpstreamRefused: before the first chunk, as the script says or the request deserves.
            UpstreamBroken: in the middle, as the script says.
        """
        with self.answering(copy.deepcopy(request)) as answer:  # its client may write on in it
            async with contextlib.aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    if not isinstance(chunk, Raw):
                        yield chunk
                    elif (read := _read(chunk.line)) is not None:
                        yield read

    @contextlib.contextmanager
    def answering(self, request: Any) -> Iterator["Answer"]:
        """Take a request; what is not finished when the block is left was aborted.

        Args:
            request: the body, parsed from JSON; None when it was none.

        Raises:
            UpstreamRefused: as `stream` does.
        """
        asked = Asked(request=request if isinstance(request, dict) else {}, at_s=self._now_s())
        self.asked.append(asked)
        self._running.append(asked)
        try:
            parsed = self._admit(request, asked)
            yield Answer(
                parsed,
                script=asked.script or DEFAULT,
                number=len(self.asked),
                end=lambda: self._end(asked, "finished"),
            )
        except UpstreamRefused as error:
            self._end(asked, "refused", str(error))
            raise
        except UpstreamBroken as error:
            self._end(asked, "broken", str(error))
            raise
        finally:
            self._end(asked, "aborted")

    def _admit(self, request: Any, asked: Asked) -> LlmRequest:
        """Find what answers a request, or refuse it."""
        try:
            parsed = read_request(request)
        except ValueError as error:
            raise UpstreamRefused(str(error), status=400) from None
        asked.said = parsed.said
        asked.script = self._match(parsed)
        same = [other for other in self._running if other.script is asked.script]
        asked.most_at_once = len(same)
        if asked.script and asked.script.status != 200:
            status = asked.script.status
            raise UpstreamRefused(f"scripted: HTTP {status}", status=status)
        return parsed

    def _match(self, request: LlmRequest) -> Script | None:
        for script in self.scripts:
            if not _holds(request.said, script.when):
                continue
            told = script.told
            if told is not None and not any(_holds(text, told) for text in request.told):
                continue
            if script.times is None or self._uses(script) < script.times:
                return script
        return None

    def _uses(self, script: Script) -> int:
        return sum(asked.script is script for asked in self.asked)

    def _end(self, asked: Asked, outcome: LlmOutcome, problem: str = "") -> None:
        """Note how a request ended; what is noted already stays."""
        if asked.outcome != "running":
            return
        asked.outcome = outcome
        asked.problem = problem
        asked.ended_at_s = self._now_s()
        self._running.remove(asked)
        if self._on_end:
            self._on_end(asked)


class Answer:
    """One answer while it is given. Made by `ScriptedLlm.answering`.

    Attributes:
        request: what was asked.
    """

    def __init__(
        self, request: LlmRequest, *, script: Script, number: int, end: Callable[[], None]
    ) -> None:
        self.request = request
        self._script = script
        self._end = end
        self._writer = ChunkWriter(request.model, number=number, tells_usage=request.wants_usage)

    async def chunks(self) -> AsyncGenerator[Chunk | Raw, None]:
        """Hand out the chunks one by one, each when its time has come.

        Raises:
            UpstreamBroken: where the script breaks off.
        """
        for step in self._script.steps:
            match step:
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case Hang():
                    await asyncio.Event().wait()
                case Break():
                    raise UpstreamBroken("scripted: the connection breaks")
                case Raw():
                    yield step
                case _:
                    for chunk in self._written(step):
                        yield chunk
        *others, last = self._writer.end(self.request.words)
        for chunk in others:
            yield chunk
        self._end()  # now: who has the last chunk need not wait for the end behind it
        yield last

    async def whole(self) -> dict[str, Any]:
        """Give the answer in one piece, a ``chat.completion``, once all of it is there.

        Raises:
            UpstreamBroken: where the script breaks off.
        """
        self._writer.tells_usage = True
        async with contextlib.aclosing(self.chunks()) as chunks:
            return completed([chunk async for chunk in chunks if not isinstance(chunk, Raw)])

    def _written(self, step: Say | Empty | CallTool) -> Iterable[Chunk]:
        match step:
            case Empty():
                return [self._writer.empty()]
            case Say(text):
                return self._writer.say(text)
        function = _find(step.name, self.request.offered)
        if step.is_invented:
            function = Function(name=step.name)
        if function is None:
            return self._writer.say(step.otherwise)
        arguments = step.arguments
        if arguments is None:
            arguments = function.made_up_arguments()
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        return self._writer.call(function.name, arguments, step.call_id)


def _holds(text: str, part: str) -> bool:
    return part.casefold() in text.casefold()


def _find(name: str, offered: Sequence[Function]) -> Function | None:
    pattern = "" if name == "*" else name
    return next((tool for tool in offered if re.search(pattern, tool.name)), None)


def _read(line: str) -> Chunk | None:
    """Read a line of the stream as a client does; None: a comment, which says nothing."""
    name, _, data = line.partition(":")
    if name != "data":
        return None
    try:
        read = json.loads(data)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise UpstreamBroken(f"scripted: a line of no JSON object, {line!r}")
    return read
