"""Place a call: dial a server's URL, talk, be silent, hang up, keep the record.

The caller is text: words travel as the platform would send them, one more at a time. People can be
faster than on a phone; what is measured of the server is real at any speed.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final

from websockets.asyncio.client import ClientConnection

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import CallFacts
from llmws_tutorial.simulator.address import call_url
from llmws_tutorial.simulator.call import Call
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.clock import Clock
from llmws_tutorial.simulator.driver import Condition, Driver
from llmws_tutorial.simulator.opening import Stage, open_socket
from llmws_tutorial.simulator.record import CallRecord
from llmws_tutorial.simulator.scenario import Step
from llmws_tutorial.simulator.states import State
from llmws_tutorial.simulator.timers import NEVER
from llmws_tutorial.simulator.voice import Voice

ATTEMPTS: Final = 3
"""How often the platform tries to open a socket."""
BETWEEN_ATTEMPTS_S: Final = 3.0
"""How long it waits before it tries again (seconds, of people's time)."""

Progress = Callable[[int, Stage | CannotConnect], None]
"""Told about each attempt (1 and up): the stage that it has reached, or why it failed."""


class Line:
    """An open call: say something, be silent, listen, hang up; the record keeps it.

    Made by `dial`, not by hand.
    """

    def __init__(self, driver: Driver) -> None:
        self.record = driver.record
        self._driver = driver
        self._call = driver.record.call
        self._heard_to = 0

    @property
    def is_open(self) -> bool:
        """Whether the call still goes on."""
        return self._call.state is not State.ENDED

    async def listen(self, timeout_s: float) -> str:
        """Hear the agent until its turn is over, the call ends, or the time is up.

        Returns:
            What the caller heard since they last spoke or listened; empty when the agent is silent.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.until(lambda: self._call.is_callers_turn)
        before = self._heard_to
        return self._mark()[before:].strip()

    async def say(self, text: str) -> None:
        """Speak as the caller, to the last word; over the agent, if it is speaking."""
        self._driver.catch_up()
        self._call.caller_says(text)
        await self.until(lambda: not self._call.is_caller_talking)
        self._mark()

    async def stay_silent(self) -> None:
        """Say nothing for as long as the platform waits before it asks for a reminder."""
        self._driver.catch_up()
        by_s = self._call.now_s + self._call.wishes.reminder_trigger_s
        await self._driver.until(lambda: not self._call.is_callers_turn, by_s=by_s)

    async def skip_silence(self) -> None:
        """Let the rest of a silence pass at once, up to the reminder.

        Where none is due nothing happens, and the log of the call says so.
        """
        self._driver.catch_up()
        if self._call.reminder_due_s < NEVER:
            self._driver.skip_to(self._call.reminder_due_s)
        elif self.is_open:
            self._call.note("no reminder is due: there is no silence to skip")
            self._driver.wake()

    async def mumble(self) -> None:
        """Say something that cannot be understood."""
        self._driver.catch_up()
        self._call.caller_mumbles()
        await self.until(lambda: not self._call.is_caller_talking)

    async def press(self, digits: str) -> None:
        """Press keys on the phone."""
        self._driver.catch_up()
        self._call.caller_presses(digits)
        await self.until(lambda: not self._call.is_caller_talking)

    def hear(self, text: str, *, silent_s: float | None = None) -> None:
        """Take what is made of the caller's voice; see `Conversation.caller_is_heard`."""
        self._driver.catch_up()
        self._call.caller_is_heard(text, silent_s=silent_s)
        self._driver.wake()

    def go_on(self) -> None:
        """Let the agent speak on: its voice has a sound that it did not have before."""
        self._driver.catch_up()
        self._call.go_on()
        self._driver.wake()

    def go_wrong(self, fault: Fault) -> None:
        """Let something go wrong on the platform's side of the socket."""
        self._driver.catch_up()
        if self.is_open:
            self._driver.go_wrong(fault)

    async def until(self, condition: Condition) -> None:
        """Wait until something about the call is so, or it has ended."""
        await self._driver.until(condition)

    async def hang_up(self) -> None:
        """End the call; one that is already over stays as it ended."""
        self._driver.catch_up()
        self._call.hang_up()
        self._driver.wake()

    def _mark(self) -> str:
        """All that was heard so far; whoever listens next hears what comes after it."""
        heard = " ".join(turn.heard for turn in self.record.turns)
        self._heard_to = len(heard)
        return heard


@contextlib.asynccontextmanager
async def dial(
    url: str,
    record: CallRecord | None = None,
    caller: Caller | None = None,
    *,
    speed: float = 1.0,
    progress: Progress | None = None,
) -> AsyncIterator[Line]:
    """Open a call to a server; leaving the block hangs up.

    Args:
        url: where the server's calls live, without a call id (ws, wss, http or https).
        record: of the call that is about to be placed, as `new_record` makes it; None: a new one.
        caller: who acts on the call besides whoever holds the line; None: nobody.
        speed: how many times faster than on a phone people speak and wait (above 0).
        progress: told how far the dialling has come.

    Raises:
        CannotConnect: when the call never came about, with the stage reached and the likely fix.
    """
    record = record or new_record()
    driver = _driver(url, record, caller or Caller(), clock=Clock(speed), progress=progress)
    await driver.open()
    running = asyncio.create_task(driver.run())
    line = Line(driver)
    try:
        await asyncio.sleep(0)  # a task that has not begun would close nothing when cancelled
        yield line
    finally:
        await line.hang_up()
        await running


async def place_call(
    url: str,
    says: Sequence[str | None] = (),
    *,
    call_id: str | None = None,
    speed: float = 20.0,
    timeout_s: float = 5.0,
) -> CallRecord:
    """Call a server, say each line once the agent has finished, then hang up.

    Args:
        url: where the server's calls live, without a call id.
        says: the caller's lines in order; None stands for staying silent.
        call_id: the id to append to the URL; None makes one up.
        speed: how many times faster than on a phone people speak and wait.
        timeout_s: how long to wait for the agent at each turn, in seconds.

    Returns:
        The record of the call, also when the agent kept silent or hung up.

    Raises:
        CannotConnect: when the call never came about.
    """
    record = new_record(call_id)
    silent_s = record.call.wishes.reminder_trigger_s
    steps = [Step(silent_s=silent_s) if text is None else Step(say=text) for text in says]
    await act(url, record, Caller(steps, patience_s=timeout_s), speed=speed)
    return record


def new_record(
    call_id: str | None = None,
    facts: CallFacts | None = None,
    choices: Choices | None = None,
    *,
    voice: Voice | None = None,
) -> CallRecord:
    """Begin the record of a call that is about to be placed.

    Args:
        call_id: the id to append to a server's URL; None makes one up.
        facts: what the server is told that asks for call_details.
        choices: what the stand-in does where nothing is documented.
        voice: who speaks what the agent says; None: a steady one, without a sound.
    """
    call_id = call_id or f"call_{secrets.token_hex(8)}"
    facts = facts or CallFacts(call_type="web_call", call_id=call_id, call_status="ongoing")
    call = Call(facts, choices=choices, voice=voice)
    return CallRecord(call_id, call, started_ms=time.time_ns() // 1_000_000)


async def act(
    url: str,
    record: CallRecord,
    caller: Caller,
    *,
    speed: float = 1.0,
    progress: Progress | None = None,
) -> None:
    """Let a caller act on a call until it ends; the record tells what happened.

    Raises:
        CannotConnect: when the call never came about.
    """
    driver = _driver(url, record, caller, clock=Clock(speed), progress=progress)
    await driver.open()
    await driver.run()


def _driver(
    url: str,
    record: CallRecord,
    caller: Caller,
    *,
    clock: Clock,
    progress: Progress | None = None,
) -> Driver:
    target = call_url(url, record.call_id)
    record.lapses = caller.lapses

    async def opener() -> ClientConnection:
        return await _open(target, clock, progress or _ignore)

    return Driver(record, caller, opener=opener, clock=clock)


async def _open(target: str, clock: Clock, progress: Progress) -> ClientConnection:
    """Open a socket as the platform does: up to three times, with a pause between."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await open_socket(target, progress=partial(progress, attempt))
        except CannotConnect as error:
            progress(attempt, error)
            await asyncio.sleep(clock.wall_s_of_people(BETWEEN_ATTEMPTS_S))
    return await open_socket(target, progress=partial(progress, ATTEMPTS))


def _ignore(attempt: int, reached: Stage | CannotConnect) -> None:
    """Nobody wants to know."""
