"""A server that is started by a command, and again whenever it has gone down.

It gets a process group of its own, so that what it starts is ended with it, and Ctrl-C is first for
whoever asked for it. What it prints is kept: its last lines say why it did not start.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from llmws_tutorial.checks.runner import absence
from llmws_tutorial.checks.transport import Transport
from llmws_tutorial.errors import SetupError, in_words
from llmws_tutorial.simulator.printable import shortened, visible

START_S: Final = 20.0
"""How long a server may take until it takes calls (seconds)."""
STOP_S: Final = 5.0
"""How long it may take to end (seconds)."""
_LAST_LINES: Final = 5
_LAST_BYTES: Final = 10_000


class ServerProcess:
    """A server behind a URL, which we start and stop; to be used in a `with`."""

    def __init__(self, command: str, transport: Transport, environment: Mapping[str, str]) -> None:
        """Take the command; nothing is started yet.

        Args:
            command: the program and its arguments, quoted as for a shell.
            transport: the way to the server.
            environment: variables that it gets beside those of this process.

        Raises:
            SetupError: when the command is blank, or a quote in it never ends.
        """
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise SetupError(f"cannot read the command {command!r}: {error}".lower()) from None
        if not self._words:
            raise SetupError("the command that starts the server is blank")
        self._transport = transport
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._folder.cleanup()

    async def start(self) -> None:
        """Start it, and wait until it takes calls; one that runs already is ended first.

        Raises:
            SetupError: when it ends, or does not take calls in time, with its last lines; or when
                another server takes them, which would be taken for this one.
        """
        self.stop()
        await self._wait(self._launch(is_free=await absence(self._transport) is not None))

    def stop(self) -> None:
        """End it, with all that it started."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
        finally:  # also for whoever presses Ctrl-C once more meanwhile
            _signal(process, signal.SIGKILL)  # it, or what it has left behind
            process.wait()

    def _launch(self, *, is_free: bool) -> subprocess.Popen[bytes]:
        if not is_free:
            raise SetupError(
                "another server takes calls there already: end it, or start this one elsewhere"
            )
        with self._output.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                why = in_words(error)
                raise SetupError(f"cannot start {self._words[0]!r}: {why}") from None
        return self._process

    @property
    def _output(self) -> Path:
        return Path(self._folder.name) / "output"

    async def _wait(self, process: subprocess.Popen[bytes]) -> None:
        watch = partial(self._watch, process)
        watch(await absence(self._transport, START_S, on_absence=watch), is_over=True)

    def _watch(
        self, process: subprocess.Popen[bytes], is_down: str | None, *, is_over: bool = False
    ) -> None:
        """Raise when it has ended, or the wait for it is over in vain."""
        problem = ""
        if (code := process.poll()) is not None:  # what it left behind we could not end
            fix = "" if code else "; expected a command that runs as long as its server"
            problem = f"the server ended with {code}{fix}"
        elif is_over and is_down is not None:
            problem = f"the server takes no calls {START_S:g} s after it was started: {is_down}"
        if problem:
            raise SetupError(f"{problem}{self._last_lines()}")

    def _last_lines(self) -> str:
        with self._output.open("rb") as output:  # it may have printed more than memory holds
            output.seek(max(0, self._output.stat().st_size - _LAST_BYTES))
            lines = output.read(_LAST_BYTES).decode(errors="replace").splitlines()[-_LAST_LINES:]
        return "".join(f"\n  {visible(shortened(line))}" for line in lines)


def _signal(process: subprocess.Popen[bytes], which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all of them have ended
        os.killpg(process.pid, which)
