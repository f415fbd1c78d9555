"""One call of the dashboard while it goes on: placed, followed, heard, kept.

What happens in it goes to everybody who watches; what the caller does comes in through the methods.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from llmws_tutorial.dashboard.history import Keeping, Shelf
from llmws_tutorial.dashboard.speaker import Speaker
from llmws_tutorial.dashboard.view import CallView, Event
from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.simulator import Frame, Line, dial
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.dialer import ATTEMPTS
from llmws_tutorial.simulator.endings import OPEN
from llmws_tutorial.simulator.opening import Stage, likely_fix
from llmws_tutorial.simulator.transcript import UNINTELLIGIBLE

TELL_S: Final = 0.05
"""How often it is told what has changed, at most; frames are told at once (seconds)."""
_SHARE: Final = 4  # of the time that telling takes, it rests: a flood must not keep others waiting


class LiveCall:
    """A call that was asked for: `run` has to be followed by `finish` and `keep`.

    Attributes:
        view: what pages see of it.
        speaker: the agent's voice.
    """

    def __init__(
        self, view: CallView, speaker: Speaker, *, tell: Callable[[Event], None], shelf: Shelf
    ) -> None:
        """Prepare a call.

        Args:
            view: the call, and what pages see of it.
            speaker: the agent's voice; part of the call only if its record has it.
            tell: takes each event for everybody who watches.
            shelf: where it is kept.
        """
        self.view = view
        self.speaker = speaker
        self._tell = tell
        self._keeping = Keeping(shelf, view, tell)
        self._line: Line | None = None
        self._has_words = False  # whether anything was made out of what the caller says
        self._deeds: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether somebody can talk in it."""
        return self._line is not None and self._line.is_open

    async def run(self, caller: Caller | None = None, *, speed: float = 1.0) -> None:
        """Place the call and follow it to its end; whoever cancels this hangs up.

        Args:
            caller: who acts on it by a script; None: nobody.
            speed: how many times faster than on a phone people are.
        """
        record = self.view.record
        record.keeper = self._take
        try:
            async with dial(
                self.view.url, record, caller, speed=speed, progress=self._progress
            ) as line:
                self._pick_up(line)
                await self._follow(line)
        except CannotConnect as error:
            self.view.trouble = str(error)
            record.call.fail(OPEN, str(error))
        finally:
            await asyncio.gather(*self._deeds)  # they end with the call

    def finish(self) -> None:
        """Tell how it ended; also where `run` never began."""
        self.view.record.call.hang_up()
        self.view.stage = self.view.likely_fix = ""
        self.speaker.close()
        self._tell_changes()

    def keep(self) -> None:
        """Write down how it ended and what it looked like, on any thread.

        Raises:
            SetupError: when that cannot be done.
        """
        self._keeping.end()

    def say(self, text: str) -> None:
        """Speak as the caller, over the agent if it is speaking."""
        self._do(lambda line: line.say(text))

    def mumble(self) -> None:
        """Say something that cannot be understood."""
        self._do(lambda line: line.mumble())

    def press(self, digits: str) -> None:
        """Press keys on the phone."""
        self._do(lambda line: line.press(digits))

    def skip_silence(self) -> None:
        """Let the rest of a silence pass at once."""
        self._do(lambda line: line.skip_silence())

    def hang_up(self) -> None:
        """End the call."""
        self._do(lambda line: line.hang_up())

    def hear(self, text: str, *, silent_s: float | None = None) -> None:
        """Take what was made out of the caller's voice; without words it is a mumble."""
        if self._line is not None:
            is_over, self._has_words = silent_s is not None, self._has_words or bool(text)
            is_mumble = is_over and not self._has_words
            self._has_words = self._has_words and not is_over
            self._line.hear(UNINTELLIGIBLE if is_mumble else text, silent_s=silent_s)

    def go_wrong(self, fault: Fault) -> None:
        """Let something go wrong on the platform's side."""
        if self._line is not None:
            self._line.go_wrong(fault)

    def _pick_up(self, line: Line) -> None:
        self._line = line
        self.speaker.go_on = line.go_on
        self.view.stage = self.view.likely_fix = ""

    async def _follow(self, line: Line) -> None:
        """Tell what has changed until the call is over."""
        try:
            while line.is_open:
                rest_s = self._tell_changes()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(rest_s):
                        await line.until(lambda: False)
        finally:
            self._tell_changes()  # that it is over; to close the socket may take a second

    def _do(self, deed: Callable[[Line], Coroutine[Any, Any, None]]) -> None:
        """Do something on the line that may take until it has been said."""
        if self._line is not None:
            task = asyncio.create_task(deed(self._line))
            self._deeds.add(task)
            task.add_done_callback(self._deed_done)

    def _deed_done(self, task: asyncio.Task[None]) -> None:
        if task.exception() is None:  # else `run` raises it
            self._deeds.discard(task)

    def _take(self, frame: Frame) -> None:
        self._keeping.take(frame)
        self._tell(self.view.add(frame))

    def _progress(self, attempt: int, reached: Stage | CannotConnect) -> None:
        tries = f" (attempt {attempt} of {ATTEMPTS})"
        if reached is Stage.OPEN and self._line is not None:
            self.view.stage = self.view.likely_fix = ""  # dialled again: the call goes on
        elif isinstance(reached, Stage):
            self.view.stage = f"{reached.value}{tries if attempt > 1 else ''}"
            self.view.likely_fix = likely_fix(reached)
        else:
            self.view.stage = f"{reached}{tries}; trying again"
            self.view.likely_fix = ""
        self._tell_changes()

    def _tell_changes(self) -> float:
        """Tell what has changed; the result is how long to rest then (seconds)."""
        began_s = time.monotonic()
        for event in self.view.changes():
            self._tell(event)
        return max(TELL_S, _SHARE * (time.monotonic() - began_s))
