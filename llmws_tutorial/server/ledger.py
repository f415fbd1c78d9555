"""What was done in each call: by whom it was asked for, and what came of it.

A turn may die while its tool runs, and the next one asks for the same again. So what has an effect
runs in a task of its own, and is known by its call, its tool and its arguments: nothing is done
twice. What a turn could not note any more is noted by the next one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from llmws_tutorial.errors import ToolError
from llmws_tutorial.messages import Entry, ToolCallInvocation, ToolCallResult, Utterance
from llmws_tutorial.server.actions import Act
from llmws_tutorial.server.log import cause, tell
from llmws_tutorial.server.settings import MOST_CALLS
from llmws_tutorial.server.toolbox import Arguments, Tool
from llmws_tutorial.server.turn import Note, Piece, Press, Turn

MOST_REMEMBERED: Final = 10 * MOST_CALLS
"""How many calls are remembered, with those that are over; the oldest is forgotten first."""
REMEMBERED_S: Final = 7200.0
"""How long a call is remembered after its last turn: the longest that there is (seconds)."""
MOST_RUNS: Final = 100
"""How many runs of tools a call remembers."""
RUNS_ON: Final = "It takes longer than expected, and is still running. Tell the caller so."
TOO_SLOW: Final = "It took too long and was given up. Tell the caller so."
INTERRUPTED: Final = "It was interrupted before it was finished."
FAILED: Final = "It failed. Tell the caller so."
_NOT_SAID: Final = frozenset(
    {
        *("tool_call_invocation", "tool_call_result", "dtmf"),
        *("node_transition", "sms", "injected"),
    }
)


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        content: what the model is told.
        successful: whether it worked.
    """

    content: str
    successful: bool


class Run:
    """A tool that was started.

    Attributes:
        call: the note that it was started.
        tool: what runs.
        meaning: what it was started with, equal for all arguments that mean the same.
        after: how many utterances had been said when it was started.
        is_announced: whether the note that it was started has gone out.
        told: the note of what came of it that has gone out last.
    """

    def __init__(self, tool: Tool, arguments: Arguments, turn: Turn) -> None:
        """Start it, in a task of its own.

        Args:
            tool: what is run.
            arguments: what it is run with.
            turn: the turn that asks for it.
        """
        self.call = ToolCallInvocation(
            tool_call_id=new_id(), name=tool.name, arguments=arguments.written
        )
        self.tool = tool
        self.meaning = arguments.meaning
        self.after = len(turn.transcript)
        self.is_announced = False
        self.told: ToolCallResult | None = None
        self._due_s = _now_s() + tool.timeout_s
        self._given_up: Outcome | None = None
        self._task = asyncio.create_task(_run(tool, arguments, turn))

    @property
    def outcome(self) -> Outcome | None:
        """What came of it; None while it runs."""
        if self._given_up or not self._task.done():
            return self._given_up
        return Outcome(INTERRUPTED, False) if self._task.cancelled() else self._task.result()

    @property
    def result(self) -> ToolCallResult:
        """The note of what came of it so far."""
        outcome = self.outcome
        if outcome is None:
            return ToolCallResult(tool_call_id=self.call.tool_call_id, content=RUNS_ON)
        return ToolCallResult(
            tool_call_id=self.call.tool_call_id,
            content=outcome.content,
            successful=outcome.successful,
        )

    @property
    def is_awaited(self) -> bool:
        """Whether it runs, and has not taken too long yet."""
        return self.outcome is None and _now_s() < self._due_s

    async def wait(self) -> None:
        """Wait for its end, but not for ever; what has an effect then runs on."""
        why = INTERRUPTED
        try:
            await asyncio.wait({self._task}, timeout=self.tool.timeout_s)
            why = TOO_SLOW
        finally:
            if not self.tool.has_effect:
                self.give_up(why)

    def give_up(self, why: str = INTERRUPTED) -> None:
        """Stop it, if it has not ended."""
        if not self._task.done():
            self._given_up = Outcome(why, False)
            self._task.cancel()


async def _run(tool: Tool, arguments: Arguments, turn: Turn) -> Outcome:
    try:
        return Outcome(await tool.run(arguments.values, turn), True)
    except ToolError as error:
        return Outcome(str(error), False)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # it may even exit
        tell(turn.call_id, "failed", f"tool {tool.name}: {cause(error)}")
        return Outcome(FAILED, False)


def new_id() -> str:
    """An id for the call of a tool; no other has it, in this call or another."""
    return f"tool_{uuid4().hex}"


class CallMemory:
    """What was done in one call.

    Attributes:
        runs: the tools that were started, oldest first.
        act: the action that was asked for last, until the caller speaks.
        lost: the action that the caller has spoken over, until the model has answered.
        used_s: when the call had its last turn (seconds, by the clock of the event loop).
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.act: Act | None = None
        self.lost: Act | None = None
        self.used_s = 0.0

    def find(self, tool: Tool, arguments: Arguments) -> Run | None:
        """The run that makes another one needless: it has worked, or has not ended yet."""
        if not tool.has_effect:
            return None
        same = (run for run in self.runs if run.tool is tool and run.meaning == arguments.meaning)
        return next((run for run in same if run.outcome is None or run.outcome.successful), None)

    def start(self, run: Run) -> Run:
        """Remember a run; of too many the oldest is forgotten, last those with an effect."""
        self.runs.append(run)
        while len(self.runs) > MOST_RUNS:
            ended = [run for run in self.runs if run.outcome]
            oldest = min(ended or self.runs, key=lambda run: run.tool.has_effect)
            oldest.give_up()
            self.runs.remove(oldest)
        return run

    def overdue(self) -> Iterator[Note]:
        """The notes that a turn could not send any more."""
        for run in self.runs:
            if not run.is_announced:
                yield run.call
            if run.outcome and run.told != run.result:
                yield run.result

    def sent(self, piece: Piece) -> None:
        """Take note of what has gone out."""
        for run in self.runs if isinstance(piece, ToolCallInvocation | ToolCallResult) else ():
            if piece is run.call:
                run.is_announced = True
            elif isinstance(piece, ToolCallResult) and piece.tool_call_id == run.call.tool_call_id:
                run.told = piece

    def has_news(self) -> bool:
        """Whether something has ended that the caller has not heard of."""
        return any(run.outcome and run.told != run.result for run in self.runs)

    def is_busy(self) -> bool:
        """Whether something runs."""
        return any(run.outcome is None for run in self.runs)

    def woven(self, turn: Turn) -> list[Utterance | Entry]:
        """What was said and done: as the platform tells it, and what it does not know."""
        told = turn.transcript_with_tool_calls
        noted = {e.tool_call_id for e in told if e.role == "tool_call_invocation"}
        known = [run for run in self.runs if run.call.tool_call_id in noted]
        missing = [run for run in self.runs if run.call.tool_call_id not in noted]
        woven: list[Utterance | Entry] = []
        said = 0
        for entry in told or turn.transcript:
            while missing and missing[0].after <= said:
                woven += _entries(missing.pop(0))
            woven.append(entry)
            said += entry.role not in _NOT_SAID
        for run in missing:
            woven += _entries(run)
        return woven + [_entries(run)[1] for run in known]  # the last result of a call counts

    def lose(self, turn: Turn) -> None:
        """Take note that the call goes on: the action that was asked for was thrown away.

        After an end of the call or a transfer there is no new request. Keys that are pressed leave
        no trace: they are lost when their words were cut short.
        """
        act, self.act = self.act, None
        if act and not (isinstance(act.action, Press) and _was_heard(act, turn)):
            self.lost = act


class Ledger:
    """What was done in each call, for as long as it may last."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, CallMemory] = OrderedDict()

    def of(self, call_id: str) -> CallMemory:
        """What was done in this call; older calls are forgotten."""
        now_s = _now_s()
        memory = self._calls.setdefault(call_id, CallMemory())
        memory.used_s = now_s
        self._calls.move_to_end(call_id)
        while len(self._calls) > MOST_REMEMBERED or now_s - self._oldest().used_s > REMEMBERED_S:
            for run in self._calls.popitem(last=False)[1].runs:
                run.give_up()
        return memory

    def _oldest(self) -> CallMemory:
        return next(iter(self._calls.values()))


def _entries(run: Run) -> list[Entry]:
    """A run as the transcript tells it."""
    return called(run.call, run.result.content)


def called(call: ToolCallInvocation, result: str) -> list[Entry]:
    """The call of a tool and its result, as the transcript tells them."""
    call_id = call.tool_call_id
    return [
        Entry(
            role="tool_call_invocation",
            tool_call_id=call_id,
            name=call.name,
            arguments=call.arguments,
        ),
        Entry(role="tool_call_result", tool_call_id=call_id, content=result),
    ]


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _was_heard(act: Act, turn: Turn) -> bool:
    heard = "".join(said.content for said in turn.transcript if said.role == "agent")
    return _letters(act.words) in _letters(heard)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
