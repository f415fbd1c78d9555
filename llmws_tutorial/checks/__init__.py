"""The judge: what a server must do on the wire, as a list of checks."""

from llmws_tutorial.checks.case import Case, Profile, Severity, Verdict
from llmws_tutorial.checks.catalogue import CASES, select
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.memory import in_memory
from llmws_tutorial.checks.probe import Conditions
from llmws_tutorial.checks.runner import judge, run_checks

__all__ = [
    "CASES",
    "Case",
    "Conditions",
    "Finding",
    "Profile",
    "Severity",
    "Verdict",
    "in_memory",
    "judge",
    "run_checks",
    "select",
]
