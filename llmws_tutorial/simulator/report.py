"""What became of scenarios, for programs: as plain data, and as JUnit's XML."""

from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from llmws_tutorial.simulator.playing import Outcome
from llmws_tutorial.simulator.printable import fit_for_xml


def as_data(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything as data that JSON can hold: scenarios, failures, calls."""
    return {
        "passed": all(outcome.passed for outcome in outcomes),
        "scenarios": [
            {
                "name": outcome.name,
                "title": outcome.scenario.scenario,
                "passed": outcome.passed,
                "failures": list(outcome.wrongs),
                "took_s": round(outcome.took_s, 3),
                "calls": [
                    {
                        **record.as_call(),
                        "dropped": [str(frame.dropped) for frame in record.dropped],
                        "log": [str(line) for line in record.log],
                    }
                    for record in outcome.records
                ],
            }
            for outcome in outcomes
        ],
    }


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """One test case a scenario, in the XML that CI systems read."""
    failures = sum(not outcome.passed for outcome in outcomes)
    suite = Element(
        "testsuite",
        name="llmws run",
        tests=str(len(outcomes)),
        failures=str(failures),
        errors="0",
        time=f"{sum(outcome.took_s for outcome in outcomes):.3f}",
    )
    for outcome in outcomes:
        case = SubElement(
            suite,
            "testcase",
            classname="llmws.scenarios",
            name=outcome.name,
            time=f"{outcome.took_s:.3f}",
        )
        if not outcome.passed:
            failure = SubElement(case, "failure", message=fit_for_xml(outcome.wrongs[0]))
            failure.text = fit_for_xml("\n".join(outcome.wrongs))
        calls = "\n\n".join(str(record) for record in outcome.records)
        SubElement(case, "system-out").text = fit_for_xml(calls)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
