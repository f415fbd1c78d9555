"""Every case: what holds for each of them, and how they are chosen."""

import re
from itertools import groupby

import pytest

from llmws_tutorial.checks import CASES, Case, Profile, Severity, select
from llmws_tutorial.checks.case import OK, Need, failed, not_seen
from llmws_tutorial.checks.moves import Open, Post
from llmws_tutorial.errors import SetupError

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def ids(cases: list[Case]) -> list[str]:
    return [case.id for case in cases]


def test_ids_are_unique_and_topics_stand_together() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    topics = [topic for topic, _ in groupby(case.topic for case in CASES)]
    assert len(topics) == len(set(topics))


@every_case
def test_a_case_is_written_as_all_are(case: Case) -> None:
    assert re.fullmatch(r"[a-z]+/[1-9]\d*", case.id)
    assert f"{case.topic}/{case.number}" == case.id
    assert case.title[0].islower() or case.title[0].isdigit()
    assert not case.title.endswith(".")
    assert case.requirement.endswith(".")
    assert case.why.endswith(".")
    assert case.fix
    assert not case.fix.endswith(".")


@every_case
def test_a_case_does_something_first_of_all_on_a_socket_or_the_webhook(case: Case) -> None:
    assert isinstance(case.moves[0], Open | Post)
    assert bool(case.scripts) >= (Need.LLM in case.needs)
    assert case.profiles


def test_a_prefix_is_a_topic_or_its_beginning_or_a_whole_id() -> None:
    assert {case.topic for case in select("turns")} == {"turns"}
    assert {case.topic for case in select("cal", "beg")} == {"calls", "begin"}
    assert ids(select("calls/1")) == ["calls/1"]


def test_the_order_is_that_of_the_lessons_and_nothing_comes_twice() -> None:
    assert ids(select("turns/1", "calls/1", "turns/1")) == ["calls/1", "turns/1"]
    assert select() == list(CASES)


@pytest.mark.parametrize("profile", Profile)
def test_a_profile_has_its_own_cases(profile: Profile) -> None:
    chosen = select(profile=profile)
    assert 0 < len(chosen) < len(CASES)
    assert all(profile in case.profiles for case in chosen)


@pytest.mark.parametrize("prefix", ["turn/1", "turns/", "TURNS", "turns/1 "])
def test_a_prefix_of_nothing_is_refused_with_the_topics(prefix: str) -> None:
    said = f"no check starts with '{prefix}', expected a topic \\(calls, .*such as calls/1"
    with pytest.raises(SetupError, match=said):
        select("begin", prefix)
    with pytest.raises(SetupError, match="no check in profile guide-2024 starts with"):
        select(prefix, profile=Profile.GUIDE)


def test_a_ruling_reads_as_a_sentence() -> None:
    assert str(OK) == "ok"
    assert str(failed("a", "b")) == "failed: expected a, got b"
    assert str(not_seen("a")) == "not seen: expected a"


def test_severities_are_ranked_from_the_worst() -> None:
    assert [severity.rank for severity in Severity] == [0, 1, 2]
    assert Severity.ERROR.rank == 0
