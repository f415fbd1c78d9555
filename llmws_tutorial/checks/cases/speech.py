"""What the agent says: fit to be spoken, joined rightly, and soon."""

import re
from typing import Final

from llmws_tutorial.checks.case import (
    BOTH,
    OK,
    Case,
    Company,
    Grade,
    Need,
    Ruling,
    Severity,
    failed,
    not_seen,
    not_strict,
)
from llmws_tutorial.checks.exchange import Exchange
from llmws_tutorial.checks.moves import Answered, Ask, Greeted, Open
from llmws_tutorial.checks.rules import once_it_speaks
from llmws_tutorial.simulator.scripted_llm import Say, Script, Wait

_SOON_S: Final = 2.0
"""How soon a caller expects the first sentence."""
_PAUSE_S: Final = 1.5
_ONCE: Final = "museum"
_UNSPEAKABLE: Final = {
    "a heading": re.compile(r"^#{1,6} ", re.MULTILINE),
    "bold or italic print": re.compile(r"(?<![\w*])(\*\*?|__)(?=[^\s*_])[^*\n]{1,200}?\1(?![\w*])"),
    "code": re.compile(r"```|`[^`\n]+`"),
    "a bullet": re.compile(r"^[ \t]*[-*+\u2022] ", re.MULTILINE),
    "a numbered list": re.compile(r"^[ \t]*1[.)] .*\n{1,2}[ \t]*2[.)] ", re.MULTILINE),
    "a table": re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE),
    "a link": re.compile(r"\]\([^)\s]+\)|https?://|\bwww\.\w", re.IGNORECASE),
    "a tag": re.compile(r"</?(?:think|thinking|b|i|p|br|li|ul|em|strong|div|span)\b[^>]*>", re.I),
    "an empty variable": re.compile(r"\{\{|\}\}|\$\{|\bundefined\b|\[object Object\]"),
    "JSON": re.compile(r'[{\[]\s*"[^"\n]*"\s*[:,]'),
    "an emoji": re.compile("[\u2600-\u27bf\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]"),
}
"""What nobody can speak, and what it is called."""
_SENTENCE_END: Final = re.compile(r"[^\W\d_]{2}[.?!][\"')\]\u201d\u2019]*\Z")
_SENTENCE_START: Final = re.compile(r"(?:[^\W\d_][^\W\d_A-Z]|[AI][ '])")


def _can_be_spoken(exchange: Exchange) -> Ruling:
    for got, response in exchange.pieces("a"):
        if got.dropped is None and response.content_complete:
            turn = exchange.turn(response.response_id)
            text = turn.sent if turn else ""
            for name, pattern in _UNSPEAKABLE.items():
                if found := pattern.search(text):
                    return failed("words only", f"{name}: {_around(text, found.start())}", got)
    return OK


def _joins(exchange: Exchange) -> Ruling:
    texts: dict[int, str] = {}
    for got, response in exchange.pieces("a"):
        if got.dropped is not None:
            continue
        before, after = texts.get(response.response_id, ""), response.content
        starts = after[:1].isupper() and _SENTENCE_START.match(after)
        if starts and _SENTENCE_END.search(before):
            joint = _around(before + after, len(before))
            return failed("a blank between two sentences", f"none: {joint}", got)
        texts[response.response_id] = before + after
    return OK


def _around(text: str, at: int) -> str:
    """Some words around a place in a text."""
    return repr(text[max(0, at - 20) : at + 20])


def _says_it_once(exchange: Exchange) -> Ruling:
    turn = exchange.turn(1)
    text = turn.sent if turn else ""
    times = text.casefold().count(_ONCE)
    if times > 1:
        return failed("each word of the model once", f"{_ONCE!r} {times} times: {text[:80]!r}")
    return OK if times else not_seen("an answer in the words of the model")


def _is_soon(exchange: Exchange) -> Ruling:
    turn = exchange.turn(1)
    took_ms = turn.first_sentence_ms if turn else None
    if took_ms is None or took_ms <= _SOON_S * 1000:
        return OK
    return failed(f"a first sentence within {_SOON_S:g} s", f"one after {took_ms / 1000:.1f} s")


def _speaks_while_the_model_does(exchange: Exchange) -> Ruling:
    turn, asked = exchange.turn(1), exchange.upstream[-1]
    if turn is None or turn.first_sentence_at_s is None or asked.ended_at_s is None:
        return OK
    if asked.outcome != "finished":  # whoever gave it up did not wait for its end
        return OK
    early_s = exchange.seconds_of(asked.ended_at_s) - turn.first_sentence_at_s
    if early_s > _PAUSE_S / 2:
        return OK
    expected = "the first sentence while the model still writes the second"
    return failed(expected, "the first sentence when the model was done")


def _has_words(exchange: Exchange) -> Ruling:
    turn = exchange.turn(1)
    if turn is None or turn.complete_at_s is None or any(map(str.isalnum, turn.sent)):
        return OK
    return not_strict("words for a caller who has spoken", "an answer without any")


CASES: Final = (
    Case(
        id="speech/1",
        title="says what can be spoken",
        requirement="What is said is words: no markdown, list, table, code, emoji, link or "
        "variable.",
        why="The caller hears asterisk asterisk, or the letters of an address one by one.",
        source="docs/protocol.md, section 4",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="tell the model that its words are spoken: plain sentences, no formatting; take out "
        "what it writes nevertheless, and give each variable a default",
        step="05",
        moves=(
            *(Open(), Greeted(), Ask(1, said="What can you do for me?"), Answered(1)),
            *(Ask(2, said="Can you list the steps, one by one?"), Answered(2)),
            *(Ask(3, said="And where can I read about it?"), Answered(3)),
        ),
        judge=once_it_speaks(_can_be_spoken),
    ),
    Case(
        id="speech/2",
        title="joins its pieces with blanks",
        requirement="A piece that begins a sentence is parted from the one before by a blank.",
        why="Pieces are joined as they are: two sentences are spoken as one strange word.",
        source="docs/protocol.md, section 4",
        grade=Grade.REFERENCE,
        severity=Severity.WARNING,
        fix="send the pieces of the model as they are; when you cut or strip, put the blank back",
        step="05",
        scripts=(Script(steps=(Say("Of course. "), Say("What is it about?"))),),
        moves=(Open(), Greeted(), Ask(1), Answered(1), Ask(2), Answered(2)),
        judge=once_it_speaks(_joins),
    ),
    Case(
        id="speech/3",
        title="begins to speak soon",
        requirement=f"The first sentence of an answer is there within {_SOON_S:g} s.",
        why="Speaking starts with it: until then the caller hears nothing, and asks again.",
        source="docs/protocol.md, section 4",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="stream the answer; begin with a short sentence, and say one before anything slow",
        step="05",
        moves=(Open(), Greeted(), Ask(1), Answered(1)),
        judge=once_it_speaks(_is_soon),
        company=Company.TIMED,
    ),
    Case(
        id="speech/4",
        title="speaks while the model still writes",
        requirement="The first sentence is sent before the model has finished the answer.",
        why="The caller waits for the last word of the answer before hearing the first.",
        source="docs/protocol.md, section 4",
        grade=Grade.KIT,
        severity=Severity.WARNING,
        fix="ask the model with stream true, and send each piece at once",
        step="05",
        needs=frozenset({Need.LLM}),
        scripts=(Script(steps=(Say("Let me think. "), Wait(_PAUSE_S), Say("It is open."))),),
        moves=(Open(), Greeted(), Ask(1), Answered(1)),
        judge=_speaks_while_the_model_does,
        company=Company.TIMED,
    ),
    Case(
        id="speech/5",
        title="answers in words",
        requirement="A caller who has said something is answered in words.",
        why="An empty answer is legal, and means silence: the caller believes the line is dead.",
        source="docs/protocol.md, section 2",
        grade=Grade.REFERENCE,
        severity=Severity.ADVICE,
        fix="say a few words whenever the caller has spoken, however little",
        step="02",
        profiles=BOTH,
        moves=(Open(), Greeted(), Ask(1, said="Yes."), Answered(1)),
        judge=once_it_speaks(_has_words),
    ),
    Case(
        id="speech/6",
        title="says each word of the model once",
        requirement="What the model says in pieces is said once, piece by piece.",
        why="Pieces are joined as they are: with the whole text in each the caller hears the "
        "beginning again and again.",
        source="docs/protocol.md, section 4",
        grade=Grade.REFERENCE,
        severity=Severity.ERROR,
        fix="send only what is new in each piece; with content_complete send what is left, or "
        "nothing, never the whole answer again",
        step="05",
        needs=frozenset({Need.LLM}),
        scripts=(Script(steps=(Say(f"The {_ONCE} "), Say("opens at "), Say("seven."))),),
        moves=(Open(), Greeted(), Ask(1), Answered(1)),
        judge=_says_it_once,
    ),
)
"""In the order of the lessons."""
