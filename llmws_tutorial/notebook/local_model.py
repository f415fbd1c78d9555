"""A small model on this machine: an OpenAI-compatible endpoint without a key.

It runs in a process of its own: it computes all the time while it talks, and nothing of that is to
slow down the server that is built beside it.
"""

import importlib.util
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final, Self, cast

from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook.model_weights import SMOLLM2, Weights, fetch_weights
from llmws_tutorial.notebook.runtime import bind
from llmws_tutorial.simulator.printable import shortened, visible

START_S: Final = 60.0
"""How long it may take until it answers (seconds)."""
STOP_S: Final = 2.0
"""How long it may take to end, before it is killed (seconds)."""
_LAST_LINES: Final = 5
_PROGRAM: Final = Path(__file__).with_name("model_server.py")
_started: Final = weakref.WeakValueDictionary[str, "LocalModel"]()


class LocalModel:
    """A model that a child process serves. Made by `local_model`.

    As a context manager it stops when the block is left. It also ends when nothing refers to it
    any more, and with this process, however that ends.

    Attributes:
        name: the model's name, as a request gives it.
        base_url: where it is served; ends in ``/v1``.
    """

    def __init__(self, name: str, command: Sequence[str], *, start_s: float = START_S) -> None:
        """Start it, and wait until it answers.

        Args:
            name: the model's name.
            command: the program and its arguments; it prints its base URL, and ends with its stdin.
            start_s: how long that may take (seconds).

        Raises:
            SetupError: when it ends or takes longer, with its last lines.
        """
        self.name = name
        with tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # an interrupted cell does not touch it
            )
            self._end = weakref.finalize(self, _end, self._process)
            try:
                self.base_url = _first_url(self._process, errors, start_s)
            except BaseException:
                self.stop()
                raise

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until it ends.

        Raises:
            SetupError: when nobody stopped it.
        """
        code = self._process.wait()
        if self._end.alive:
            raise SetupError(
                f"the model {self.name!r} ended by itself with {code}: start it again; if it ends "
                "again, look whether this machine runs out of memory"
            )

    def stop(self) -> None:
        """End it at once, with every answer under way; again is harmless."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<LocalModel {self.name!r}: {'running' if self.is_running else 'stopped'}>"


def local_model(
    weights: Weights | str | Path = SMOLLM2,
    *,
    port: int = 0,
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> LocalModel:
    """Serve a small model in the background, and go on to the next cell.

    The first time its weights are fetched, about 95 MB; later no network is needed. Started again,
    it takes the place of the one before.

    Args:
        weights: which model; a path is that of a .gguf file of your own, and names the model.
        port: the TCP port on 127.0.0.1; 0 takes a free one.
        folder: where weights that are fetched are kept; None takes the user's cache.
        tell: told before weights are fetched; None: silence.

    Raises:
        PortBusy: when another program has the port.
        SetupError: when the weights cannot be had, or the model does not start.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise SetupError(
            "a model on this machine is served by xllamacpp: pip install 'llmws-tutorial[model]'"
        )
    if isinstance(weights, Weights):
        file, name = fetch_weights(weights, folder=folder, tell=tell), weights.name
    else:
        file, name = _own(Path(weights)), Path(weights).stem
    if earlier := _started.get(name):
        earlier.stop()
    bind(port).close()
    program = [sys.executable, "-P", str(_PROGRAM)]
    _started[name] = model = LocalModel(name, [*program, str(file), name, str(port)])
    return model


def _own(file: Path) -> Path:
    if not file.is_file():
        raise SetupError(f"there is no file {file}, expected the weights of a model, a .gguf file")
    return file


def _first_url(process: subprocess.Popen[str], errors: IO[bytes], start_s: float) -> str:
    begins = time.monotonic()
    timer = threading.Timer(start_s, process.kill)  # ends the read below
    timer.start()
    try:
        with cast(IO[str], process.stdout) as lines:
            url = next((line for line in lines if line.startswith("http://")), "")
    finally:
        timer.cancel()
    if url:
        return url.strip()
    code, took_s = process.wait(), time.monotonic() - begins
    problem = f"ended with {code}" if took_s < start_s else f"did not answer in {start_s:g} s"
    errors.seek(0)
    last = errors.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
    said = "".join(f"\n  {visible(shortened(line))}" for line in last)
    raise SetupError(f"the model {problem}, expected a base URL; its last lines:{said or ' none'}")


def _end(process: subprocess.Popen[str]) -> None:
    cast(IO[str], process.stdin).close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also for whoever presses Ctrl-C meanwhile
        process.kill()
        process.wait()
