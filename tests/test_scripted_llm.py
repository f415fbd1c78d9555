"""The scripted model in process: which script answers, how an answer ends, what is kept of it."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, Final

import pytest

from llmws_tutorial.errors import UpstreamBroken, UpstreamRefused
from llmws_tutorial.simulator.llm_chunks import Chunk
from llmws_tutorial.simulator.scripted_llm import (
    Asked,
    Break,
    CallTool,
    Empty,
    Hang,
    Raw,
    Say,
    Script,
    ScriptedLlm,
    Step,
    Wait,
)

PATIENCE_S: Final = 30.0
TOOLS: Final = [
    {"type": "function", "function": {"name": name}} for name in ("book", "end_call", "end_all")
]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE_S))


def model(*steps: Step) -> ScriptedLlm:
    return ScriptedLlm([Script(steps=steps)])


def request(said: Any = "Hello?", **options: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": said}], **options}


async def chunks(llm: ScriptedLlm, asked: dict[str, Any]) -> list[Chunk]:
    return [chunk async for chunk in llm.stream(asked)]


def answer(llm: ScriptedLlm, said: Any = "Hello?", **options: Any) -> str:
    """The words of an answer."""
    choices = [
        choice
        for chunk in run(chunks(llm, request(said, **options)))
        for choice in chunk["choices"]
    ]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def called(llm: ScriptedLlm, **options: Any) -> list[tuple[str, str, str]]:
    """The calls of an answer: id, name and arguments of each."""
    whole = run(completion(llm, request(tools=TOOLS, **options)))
    calls = whole["choices"][0]["message"].get("tool_calls", [])
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


async def completion(llm: ScriptedLlm, asked: dict[str, Any]) -> dict[str, Any]:
    with llm.answering(asked) as answering:
        return await answering.whole()


def test_the_first_script_that_matches_answers() -> None:
    llm = ScriptedLlm([Script(when="BYE", steps=(Say("Goodbye."),)), Script(steps=(Say("Yes?"),))])
    assert answer(llm, "Well, bye now") == "Goodbye."
    assert answer(llm, "Hello") == "Yes?"
    assert [asked.script for asked in llm.asked] == llm.scripts


def test_what_is_used_up_leaves_the_next_to_answer() -> None:
    twice = Script(times=2, steps=(Say("Again?"),))
    llm = ScriptedLlm([twice, Script(steps=(Say("Well."),))])
    assert [answer(llm) for _ in range(4)] == ["Again?", "Again?", "Well.", "Well."]


def test_a_script_can_be_added_while_it_runs() -> None:
    llm = ScriptedLlm()
    assert answer(llm) == "I understand."
    llm.add(Script(steps=(Say("New."),)))
    assert answer(llm) == "New."
    assert [asked.script for asked in llm.asked] == [None, llm.scripts[0]]


def test_what_the_user_said_last_counts_in_one_piece_or_in_parts() -> None:
    parts = [{"type": "text", "text": "a table"}, {"type": "image_url"}, {"type": "text"}]
    llm = ScriptedLlm([Script(when="a table", steps=(Say("For how many?"),))])
    assert answer(llm, parts) == "For how many?"
    history = [*request("a table")["messages"], *request("no")["messages"]]
    assert answer(llm, messages=history) == "I understand."
    assert [asked.said for asked in llm.asked] == ["a table", "no"]


def test_without_a_word_of_the_user_only_a_script_for_all_matches() -> None:
    llm = ScriptedLlm([Script(when="a"), Script(steps=(Say("Hi."),))])
    assert answer(llm, messages=[{"role": "system", "content": "Say a"}]) == "Hi."


def test_a_script_can_answer_what_a_tool_has_returned() -> None:
    free = Script(when="a table", told="FREE", steps=(Say("It is yours."),))
    other = Script(told="", steps=(Say("I am sorry."),))
    llm = ScriptedLlm([free, other, Script(steps=(Say("One moment."),))])

    def told(said: str, result: str) -> list[dict[str, Any]]:
        called = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        return [
            {"role": "user", "content": said},
            {"role": "assistant", "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "1", "content": result},
        ]

    later = [*told("a table", "free"), {"role": "user", "content": "Thanks."}]
    conversations = (
        request("a table")["messages"],
        told("a table", "seven is free"),
        told("a table", "all taken"),
        told("a chair", "seven is free"),
        later,
    )
    answers = [answer(llm, messages=messages) for messages in conversations]
    assert answers == ["One moment.", "It is yours.", "I am sorry.", "I am sorry.", "One moment."]


def test_a_request_is_dated_from_its_coming_to_its_end() -> None:
    times_s = iter((1.0, 3.5))
    llm = ScriptedLlm(now_s=lambda: next(times_s))
    answer(llm)
    assert (llm.asked[0].at_s, llm.asked[0].ended_at_s) == (1.0, 3.5)


def test_the_end_of_each_request_is_told() -> None:
    told: list[Asked] = []
    llm = ScriptedLlm([Script(when="no", status=500)], on_end=told.append)
    answer(llm)
    with pytest.raises(UpstreamRefused) as refused:
        answer(llm, "no")
    assert [asked.outcome for asked in told] == ["finished", "refused"]
    assert (refused.value.status, told[1].problem) == (500, "scripted: HTTP 500")


def test_who_has_the_last_chunk_has_a_finished_answer() -> None:
    async def leave() -> str:
        async for chunk in (stream := llm.stream(request())):
            if chunk["choices"][0]["finish_reason"]:
                break
        outcome = llm.asked[0].outcome
        await stream.aclose()
        return outcome

    llm = ScriptedLlm()
    assert run(leave()) == llm.asked[0].outcome == "finished"


def test_to_close_the_iterator_is_to_abort() -> None:
    async def leave() -> None:
        stream = llm.stream(request())
        await anext(stream)
        assert llm.running() == 1
        await stream.aclose()

    llm = model(Say("La "), Say("la."))
    run(leave())
    assert (llm.asked[0].outcome, llm.running()) == ("aborted", 0)


@pytest.mark.parametrize("stop", [Wait(3600), Hang()])
def test_to_cancel_who_waits_is_to_abort(stop: Step) -> None:
    llm = model(stop)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(chunks(llm, request()), 0.01))
    assert (llm.asked[0].outcome, llm.running()) == ("aborted", 0)


def test_a_break_comes_after_the_words_before_it() -> None:
    heard: list[Chunk] = []

    async def listen() -> None:
        async for chunk in llm.stream(request()):
            heard.append(chunk)

    llm = model(Say("La "), Break(), Say("la."))
    with pytest.raises(UpstreamBroken, match="breaks"):
        run(listen())
    assert heard[-1]["choices"][0]["delta"] == {"content": "La "}
    assert (llm.asked[0].outcome, llm.asked[0].problem) == (
        "broken",
        "scripted: the connection breaks",
    )


@pytest.mark.parametrize("line", ["data: {no json", "data: 12", "data:"])
def test_a_line_that_no_client_can_read_breaks_the_answer(line: str) -> None:
    with pytest.raises(UpstreamBroken, match="a line of no JSON object"):
        answer(model(Raw(line)))


def test_a_line_is_read_as_a_client_reads_it() -> None:
    llm = model(Raw(": a comment"), Raw('data: {"choices": [], "mine": 1}'), Empty())
    first, second, _ = run(chunks(llm, request()))
    assert first == {"choices": [], "mine": 1}
    assert second["choices"] == []


def test_how_many_ran_at_once_is_counted_for_each_script() -> None:
    async def ask_all() -> None:
        tasks = [asyncio.create_task(chunks(llm, request(said))) for said in ("a", "b", "a")]
        await asyncio.sleep(0)  # each has its turn, and hangs
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    llm = ScriptedLlm([Script(when="a", steps=(Hang(),)), Script(when="b", steps=(Hang(),))])
    run(ask_all())
    assert [asked.most_at_once for asked in llm.asked] == [1, 1, 2]


@pytest.mark.parametrize(
    ("name", "found"),
    [("*", "book"), ("", "book"), ("end", "end_call"), ("^end_a", "end_all"), (r"k$", "book")],
)
def test_a_tool_is_found_by_a_part_of_its_name(name: str, found: str) -> None:
    assert called(model(CallTool(name, {"a": 1}, "c1"))) == [("c1", found, '{"a": 1}')]


def test_calls_get_ids_of_their_own() -> None:
    llm = model(CallTool(), CallTool())
    ids = {identity for _ in range(2) for identity, _, _ in called(llm)}
    assert len(ids) == 4


def test_arguments_are_sent_as_they_are_or_made_up() -> None:
    llm = model(CallTool(arguments="{no json"), CallTool(arguments={"a": "é"}), CallTool())
    assert [arguments for _, _, arguments in called(llm)] == ["{no json", '{"a": "\\u00e9"}', "{}"]
    assert json.loads(called(llm)[1][2]) == {"a": "é"}


@pytest.mark.parametrize("options", [{"tools": []}, {"tools": TOOLS, "tool_choice": "none"}, {}])
def test_what_no_tool_can_do_is_said_instead(options: dict[str, Any]) -> None:
    llm = model(CallTool(otherwise="I cannot."))
    assert answer(llm, **options) == "I cannot."


def test_no_tool_of_that_name_is_said_too() -> None:
    chunk = run(chunks(model(CallTool("fly")), request(tools=TOOLS)))[-1]
    assert chunk["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("wrong", [{}, {"model": "m", "messages": []}, [], None])
def test_an_odd_request_is_refused_and_kept(wrong: Any) -> None:
    llm = ScriptedLlm()
    with pytest.raises(UpstreamRefused) as refused:
        run(chunks(llm, wrong))
    assert (refused.value.status, llm.asked[0].outcome) == (400, "refused")
    assert (llm.asked[0].problem, llm.running()) == (str(refused.value), 0)
