"""The kit's own voice: what it sounds like, what it does not speak, which weights it trusts."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmws_tutorial.dashboard.mouth import LONGEST, LONGEST_WORD, RATE, NeuralVoice
from llmws_tutorial.dashboard.speaker import Speaker
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator import Call
from tests.phone import piece


@pytest.fixture(scope="module")
def voice() -> NeuralVoice:
    pytest.importorskip("hibari")
    return NeuralVoice()


def loudness(sound: bytes) -> list[float]:
    """How loud each hundredth of a second is at most (1: full scale)."""
    np = pytest.importorskip("numpy")
    samples = np.abs(np.frombuffer(sound, "<i2") / 32767)
    size = RATE // 100
    return [float(samples[at : at + size].max()) for at in range(0, len(samples), size)]


def test_a_sentence_sounds_from_its_beginning_to_its_end(voice: NeuralVoice) -> None:
    loud = loudness(voice.sound("How may I help you?"))
    assert 0.6 < len(loud) / 100 < 1.5
    assert max(loud[:5]) > 0.01
    assert max(loud[-5:]) > 0.01
    assert max(loud) > 0.1


def test_the_same_words_sound_the_same(voice: NeuralVoice) -> None:
    assert voice.sound("Say it again.") == voice.sound("Say it again.")


def test_two_calls_may_speak_at_once(voice: NeuralVoice) -> None:
    texts = [f"This is sentence number {number}." for number in range(12)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(voice.sound, texts))
    assert together == [voice.sound(text) for text in texts]


@pytest.mark.parametrize("text", ["", "  \n", "...", "— !", "😀", "你好。", "\u202e\u0000"])
def test_what_has_no_letters_that_it_knows_has_no_sound(text: str, voice: NeuralVoice) -> None:
    assert voice.sound(text) == b""


def test_a_line_that_ends_is_no_pause(voice: NeuralVoice) -> None:
    assert voice.sound("Hello\n\nthere  friend.") == voice.sound("Hello there friend.")


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\ud800 half a sign", "12:30, $5 & 7%", "Ωμέγα 😀 ok"]
)
def test_strange_signs_do_not_silence_it(text: str, voice: NeuralVoice) -> None:
    assert voice.sound(text)


def test_of_a_text_without_an_end_it_speaks_the_beginning(voice: NeuralVoice) -> None:
    assert voice.sound("la " * 350_000) == voice.sound(("la " * 350_000)[:LONGEST])


def test_of_a_word_without_an_end_as_well(voice: NeuralVoice) -> None:
    word = "a-" * (LONGEST // 2)  # whole it would take a minute on a slow machine
    assert voice.sound(word) == voice.sound(word[:LONGEST_WORD])


def test_in_a_call_the_transcript_has_what_was_heard_by_now(voice: NeuralVoice) -> None:
    async def hold() -> tuple[str, str]:
        loop, sounds = asyncio.get_running_loop(), asyncio.Event()
        speaker = Speaker("kit", voice)
        speaker.go_on = sounds.set
        call = Call(voice=speaker)
        call.receive(piece(0, "How may I help you? I can do many things."))
        async with asyncio.timeout(10):
            await sounds.wait()
        began_s = loop.time()
        call.go_on()
        call.advance(0.7)
        in_mid_sentence = call.transcript[0].content
        call.caller_says("Stop!")
        speaker.close()
        assert loop.time() - began_s < 1
        return in_mid_sentence, call.transcript[0].content

    before, after = asyncio.run(hold())
    assert before == after
    assert before in ("How may I", "How may I help")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)
    with pytest.raises(SetupError, match=r"pip install 'llmws-tutorial\[lab\]'"):
        NeuralVoice()


def test_another_package_of_that_name_is_not_even_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hibari").mkdir()
    (tmp_path / "hibari" / "__init__.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.delitem(sys.modules, "hibari", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SetupError, match=r"hibari\.onnx .*sha256 no file"):
        NeuralVoice()
