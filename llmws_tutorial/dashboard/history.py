"""The calls of the dashboard on disk: each a recording, and beside it what it looked like.

A call is two files in one folder: ``ID.jsonl``, every frame as docs/recordings.md says, written
while the call goes on, and ``ID.json``, what the page showed of it, written at its end. Whoever
kills the process loses the second file only.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from llmws_tutorial.dashboard.view import CallView, Event, row, whole
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator.recording import RecordedCall, Recorder, read_recording

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


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
            why = os.strerror(error.errno or 0).lower()
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
        told = {**view.snapshot(), "frames": len(view.rows), "summary": summary(view)}
        try:
            self.path(view.record.call_id, ".json").write_text(json.dumps(told), encoding="utf-8")
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            raise SetupError(f"the call is not kept in {self.folder}: {why}") from None

    def list(self) -> list[Event]:
        """Tell of every call that is here, the latest first."""
        told = [self._summary(path) for path in self.folder.glob("*.jsonl")]
        return sorted(told, key=lambda one: int(one["started_ms"]), reverse=True)

    def read(self, call_id: str) -> Event:
        """All of a call, as its page showed it.

        Raises:
            SetupError: when there is no such call, or it cannot be read.
        """
        told = _page(self.path(call_id, ".json")) or {"items": [], "log": [], "status": {}}
        frames = [row(frame, number) for number, frame in enumerate(self.recorded(call_id).frames)]
        return {**told, "type": "opened", "call_id": call_id, "frames": frames}

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
        """The recording of a call.

        Raises:
            SetupError: when there is none, or it cannot be read.
        """
        calls = read_recording(self.path(call_id))
        return next((call for call in calls if call.call_id == call_id), RecordedCall(call_id))

    def forget(self, call_id: str) -> None:
        """Delete a call.

        Raises:
            SetupError: when that cannot be done.
        """
        for suffix in (".json", ".jsonl"):
            try:
                self.path(call_id, suffix).unlink(missing_ok=True)
            except OSError as error:
                why = os.strerror(error.errno or 0).lower()
                raise SetupError(f"the call {call_id} cannot be deleted: {why}") from None

    def _summary(self, path: Path) -> Event:
        told = _page(path.with_suffix(".json"))
        if told is None:
            started_ms = int(path.stat().st_mtime * 1000)
            told = {"summary": {"started_ms": started_ms, "ended": None, "url": "", "title": ""}}
        return {"call_id": path.stem, "bytes": path.stat().st_size, **told["summary"]}


def summary(view: CallView) -> Event:
    """What the list of calls tells of one."""
    llm = view.record.latency.get("llm")
    return {
        "started_ms": view.record.started_ms,
        "url": view.url,
        "title": view.title,
        "ended": view.record.disconnection_reason,
        "duration_s": round(view.record.call.now_s, 1),
        "turns": len(view.record.turns),
        "frames": len(view.rows),
        "dropped": sum(told["dropped"] is not None for told in view.rows),
        "llm_p50_ms": None if llm is None else llm.percentile(50),
        "first_words": next(_texts(view.items), ""),
    }


def _texts(items: list[Event]) -> Iterator[str]:
    """What the caller said, oldest first, cut to a line."""
    return (item["sent"][:60] for item in items if item["role"] == "user")


def _page(path: Path) -> dict[str, Any] | None:
    """What a file beside a recording tells; None for one that is missing or no such file."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("summary"), dict) else None
