"""The webhook's cases: what they say about an answer, and whom they leave alone."""

import json
from typing import Final

import pytest
from fastapi import FastAPI, Request, Response

from llmws_tutorial.checks import (
    CASES,
    Case,
    Conditions,
    Finding,
    Verdict,
    in_memory,
    judge,
    select,
)
from llmws_tutorial.checks.exchange import Exchange, Posted
from llmws_tutorial.checks.moves import Post
from llmws_tutorial.checks.samples.right import WEBHOOK_KEY, Right
from llmws_tutorial.checks.samples.webhook import WRONG
from llmws_tutorial.server import DummyResponder, create_app
from llmws_tutorial.server.webhook import WebhookEvent, webhook_router
from tests.judging import findings_about
from tests.virtual_time import run_virtually

WEBHOOK: Final = [case for case in CASES if case.topic == "webhook"]
TAKEN: Final = ["webhook/1", "webhook/5", "webhook/6", "webhook/7", "webhook/8"]
REFUSED: Final = ["webhook/2", "webhook/3", "webhook/4", "webhook/9"]


def case(case_id: str) -> Case:
    [found] = select(case_id)
    return found


def findings_of(app: FastAPI) -> list[Finding]:
    async def run() -> list[Finding]:
        async with in_memory(app, webhook="/webhook") as transport:
            return await judge(transport, WEBHOOK, Conditions(webhook_key=WEBHOOK_KEY))

    return run_virtually(run())


def answers(status: int) -> list[str]:
    """What is found about a webhook that gives everybody one answer."""
    app = create_app(DummyResponder())

    @app.post("/webhook")
    async def take(request: Request) -> Response:
        await request.body()
        return Response(status_code=status)

    return [found.case.id for found in findings_of(app) if found.verdict is not Verdict.OK]


def seen(*statuses: int | None, problem: str = "") -> Exchange:
    exchange = Exchange(lambda: 0.0)
    exchange.events.extend(Posted(at_s=0.0, status=one, problem=problem) for one in statuses)
    return exchange


RULINGS: Final = {
    "webhook/1": "failed: expected 2xx within 10 s, got it raised KeyError('data')",
    "webhook/2": "failed: expected a refusal (4xx) of an unsigned event, got HTTP 204",
    "webhook/3": "failed: expected a refusal (4xx) of an event that is signed with another key, "
    "got HTTP 204",
    "webhook/4": "failed: expected a refusal (4xx) of an event that was signed ten minutes ago, "
    "got HTTP 204",
    "webhook/5": "failed: expected 2xx within 10 s, got HTTP 401",
    "webhook/6": "failed: expected 2xx within 10 s, got HTTP 400",
    "webhook/7": "failed: expected 2xx within 10 s, got HTTP 409",
    "webhook/8": "failed: expected 2xx within 10 s, got HTTP 413",
    "webhook/9": "failed: expected a refusal (4xx) of what is no JSON object, got HTTP 204",
}


@pytest.mark.parametrize("case_id", WRONG)
def test_a_ruling_says_what_was_answered(case_id: str) -> None:
    [finding] = findings_about(WRONG[case_id], [case(case_id)])
    assert str(finding.ruling) == RULINGS[case_id]


def test_the_webhook_of_the_kit_has_no_finding() -> None:
    events: list[WebhookEvent] = []
    app = create_app(DummyResponder())
    app.include_router(webhook_router(WEBHOOK_KEY, events.append))
    assert [str(found) for found in findings_of(app)] == [f"{one.id} ok" for one in WEBHOOK]


def test_a_webhook_that_takes_everything_fails_where_it_must_refuse() -> None:
    assert answers(200) == REFUSED


def test_a_webhook_that_refuses_everything_fails_where_it_must_take() -> None:
    assert answers(403) == TAKEN


@pytest.mark.parametrize("status", [201, 202, 204, 299])
@pytest.mark.parametrize("case_id", TAKEN)
def test_every_2xx_takes_an_event(case_id: str, status: int) -> None:
    assert str(case(case_id).judge(seen(200, status))) == "ok"


@pytest.mark.parametrize("status", [None, 199, 302, 404, 500])
@pytest.mark.parametrize("case_id", TAKEN)
def test_nothing_else_takes_an_event(case_id: str, status: int | None) -> None:
    assert case(case_id).judge(seen(200, status)).verdict is Verdict.FAILED


def test_why_an_event_was_not_taken_is_told_in_the_words_of_the_way_there() -> None:
    problem = "no answer in 10 s; answer first, then work"
    found = case("webhook/1").judge(seen(None, problem=problem))
    assert str(found) == f"failed: expected 2xx within 10 s, got {problem}"


@pytest.mark.parametrize("status", [None, 302, 401])
def test_an_event_that_was_never_taken_cannot_come_again(status: int | None) -> None:
    assert str(case("webhook/7").judge(seen(status, 204))) == (
        "not seen: expected a webhook that takes the event when it comes for the first time"
    )


@pytest.mark.parametrize("status", [400, 401, 403, 413, 422, 429])
@pytest.mark.parametrize("case_id", REFUSED)
def test_nearly_every_4xx_refuses_an_event(case_id: str, status: int) -> None:
    assert str(case(case_id).judge(seen(status))) == "ok"


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("case_id", REFUSED)
def test_what_is_not_there_refuses_nobody(case_id: str, status: int) -> None:
    assert str(case(case_id).judge(seen(status))) == (
        f"not seen: expected a webhook at this URL that takes POST, not HTTP {status}"
    )


@pytest.mark.parametrize(
    ("status", "got"),
    [
        (200, "HTTP 200"),
        (302, "HTTP 302"),
        (500, "HTTP 500: it raised"),
        (503, "HTTP 503"),
        (None, "the connection broke"),
    ],
)
def test_nothing_else_refuses_an_event(status: int | None, got: str) -> None:
    found = case("webhook/2").judge(seen(status, problem="the connection broke"))
    assert str(found) == f"failed: expected a refusal (4xx) of an unsigned event, got {got}"


@pytest.mark.parametrize("one", WEBHOOK, ids=lambda one: str(one.id))
def test_a_judge_that_sees_nothing_does_not_raise(one: Case) -> None:
    assert one.judge(seen()).verdict is not Verdict.FAILED


def bodies(case_id: str) -> list[bytes]:
    return [move.body for move in case(case_id).moves if isinstance(move, Post)]


def test_the_raw_body_is_not_the_same_when_it_is_written_anew() -> None:
    [body] = bodies("webhook/5")
    event = json.loads(body)
    for separators in ((",", ":"), (", ", ": ")):
        for is_ascii in (True, False):
            for text in (body.decode(), body.decode().strip()):
                anew = json.dumps(event, separators=separators, ensure_ascii=is_ascii)
                assert anew != text
    assert (event["event"], event["call"]["transcript"]) == ("call_analyzed", "User: café <3 / 5")


@pytest.mark.parametrize("case_id", ["webhook/1", "webhook/6", "webhook/7", "webhook/8"])
def test_other_bodies_are_the_same_when_they_are_written_anew(case_id: str) -> None:
    for body in bodies(case_id):
        assert json.dumps(json.loads(body), separators=(",", ":")).encode() == body


def test_the_transcript_of_an_hour_is_above_a_mebibyte_and_below_four() -> None:
    [body] = bodies("webhook/8")
    assert 2**20 < len(body) < 4 * 2**20
    assert json.loads(body)["call"]["transcript_object"][-1]["words"][-1]["end"] == 3600


def test_every_event_is_about_a_call_of_its_own() -> None:
    events = {case_id: set(bodies(case_id)) for case_id in WRONG if case_id != "webhook/9"}
    assert all(len(found) == 1 for found in events.values())
    assert len(set.union(*events.values())) == len(events)


def test_without_a_webhook_nothing_is_seen() -> None:
    app = Right().app

    async def run() -> list[Finding]:
        async with in_memory(app, path="/llm-websocket/a-long-random-word/") as transport:
            return await judge(transport, WEBHOOK, Conditions(webhook_key=WEBHOOK_KEY))

    found = run_virtually(run())
    assert {str(one.ruling) for one in found} == {
        "not seen: expected --webhook URL and --webhook-key KEY"
    }
