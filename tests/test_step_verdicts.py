"""What the checks say about the servers of the steps is written down beside them."""

import re
from typing import Final

import pytest
from fastapi import FastAPI

from llmws_tutorial.checks import CASES, Conditions, Finding, Profile, Verdict, in_memory, judge
from llmws_tutorial.checks.case import Need
from llmws_tutorial.checks.under_test import UnderTest
from llmws_tutorial.notebook import serve
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.simulator.llm_endpoint import create_endpoint
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm
from llmws_tutorial.steps import step1, step2, step3, step5, step6, step7
from tests.virtual_time import run_virtually

PAGE: Final = (PROJECT / "llmws_tutorial" / "steps" / "VERDICTS.md").read_text()
WITHOUT_A_MODEL: Final = {"step1": step1.app, "step2": step2.app, "step3": step3.app}
WITH_A_MODEL: Final = {"step5": step5.app, "step6": step6.app, "step7": step7.app}
STEPS: Final = {**WITHOUT_A_MODEL, **WITH_A_MODEL}
ROWS: Final = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for row in re.findall(r"^\| \w+/\d+ .*\|$", PAGE, re.MULTILINE)
]
VERDICTS: Final = {row[0]: dict(zip(STEPS, row[1:], strict=False)) for row in ROWS if len(row) > 3}
REASONS: Final = [row for row in ROWS if len(row) == 3]
TRIED: Final = [case for case in CASES if not case.needs & (set(Need) - {Need.LLM})]
"""The cases that need nothing but a server and its model; the others are not seen."""


def findings(app: FastAPI) -> list[Finding]:
    async def run() -> list[Finding]:
        async with in_memory(app) as transport:
            return await judge(transport, TRIED, Conditions())

    return run_virtually(run())


def findings_with_a_model(app: FastAPI) -> list[Finding]:
    model = ScriptedLlm()
    with (
        pytest.MonkeyPatch.context() as patch,
        serve(create_endpoint(model), name="model", show_log=False) as provider,
    ):
        patch.setenv("OPENAI_BASE_URL", f"{provider.url}v1")
        patch.setenv("OPENAI_API_KEY", "none")
        return UnderTest(server=app, llm=model).judge(TRIED)


@pytest.fixture(scope="module", params=STEPS)
def step(request: pytest.FixtureRequest) -> tuple[str, list[Finding]]:
    name: str = request.param
    find = findings if name in WITHOUT_A_MODEL else findings_with_a_model
    return name, find(STEPS[name])


def test_a_step_gets_the_verdicts_that_are_written_beside_it(
    step: tuple[str, list[Finding]],
) -> None:
    name, found = step
    got = {finding.case.id: finding.verdict.value for finding in found}
    assert got == {case_id: verdicts[name] for case_id, verdicts in VERDICTS.items()}


def test_why_a_finished_step_does_not_pass_is_written_as_well(
    step: tuple[str, list[Finding]],
) -> None:
    name, found = step
    reasons = [
        [finding.case.id, name, re.sub(r"\d+\.\d s", "a moment", str(finding.ruling))]
        for finding in found
        if finding.verdict in (Verdict.FAILED, Verdict.NOT_STRICT)
    ]
    written = [reason for reason in REASONS if reason[1] == name]
    assert name in ("step1", "step2") or reasons == written


def test_every_case_that_can_be_tried_is_there_in_order() -> None:
    assert list(VERDICTS) == [case.id for case in TRIED]


def test_the_finished_server_of_the_guide_passes_its_profile() -> None:
    guide = {case.id for case in TRIED if Profile.GUIDE in case.profiles}
    assert {VERDICTS[case_id]["step3"] for case_id in guide} == {"ok"}


@pytest.mark.parametrize(("name", "lesson"), [("step5", "05"), ("step6", "06"), ("step7", "07")])
def test_the_server_of_a_later_step_passes_what_its_lesson_teaches(name: str, lesson: str) -> None:
    due = {case.id for case in TRIED if case.step <= lesson and Profile.CURRENT in case.profiles}
    open_findings = {case_id for case_id in due if VERDICTS[case_id][name] != "ok"}
    assert open_findings == (set() if name == "step5" else {"begin/3"})
