"""A recorded call, played to a server once more: what does it do otherwise?

The platform's frames are sent as they were, each as soon as the server has come as far as it had in
the recording. What the server says is then compared by meaning, as `comparison` has it.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.messages import BEGIN_RESPONSE_ID, AgentInterrupt, Response
from llmws_tutorial.simulator.address import call_url
from llmws_tutorial.simulator.comparison import (
    Difference,
    Meaning,
    asked_by,
    compare,
    request_of,
)
from llmws_tutorial.simulator.driver import FRAME_BYTES, MOST_BYTES
from llmws_tutorial.simulator.endings import AGENT, RUNTIME
from llmws_tutorial.simulator.opening import open_socket
from llmws_tutorial.simulator.record import Frame
from llmws_tutorial.simulator.recording import Opened, RecordedCall
from llmws_tutorial.simulator.verdict import Dropped, read_frame

MOST_LAPSES: Final = 3
"""How often a server may let its caller wait in vain; after that nobody waits for it."""
SETTLE_S: Final = 0.2
"""How long to listen, after the last frame, for what the recording does not have (seconds)."""

LINE_LOST: Final = 1006
"""How a connection closes that breaks without a close frame, whoever broke it."""


@dataclass(frozen=True)
class ReplayResult:
    """What came of a replay.

    Attributes:
        recorded: the call as it was.
        now: the call as it is today; its times are seconds of the wall.
        differences: what the server does otherwise.
    """

    recorded: RecordedCall
    now: RecordedCall
    differences: tuple[Difference, ...]

    @property
    def is_same(self) -> bool:
        """Whether the server still does what it did."""
        return not self.differences

    def __str__(self) -> str:
        """One line, and one more a difference."""
        count = len(self.differences)
        came = "as recorded" if self.is_same else f"{count} difference{'s' * (count > 1)}"
        sent, of = (len(_of_platform(call.events)) for call in (self.now, self.recorded))
        head = f"call {self.recorded.call_id!r}: {came}; {sent} of {of} frames were sent"
        return "\n".join([head, *(f"  {difference}" for difference in self.differences)])


async def replay(
    recorded: RecordedCall,
    url: str,
    *,
    speed: float = 20.0,
    patience_s: float = 5.0,
    ignore_content: bool = False,
) -> ReplayResult:
    """Play the platform's side of a recorded call to a server, and compare.

    Args:
        recorded: the call, as `read_recording` reads it.
        url: where the server's calls live, without a call id.
        speed: how many times faster people are than they were (above 0; inf: at once). It counts
            where they did not wait for the end of an answer; elsewhere nobody is waited for.
        patience_s: how long to wait for what the server said in the recording (seconds).
        ignore_content: whether other words are no difference, as those of a language model are.

    Raises:
        CannotConnect: when the call never came about.
        ValueError: when the speed or the patience is not above 0.
    """
    if not (speed > 0 and patience_s > 0):
        raise ValueError(f"speed {speed}, patience_s {patience_s}: expected numbers above 0")
    player = _Player(recorded, speed=speed, patience_s=patience_s)
    await player.play(_target(url, recorded.call_id))
    did_play_all = player.played == len(recorded.events)
    until_s = recorded.ended.at_s if recorded.ended and did_play_all else 0.0
    differences = compare(
        Meaning(recorded.events[: player.played], until_s),
        Meaning(player.now.events),
        patience_s=patience_s,
        ignore_content=ignore_content,
        is_whole=recorded.is_whole,
    )
    return ReplayResult(recorded, player.now, (*differences, *player.troubles()))


class _Player:
    """Plays the platform's frames of one call, and notes what comes back.

    Attributes:
        now: the call as it goes today.
        played: how many events of the recording came about, or had no need to.
    """

    def __init__(self, recorded: RecordedCall, *, speed: float, patience_s: float) -> None:
        self.now = RecordedCall(recorded.call_id)
        self.played = 0
        self._recorded = recorded
        self._speed = speed
        self._patience_s = patience_s
        self._last_opening = max(
            (at for at, event in enumerate(recorded.events) if isinstance(event, Opened)), default=0
        )
        self._began_s = time.monotonic()
        self._latest_s = 0.0  # when the recorded platform last did something
        self._asked = _end_of(BEGIN_RESPONSE_ID)
        self._ends: set[str] = set()  # the answers that the recording has to their ends
        self._owed: Counter[str] = Counter()  # what the recorded server did, less what is done now
        self._lapses = 0
        self._news = asyncio.Event()
        self._bytes = 0
        self._code: int | None = None  # with which the server closed
        self._trouble: Difference | None = None  # why the replay could not go on
        self._is_over = False

    async def play(self, target: str) -> None:
        """Dial, and play the recording as far as the server lets it happen."""
        self._target = target
        await self._open(1)
        try:
            while self.played < len(self._recorded.events):
                if not await self._follow(self._recorded.events[self.played]):
                    return
                self.played += 1
            await self._finish()
        finally:
            await self._leave()

    def troubles(self) -> Iterator[Difference]:
        """Say what kept the replay from its end, or how that end differs."""
        if self._trouble is not None:
            yield self._trouble
            return
        then = _Closing(_code_of_server(self._recorded), self._recorded.events)
        now = _Closing(self._code, self.now.events)
        if not self._is_same_end(then, now):
            yield Difference("closing", str(then), str(now))

    def _is_same_end(self, then: "_Closing", now: "_Closing") -> bool:
        if then.code == now.code:
            return then.code is None or then.asked == now.asked
        ended = self._recorded.ended
        if ended is None:  # what came next is not known
            return self.played == len(self._recorded.events)
        if then.code == LINE_LOST:  # it may have been the line
            return now.code is None
        return ended.reason == AGENT and now.code == 1000 and then.asked == now.asked

    async def _follow(self, event: Opened | Frame) -> bool:
        """Let one event of the recording happen again; the answer is whether it can go on."""
        match event:
            case Frame(sender="server"):
                self._note(event)
                return True
            case Opened(number=1):
                return True
            case Opened():
                await self._catch_up()
                return await self._open_again(event)
        await self._catch_up()
        await self._pace(event.at_s)
        if (response_id := asked_by(request_of(event))) is not None:
            self._asked = _end_of(response_id)
        return await self._send(event)

    def _note(self, frame: Frame) -> None:
        """The recorded server did something: it is owed today, or was done already."""
        if (mark := _mark_of(frame)) is not None:
            self._owed[mark] += 1
            self._ends.add(mark)

    async def _catch_up(self) -> None:
        """Wait until the server has done what it had by now in the recording."""
        patience_s = self._patience_s if self._lapses < MOST_LAPSES else 0.0
        try:
            async with asyncio.timeout(patience_s):
                while self._is_open and any(count > 0 for count in self._owed.values()):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self._lapses += 1
            self._owed.clear()

    async def _pace(self, at_s: float) -> None:
        """In the middle of an answer, take as long as people took."""
        if self._asked not in self._ends:
            gap_s = min((at_s - self._latest_s) / self._speed, self._patience_s)
            await asyncio.sleep(max(gap_s, 0.0))
        self._latest_s = at_s

    async def _send(self, frame: Frame) -> bool:
        if not self._is_open:
            return self._may_go_on()
        self.now.events.append(Frame("platform", frame.data, at_s=self._now_s()))
        try:
            async with asyncio.timeout(self._patience_s):
                await self._socket.send(_payload(frame), text=isinstance(frame.data, str))
        except ConnectionClosed:
            await self._reading
            return self._may_go_on()
        except TimeoutError:
            return self._give_up("reading", "every frame", f"none for {self._patience_s:g} s")
        return True

    def _may_go_on(self) -> bool:
        """Whether the line was lost, and the recording dials again further on."""
        self._code = self._code_now()
        return self._code == LINE_LOST and self.played <= self._last_opening

    async def _finish(self) -> None:
        """Hear what is left, and a little more; wait for a close that was recorded."""
        await self._catch_up()
        if self._recorded.ended is not None:
            await self._pace(self._recorded.ended.at_s)
        closes = _code_of_server(self._recorded) not in (None, LINE_LOST)
        await asyncio.wait({self._reading}, timeout=self._patience_s if closes else SETTLE_S)
        if not self._is_open:
            self._code = self._code_now()

    async def _leave(self) -> None:
        """Hang up; what comes from now on is not counted."""
        self._is_over = True
        if self._is_open and self._socket.transport.get_write_buffer_size():
            self._socket.transport.abort()  # a close would wait until the server reads
        await self._socket.close()
        await self._reading

    async def _open(self, number: int) -> None:
        self._socket = await open_socket(self._target)
        self._code = None
        self.now.events.append(Opened(number, self._now_s()))
        self._reading = asyncio.create_task(self._read(self._socket))
        self._reading.add_done_callback(lambda _: self._news.set())

    async def _open_again(self, opening: Opened) -> bool:
        """Lose the line as a network does, unless it is lost already, and dial again."""
        if self._is_open:
            self._socket.transport.abort()
            await self._reading
        elif not self._may_go_on():
            return False
        try:
            await self._open(opening.number)
        except CannotConnect as error:
            return self._give_up(f"connection {opening.number}", "open", str(error))
        self._latest_s = opening.at_s
        return True

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                if not self._is_over:
                    self._take(Frame("server", data, at_s=self._now_s()))

    def _take(self, frame: Frame) -> None:
        self._bytes += len(frame.data) + FRAME_BYTES
        if self._bytes > MOST_BYTES:
            self._is_over = True
            self._give_up("amount", f"at most {MOST_BYTES} bytes", "more: the server floods")
            self._socket.transport.abort()
            return
        self.now.events.append(frame)
        if (mark := _mark_of(frame)) is not None:
            self._owed[mark] -= 1
        self._news.set()

    def _give_up(self, where: str, then: str, now: str) -> Literal[False]:
        self._trouble = Difference(where, then, now)
        return False

    @property
    def _is_open(self) -> bool:
        return not self._reading.done()

    def _code_now(self) -> int:
        code = self._socket.close_code
        return LINE_LOST if code is None else int(code)

    def _now_s(self) -> float:
        return round(time.monotonic() - self._began_s, 6)


class _Closing:
    """With which code the server closed, and when: after which frame, and which request.

    The code is None for a server that stays until the platform hangs up.
    """

    def __init__(self, code: int | None, events: Sequence[Opened | Frame]) -> None:
        self.code = code
        sent = _of_platform(events)
        self.asked = max((asked_by(request_of(frame)) or 0 for frame in sent), default=0)
        self._frames = len(sent)

    def __str__(self) -> str:
        if self.code is None:
            return "the server stays"
        after = f"frame {self._frames} of the platform, request {self.asked}"
        return f"it closes with {self.code} after {after}"


def _code_of_server(recorded: RecordedCall) -> int | None:
    """The code with which the recorded server closed; None when the platform hung up.

    The platform closes with 1000, or with 1007 on a frame that no server may send.
    """
    ended = recorded.ended
    if ended is None:
        return None
    said = [frame for frame in recorded.frames if frame.sender == "server"]
    match ended.close_code:
        case 1000:
            is_server = ended.reason == AGENT and not any(map(_hangs_up, said))
        case 1007:
            is_server = not (said and said[-1].dropped)
        case code if code == LINE_LOST:
            is_server = ended.reason == RUNTIME
        case _:
            is_server = True
    return ended.close_code if is_server else None


def _hangs_up(frame: Frame) -> bool:
    message = read_frame(frame.data)
    return isinstance(message, Response | AgentInterrupt) and message.end_call


def _of_platform(events: Sequence[Opened | Frame]) -> list[Frame]:
    frames = [event for event in events if isinstance(event, Frame)]
    return [frame for frame in frames if frame.sender == "platform"]


def _mark_of(frame: Frame) -> str | None:
    """What a frame of the server brings about; None for a piece of an answer that goes on."""
    match read_frame(frame.data):
        case Dropped(kind=kind):
            return kind.name
        case Response(response_id=response_id, content_complete=is_end):
            return _end_of(response_id) if is_end else None
        case AgentInterrupt(content_complete=is_end):
            return "the end of an interrupt" if is_end else None
        case note:
            return type(note).__name__


def _payload(frame: Frame) -> bytes:
    """The bytes on the wire; half a character goes out as it is, to be refused over there."""
    if isinstance(frame.data, bytes):
        return frame.data
    return frame.data.encode("utf-8", "surrogatepass")


def _end_of(response_id: int) -> str:
    return f"the end of answer {response_id}"


def _target(url: str, call_id: str) -> str:
    try:
        return call_url(url, call_id)
    except UnicodeEncodeError:  # half a character
        raise CannotConnect(f"no URL can hold the call id {call_id!r}") from None
