"""What the checks say about the guide's servers is written down beside them."""

import re
from typing import Final

import pytest
from fastapi import FastAPI

from llmws_tutorial.checks import CASES, Conditions, Finding, Profile, Verdict, in_memory, judge
from llmws_tutorial.checks.case import Need
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.steps import step1, step2, step3
from tests.virtual_time import run_virtually

PAGE: Final = (PROJECT / "llmws_tutorial" / "steps" / "VERDICTS.md").read_text()
STEPS: Final = {"step1": step1.app, "step2": step2.app, "step3": step3.app}
WRITTEN: Final = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for row in re.findall(r"^\| \w+/\d+ .*\|$", PAGE, re.MULTILINE)
]
TRIED: Final = [case for case in CASES if not case.needs & set(Need)]
"""The cases that need nothing but a server; the others are not seen."""


def findings(app: FastAPI) -> list[Finding]:
    async def run() -> list[Finding]:
        async with in_memory(app) as transport:
            return await judge(transport, TRIED, Conditions())

    return run_virtually(run())


@pytest.mark.parametrize("step", STEPS)
def test_a_step_gets_the_verdicts_that_are_written_beside_it(step: str) -> None:
    column = 1 + list(STEPS).index(step)
    got = {finding.case.id: finding.verdict.value for finding in findings(STEPS[step])}
    assert got == {row[0]: row[column] for row in WRITTEN if len(row) == 5}


def test_why_the_last_step_does_not_pass_is_written_as_well() -> None:
    reasons = [
        [finding.case.id, str(finding.ruling)]
        for finding in findings(step3.app)
        if finding.verdict in (Verdict.FAILED, Verdict.NOT_STRICT)
    ]
    assert reasons == [row for row in WRITTEN if len(row) == 2]


def test_every_case_that_needs_only_a_server_is_there_in_order() -> None:
    assert [row[0] for row in WRITTEN if len(row) == 5] == [case.id for case in TRIED]


def test_the_finished_server_of_the_guide_passes_its_profile() -> None:
    guide = {case.id for case in CASES if Profile.GUIDE in case.profiles}
    assert {row[3] for row in WRITTEN if row[0] in guide and len(row) == 5} == {"ok"}
