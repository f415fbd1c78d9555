"""The judge: what a server must do on the wire, as a list of checks."""

from llmws_tutorial.checks.cases import CASES, Case, Severity
from llmws_tutorial.checks.runner import Finding, run_checks

__all__ = ["CASES", "Case", "Finding", "Severity", "run_checks"]
