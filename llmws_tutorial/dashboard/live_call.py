"""One call of the dashboard while it goes on: placed, followed, heard, kept.

What happens in it goes to everybody who watches; what the caller does comes in through the methods.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.speaker import Speaker
from llmws_tutorial.dashboard.view import CallView, Event
from llmws_tutorial.errors import CannotConnect, SetupError
from llmws_tutorial.simulator import Frame, Line, dial
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.opening import Stage
from llmws_tutorial.simulator.transcript import UNINTELLIGIBLE

ATTEMPTS: Final = 3
"""How often the platform tries to open a socket."""


class LiveCall:
    """A call that was asked for; `run` places it and follows it to its end.

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
        self._shelf = shelf
        self._line: Line | None = None
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
        try:
            with self._shelf.recorder(record.call_id) as recorder:
                keep = recorder.keeper(record)
                record.keeper = lambda frame: self._take(frame, keep)
                try:
                    await self._hold(caller, speed)
                finally:
                    recorder.ended(record)
        except CannotConnect as error:
            self.view.trouble = str(error)
        except SetupError as error:
            self._tell({"type": "trouble", "text": str(error)})
        finally:
            self.speaker.close()
            self.view.stage = ""
            self._tell_changes()
            self._keep()

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
        """Take what was made out of the caller's voice so far; a voice without words is none."""
        if self._line is not None:
            self._line.hear(
                text or (UNINTELLIGIBLE if silent_s is not None else ""), silent_s=silent_s
            )

    def go_wrong(self, fault: Fault) -> None:
        """Let something go wrong on the platform's side."""
        if self._line is not None:
            self._line.go_wrong(fault)

    async def _hold(self, caller: Caller | None, speed: float) -> None:
        record = self.view.record
        async with dial(
            self.view.url, record, caller, speed=speed, progress=self._progress
        ) as line:
            self._line = line
            self.speaker.go_on = line.go_on
            self.view.stage = ""
            self._tell_changes()
            while line.is_open:
                marks = self.view.marks
                await line.until(lambda marks=marks: self.view.marks != marks)  # type: ignore[misc]
                self._tell_changes()
        await asyncio.gather(*self._deeds)

    def _do(self, deed: Callable[[Line], Coroutine[Any, Any, None]]) -> None:
        """Do something on the line that may take until it has been said."""
        if self._line is not None:
            task = asyncio.create_task(deed(self._line))
            self._deeds.add(task)
            task.add_done_callback(self._deeds.discard)

    def _take(self, frame: Frame, keep: Callable[[Frame], None]) -> None:
        keep(frame)
        self._tell(self.view.add(frame))

    def _progress(self, attempt: int, reached: Stage | CannotConnect) -> None:
        tries = f" (attempt {attempt} of {ATTEMPTS})" if attempt > 1 else ""
        if isinstance(reached, Stage):
            self.view.stage = f"{reached.value}{tries}"
        else:
            self.view.stage = f"{reached}{tries}; trying again"
        self._tell(self.view.status())

    def _tell_changes(self) -> None:
        for event in self.view.changes():
            self._tell(event)

    def _keep(self) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                self._shelf.keep(self.view)
        except SetupError as error:
            self._tell({"type": "trouble", "text": str(error)})
