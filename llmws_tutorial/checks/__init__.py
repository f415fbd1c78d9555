"""The judge: what a server must do on the wire, as a list of checks.

Where to look, from what a check is to what comes of it::

    a case, as data       case, moves, exchange, rules; cases/, a module a topic; catalogue
    proof that it is      samples/: a server that is right in every way, and for each case one that
    right                 is wrong in that way alone; gallery
    running it            runner, probe (one case), line (one of its calls); transport, over sockets
                          or in memory
    what is told          finding, report, html_report, failure_text, explain
    in a test suite       pytest_options, pytest_items, pytest_fixture, under_test

A move becomes frames in `line`, what comes back becomes events in an `Exchange`, a judge made of
`rules` reads them, and its `Ruling` is the heart of a `Finding`.
"""

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
