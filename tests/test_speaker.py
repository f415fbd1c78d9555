"""The agent's voice in pieces: what is made ahead, what is heard, what is cut, what goes on."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llmws_tutorial.dashboard.commands import VoiceKind
from llmws_tutorial.dashboard.mouth import LONGEST, RATE
from llmws_tutorial.dashboard.speaker import AHEAD, PAUSE_S, REPORT_S, Speaker
from llmws_tutorial.simulator.turn import Turn
from tests.virtual_time import run_virtually

LETTER_S = 0.1
WORD_S = 1 / 3


class Drone:
    """A voice that hums for as long as a text has letters, and cannot speak anything else."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.may_speak = threading.Event()
        self.may_speak.set()

    def sound(self, text: str) -> bytes:
        assert self.may_speak.wait(10)
        self.texts.append(text)
        if "cough" in text:
            raise RuntimeError("no voice today")
        is_speech = any(sign.isascii() and sign.isalpha() for sign in text)
        return b"\x01\x00" * round(LETTER_S * RATE) * len(text) * is_speech


class Page:
    """A page that listens."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.sounds: dict[int, int] = {}

    def tell(self, event: dict[str, Any]) -> None:
        self.told.append(event)

    def play(self, piece: int, sound: bytes) -> None:
        self.told.append({"type": "sound", "piece": piece})
        self.sounds[piece] = len(sound)

    @property
    def spoken(self) -> list[tuple[Any, ...]]:
        """What it was told, the first fields of it."""
        fields = ("piece", "offset_s", "from_word")
        return [
            (event["type"], *(event[name] for name in fields if name in event))
            for event in self.told
        ]


class Phone:
    """Asks for word after word, as a call does, and notes when each one was over."""

    def __init__(self, kind: VoiceKind = "kit") -> None:
        self.drone, self.page = Drone(), Page()
        self.speaker = Speaker(kind, self.drone)
        self.speaker.listen(self.page)
        self.news = asyncio.Event()
        self.speaker.go_on = self.news.set
        self.words: list[tuple[str, float]] = []

    async def hear(self, turn: Turn, words: int = 10**9) -> None:
        """Hear so many words more of a turn, or all that may be spoken."""
        while words and turn.speech.next_at is not None:
            seconds = self.speaker.say(turn)
            if seconds is None:
                await self.news.wait()
                self.news.clear()
                continue
            await asyncio.sleep(seconds)
            now_s = round(asyncio.get_running_loop().time() + 1e-9, 2)
            self.words.append((turn.speech.hear(), now_s))
            words -= 1


def turn_of(*contents: str, is_last: bool = True) -> Turn:
    turn = Turn("response", 1, asked_at_s=0.0)
    add(turn, *contents, is_last=is_last)
    return turn


def add(turn: Turn, *contents: str, is_last: bool = False) -> None:
    for number, content in enumerate(contents, 1):
        is_end = is_last and number == len(contents)
        turn.speech.add(content, is_last=is_end, is_protected=False)


def on(phone: Callable[[], Phone], script: Callable[[Phone], Awaitable[None]]) -> Phone:
    """Play a script on a phone, in virtual time."""

    async def play() -> Phone:
        held = phone()
        try:
            await script(held)
        finally:
            held.speaker.close()
        return held

    return run_virtually(play())


def heard(*contents: str, kind: VoiceKind = "kit") -> Phone:
    async def script(phone: Phone) -> None:
        await phone.hear(turn_of(*contents))

    return on(lambda: Phone(kind), script)


def test_words_take_their_share_of_the_sound_of_their_sentence() -> None:
    assert heard("Yes we do.").words == [("Yes", 0.38), ("we", 0.69), ("do.", 1.0)]


def test_a_page_gets_a_piece_with_its_sound_and_is_told_when_it_begins() -> None:
    phone = heard("Yes we do.")
    assert phone.page.spoken == [("piece", 0), ("sound", 0), ("speak", 0, 0.0, 0)]
    piece = {"piece": 0, "text": "Yes we do.", "starts": [0, 4, 7], "voice": "kit"}
    assert phone.page.told[0] == {"type": "piece", **piece}
    assert phone.page.sounds == {0: 10 * round(LETTER_S * RATE) * 2}


def test_between_two_sentences_there_is_a_pause_and_none_before_the_first_and_behind_the_last() -> (
    None
):
    phone = heard("No. Yes.")
    assert phone.words == [("No.", 0.3), ("Yes.", round(0.3 + PAUSE_S + 0.5, 2))]
    assert [event for event in phone.page.spoken if event[0] == "speak"] == [
        ("speak", 0, 0.0, 0),
        ("speak", 1, -PAUSE_S, 0),
    ]


def test_words_of_a_later_sentence_are_counted_from_its_own_beginning() -> None:
    phone = heard("No. Yes we do.")
    told = [event for event in phone.page.told if event["type"] == "piece"]
    assert [(event["text"], event["starts"]) for event in told] == [
        ("No.", [0]),
        (" Yes we do.", [1, 5, 8]),
    ]


def test_a_sentence_is_spoken_while_the_next_one_is_still_streaming() -> None:
    async def script(phone: Phone) -> None:
        turn = turn_of("I see. And", is_last=False)
        await phone.hear(turn)
        await asyncio.sleep(5)
        add(turn, " so?", is_last=True)
        await phone.hear(turn)

    phone = on(Phone, script)
    assert phone.words == [("I", 0.23), ("see.", 0.6), ("And", 6.08), ("so?", 6.4)]
    assert phone.drone.texts == ["I see.", " And so?"]


def test_no_more_is_made_to_sound_than_a_few_pieces_ahead() -> None:
    async def script(phone: Phone) -> None:
        await phone.hear(turn_of("A. B. C. D. E. F."), words=1)
        await asyncio.sleep(0)

    texts = on(Phone, script).drone.texts
    assert "A." in texts
    assert len(texts) <= AHEAD


def test_a_caller_who_talks_over_it_makes_it_stop_and_the_rest_is_never_spoken() -> None:
    async def script(phone: Phone) -> None:
        turn = turn_of("One two three. Four. Five. Six.")
        await phone.hear(turn, words=1)
        phone.drone.may_speak.clear()
        phone.speaker.hush(turn)
        phone.drone.may_speak.set()

    phone = on(Phone, script)
    assert phone.page.spoken[-1] == ("hush",)
    assert [word for word, _ in phone.words] == ["One"]
    assert "Six." not in "".join(phone.drone.texts)


def test_a_sound_that_comes_after_its_turn_was_stopped_goes_nowhere() -> None:
    async def script(phone: Phone) -> None:
        turn = turn_of("Never heard.")
        phone.drone.may_speak.clear()
        assert phone.speaker.say(turn) is None
        phone.speaker.hush(turn)
        phone.drone.may_speak.set()
        await phone.hear(turn_of("Heard."))

    phone = on(Phone, script)
    assert [word for word, _ in phone.words] == ["Heard."]
    pieces = [event["text"] for event in phone.page.told if event["type"] == "piece"]
    assert pieces == ["Heard."]


def test_a_turn_that_another_one_supersedes_unheard_is_not_spoken() -> None:
    async def script(phone: Phone) -> None:
        phone.drone.may_speak.clear()
        assert phone.speaker.say(turn_of("Old news. Older news.")) is None
        new = turn_of("New.")
        assert phone.speaker.say(new) is None
        phone.drone.may_speak.set()
        await phone.hear(new)

    phone = on(Phone, script)
    assert phone.page.spoken == [("piece", 2), ("sound", 2), ("speak", 2, 0.0, 0)]


def test_a_page_that_is_reloaded_in_mid_sentence_goes_on_where_the_call_is() -> None:
    again = Page()

    async def script(phone: Phone) -> None:
        turn = turn_of("One two three. Four.")
        await phone.hear(turn, words=1)
        phone.speaker.listen(None)
        await phone.hear(turn, words=1)
        phone.speaker.listen(again)
        await phone.hear(turn)

    phone = on(Phone, script)
    assert [word for word, _ in phone.words] == ["One", "two", "three.", "Four."]
    assert phone.page.spoken[-1] == ("hush",)
    assert again.spoken[:2] == [("piece", 0), ("sound", 0)]
    kind, piece, offset_s, from_word = again.spoken[2]
    assert (kind, piece, from_word) == ("speak", 0, 2)
    assert offset_s == pytest.approx(phone.words[1][1], abs=0.01)
    assert ("speak", 1, -PAUSE_S, 0) in again.spoken


def test_a_page_that_comes_when_nobody_speaks_is_told_nothing() -> None:
    late, later = Page(), Page()

    async def script(phone: Phone) -> None:
        phone.speaker.listen(late)
        turn = turn_of("Done.")
        await phone.hear(turn)
        phone.speaker.listen(later)

    on(Phone, script)
    assert [event[0] for event in late.spoken] == ["piece", "sound", "speak", "hush"]
    assert later.spoken == []


def test_what_was_spoken_before_is_not_handed_to_a_page_that_comes() -> None:
    again = Page()

    async def script(phone: Phone) -> None:
        await phone.hear(turn := turn_of("One. Two three."), words=2)
        phone.speaker.listen(again)
        await phone.hear(turn)

    on(Phone, script)
    assert [event["piece"] for event in again.told if event["type"] == "piece"] == [1]


def test_a_sentence_that_is_still_being_made_to_sound_comes_to_the_new_page() -> None:
    again = Page()

    async def script(phone: Phone) -> None:
        turn = turn_of("Yes.")
        phone.drone.may_speak.clear()
        assert phone.speaker.say(turn) is None
        phone.speaker.listen(again)
        phone.drone.may_speak.set()
        await phone.hear(turn)

    on(Phone, script)
    assert again.spoken == [("piece", 0), ("sound", 0), ("speak", 0, 0.0, 0)]


def test_a_call_that_nobody_listens_to_goes_on_as_fast() -> None:
    async def script(phone: Phone) -> None:
        phone.speaker.listen(None)
        await phone.hear(turn_of("Yes we do."))

    assert on(Phone, script).words[-1] == ("do.", 1.0)


def test_a_voice_that_fails_is_logged_and_the_words_pass_unspoken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone = heard("A cough comes. Then no more.")
    assert [word for word, _ in phone.words][:3] == ["A", "cough", "comes."]
    assert phone.words[2][1] == 1.0
    assert ("sound", 0) not in phone.page.spoken
    assert ("sound", 1) in phone.page.spoken
    assert "the kit's voice failed in piece 0" in caplog.text
    assert "cough" not in caplog.messages[0]  # what was said is nobody's business


def test_a_sound_that_was_just_made_when_its_turn_is_stopped_goes_nowhere_either() -> None:
    async def script(phone: Phone) -> None:
        turn = turn_of("Never heard.")
        phone.speaker.say(turn)
        work = phone.speaker._pieces[0].work
        while work is not None and not work.done():  # noqa: ASYNC110 - before its callbacks run
            await asyncio.sleep(0)
        phone.speaker.hush(turn)
        await asyncio.sleep(0)

    assert on(Phone, script).page.spoken == [("hush",)]


@pytest.mark.parametrize("text", ["你好。再见。", "😀 👍", "— …", "\u202e!"])
def test_what_has_no_sound_is_shown_for_as_long_as_it_takes_to_read(text: str) -> None:
    phone = heard(text)
    assert "".join(word for word, _ in phone.words) == text.replace(" ", "")
    assert phone.words[-1][1] >= round(WORD_S, 2)


@pytest.mark.parametrize("text", ["", "  \n "])
def test_a_turn_without_words_has_no_pieces(text: str) -> None:
    phone = heard(text)
    assert (phone.words, phone.page.told) == ([], [])


def test_the_blank_behind_the_last_sentence_is_no_piece() -> None:
    phone = heard("Yes. ", " \n")
    assert [event["text"] for event in phone.page.told if event["type"] == "piece"] == ["Yes."]


def test_a_long_sentence_is_cut_between_two_words() -> None:
    text = " ".join(f"word{number}" for number in range(200)) + "."
    phone = heard(text, kind="captions")
    pieces = [event["text"] for event in phone.page.told if event["type"] == "piece"]
    assert "".join(pieces) == text
    assert all(len(piece) <= LONGEST for piece in pieces)
    assert [word for word, _ in phone.words] == text.split()


def test_of_a_text_that_never_ends_no_more_is_cut_than_is_spoken_soon() -> None:
    text = "Hi, you. " * 1000 + "x" * 50_000 + ". " + "Hi. " * 1000 + " " * 50_000

    async def script(phone: Phone) -> None:
        turn = turn_of(text)
        await phone.hear(turn, words=1)
        assert len(phone.speaker._pieces) < 500
        await phone.hear(turn)

    phone = on(lambda: Phone("captions"), script)
    assert [word for word, _ in phone.words] == text.split()
    pieces = [event for event in phone.page.told if event["type"] == "piece"]
    assert [event["piece"] for event in pieces] == list(range(2001))


def test_blanks_without_end_are_no_piece_of_their_own() -> None:
    phone = heard(" " * 10_000, "Hi." + " " * 10_000, kind="captions")
    assert [word for word, _ in phone.words] == ["Hi."]


def test_a_word_of_a_million_letters_is_one_word_of_which_the_page_gets_the_beginning() -> None:
    phone = heard("x" * 2**20 + " and on.")
    assert [len(word) for word, _ in phone.words] == [2**20, 3, 3]
    assert len(phone.page.told[0]["text"]) == LONGEST
    assert phone.drone.texts[0] == "x" * LONGEST


def test_without_a_mouth_the_words_of_the_kits_voice_pass_unspoken() -> None:
    async def script(phone: Phone) -> None:
        phone.speaker.mouth = None
        await phone.hear(turn_of("Yes we do."))

    assert on(Phone, script).words[-1] == ("do.", 1.0)


def test_captions_take_the_same_time_for_each_word() -> None:
    phone = heard("No. Yes we do.", kind="captions")
    assert [at_s for _, at_s in phone.words] == [0.33, 0.67, 1.0, 1.33]
    assert phone.drone.texts == []
    assert [event for event in phone.page.spoken if event[0] == "speak"] == [
        ("speak", 0, 0.0, 0),
        ("speak", 1, 0.0, 0),
    ]


def test_the_browsers_voice_is_followed_by_what_it_reports() -> None:
    async def script(phone: Phone) -> None:
        turn = turn_of("Yes we do.")
        assert phone.speaker.say(turn) is None
        hearing = asyncio.create_task(phone.hear(turn))
        for words in (1, 2, 2, 3):
            await asyncio.sleep(1)
            phone.speaker.report(0, words)
        await hearing

    phone = on(lambda: Phone("browser"), script)
    assert phone.words == [("Yes", 1.33), ("we", 2.33), ("do.", 4.33)]


def test_a_browser_that_skips_ahead_is_caught_up_with() -> None:
    async def script(phone: Phone) -> None:
        hearing = asyncio.create_task(phone.hear(turn_of("Yes we do.")))
        await asyncio.sleep(1)
        phone.speaker.report(0, 99)
        await hearing

    phone = on(lambda: Phone("browser"), script)
    assert phone.words == [("Yes", 1.0), ("we", 1.0), ("do.", 1.33)]


def test_a_browser_that_reports_nothing_is_not_waited_for_for_ever() -> None:
    phone = heard("Yes we do.", kind="browser")
    assert phone.words[0] == ("Yes", round(REPORT_S + WORD_S, 2))
    assert phone.words[-1] == ("do.", round(REPORT_S + 1, 2))


def test_a_browser_that_reports_nothing_new_is_not_waited_for_for_ever() -> None:
    async def script(phone: Phone) -> None:
        hearing = asyncio.create_task(phone.hear(turn_of("Yes we do.")))
        while not hearing.done():
            await asyncio.sleep(1)
            phone.speaker.report(0, 0)

    assert on(lambda: Phone("browser"), script).words[-1] == ("do.", round(REPORT_S + 1, 2))


def test_where_no_browser_listens_nobody_waits_for_its_report() -> None:
    async def script(phone: Phone) -> None:
        phone.speaker.listen(None)
        await phone.hear(turn_of("Yes we do."))

    assert on(lambda: Phone("browser"), script).words[-1] == ("do.", 1.0)


def test_the_browsers_voice_goes_on_with_the_word_where_the_call_is() -> None:
    again = Page()

    async def script(phone: Phone) -> None:
        turn = turn_of("Yes we do.")
        hearing = asyncio.create_task(phone.hear(turn))
        await asyncio.sleep(0)
        phone.speaker.report(0, 1)
        await asyncio.sleep(1)
        phone.speaker.listen(again)
        await hearing

    on(lambda: Phone("browser"), script)
    assert [event[::3] for event in again.spoken if event[0] == "speak"] == [("speak", 1)]


def test_reports_about_anything_else_are_nothing() -> None:
    async def script(phone: Phone) -> None:
        turn = turn_of("Yes. No.")
        phone.speaker.report(0, 1)  # nothing was said yet
        phone.speaker.say(turn)
        phone.speaker.report(1, 1)  # it has not begun
        phone.speaker.report(7, 1)  # there is none
        assert not phone.news.is_set()
        phone.speaker.hush(turn)
        phone.speaker.report(0, 1)  # it was stopped
        assert not phone.news.is_set()

    on(lambda: Phone("browser"), script)


def test_the_kits_voice_needs_no_reports() -> None:
    async def script(phone: Phone) -> None:
        phone.speaker.report(0, 1)
        await phone.hear(turn_of("Yes."))
        phone.speaker.report(0, 1)

    assert on(Phone, script).words == [("Yes.", 0.4)]


def test_it_adds_nothing_to_the_wait_for_the_sound() -> None:
    async def script(phone: Phone) -> None:
        assert phone.speaker.delay_s(turn_of("Yes.")) == 0.0

    on(Phone, script)


def test_hour_long_calls_keep_no_sound_that_was_heard() -> None:
    async def script(phone: Phone) -> None:
        await phone.hear(turn := turn_of("One. Two. Three."))
        kept = [piece.sound for piece in phone.speaker._pieces]
        assert kept[:2] == [None, None]
        phone.speaker.say(turn_of("Next."))
        assert turn.speech.is_over

    on(Phone, script)
