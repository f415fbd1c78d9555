"""The checker is right: one server passes everything, and each wrong one fails its case alone."""

import pytest

from llmws_tutorial.checks import CASES, Verdict
from llmws_tutorial.checks.samples.gallery import WRONG
from llmws_tutorial.checks.samples.right import Right
from tests.judging import findings_about


def test_every_case_has_its_wrong_server() -> None:
    assert set(WRONG) == {case.id for case in CASES}


def test_the_right_server_has_no_finding() -> None:
    findings = findings_about(Right, CASES)
    assert [str(found) for found in findings if found.verdict is not Verdict.OK] == []


@pytest.mark.parametrize("case_id", WRONG)
def test_a_wrong_server_fails_its_case_and_no_other(case_id: str) -> None:
    findings = findings_about(WRONG[case_id], CASES)
    wrong = {found.case.id: str(found) for found in findings if found.verdict is not Verdict.OK}
    assert list(wrong) == [case_id], wrong
