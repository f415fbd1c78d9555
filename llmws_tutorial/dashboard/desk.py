"""What all open pages share: one call, one run of checks, the calls on disk.

A page asks with a command; what comes of it is told to every page, so two of them show the same
call. What goes wrong is told in words: to the page that asked, or to all.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final, Protocol

from llmws_tutorial.checks import CASES
from llmws_tutorial.dashboard import commands
from llmws_tutorial.dashboard.commands import AnyCommand
from llmws_tutorial.dashboard.compared import compared
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.jobs import Jobs
from llmws_tutorial.dashboard.judging import Judging
from llmws_tutorial.dashboard.lesson import PHRASES, READING, TRIES
from llmws_tutorial.dashboard.live_call import LiveCall
from llmws_tutorial.dashboard.scenario_run import addresses, chosen, proofread, scenarios
from llmws_tutorial.dashboard.sound import Sound
from llmws_tutorial.dashboard.tab import Tab
from llmws_tutorial.dashboard.view import MOST_TEXT, CallView, Event, whole
from llmws_tutorial.errors import CannotConnect, SetupError
from llmws_tutorial.simulator import new_record
from llmws_tutorial.simulator.address import dialled, hints, is_local
from llmws_tutorial.simulator.caller import Caller, Fault

MOST_LINES: Final = 2000
"""How many lines of the server's log are kept for a page that comes."""


class ServerLog(Protocol):
    """The log of a server that runs in this process."""

    def follow(self, told: Callable[[str], None]) -> Callable[[], None]:
        """Have somebody told every line, so far and to come, on any thread.

        Returns:
            What ends it.
        """
        ...


class Desk:
    """The state behind the pages of one dashboard; lives on one event loop.

    Attributes:
        url: the server that pages propose to call.
        shelf: the calls on disk.
    """

    def __init__(
        self,
        *,
        shelf: Shelf,
        url: str = "",
        about: str = "",
        log: ServerLog | None = None,
        sound: Sound | None = None,
    ) -> None:
        """Prepare a desk; `open` has to follow on its event loop.

        Args:
            shelf: where calls are kept.
            url: the server that pages propose to call.
            about: what a caller should know of that server, in a sentence.
            log: the log of that server, if it runs in this process.
            sound: who speaks and who listens; None: the best that is installed.
        """
        self.url = url
        self._about = about
        self.shelf = shelf
        self._log = log
        self._unfollow: Callable[[], None] = _nothing
        self._loop: asyncio.AbstractEventLoop
        self._lines: deque[Event] = deque(maxlen=MOST_LINES)
        self._line_number = 0
        self._tabs: list[Tab] = []  # the latest last
        self._sound = sound or Sound()
        self._jobs = Jobs(self._tell)
        self._call: LiveCall | None = None
        self._calling: asyncio.Task[None] | None = None
        self._judging = Judging(self._jobs, self._tell)

    async def open(self) -> None:
        """Load what takes a moment, in the background, and follow the server's log."""
        self._jobs.start(self._sound.load(self._tell_voice))
        self._loop = asyncio.get_running_loop()
        self._follow(self._log)

    def point_at(self, url: str, log: ServerLog | None = None) -> None:
        """Propose another server to call, and follow its log; on any thread."""
        _soon(self._loop, self._point_at, url, log)

    async def close(self) -> None:
        """End the call and everything else."""
        self._unfollow()
        await self._jobs.close()
        self._sound.close()

    def welcome(self, tab: Tab) -> None:
        """Tell a page that has just come everything."""
        self._tabs.append(tab)
        self._tell_all(tab)
        self._sound.welcome(tab)
        self._jobs.read(self._history, tab.tell)

    def leave(self, tab: Tab) -> None:
        """Forget a page that has gone; the call goes on: it may come back."""
        self._tabs.remove(tab)
        self._sound.leave(tab, self._tabs)

    def obey(self, tab: Tab, command: AnyCommand) -> None:
        """Do what a page asks for; what cannot be done is told to it in words."""
        with self._jobs.telling(tab.tell):
            self._DO[type(command)](self, tab, command)

    def hear(self, tab: Tab, sound: bytes) -> None:
        """Take sound of a page's microphone."""
        with self._jobs.telling(tab.tell):
            self._sound.hear(tab, sound)

    def _refuse(self, tab: Tab, command: commands.Hello) -> None:
        raise SetupError("this page has said hello already")

    def _hint(self, tab: Tab, command: commands.Hint) -> None:
        try:
            dialled(command.url)
            found = hints(command.url)
        except CannotConnect as error:
            found = [str(error)]
        tab.tell({"type": "hints", "url": command.url, "hints": found})

    def _place(self, tab: Tab, command: commands.Call) -> None:
        if not self._may_dial(tab, command.url, "call", confirmed=command.confirmed):
            return
        self._judging.stop_playing()
        self._begin(tab, CallView(new_record(), command.url))

    def _play(self, tab: Tab, command: commands.Play) -> None:
        played = chosen(command.name, command.text)
        urls = [url for one in played.values() for url in addresses(command.url, one)]
        if not all(self._may_dial(tab, url, "play", confirmed=command.confirmed) for url in urls):
            return

        def place(view: CallView, caller: Caller) -> asyncio.Task[None]:
            return self._begin(tab, view, caller, speed=command.speed)

        self._hang_up(tab, commands.HangUp())
        self._judging.play(played, command.url, place)

    def _proofread(self, tab: Tab, command: commands.Proofread) -> None:
        tab.tell(proofread(command.text))

    def _begin(
        self, tab: Tab, view: CallView, caller: Caller | None = None, *, speed: float = 1.0
    ) -> asyncio.Task[None]:
        """Place a call, in place of the one that may still go on."""
        if self._calling is not None:
            self._calling.cancel()
        speaker = self._sound.begin()
        if speed == 1.0:
            view.record.call.voice = speaker
            view.stage = "loading the agent's voice" if self._sound.must_load else ""
        self._call = call = LiveCall(view, speaker, tell=self._tell, shelf=self.shelf)
        self._sound.come_to(tab)
        self._tell(view.snapshot())
        self._calling = self._jobs.start(self._run(call, caller, speed))
        self._calling.add_done_callback(lambda _: self._finish(call))
        return self._calling

    async def _run(self, call: LiveCall, caller: Caller | None, speed: float) -> None:
        if speed == 1.0:
            await self._sound.loaded()
        self._sound.equip(call.speaker)
        await call.run(caller, speed=speed)

    def _finish(self, call: LiveCall) -> None:
        with self._jobs.telling():
            call.finish()
        self._jobs.write(call.keep)
        self._tell_history()

    def _hang_up(self, tab: Tab, command: commands.HangUp) -> None:
        self._judging.stop_playing()
        if self._call is None or self._calling is None:
            return
        if self._call.is_open:
            self._call.hang_up()
        else:
            self._calling.cancel()

    def _say(self, tab: Tab, command: commands.Say) -> None:
        self._in_call().say(command.text)

    def _mumble(self, tab: Tab, command: commands.Mumble) -> None:
        self._in_call().mumble()

    def _press(self, tab: Tab, command: commands.Press) -> None:
        self._in_call().press(command.digits)

    def _skip_silence(self, tab: Tab, command: commands.SkipSilence) -> None:
        self._in_call().skip_silence()

    def _heard(self, tab: Tab, command: commands.Heard) -> None:
        self._take_voice(command.text, 0.0 if command.is_over else None)

    def _spoken(self, tab: Tab, command: commands.Spoken) -> None:
        self._sound.report(tab, command)

    def _go_wrong(self, tab: Tab, command: commands.GoWrong) -> None:
        self._in_call().go_wrong(Fault(command.kind, seconds=command.seconds))

    def _send(self, tab: Tab, command: commands.Send) -> None:
        self._in_call().go_wrong(Fault("garble", text=command.text))

    def _in_call(self) -> LiveCall:
        if self._call is None or not self._call.is_open:
            raise SetupError("there is no call: make one first")
        return self._call

    def _microphone(self, tab: Tab, command: commands.Microphone) -> None:
        if command.is_on:
            self._sound.switch_on(tab, self._take_voice)
        else:
            self._sound.switch_off(tab, is_turn_over=command.is_turn_over)

    def _take_voice(self, text: str, silent_s: float | None) -> None:
        self._tell({"type": "ears", "text": text, "is_over": silent_s is not None})
        if self._call is not None:
            self._call.hear(text, silent_s=silent_s)

    def _use_voice(self, tab: Tab, command: commands.UseVoice) -> None:
        self._sound.choose(command.kind)
        self._sound.come_to(tab)
        self._tell_voice()

    def _listen_here(self, tab: Tab, command: commands.ListenHere) -> None:
        self._sound.come_to(tab)

    def _run_checks(self, tab: Tab, command: commands.Check) -> None:
        if self._may_dial(tab, command.url, "check", confirmed=command.confirmed):
            self._judging.check(command.url, command.prefixes, command.profile)

    def _stop_check(self, tab: Tab, command: commands.StopCheck) -> None:
        self._judging.stop_checking()

    def _show_frame(self, tab: Tab, command: commands.ShowFrame) -> None:
        call_id, number = command.call_id, command.number
        record = None if self._call is None else self._call.view.record
        if record is None or record.call_id != call_id:
            self._jobs.read(
                lambda: _whole(call_id, number, self.shelf.frame(call_id, number)), tab.tell
            )
        elif number < len(record.frames):
            tab.tell(_whole(call_id, number, whole(record.frames[number])))
        else:
            raise SetupError(f"there is no frame {number} yet")

    def _open_call(self, tab: Tab, command: commands.OpenCall) -> None:
        self._jobs.read(lambda: self.shelf.read(command.call_id), tab.tell)

    def _forget_call(self, tab: Tab, command: commands.ForgetCall) -> None:
        call = self._call
        if call is not None and call.is_open and call.view.record.call_id == command.call_id:
            raise SetupError("this call still goes on: hang up first")
        self._jobs.write(lambda: self.shelf.forget(command.call_id), tab.tell)
        self._tell_history()

    def _compare(self, tab: Tab, command: commands.Compare) -> None:
        self._jobs.read(lambda: compared(self.shelf, command.first, command.second), tab.tell)

    def _may_dial(self, tab: Tab, url: str, about: str, *, confirmed: bool) -> bool:
        """Whether a server may be dialled: on this machine always, elsewhere if confirmed."""
        dialled(url)  # what cannot be is refused in words
        if confirmed or is_local(url):
            return True
        tab.tell({"type": "confirm", "url": url, "about": about})
        return False

    def _tell(self, event: Event) -> None:
        for tab in self._tabs:
            tab.tell(event)

    def _tell_all(self, tab: Tab) -> None:
        """Tell a page all but the sound and the calls on disk."""
        tab.tell(self._hello())
        tab.tell_all(self._lines)
        if self._call is not None:
            tab.tell(self._call.view.snapshot())
        tab.tell_all(self._judging.events())

    def _tell_voice(self) -> None:
        self._tell(self._sound.event())

    def _tell_history(self) -> None:
        self._jobs.read(self._history, self._tell)

    def _history(self) -> Event:
        return {"type": "history", "calls": self.shelf.list()}

    def _point_at(self, url: str, log: ServerLog | None) -> None:
        is_new, self._log = log is not self._log, log
        self.url, self._about = url, ""
        if is_new:
            self._lines.clear()
            self._follow(log)
        for tab in self._tabs:
            self._tell_all(tab)

    def _follow(self, log: ServerLog | None) -> None:
        self._unfollow()
        self._unfollow = _nothing
        if log is not None:
            self._unfollow = log.follow(
                lambda line: _soon(self._loop, self._take_line_of, log, line)
            )

    def _take_line_of(self, log: ServerLog, line: str) -> None:
        if log is self._log:  # one that was on its way when this was pointed elsewhere is late
            self._take_line(line)

    def _take_line(self, line: str) -> None:
        number, self._line_number = self._line_number, self._line_number + 1
        event: Event = {"type": "server_line", "n": number, "text": line[:MOST_TEXT]}
        event |= {"call_id": None, "at_s": None}
        if self._call is not None and self._calling is not None and not self._calling.done():
            record = self._call.view.record
            event |= {"call_id": record.call_id, "at_s": round(record.call.now_s, 3)}
        self._lines.append(event)
        self._tell(event)

    def _hello(self) -> Event:
        return {
            "type": "hello",
            "url": self.url,
            "about": self._about,
            "runs_here": self._log is not None,
            "folder": str(self.shelf.folder),
            "phrases": list(PHRASES),
            "tries": list(TRIES),
            "reading": list(READING),
            "scenarios": scenarios(),
            "checks": [
                {"id": case.id, "title": case.title, "step": case.step, "topic": case.topic}
                for case in CASES
            ],
            "voice": self._sound.event(),
        }

    _DO: ClassVar[dict[type, Callable[..., None]]] = {
        commands.Hello: _refuse,
        commands.Hint: _hint,
        commands.Call: _place,
        commands.HangUp: _hang_up,
        commands.Say: _say,
        commands.Mumble: _mumble,
        commands.Press: _press,
        commands.SkipSilence: _skip_silence,
        commands.Heard: _heard,
        commands.Spoken: _spoken,
        commands.Microphone: _microphone,
        commands.UseVoice: _use_voice,
        commands.ListenHere: _listen_here,
        commands.GoWrong: _go_wrong,
        commands.Send: _send,
        commands.Play: _play,
        commands.Proofread: _proofread,
        commands.Check: _run_checks,
        commands.StopCheck: _stop_check,
        commands.ShowFrame: _show_frame,
        commands.OpenCall: _open_call,
        commands.ForgetCall: _forget_call,
        commands.Compare: _compare,
    }


def _whole(call_id: str, number: int, text: str) -> Event:
    return {"type": "whole", "call_id": call_id, "n": number, "text": text}


def _nothing() -> None:
    """Nothing is followed."""


def _soon(loop: asyncio.AbstractEventLoop, do: Callable[..., None], *arguments: object) -> None:
    """Do something on the loop of another thread, unless it is over."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(do, *arguments)
