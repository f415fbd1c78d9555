"""What all open pages share: the server that is called, the call, the checks, the calls on disk.

A page asks with a command; what comes of it is told to every page, so two of them show the same
call. The sound of a call comes to one of them only: to the one that asked last.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, Protocol

from llmws_tutorial import __version__
from llmws_tutorial.checks import CASES
from llmws_tutorial.dashboard import commands
from llmws_tutorial.dashboard.commands import AnyCommand, VoiceKind
from llmws_tutorial.dashboard.ears import Ears, Recogniser
from llmws_tutorial.dashboard.history import Shelf
from llmws_tutorial.dashboard.judging import CheckRun, compared, play_quietly, scenarios
from llmws_tutorial.dashboard.lesson import PHRASES, TRIES
from llmws_tutorial.dashboard.live_call import LiveCall
from llmws_tutorial.dashboard.mouth import NeuralVoice
from llmws_tutorial.dashboard.speaker import Speaker
from llmws_tutorial.dashboard.tab import Tab
from llmws_tutorial.dashboard.view import CallView, Event, whole
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator import new_record
from llmws_tutorial.simulator.address import dialled, hints, is_local
from llmws_tutorial.simulator.caller import Caller, Fault
from llmws_tutorial.simulator.judge import judge
from llmws_tutorial.simulator.playing import cast, fill
from llmws_tutorial.simulator.scenario import CallOf, Scenario, load

VOICE_S: Final = 5.0
"""How long a call waits for the agent's voice to be loaded (seconds)."""
MOST_LINES: Final = 2000
"""How many lines of the server's log a page is told when it comes."""
_log: Final = logging.getLogger(__name__)


class ServerLog(Protocol):
    """The log of a server that runs in this process."""

    def follow(self, told: Callable[[str], None]) -> None:
        """Have somebody told each line from now on, on any thread."""
        ...

    def __iter__(self) -> Any:
        """The lines so far."""
        ...


class Desk:
    """The state behind the pages of one dashboard; lives on one event loop.

    Attributes:
        url: the server that pages propose to call.
        shelf: the calls on disk.
    """

    def __init__(self, *, shelf: Shelf, url: str = "", log: ServerLog | None = None) -> None:
        """Prepare a desk; `open` has to follow on its event loop.

        Args:
            shelf: where calls are kept.
            url: the server that pages propose to call.
            log: the log of that server, if it runs in this process.
        """
        self.url = url
        self.shelf = shelf
        self._log = log
        self._lines: list[Event] = []
        self._tabs: set[Tab] = set()
        self._sounding: Tab | None = None
        self._kind: VoiceKind | None = None  # None: the best there is
        self._mouth: NeuralVoice | str = "the kit's voice is still being loaded"
        self._recogniser: Recogniser | str = "recognition is still being loaded"
        self._loading: asyncio.Task[None]
        self._ears: dict[Tab, Ears] = {}
        self._call: LiveCall | None = None
        self._calling: asyncio.Task[None] | None = None
        self._check: CheckRun | None = None
        self._checking: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Load what takes a moment, in the background, and follow the server's log."""
        self._loading = self._start(self._load_mouth())
        self._start(self._load_recogniser())
        if self._log is not None:
            loop = asyncio.get_running_loop()
            for line in self._log:
                self._take_line(line)
            self._log.follow(lambda line: _soon(loop, self._take_line, line))

    async def close(self) -> None:
        """End the call and everything else."""
        tasks = [*self._jobs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for ears in self._ears.values():
            ears.close()

    def welcome(self, tab: Tab) -> None:
        """Tell a page that has just come everything."""
        self._tabs.add(tab)
        tab.tell(self._hello())
        tab.tell_all(self._lines[-MOST_LINES:])
        if self._call is not None:
            tab.tell(self._call.view.snapshot())
        if self._check is not None:
            tab.tell_all(self._check.events())
        tab.tell({"type": "history", "calls": self.shelf.list()})
        if self._sounding is None:
            self._sound_to(tab)
        tab.tell({"type": "sounding", "here": self._sounding is tab})

    def leave(self, tab: Tab) -> None:
        """Forget a page that has gone; a call goes on, as others may watch or it comes back."""
        self._tabs.discard(tab)
        self._stop_listening(tab)
        if self._sounding is tab:
            self._sound_to(next(iter(self._tabs), None))

    def obey(self, tab: Tab, command: AnyCommand) -> None:
        """Do what a page asks for; what cannot be done is told to it in words."""
        try:
            self._DO[type(command)](self, tab, command)
        except SetupError as error:
            tab.tell({"type": "trouble", "text": str(error)})

    def hear(self, tab: Tab, sound: bytes) -> None:
        """Take sound of a page's microphone."""
        if tab in self._ears:
            self._ears[tab].take(sound)

    def _hint(self, tab: Tab, command: commands.Hint) -> None:
        try:
            dialled(command.url)
            found = hints(command.url)
        except SetupError as error:
            found = [str(error)]
        tab.tell({"type": "hints", "url": command.url, "hints": found})

    def _place(self, tab: Tab, command: commands.Call) -> None:
        if not self._may_dial(tab, command.url, command.confirmed, "call"):
            return
        self._begin(tab, CallView(new_record(), command.url))

    def _play(self, tab: Tab, command: commands.Play) -> None:
        scenario = load(command.name)
        if not self._may_dial(tab, command.url, command.confirmed, "play"):
            return
        if scenario.calls > 1:
            self._start(play_quietly(command.name, scenario, command.url, self._tell))
            return
        record, caller = cast(scenario)
        url = fill(command.url, (scenario.call or CallOf()).variables)
        view = CallView(record, url, title=scenario.scenario)
        task = self._begin(tab, view, caller, speed=command.speed)
        task.add_done_callback(lambda _: self._tell_outcome(command.name, scenario, view, caller))

    def _begin(
        self, tab: Tab, view: CallView, caller: Caller | None = None, speed: float = 1.0
    ) -> asyncio.Task[None]:
        """Place a call, in place of the one that may still go on."""
        if self._calling is not None:
            self._calling.cancel()
        speaker = Speaker()
        if speed == 1.0:
            view.record.call.voice = speaker
        self._call = call = LiveCall(view, speaker, tell=self._tell, shelf=self.shelf)
        self._sound_to(tab)
        self._tell(view.snapshot())

        async def run() -> None:
            if self._kind is None:
                view.stage = "the agent's voice is being loaded"
                await asyncio.wait([self._loading], timeout=VOICE_S)
            speaker.kind = self._voice_kind()
            speaker.mouth = self._mouth if isinstance(self._mouth, NeuralVoice) else None
            await call.run(caller, speed=speed)

        self._calling = self._start(run())
        self._calling.add_done_callback(lambda _: self._tell_history())
        return self._calling

    def _hang_up(self, tab: Tab, command: commands.HangUp) -> None:
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
        if self._call is not None and tab is self._sounding:
            self._call.speaker.report(command.piece, command.words)

    def _go_wrong(self, tab: Tab, command: commands.GoWrong) -> None:
        self._in_call().go_wrong(Fault(command.kind, seconds=command.seconds))

    def _send(self, tab: Tab, command: commands.Send) -> None:
        self._in_call().go_wrong(Fault("garble", text=command.text))

    def _in_call(self) -> LiveCall:
        if self._call is None or not self._call.is_open:
            raise SetupError("there is no call: make one first")
        return self._call

    def _microphone(self, tab: Tab, command: commands.Microphone) -> None:
        if not command.is_on:
            self._stop_listening(tab, is_turn_over=command.is_turn_over)
            return
        if isinstance(self._recogniser, str):
            raise SetupError(self._recogniser)
        if tab not in self._ears:
            self._ears[tab] = Ears(self._recogniser, self._take_voice)

    def _stop_listening(self, tab: Tab, *, is_turn_over: bool = False) -> None:
        if (ears := self._ears.pop(tab, None)) is not None:
            if is_turn_over:
                ears.finish()
            ears.close()

    def _take_voice(self, text: str, silent_s: float | None) -> None:
        self._tell({"type": "ears", "text": text, "is_over": silent_s is not None})
        if self._call is not None:
            self._call.hear(text, silent_s=silent_s)

    def _use_voice(self, tab: Tab, command: commands.UseVoice) -> None:
        if command.kind == "kit" and isinstance(self._mouth, str):
            raise SetupError(self._mouth)
        self._kind = command.kind
        self._sound_to(tab)
        self._tell(self._voice())

    def _listen_here(self, tab: Tab, command: commands.ListenHere) -> None:
        self._sound_to(tab)

    def _sound_to(self, tab: Tab | None) -> None:
        """Let the sound of the call come to a page."""
        before, self._sounding = self._sounding, tab
        if self._call is not None and self._call.speaker.listener is not tab:
            self._call.speaker.listen(tab)
        for one in {before, tab} - {None}:
            if one is not None and before is not tab:
                one.tell({"type": "sounding", "here": one is tab})

    def _run_checks(self, tab: Tab, command: commands.Check) -> None:
        if not self._may_dial(tab, command.url, command.confirmed, "check"):
            return
        if self._checking is not None:
            self._checking.cancel()
        self._check = CheckRun(command.url, command.prefixes, command.profile, tell=self._tell)
        self._checking = self._start(self._check.run())

    def _stop_check(self, tab: Tab, command: commands.StopCheck) -> None:
        if self._checking is not None:
            self._checking.cancel()

    def _show_frame(self, tab: Tab, command: commands.ShowFrame) -> None:
        record = None if self._call is None else self._call.view.record
        if record is not None and record.call_id == command.call_id:
            if command.number >= len(record.frames):
                raise SetupError(f"there is no frame {command.number} yet")
            text = whole(record.frames[command.number])
        else:
            text = self.shelf.frame(command.call_id, command.number)
        tab.tell({"type": "whole", "call_id": command.call_id, "n": command.number, "text": text})

    def _open_call(self, tab: Tab, command: commands.OpenCall) -> None:
        tab.tell(self.shelf.read(command.call_id))

    def _forget_call(self, tab: Tab, command: commands.ForgetCall) -> None:
        self.shelf.forget(command.call_id)
        self._tell_history()

    def _compare(self, tab: Tab, command: commands.Compare) -> None:
        tab.tell(compared(self.shelf, command.first, command.second))

    def _may_dial(self, tab: Tab, url: str, confirmed: bool, about: str) -> bool:
        """Whether a server may be dialled: on this machine always, elsewhere if confirmed."""
        dialled(url)  # what cannot be is refused in words
        if confirmed or is_local(url):
            return True
        tab.tell({"type": "confirm", "url": url, "about": about})
        return False

    def _tell(self, event: Event) -> None:
        for tab in self._tabs:
            tab.tell(event)

    def _tell_history(self) -> None:
        self._tell({"type": "history", "calls": self.shelf.list()})

    def _tell_outcome(self, name: str, scenario: Scenario, view: CallView, caller: Caller) -> None:
        wrongs = [view.trouble] if view.trouble else judge(scenario, view.record, caller.begun)
        self._tell({"type": "outcome", "name": name, "title": scenario.scenario, "wrongs": wrongs})

    def _take_line(self, line: str) -> None:
        at_s = None
        if self._call is not None and self._call.is_open:
            at_s = round(self._call.view.record.call.now_s, 3)
        event = {"type": "server_line", "n": len(self._lines), "at_s": at_s, "text": line}
        self._lines.append(event)
        self._tell(event)

    def _hello(self) -> Event:
        return {
            "type": "hello",
            "version": __version__,
            "url": self.url,
            "runs_here": self._log is not None,
            "folder": str(self.shelf.folder),
            "phrases": list(PHRASES),
            "tries": list(TRIES),
            "scenarios": scenarios(),
            "checks": [
                {"id": case.id, "title": case.title, "step": case.step, "topic": case.topic}
                for case in CASES
            ],
            "voice": self._voice(),
        }

    def _voice(self) -> Event:
        """Who speaks and who listens, and why not the best there is."""
        return {
            "type": "voice",
            "kind": self._voice_kind(),
            "is_chosen": self._kind is not None,
            "no_kit": self._mouth if isinstance(self._mouth, str) else "",
            "no_ears": self._recogniser if isinstance(self._recogniser, str) else "",
        }

    def _voice_kind(self) -> VoiceKind:
        if self._kind is not None:
            return self._kind
        return "captions" if isinstance(self._mouth, str) else "kit"

    async def _load_mouth(self) -> None:
        try:
            self._mouth = await asyncio.to_thread(NeuralVoice)
        except SetupError as error:
            self._mouth = str(error)
        self._tell(self._voice())

    async def _load_recogniser(self) -> None:
        await asyncio.wait([self._loading])  # whoever comes wants to hear first
        try:
            self._recogniser = await asyncio.to_thread(Recogniser)
        except SetupError as error:
            self._recogniser = str(error)
        self._tell(self._voice())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._jobs.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a defect of the dashboard", exc_info=error)
            text = f"a defect of the dashboard itself, please report it: {error!r:.300}"
            self._tell({"type": "trouble", "text": text})

    _DO: ClassVar[dict[type, Callable[..., None]]] = {
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
        commands.Check: _run_checks,
        commands.StopCheck: _stop_check,
        commands.ShowFrame: _show_frame,
        commands.OpenCall: _open_call,
        commands.ForgetCall: _forget_call,
        commands.Compare: _compare,
    }


def _soon(loop: asyncio.AbstractEventLoop, do: Callable[[str], None], line: str) -> None:
    """Do something on the loop of another thread, unless it is over."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(do, line)
