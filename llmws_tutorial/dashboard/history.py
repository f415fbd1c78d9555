"""The calls of the dashboard on disk.

A call is two files in one folder: ``ID.jsonl``, every frame as docs/recordings.md says, written
from the first frame on while the call goes on, and ``ID.json``, what the page showed of it, written
at its end. Whoever kills the process loses the second file only; a call without a frame leaves
neither.
"""

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec

from llmws_tutorial.dashboard.view import CallView, Event, row, whole
from llmws_tutorial.errors import SetupError, in_words
from llmws_tutorial.simulator import Frame
from llmws_tutorial.simulator.recording import RecordedCall, Recorder, read_recording

CALLS: Final = Path("~/.llmws/calls")
"""Where calls are kept, unless it is said otherwise."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_Moment = Annotated[int, msgspec.Meta(ge=0, le=8_640_000_000_000_000)]  # that a browser can show


class Summary(msgspec.Struct, kw_only=True):
    """What the list of calls tells of one.

    Attributes:
        started_ms: when it was placed (milliseconds since 1970).
        url: the server that was dialled, as it was typed.
        title: the scenario's, if one was played; else empty.
        ended: why it ended; None when nobody knows.
        duration_s: how long it took (seconds).
        turns: how many turns the agent had.
        frames: how many frames passed.
        dropped: how many of them the platform dropped.
        llm_p50_ms: half of the first sentences came within so many milliseconds; None: there were
            none.
        first_words: what the caller said first.
    """

    started_ms: _Moment
    url: str = ""
    title: str = ""
    ended: str | None = None
    duration_s: float = 0.0
    turns: int = 0
    frames: int = 0
    dropped: int = 0
    llm_p50_ms: float | None = None
    first_words: str = ""


class _Looks(msgspec.Struct):
    """What the second file of a call tells of it, as far as the list wants to know."""

    summary: Summary


class _Page(_Looks):
    """What the second file of a call tells of it: what pages were told."""

    url: str
    title: str
    started_ms: _Moment
    items: list[dict[str, Any]]
    log: list[dict[str, Any]]
    status: dict[str, Any]


_Told = TypeVar("_Told")


class Shelf:
    """A folder of calls.

    Attributes:
        folder: where they are; made when the first call is placed, for its owner alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def recorder(self, call_id: str) -> Recorder:
        """Make the recorder of a call that is about to be placed.

        Raises:
            SetupError: when the folder cannot be made.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            why = in_words(error)
            raise SetupError(f"cannot keep calls in {self.folder}: {why}; choose another") from None
        return Recorder(self.path(call_id))

    def path(self, call_id: str, suffix: str = ".jsonl") -> Path:
        """The file of a call.

        Raises:
            SetupError: when this is the id of no call.
        """
        if not _ID.fullmatch(call_id):
            raise SetupError(f"there is no call {call_id[:100]!r}")
        return self.folder / f"{call_id}{suffix}"

    def keep(self, view: CallView) -> None:
        """Write down what a call that is over looked like.

        Raises:
            SetupError: when that cannot be done.
        """
        told = {**view.snapshot(), "frames": None, "summary": msgspec.structs.asdict(summary(view))}
        try:
            self.path(view.record.call_id, ".json").write_text(json.dumps(told), encoding="utf-8")
        except OSError as error:
            why = in_words(error)
            raise SetupError(f"the call is not kept in {self.folder}: {why}") from None

    def list(self) -> list[Event]:
        """Tell of every call that is here, the latest first."""
        told = [self._summary(path) for path in self.folder.glob("*.jsonl")]
        here = [one for one in told if one is not None]
        return sorted(here, key=lambda one: int(one["started_ms"]), reverse=True)

    def read(self, call_id: str) -> Event:
        """All of a call, as its page showed it.

        Raises:
            SetupError: when there is no such call, or it cannot be read.
        """
        frames = [row(frame, number) for number, frame in enumerate(self.recorded(call_id).frames)]
        told: Event = {"url": "", "title": "", "started_ms": 0, "items": [], "log": []}
        if (page := _read(self.path(call_id, ".json"), _Page)) is not None:
            told = msgspec.structs.asdict(page)
            del told["summary"]
        status = {"type": "status", "call_id": call_id, "is_over": True, **told.pop("status", {})}
        return {**told, "type": "opened", "call_id": call_id, "frames": frames, "status": status}

    def frame(self, call_id: str, number: int) -> str:
        """One frame of a call in full.

        Raises:
            SetupError: when there is none.
        """
        frames = self.recorded(call_id).frames
        if number >= len(frames):
            raise SetupError(f"the call {call_id} has {len(frames)} frames, not number {number}")
        return whole(frames[number])

    def recorded(self, call_id: str) -> RecordedCall:
        """The recording of a call; in a file that was renamed, the first one.

        Raises:
            SetupError: when there is none, or it cannot be read.
        """
        calls = read_recording(self.path(call_id))
        named = [call for call in calls if call.call_id == call_id]
        return next(iter([*named, *calls]), RecordedCall(call_id))

    def forget(self, call_id: str) -> None:
        """Delete a call.

        Raises:
            SetupError: when that cannot be done.
        """
        for suffix in (".json", ".jsonl"):
            try:
                self.path(call_id, suffix).unlink(missing_ok=True)
            except OSError as error:
                why = in_words(error)
                raise SetupError(f"the call {call_id} cannot be deleted: {why}") from None

    def _summary(self, path: Path) -> Event | None:
        """What the list tells of a file; None for one that is no call, or has gone meanwhile.

        A full disk leaves files in which there is nothing.
        """
        try:
            about = path.stat()
        except OSError:
            return None
        if not _ID.fullmatch(path.stem) or not about.st_size:
            return None
        looks = _read(path.with_suffix(".json"), _Looks)
        told = looks.summary if looks else Summary(started_ms=about.st_mtime_ns // 1_000_000)
        return {"call_id": path.stem, "bytes": about.st_size, **msgspec.structs.asdict(told)}


class Keeping:
    """One call on its way to the shelf; it goes on where it cannot be kept."""

    def __init__(self, shelf: Shelf, view: CallView, tell: Callable[[Event], None]) -> None:
        """Prepare to keep a call.

        Args:
            shelf: where it is kept.
            view: the call, and what pages see of it.
            tell: told at its first frame if it cannot be kept.
        """
        self._shelf = shelf
        self._view = view
        self._tell = tell
        self._recorder: Recorder | None = None
        self._keep: Callable[[Frame], None] | None = None
        self._files = contextlib.ExitStack()

    def take(self, frame: Frame) -> None:
        """Write down a frame, at once."""
        if self._keep is None:
            self._keep = self._open()
        self._keep(frame)

    def end(self) -> None:
        """Write down how it ended and what it looked like.

        Raises:
            SetupError: when that cannot be done.
        """
        if self._recorder is not None:
            self._recorder.ended(self._view.record)
            with self._files:
                self._shelf.keep(self._view)

    def _open(self) -> Callable[[Frame], None]:
        """Begin the recording; the result takes its frames."""
        record = self._view.record
        try:
            self._recorder = self._files.enter_context(self._shelf.recorder(record.call_id))
        except SetupError as error:
            self._tell({"type": "trouble", "text": str(error)})
            return _forget
        return self._recorder.keeper(record)


def summary(view: CallView) -> Summary:
    """What the list of calls tells of one that is over."""
    llm = view.record.latency.get("llm")
    return Summary(
        started_ms=view.record.started_ms,
        url=view.url,
        title=view.title,
        ended=view.record.disconnection_reason,
        duration_s=round(view.record.call.now_s, 1),
        turns=len(view.record.turns),
        frames=len(view.rows),
        dropped=sum(told["dropped"] is not None for told in view.rows),
        llm_p50_ms=None if llm is None else llm.percentile(50),
        first_words=next((item["sent"][:60] for item in view.items if item["role"] == "user"), ""),
    )


def _read(path: Path, kind: type[_Told]) -> _Told | None:
    """What the second file of a call tells; None for one that is missing or no such file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError, RecursionError):
        return None


def _forget(frame: Frame) -> None:
    """Take a frame of a call that cannot be kept."""
