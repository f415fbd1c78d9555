"""Sound in these tests: what the microphone hears is made here, what the page plays comes here."""

import base64
import re
import wave
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

import numpy as np
from fastapi.responses import FileResponse
from numpy.typing import NDArray
from playwright.sync_api import Page

from llmws_tutorial.dashboard import ears, mouth
from llmws_tutorial.dashboard.access import App, Receive, Scope, Send
from llmws_tutorial.dashboard.ears import Recogniser
from llmws_tutorial.dashboard.mouth import NeuralVoice

MICROPHONE_RATE: Final = 48_000
QUIET: Final = 0.01
"""What is less than this is no sound (of full scale)."""
GAP_S: Final = 0.15
"""A silence that is shorter is within a word."""
TAP: Final = Path(__file__).with_name("sound_tap.js")
TAP_WORKLET: Final = TAP.with_name("sound_tap_worklet.js")
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """What a page has played.

    Attributes:
        samples: all of it, with the silence between.
        rate: how many samples a second.
        began_ms: when it began (milliseconds since 1970).
    """

    samples: Samples
    rate: int
    began_ms: float

    @property
    def spans_ms(self) -> list[tuple[float, float]]:
        """From when to when there was sound, without the gaps within words."""
        loud = np.flatnonzero(np.abs(self.samples) > QUIET)
        if not len(loud):
            return []
        edges = np.flatnonzero(np.diff(loud) > GAP_S * self.rate)
        starts, ends = loud[[0, *(edges + 1)]], loud[[*edges, -1]]
        at_ms = [self.began_ms + 1000 * index / self.rate for index in (*starts, *ends)]
        return list(zip(at_ms[: len(starts)], at_ms[len(starts) :], strict=True))

    @property
    def lasted_s(self) -> float:
        """How long there was sound, in all."""
        return sum(end - start for start, end in self.spans_ms) / 1000

    def between(self, start_ms: float, end_ms: float) -> "Sound":
        """The part of it from one time to another."""
        at = [round((one - self.began_ms) / 1000 * self.rate) for one in (start_ms, end_ms)]
        first, last = (min(max(place, 0), len(self.samples)) for place in at)
        return Sound(self.samples[first:last], self.rate, self.began_ms + 1000 * first / self.rate)

    def words(self, recogniser: Recogniser) -> str:
        """What is said in it, in small letters, without punctuation."""
        heard = resampled(self.samples, self.rate, ears.RATE)
        return plain(recogniser.text((np.clip(heard, -1, 1) * 32767).astype("<i2").tobytes()))


def tapped(app: App) -> App:
    """Serve the tap's file beside an app's own: a worklet comes from where its page does."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_worklet = scope.get("path", "").endswith(f"/{TAP_WORKLET.name}")
        await (FileResponse(TAP_WORKLET) if is_worklet else app)(scope, receive, send)

    return serve


def played(page: Page) -> Sound:
    """All that a page has played since it was opened."""
    told: dict[str, Any] = page.evaluate("soundTap.take()")
    blocks = [(at, np.frombuffer(base64.b64decode(data), "<f4")) for at, data in told["blocks"]]
    if not blocks:
        return Sound(np.zeros(0, np.float32), MICROPHONE_RATE, 0)
    rate, began_ms = int(told["rate"]), blocks[0][0]
    places = [round((at - began_ms) / 1000 * rate) for at, _ in blocks]
    samples = np.zeros(max(places) + len(blocks[0][1]), np.float32)
    for place, (_, block) in zip(places, blocks, strict=True):
        samples[max(place, 0) :][: len(block)] = block
    return Sound(samples, rate, began_ms)


def write_recording(path: Path, voice: NeuralVoice, *parts: str | float) -> list[float]:
    """Write what a microphone is to hear: sentences, and silences in seconds.

    Returns:
        When each sentence is over (seconds from the beginning).
    """
    sounds, ends = [], []
    for part in parts:
        if isinstance(part, str):
            spoken = np.frombuffer(voice.sound(part), "<i2").astype(np.float32)
            sounds.append(resampled(spoken, mouth.RATE, MICROPHONE_RATE))
            ends.append(sum(map(len, sounds)) / MICROPHONE_RATE)
        else:
            sounds.append(np.zeros(round(part * MICROPHONE_RATE), np.float32))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_RATE)
        file.writeframes(np.concatenate(sounds).astype("<i2").tobytes())
    return ends


def plain(text: str) -> str:
    """A text as it is compared: in small letters, without punctuation, nothing contracted."""
    return " ".join(re.findall("[a-z0-9]+", text.lower().replace("i'm", "i am")))


def likeness(first: str, second: str) -> float:
    """How alike two texts are, word by word (0 to 1)."""
    return SequenceMatcher(None, plain(first).split(), plain(second).split()).ratio()


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """The same sound at another rate; on the way down, what cannot be heard there is taken out."""
    width = max(round(rate / wanted), 1)
    smooth = np.convolve(samples, np.full(width, 1 / width), "same") if width > 1 else samples
    at = np.arange(0, len(samples), rate / wanted)
    return np.asarray(np.interp(at, np.arange(len(samples)), smooth), np.float32)
