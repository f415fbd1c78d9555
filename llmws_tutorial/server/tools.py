"""A responder whose model can do something: call tools, and act on the call.

A turn goes on under one id until the model has spoken: it asks the model, runs what the model
calls, tells it what came of that, and asks again. An action ends the turn.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from llmws_tutorial.errors import ResponderError, SetupError, ToolError
from llmws_tutorial.messages import ConfigFields, Entry, ToolCallInvocation, Utterance
from llmws_tutorial.server.actions import Ability, Act
from llmws_tutorial.server.holding import STILL, Holding
from llmws_tutorial.server.ledger import CallMemory, Ledger, Run, called, new_id
from llmws_tutorial.server.llm import GREETING, NUDGES, TRIES, LlmResponder, spoken
from llmws_tutorial.server.prompt import NUDGE, VOICE_PROMPT, note
from llmws_tutorial.server.provider import Provider, ToolUse
from llmws_tutorial.server.speakable import has_words
from llmws_tutorial.server.toolbox import HOLDING_LINE, Tool
from llmws_tutorial.server.turn import Piece, Press, Reply, Turn

ROUNDS: Final = 5
"""How often a model is asked in one turn; one that goes on calling tools has lost its way."""
NEWS: Final = "The caller is waiting. Tell them in one or two sentences what came of it."
LOST: Final = (
    "{} was not carried out, because the caller spoke. Call it again if they still want it."
)
NOT_YET: Final = "Not carried out yet: first tell the caller what came of the rest."


class ToolResponder(LlmResponder):
    """Answers with a model that calls tools, and may end the call or hand it over.

    What has an effect is done once for the same arguments in a call, however often the caller and
    the model ask. What was done is known in later turns, also after a turn that died.

    Attributes:
        config: what `create_app` asks the platform for: heartbeats, and the transcript with tool
            calls.
    """

    config: Final = ConfigFields(auto_reconnect=True, transcript_with_tool_calls=True)

    def __init__(  # noqa: PLR0913 - each is something that the agent does or says
        self,
        model: str | Provider | None = None,
        *,
        tools: Iterable[Tool] = (),
        can: Sequence[Ability] = (),
        prompt: str = VOICE_PROMPT,
        greeting: str = GREETING,
        nudges: Sequence[str] = NUDGES,
        still: str = STILL,
    ) -> None:
        """Prepare to talk and to act; nothing is sent before the first turn.

        Args:
            model: the model's name at its provider, or the provider; None takes OPENAI_MODEL.
            tools: what the model may call: a `Toolbox`.
            can: what it may do with the call: `end_call`, `transfer`, `press_digits`.
            prompt: what the model is told about itself.
            greeting: the first message; empty lets the caller speak first.
            nudges: what is said into a silence, in this order; none asks the model instead.
            still: what is said when a tool takes long.

        Raises:
            SetupError: when there is no model, or two things that it could call have one name.
        """
        super().__init__(model, greeting=greeting, prompt=prompt, nudges=nudges)
        self._still = still
        offered: list[Tool | Ability] = [*tools, *can]
        self._tools = {tool.name: tool for tool in offered if isinstance(tool, Tool)}
        self._can = {one.name: one for one in offered if isinstance(one, Ability)}
        self._offered = [one.offered for one in offered]
        self._ledger = Ledger()
        names = Counter(one.name for one in offered)
        twice = next((name for name in names if names[name] > 1), None)
        if twice:
            raise SetupError(f"two things are called {twice!r}, expected one of each name")

    def __call__(self, turn: Turn) -> Reply:
        """Greet with a fixed text; act again into a silence, if an action was lost."""
        if turn.kind == "reminder":
            memory = self._ledger.of(turn.call_id)
            if memory.act and not isinstance(memory.act.action, Press):
                return _act_again(memory, memory.act)
            if memory.has_news():
                return self._answer(turn)
            if memory.is_busy():
                return self._still
        return super().__call__(turn)

    async def _answer(self, turn: Turn) -> AsyncIterator[Piece]:
        memory = self._ledger.of(turn.call_id)
        holding = Holding(self._still, may_act=bool(self._can))
        thinking = self._think(_Course(turn, memory, holding))
        async with aclosing(holding.pieces(thinking)) as pieces:
            async for piece in pieces:
                memory.sent(piece)
                yield piece

    async def _think(self, course: "_Course") -> None:
        """Ask the model until it has spoken, or acts."""
        await course.catch_up()
        wordless = 0
        for _ in range(ROUNDS):
            heard = await self._listen(course)
            if heard.uses:
                if await self._use(course, heard):
                    return
                continue
            if has_words(heard.said):
                course.memory.lost = None
                return
            wordless += 1
            if wordless == TRIES:
                raise ResponderError(f"the model {self._provider.model!r} answered without a word")
        raise ResponderError(f"the model {self._provider.model!r} called tools without an end")

    async def _listen(self, course: "_Course") -> "_Heard":
        """Ask the model once: its words go out, but for the last ones."""
        told = self._told(course.talk)
        told[0]["content"] += course.aside
        stream = self._provider.stream(told, self._offered)
        heard = _Heard()
        course.holding.begin()
        async with aclosing(spoken(stream)) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    heard.said += piece
                    course.holding.say(piece)
                elif isinstance(piece, ToolUse):
                    heard.uses.append(piece)
                else:
                    course.holding.calls()
        return heard

    async def _use(self, course: "_Course", heard: "_Heard") -> bool:
        """Do what the model called; the result says whether that ends the turn."""
        act, calls = self._read_acts(heard.uses)
        if act and len(calls) == len(heard.uses):
            course.act(act)
            return True
        course.holding.work(self._holding_line(heard.uses))
        calls += [self._start(course, use) for use in heard.uses if use.name not in self._can]
        runs = list(dict.fromkeys(what for _, what in calls if isinstance(what, Run)))
        await course.finish(runs)
        if act and len(runs) + 1 == len(calls) and all(map(_has_worked, runs)):
            course.act(act)
            return True
        course.tell(heard.said, calls)
        return False

    def _read_acts(self, uses: Iterable[ToolUse]) -> tuple[Act | None, list["_Call"]]:
        """The first action that can be taken, and what the model is told if none is."""
        act: Act | None = None
        calls: list[_Call] = []
        for use in uses:
            if use.name in self._can:
                try:
                    act = act or self._can[use.name].read(use.arguments)
                    calls.append((use, NOT_YET))
                except ToolError as error:
                    calls.append((use, str(error)))
        return act, calls

    def _start(self, course: "_Course", use: ToolUse) -> "_Call":
        """Start a tool, unless it runs or has run; or say why not, for the model."""
        tool = self._tools.get(use.name)
        if tool is None:
            there_are = ", ".join([*self._tools, *self._can])
            return use, f"there is no tool of this name; there are: {there_are}"
        try:
            return use, course.run(tool, use.arguments)
        except ToolError as error:
            return use, str(error)

    def _holding_line(self, uses: Iterable[ToolUse]) -> str:
        lines = (self._tools[use.name].says for use in uses if use.name in self._tools)
        return next(lines, HOLDING_LINE)


_Call = tuple[ToolUse, Run | str]
"""A tool that the model calls, and what came of it: a run, or words for the model."""


@dataclass
class _Heard:
    """One answer of the model.

    Attributes:
        said: its words.
        uses: the tools that it calls.
    """

    said: str = ""
    uses: list[ToolUse] = field(default_factory=list)


class _Course:
    """How one turn goes.

    Attributes:
        memory: what was done in this call.
        holding: where the pieces of the turn go.
        talk: what the model is told of the call.
        aside: what it is told behind its prompt: not in the caller's mouth, who has just spoken.
    """

    def __init__(self, turn: Turn, memory: CallMemory, holding: Holding) -> None:
        self.memory = memory
        self.holding = holding
        self.talk: list[Utterance | Entry] = []
        self.aside = ""
        self._turn = turn
        self._has_news = memory.has_news()

    async def catch_up(self) -> None:
        """Wait for what a turn that died has left running, and send its notes."""
        for late in self.memory.overdue():
            self.holding.put(late)
        runs = [run for run in self.memory.runs if run.is_awaited]
        if runs:
            self.holding.work(HOLDING_LINE)  # what the caller has said may be that they want none
            await self.finish(runs)
        self._begin()

    def _begin(self) -> None:
        self.talk = self.memory.woven(self._turn)
        if self._turn.kind == "reminder":
            self.talk.append(note(NEWS if self._has_news else NUDGE))
        self.memory.lose(self._turn)
        if self.memory.lost:
            self.aside = f"\n{LOST.format(self.memory.lost.name)}"

    def act(self, act: Act) -> None:
        """End the turn with an action."""
        self.memory.act, self.memory.lost = act, None
        self.holding.act(act)

    def run(self, tool: Tool, written: str) -> Run:
        """Run a tool, unless that was done.

        Raises:
            ToolError: when the arguments do not fit.
        """
        arguments = tool.read(written)
        run = self.memory.find(tool, arguments)
        if run is None:
            run = self.memory.start(Run(tool, arguments, self._turn))
            self.holding.put(run.call)
        return run

    async def finish(self, runs: Iterable[Run]) -> None:
        """Wait for tools at the same time, and note what came of each as soon as it ends."""
        await asyncio.gather(*(self._finish(run) for run in runs))

    async def _finish(self, run: Run) -> None:
        await run.wait()
        self._note(run)

    def tell(self, said: str, calls: Sequence[_Call]) -> None:
        """Tell the model what came of its calls."""
        self.talk.append(Entry(role="agent", content=said))
        told = [
            called(
                ToolCallInvocation(tool_call_id=new_id(), name=use.name, arguments=use.arguments),
                what if isinstance(what, str) else what.result.content,
            )
            for use, what in calls
        ]
        self.talk += [entry for entry, _ in told]
        self.talk += [entry for _, entry in told]

    def _note(self, run: Run) -> None:
        if run.told != run.result:
            self.holding.put(run.result)


def _has_worked(run: Run) -> bool:
    return run.outcome is not None and run.outcome.successful


async def _act_again(memory: CallMemory, act: Act) -> AsyncIterator[Piece]:
    """Act into a silence: the caller said nothing that speaks against it."""
    for piece in (*memory.overdue(), act.action, act.again):
        memory.sent(piece)
        yield piece
