"""What the agent says, judged: what fails, and above all what does not."""

from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from llmws_tutorial.checks import Verdict
from llmws_tutorial.checks.catalogue import select
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.samples.right import Json, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
from llmws_tutorial.checks.samples.speech import WRONG
from tests.by_hand import on_request, piece, ruling, says, server
from tests.judging import findings_about

SPEAKABLE = [
    "Press the # key, or * for help.",
    "That is 2 * 3 * 4, and snake_case_too.",
    "It costs $5 - no, $6.",
    "We open at 9.\nPlease come in time.",
    "2. That is the answer.",
    "It's 10.5 percent (more or less).",
    "Écoutez: ça coûte 5 €, c'est tout !",
    "お元気ですか。はい。",
    "Write to help at example dot com, or go to example.com.",
    "A * B * C",
    "If a < b, then b > a.",
    'One moment. <break time="1s"/> Here it is.',
    'He said "yes", and then "no".',
    "That day [a Monday] is {almost} free.",
]
UNSPEAKABLE = {
    "a heading": "# Opening hours\nWe open at nine.",
    "bold or italic print": "We open at **nine**.",
    "code": "Type `exit` to leave.",
    "a bullet": "We have:\n- apples\n- pears",
    "a numbered list": "First:\n1. Call us.\n2. Wait.",
    "a table": "| day | time |\n| --- | --- |",
    "a link": "See https://example.com/help.",
    "a tag": "<think>The caller is late.</think> We are open.",
    "an empty variable": "Hello {{name}}, how are you?",
    "JSON": 'Your table: {"day": "Monday", "time": 9}.',
    "an emoji": "With pleasure \U0001f600",
}
FURTHER = {
    "It is *very* good.": "bold or italic print",
    "It is __very__ good.": "bold or italic print",
    "```\nexit\n```": "code",
    "\u2022 apples": "a bullet",
    "* apples": "a bullet",
    "1) Call us.\n\n2) Wait.": "a numbered list",
    "See [our page](example.com/help).": "a link",
    "See www.example.com.": "a link",
    "Done \u2705": "an emoji",
    "Hello ${name}, how are you?": "an empty variable",
    "Hello undefined, how are you?": "an empty variable",
    "You said [object Object].": "an empty variable",
    "We are <b>open</b>.": "a tag",
    '["Monday", "Tuesday"]': "JSON",
}


@pytest.mark.parametrize("text", SPEAKABLE)
def test_plain_words_can_be_spoken(text: str) -> None:
    assert ruling("speech/1", server(says(text))) == "ok"


@pytest.mark.parametrize(
    ("text", "name"), [*((text, name) for name, text in UNSPEAKABLE.items()), *FURTHER.items()]
)
def test_what_is_written_for_the_eye_cannot_be_spoken(text: str, name: str) -> None:
    found = ruling("speech/1", server(says(text)))
    assert found.startswith(f"failed: expected words only, got {name}: ")


def test_what_cannot_be_spoken_is_shown_with_the_words_around_it() -> None:
    found = ruling("speech/1", server(says("We open at **ni", "ne**, as always and every day.")))
    assert found == (
        "failed: expected words only, got bold or italic print: 'We open at **nine**, as always '"
    )


def test_what_is_dropped_is_not_spoken() -> None:
    stale = server(on_request(lambda one: [piece(99, "**No**"), piece(one, "Yes.")]))
    assert ruling("speech/1", stale) == "ok"
    assert ruling("speech/2", stale) == "ok"


def test_a_flood_of_odd_signs_is_judged_as_well() -> None:
    flood = "\n" * 20_000 + "|" * 20_000 + "__a" * 2_000 + "** " * 2_000 + " " * 20_000
    assert "bold" in ruling("speech/1", server(says(flood + "**a**")))


@pytest.mark.parametrize(
    "pieces",
    [
        ("I see. ", "What is it?"),
        ("I see.", " What is it?"),
        ("I see.\n", "What is it?"),
        ("In the U.", "S. and abroad."),
        ("At 3 p.", "m. it is 3.", "5 percent."),
        ("Go to example.", "com."),
        ("See Node.", "JS."),
        ("I see", ".", " What"),
        ("Hel", "lo", "World"),
        ("I see.", ""),
        ("", "I see."),
        ("Really?", "!"),
        ("ですか。", "はい"),
    ],
)
def test_pieces_that_may_be_meant_so_pass(pieces: tuple[str, ...]) -> None:
    assert ruling("speech/2", server(says(*pieces))) == "ok"


@pytest.mark.parametrize(
    ("pieces", "joint"),
    [
        (("I see.", "What is it?"), "'I see.What is it?'"),
        (("I see", ".", "What", " is it?"), "'I see.What'"),
        (("Really?", "", "I do."), "'Really?I do.'"),
        (("Hm!", "A man called."), "'Hm!A man called.'"),
        (('He said "yes."', "Über"), "'He said \"yes.\"Über'"),
        (("Now I know what it is all about.", "I'm sure of it, as I said."),
         "\"hat it is all about.I'm sure of it, as I\""),
    ],
)  # fmt: skip
def test_two_sentences_are_parted_by_a_blank(pieces: tuple[str, ...], joint: str) -> None:
    found = ruling("speech/2", server(says(*pieces)))
    assert found == f"failed: expected a blank between two sentences, got none: {joint}"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("I see. ", 3.0, "Well, yes."), "ok"),
        ((1.9, "I see."), "ok"),
        ((1.9, "I see. ", 0.5, "Yes."), "ok"),
        (("", 2.5, ""), "ok"),
        ((6.0, "I see."), "ok"),
        ((2.5, "I see."), "failed: expected a first sentence within 2 s, got one after 2.5 s"),
        (("I", 2.5, " see."), "failed: expected a first sentence within 2 s, got one after 2.5 s"),
    ],
)
def test_a_first_sentence_is_there_soon(parts: tuple[str | float, ...], said: str) -> None:
    assert ruling("speech/3", server(says(*parts))) == said


class Whole(Right):
    """Speaks when the model is done, as with stream false."""

    async def read(
        self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
    ) -> AsyncIterator[str]:
        yield "".join([text async for text in super().read(chunks, tool_calls)])


class Fills(Whole):
    """Says a sentence of its own before."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        yield "Let me see. ", {}
        async for said in super().pieces(call, request):
            yield said


class GivesUp(Right):
    """Ends the turn when the model does not go on at once."""

    patience_s = 0.5


class Hides(Right):
    """Asks the model, and keeps the answer to itself."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        async for _ in self.pieces(call, request):
            pass


@pytest.mark.parametrize("sample", [Right, Fills, GivesUp, Hides])
def test_whoever_speaks_before_the_model_is_done_passes(sample: type[Right]) -> None:
    (found,) = findings_about(sample, select("speech/4"))
    assert str(found.ruling) == "ok"


def test_whoever_waits_for_the_whole_answer_does_not_stream() -> None:
    (found,) = findings_about(Whole, select("speech/4"))
    assert str(found.ruling) == (
        "failed: expected the first sentence while the model still writes the second, "
        "got the first sentence when the model was done"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I see.", "ok"),
        ("はい。", "ok"),
        ("5", "ok"),
        ("", "not strict: expected words for a caller who has spoken, got an answer without any"),
        (" ...", "not strict: expected words for a caller who has spoken, got an answer without "
         "any"),
    ],
)  # fmt: skip
def test_a_caller_is_answered_in_words(text: str, said: str) -> None:
    assert ruling("speech/5", server(says(text))) == said


@pytest.mark.parametrize("case_id", ["speech/1", "speech/2", "speech/3", "speech/5"])
def test_no_judge_raises_at_a_call_that_never_was(case_id: str) -> None:
    (case,) = select(case_id)
    assert case.judge(Exchange(lambda: 0.0)).verdict is Verdict.NOT_SEEN


def test_a_word_that_the_model_says_twice_is_named() -> None:
    (found,) = findings_about(WRONG["speech/6"], select("speech/6"))
    assert str(found.ruling) == (
        "failed: expected each word of the model once, got 'museum' 3 times: "
        "'The museum The museum opens at The museum opens at seven.'"
    )


def test_an_answer_in_other_words_tells_nothing_about_those_of_the_model() -> None:
    class Rephrases(Right):
        async def read(
            self, chunks: AsyncGenerator[Json, None], tool_calls: dict[int, Json]
        ) -> AsyncIterator[str]:
            async for _ in super().read(chunks, tool_calls):
                yield "At seven. "

    (found,) = findings_about(Rephrases, select("speech/6"))
    assert str(found.ruling) == "not seen: expected an answer in the words of the model"
