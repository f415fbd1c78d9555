"""The caller: acts out a script on a call, each step when its time has come.

Like the call it has no clock of its own. Whoever brings the time brings it through
`Caller.advance`, which lets the call and the script happen one after the other, so that "after four
words" is after four words, however late the clock is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from llmws_tutorial.simulator.call import Call
from llmws_tutorial.simulator.scenario import Step
from llmws_tutorial.simulator.states import State
from llmws_tutorial.simulator.timers import NEVER
from llmws_tutorial.simulator.turn import Turn

PATIENCE_S: Final = 10.0
"""How long a caller waits for what the agent owes before going on (seconds)."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong on the platform's side of the socket.

    Attributes:
        kind: the line drops; nobody reads or sends for a while; a frame goes out garbled; the
            last request goes out again.
        seconds: for how long (slow).
        text: the frame (garble).
    """

    kind: Literal["drop_line", "slow", "garble", "resend"]
    seconds: float = 0.0
    text: str = ""


@dataclass(frozen=True)
class Begun:
    """A step that was begun.

    Attributes:
        step: the step.
        at_s: when (seconds of the call).
        turns: how many turns of the agent there were before it.
    """

    step: Step
    at_s: float
    turns: int


class Caller:
    """Plays a script; without one it only keeps time, for a caller of flesh and blood.

    Attributes:
        begun: the steps that were begun, in order.
        lapses: where the agent owed something for longer than the caller's patience; but not the
            rest of an answer that the script broke the line of: nobody asks for it again.
    """

    def __init__(
        self, steps: Sequence[Step] | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        """Prepare a script.

        Args:
            steps: what to do, in order; then the caller listens, and hangs up. None: no script.
            patience_s: how long to wait for what the agent owes (seconds of the call).
        """
        self.begun: list[Begun] = []
        self.lapses: list[str] = []
        self._steps = None if steps is None else [*steps, Step(hang_up=True)]
        self._patience_s = patience_s
        self._silent_until_s = 0.0
        self._owed_since_s: float | None = None
        self._cut_off: Turn | None = None  # what was being answered when the script broke the line

    @property
    def has_script(self) -> bool:
        """Whether the caller knows what to do."""
        return self._steps is not None

    def due_s(self, call: Call) -> float:
        """When the call or the script goes on by itself (seconds of the call)."""
        return min(call.due_s, self._due_s(call))

    def advance(self, call: Call, now_s: float) -> list[Fault]:
        """Bring call and script to this time, or to when the server is asked.

        Returns:
            What is to go wrong now; the rest of the time has not passed yet.
        """
        faults = self.act(call)
        while not faults and (due_s := self.due_s(call)) <= now_s:
            did_wait = call.waits_for_server
            call.advance(due_s)
            faults = self.act(call)
            if call.waits_for_server and not did_wait:
                return faults  # the request is about to go out: this is its moment
        if not faults:
            call.advance(now_s)
        return faults

    def act(self, call: Call) -> list[Fault]:
        """Begin every step whose time has come, up to the next fault."""
        faults: list[Fault] = []
        while not faults and (step := self._next_step()) is not None:
            if call.state is State.ENDED:
                break
            self._watch(call)
            if not self._is_time_for(step, call):
                break
            self.begun.append(Begun(step, call.now_s, len(call.answers.turns)))
            self._owed_since_s = None
            faults = self._begin(step, call)
        return faults

    def _next_step(self) -> Step | None:
        if self._steps is None or len(self.begun) == len(self._steps):
            return None
        return self._steps[len(self.begun)]

    def _watch(self, call: Call) -> None:
        """Notice since when the agent owes something."""
        if not call.waits_for_server:
            self._owed_since_s = None
        elif self._owed_since_s is None:
            self._owed_since_s = call.now_s

    def _is_time_for(self, step: Step, call: Call) -> bool:
        if call.now_s < self._silent_until_s or call.is_caller_talking:
            return False
        if step.at_once or call.is_callers_turn:
            return True
        if self._is_out_of_patience(call):
            if call.answers.turns[-1] is not self._cut_off:
                self.lapses.append(f"the agent owed an answer for {self._patience_s:g} s")
            return True
        turn = call.speaking
        return turn is not None and _has_said_enough(turn, step, call.now_s)

    def _is_out_of_patience(self, call: Call) -> bool:
        since_s = self._owed_since_s
        return since_s is not None and call.now_s >= since_s + self._patience_s

    def _due_s(self, call: Call) -> float:
        step = self._next_step()
        if step is None or call.state is State.ENDED:
            return NEVER
        if call.now_s < self._silent_until_s:
            return self._silent_until_s
        self._watch(call)
        due_s = NEVER if self._owed_since_s is None else self._owed_since_s + self._patience_s
        if step.after_s is not None and call.speaking is not None and not call.is_caller_talking:
            due_s = min(due_s, _began(call.speaking) + step.after_s)
        return due_s

    def _begin(self, step: Step, call: Call) -> list[Fault]:
        if step.say is not None:
            call.caller_says(step.say)
        elif step.mumble:
            call.caller_mumbles()
        elif step.press is not None:
            call.caller_presses(step.press)
        elif step.silent_s is not None:
            self._silent_until_s = call.now_s + step.silent_s
        elif step.hang_up:
            call.hang_up()
        elif step.drop_line and call.answers.response_id:  # a greeting is owed on any line
            self._cut_off = call.answers.turns[-1]
        return _faults_of(step)


def _faults_of(step: Step) -> list[Fault]:
    if step.drop_line:
        return [Fault("drop_line")]
    if step.slow_s is not None:
        return [Fault("slow", seconds=step.slow_s)]
    if step.garble is not None:
        return [Fault("garble", text=step.garble)]
    return [Fault("resend")] if step.resend else []


def _has_said_enough(turn: Turn, step: Step, now_s: float) -> bool:
    if step.after_words is not None:
        return turn.words_heard >= step.after_words
    return step.after_s is not None and now_s >= _began(turn) + step.after_s


def _began(turn: Turn) -> float:
    return turn.asked_at_s if turn.voice_at_s is None else turn.voice_at_s
