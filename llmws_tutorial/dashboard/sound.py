"""Who speaks and who listens in a call, and on which page it sounds.

The sound of a call comes to one page only: to the one that asked last. Each page may have a
microphone. What the kit needs to speak and to listen is loaded on a thread, one after the other:
whoever comes wants to hear first.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from weakref import WeakSet

from llmws_tutorial.dashboard.commands import Spoken, VoiceKind
from llmws_tutorial.dashboard.ears import Ears, Recogniser, Recognising, Told
from llmws_tutorial.dashboard.mouth import NeuralVoice
from llmws_tutorial.dashboard.speaker import Sounding, Speaker
from llmws_tutorial.dashboard.tab import Tab
from llmws_tutorial.dashboard.view import Event
from llmws_tutorial.errors import LlmwsError, SetupError

LOADING_S: Final = 5.0
"""How long a call waits for the agent's voice to be loaded (seconds)."""


class Sound:
    """The voice and the ears of a dashboard; lives on one event loop.

    Attributes:
        kind: who speaks from the next call on.
    """

    def __init__(
        self,
        *,
        load_mouth: Callable[[], Sounding] = NeuralVoice,
        load_recogniser: Callable[[], Recognising] = Recogniser,
    ) -> None:
        """Prepare; `load` has to follow on the event loop.

        Args:
            load_mouth: makes the kit's own voice, on a thread.
            load_recogniser: makes what recognises the caller's voice, on a thread.
        """
        self._load_mouth = load_mouth
        self._load_recogniser = load_recogniser
        self._worker = ThreadPoolExecutor(1, "llmws loading")
        self._mouth: Sounding | None = None
        self._recogniser: Recognising | None = None
        self._no_mouth = "the kit's voice is still being loaded"
        self._no_ears = "recognition is still being loaded"
        self._kind: VoiceKind | None = None  # None: the best there is
        self._is_loaded = asyncio.Event()
        self._are_ears_loading = True
        self._listener: Tab | None = None
        self._speaker: Speaker | None = None
        self._every: WeakSet[Ears] = WeakSet()  # also those that are about to finish
        self._ears: dict[Tab, Ears] = {}  # of those whose microphone is on

    @property
    def kind(self) -> VoiceKind:
        """Who speaks from the next call on: who was chosen, else the best there is."""
        return self._kind or ("captions" if self._mouth is None else "kit")

    @property
    def must_load(self) -> bool:
        """Whether a call has to wait for who is to speak."""
        return self._kind is None and not self._is_loaded.is_set()

    async def load(self, told: Callable[[], None]) -> None:
        """Load the voice, then the recogniser.

        Args:
            told: called whenever `event` has changed.
        """
        loop = asyncio.get_running_loop()
        loaded = await loop.run_in_executor(self._worker, _tried, self._load_mouth)
        self._take_mouth(*loaded)
        told()
        loaded = await loop.run_in_executor(self._worker, _tried, self._load_recogniser)
        self._take_recogniser(*loaded)
        told()

    async def loaded(self) -> None:
        """Wait for the agent's voice, if it is wanted; not for ever."""
        if self.must_load:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOADING_S):
                    await self._is_loaded.wait()

    def close(self) -> None:
        """Stop for good."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        for ears in self._every:
            ears.close()

    def event(self) -> Event:
        """Who speaks and who listens, and why not the best there is."""
        return {
            "type": "voice",
            "kind": self.kind,
            "is_chosen": self._kind is not None,
            "is_loading": not self._is_loaded.is_set(),
            "no_kit": self._no_mouth,
            "no_ears": self._no_ears,
            "are_ears_loading": self._are_ears_loading,
        }

    def choose(self, kind: VoiceKind) -> None:
        """Let somebody speak from the next call on.

        Raises:
            SetupError: when that voice is not there.
        """
        if kind == "kit" and self._mouth is None:
            raise SetupError(self._no_mouth)
        self._kind = kind

    def begin(self) -> Speaker:
        """The agent's voice in a new call; the sound of the one before is over."""
        if self._speaker is not None:
            self._speaker.listen(None)
        self._speaker = Speaker()
        return self._speaker

    def equip(self, speaker: Speaker) -> None:
        """Give the agent's voice what it needs to speak, as it was chosen by now."""
        speaker.kind = self.kind
        speaker.mouth = self._mouth

    def come_to(self, tab: Tab | None) -> None:
        """Let the sound of the call come to a page, or to none."""
        before, self._listener = self._listener, tab
        if self._speaker is not None and self._speaker.listener is not tab:
            self._speaker.listen(tab)
        if before is not tab:
            for one in (before, tab):
                if one is not None:
                    self.tell_place(one)

    def tell_place(self, tab: Tab) -> None:
        """Tell a page whether the sound comes to it."""
        tab.tell({"type": "sounding", "here": tab is self._listener})

    def welcome(self, tab: Tab) -> None:
        """Take in a page that has just come: it hears the call, if no other does."""
        if self._listener is None:
            self.come_to(tab)
        else:
            self.tell_place(tab)

    def leave(self, tab: Tab, others: list[Tab]) -> None:
        """Forget a page that has gone; the latest of the others hears the call."""
        self.switch_off(tab)
        if self._listener is tab:
            self.come_to(others[-1] if others else None)

    def report(self, tab: Tab, spoken: Spoken) -> None:
        """Take how far the browser's own voice has come, from the page that it sounds on."""
        if self._speaker is not None and tab is self._listener:
            self._speaker.report(spoken.piece, spoken.words)

    def switch_on(self, tab: Tab, told: Told) -> None:
        """Listen to the microphone of a page.

        Raises:
            SetupError: when nothing here can listen.
        """
        if self._recogniser is None:
            raise SetupError(self._no_ears)
        if tab not in self._ears:
            ears = Ears(self._recogniser, told, lambda error: self._lose(tab, ears, error))
            self._ears[tab] = ears
            self._every.add(ears)

    def switch_off(self, tab: Tab, *, is_turn_over: bool = False) -> None:
        """Listen to a page no more.

        Args:
            tab: the page.
            is_turn_over: whether what was said last is still to be recognised.
        """
        ears = self._ears.pop(tab, None)
        if ears is not None and is_turn_over:
            ears.finish()  # it closes itself once it has told the rest
        elif ears is not None:
            ears.close()

    def hear(self, tab: Tab, sound: bytes) -> None:
        """Take sound of a page's microphone, if it is on."""
        if tab in self._ears:
            self._ears[tab].take(sound)

    def _lose(self, tab: Tab, ears: Ears, error: BaseException) -> None:
        """Tell a page that its ears have failed, and that its microphone is off."""
        tab.tell(
            {"type": "trouble", "text": f"the ears failed: {error!r:.300}; talk again, or type"}
        )
        if self._ears.get(tab) is ears:  # else they were about to finish, and others listen by now
            del self._ears[tab]
            tab.tell({"type": "deaf"})

    def _take_mouth(self, mouth: Sounding | None, trouble: str) -> None:
        self._mouth, self._no_mouth = mouth, trouble
        self._is_loaded.set()

    def _take_recogniser(self, recogniser: Recognising | None, trouble: str) -> None:
        self._recogniser, self._no_ears = recogniser, trouble
        self._are_ears_loading = False


def _tried(load: Callable[[], Any]) -> tuple[Any, str]:
    """What was loaded, or None and why it could not be."""
    try:
        return load(), ""
    except LlmwsError as error:
        return None, str(error)
    except Exception as error:  # of another's library, which may be broken in any way
        return None, f"it is installed, and does not work here: {error!r:.300}"
