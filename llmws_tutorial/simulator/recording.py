"""Calls on disk: every frame is a line of JSON, written as it passes.

A file begins with a line that names the format; several calls may share it. What the lines hold
is the table in docs/recordings.md. Nothing is sampled, and every line is flushed: whoever kills
the process loses half a line, which `read_recording` forgives at the end of a file.
"""

import base64
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, cast

from llmws_tutorial.errors import SetupError, in_words
from llmws_tutorial.simulator.record import CallRecord, Frame

_HEADER: Final = {"llmws_recording": 1}
_LONGEST_HEADER: Final = 1000  # bytes: a file of another kind may have no line end at all
_LATEST_S: Final = 1e9
_MOST_SHOWN: Final = 60  # characters of a line that an error shows


@dataclass(frozen=True)
class Opened:
    """A socket of the call opened: its first one, or one more after the line was lost.

    Attributes:
        number: which socket of the call it is (1 and up).
        at_s: when the first frame passed on it (seconds of the call).
    """

    number: int
    at_s: float


@dataclass(frozen=True)
class Ended:
    """The call ended.

    Attributes:
        reason: why, in the platform's words.
        close_code: the code with which the last socket closed; None if it never did.
        at_s: when (seconds of the call).
    """

    reason: str
    close_code: int | None
    at_s: float


@dataclass
class RecordedCall:
    """One call, as its recording tells it.

    Attributes:
        call_id: the last segment of the URL that was dialled.
        events: every opening of a socket and every frame, both ways, in order.
        ended: how it ended; None when the recording stops before.
    """

    call_id: str
    events: list[Opened | Frame] = field(default_factory=list)
    ended: Ended | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it was recorded to its end; not so if the process was killed before."""
        return self.ended is not None

    @property
    def frames(self) -> list[Frame]:
        """Every frame, both ways, in order."""
        return [event for event in self.events if isinstance(event, Frame)]

    def __repr__(self) -> str:
        return f"<RecordedCall: {len(self.frames)} frames, {self.ended}>"


class Recorder:
    """Writes calls into a new file while they go on.

    ::

        with Recorder(path) as recorder:
            record.keeper = recorder.keeper(record)
            await act(url, record, caller)
            recorder.ended(record)

    A call outlives its recording: when nothing more can be written (the disk is full), the call
    goes on, and leaving the block says so.
    """

    def __init__(self, path: Path) -> None:
        """Prepare a file; entering the block makes it.

        Args:
            path: a file that does not exist yet, or is empty.
        """
        self._path = path
        self._sockets: dict[str, int] = {}  # how many of each call were written down
        self._trouble = ""

    def __enter__(self) -> Self:
        """Make the file.

        Raises:
            SetupError: when it cannot be written, or holds something: nothing is overwritten.
        """
        try:
            self._file: BinaryIO = self._path.open("ab")
        except OSError as error:
            raise SetupError(
                f"cannot write the recording {self._path}: {in_words(error)}; "
                "expected a new file in a folder that exists and is yours"
            ) from None
        if os.fstat(self._file.fileno()).st_size:
            self._file.close()
            raise SetupError(
                f"the file {self._path} is not empty, and a recording is never overwritten; "
                "choose another name, or delete the file first"
            )
        self._write(_HEADER)
        self._complain()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file.

        Raises:
            SetupError: when a line could not be written, and nothing worse has happened.
        """
        self._file.close()
        if kind is None:
            self._complain()

    def keeper(self, record: CallRecord) -> Callable[[Frame], None]:
        """Make the keeper of a call that is about to be placed.

        Raises:
            SetupError: when a call with the same id is in the file already.
        """
        if record.call_id in self._sockets:
            raise SetupError(
                f"the call {record.call_id!r} is in the recording {self._path} already; "
                "give every call an id of its own, or none"
            )
        self._sockets[record.call_id] = 0
        return partial(self._keep, record)

    def ended(self, record: CallRecord) -> None:
        """Write down how a call ended; one that never began, or still goes on, has no end."""
        at_s = round(record.call.now_s, 6)
        self._note_sockets(record, at_s)
        if record.disconnection_reason is not None:
            self._write(
                {
                    "call": record.call_id,
                    "ended": record.disconnection_reason,
                    "close_code": record.close_code,
                    "at_s": at_s,
                }
            )

    def _keep(self, record: CallRecord, frame: Frame) -> None:
        self._note_sockets(record, frame.at_s)
        payload = {"text": frame.data}
        if isinstance(frame.data, bytes):
            payload = {"base64": base64.b64encode(frame.data).decode()}
        dropped = {} if frame.dropped is None else {"dropped": frame.dropped}
        of_call = {"call": record.call_id, "at_s": frame.at_s, "sender": frame.sender}
        self._write({**of_call, **payload, **dropped})

    def _note_sockets(self, record: CallRecord, at_s: float) -> None:
        """Write down the sockets that opened since the last line of this call."""
        for number in range(self._sockets[record.call_id] + 1, record.connections + 1):
            self._write({"call": record.call_id, "opened": number, "at_s": at_s})
            self._sockets[record.call_id] = number

    def _write(self, fields: dict[str, Any]) -> None:
        if self._trouble:
            return  # a line behind one that is not whole could not be read
        try:
            self._file.write(json.dumps(fields).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            self._trouble = in_words(error)
            with contextlib.suppress(OSError):  # it tries to write the same line again
                self._file.close()

    def _complain(self) -> None:
        if self._trouble:
            raise SetupError(
                f"the recording {self._path} is not whole: {self._trouble}; "
                "make room, or choose a file on another disk"
            )


def read_recording(path: Path) -> list[RecordedCall]:
    """Read the calls of a recording, in the order in which they began.

    A last line that is cut short is left out; the calls that had not ended by then say so in
    `RecordedCall.is_whole`.

    Raises:
        SetupError: when there is no such file, or a line of it is wrong: the text has file and
            line, what was got and what was expected.
    """
    reader = _Reader(path)
    try:
        with path.open("rb") as file:
            reader.take_header(file.readline(_LONGEST_HEADER))
            for line in file:
                reader.take(line)
    except OSError as error:
        raise SetupError(
            f"cannot read the recording {path}: {in_words(error)}; expected a file of --record"
        ) from None
    return list(reader.calls.values())


class _Reader:
    """Takes a recording line by line; what is not as the page says is an error."""

    def __init__(self, path: Path) -> None:
        self.calls: dict[str, RecordedCall] = {}
        self._sockets: dict[str, int] = {}
        self._path = path
        self._number = 0

    def take_header(self, line: bytes) -> None:
        self._number = 1
        fields = _parsed(line)
        if not isinstance(fields, dict) or "llmws_recording" not in fields:
            raise self._wrong("no recording", f"the first line to be {json.dumps(_HEADER)}")
        if fields != _HEADER:
            raise self._wrong(
                f"a recording of another format, {_shown(fields)}", json.dumps(_HEADER)
            )

    def take(self, line: bytes) -> None:
        self._number += 1
        fields = _parsed(line)
        if fields is None and not line.endswith(b"\n"):
            return  # whoever wrote it was killed
        if not isinstance(fields, dict):
            raise self._wrong(_shown(line.decode(errors="replace").rstrip()), "a JSON object")
        self._check_fields(fields)
        self._check_place(fields)
        self._add(fields)

    def _check_fields(self, fields: dict[str, Any]) -> None:
        for key, value in fields.items():
            if key not in _FIELDS:
                raise self._wrong(f"the key {_shown(key)}", f"one of {', '.join(_FIELDS)}")
            fits, expected = _FIELDS[key]
            if not fits(value):
                raise self._wrong(f"{key} is {_shown(value)}", expected)
        keys = fields.keys() - {"dropped"} if "sender" in fields else fields.keys()
        if not any(keys == set(shape) for shape in _SHAPES):
            shapes = "; ".join(", ".join(shape) for shape in _SHAPES)
            raise self._wrong(f"the keys {', '.join(fields) or 'none'}", f"one of: {shapes}")

    def _check_place(self, fields: dict[str, Any]) -> None:
        """Refuse a line that cannot come after those before it."""
        name = _shown(fields["call"])
        call = self.calls.get(fields["call"])
        if call is not None and call.is_whole:
            raise self._wrong(f"a line of the call {name}", "none, as that call has ended")
        if "opened" in fields:
            due = self._sockets.get(fields["call"], 0) + 1
            if fields["opened"] != due:
                raise self._wrong(f"socket {fields['opened']} of the call {name}", f"socket {due}")
        elif call is None:
            raise self._wrong(f"a line of the call {name}", "the line first that opens its socket")

    def _add(self, fields: dict[str, Any]) -> None:
        call_id, at_s = fields["call"], float(fields["at_s"])
        call = self.calls.setdefault(call_id, RecordedCall(call_id))
        if "opened" in fields:
            self._sockets[call_id] = fields["opened"]
            call.events.append(Opened(fields["opened"], at_s))
        elif "ended" in fields:
            call.ended = Ended(fields["ended"], fields["close_code"], at_s)
        else:
            data = self._payload(fields)
            call.events.append(Frame(fields["sender"], data, fields.get("dropped"), at_s))

    def _payload(self, fields: dict[str, Any]) -> str | bytes:
        if "text" in fields:
            return cast(str, fields["text"])
        try:
            return base64.b64decode(fields["base64"], validate=True)
        except ValueError:
            _, expected = _FIELDS["base64"]
            raise self._wrong(f"base64 is {_shown(fields['base64'])}", expected) from None

    def _wrong(self, got: str, expected: str) -> SetupError:
        return SetupError(f"{self._path}:{self._number}: got {got}, expected {expected}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < _LATEST_S  # type: ignore[operator]  # also no NaN


_FIELDS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "call": (_is_text, "the id of a call, as text"),
    "at_s": (_is_time, "seconds of the call, 0 and up"),
    "sender": (lambda value: value in ("platform", "server"), "'platform' or 'server'"),
    "text": (_is_text, "the frame, as text"),
    "base64": (_is_text, "the bytes of a binary frame, in base64"),
    "dropped": (_is_text, "the reason, as text"),
    "opened": (_is_number, "the number of the socket, 1 and up"),
    "ended": (_is_text, "the disconnection_reason, as text"),
    "close_code": (lambda value: value is None or _is_number(value), "a close code or null"),
}
"""What each key may hold: the test, and the words for it."""
_SHAPES: Final = (
    ("call", "at_s", "sender", "text"),
    ("call", "at_s", "sender", "base64"),
    ("call", "opened", "at_s"),
    ("call", "ended", "close_code", "at_s"),
)
"""The keys of a line; a frame may have `dropped` as well."""


def _parsed(line: bytes) -> Any:
    """The value of one line; None for what is no JSON, as for the JSON null."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _shown(value: object) -> str:
    """What a stranger wrote: harmless to a terminal, and not too long."""
    text = ascii(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
