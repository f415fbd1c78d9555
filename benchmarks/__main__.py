"""Measure, side by side in one run: ``python -m benchmarks`` prints the table of README.md.

Only ratios mean something, and only those of one run: the numbers themselves are those of a machine
and of what else it does. A ratio is the median of those of the rounds.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median
from typing import Final

from benchmarks.contestants import LOOPS
from benchmarks.load import Cost
from benchmarks.race import NAMES, Options, race
from benchmarks.works import WORKS, Row

PACKAGES: Final = ("fastapi", "uvicorn", "websockets", "msgspec", "pydantic", "uvloop", "httptools")
COLUMNS: Final = {
    "Work": "---",
    "Ours/plain": "--:",
    "of the rounds": "--:",
    "Goal": "---",
    "Ours/bare": "--:",
    "Ours/ceiling": "--:",
    **{name.capitalize(): "--:" for name in NAMES},
    "Unit": "---",
    "Load": "--:",
}


def report(options: Options) -> Iterator[str]:
    """Measure everything that was asked for; yields the lines of a Markdown table."""
    yield " | ".join(["", *COLUMNS, ""]).strip()
    yield "|".join(["", *COLUMNS.values(), ""])
    for name in options.works:
        costs = race(name, options)
        for index, row in enumerate(WORKS[name].rows):
            yield describe(row, index, costs)
    yield ""
    yield _setting(options)


def describe(row: Row, index: int, costs: dict[str, list[Cost]]) -> str:
    """Make one line of the table."""
    amounts = {name: [cost.amounts[index] for cost in costs[name]] for name in NAMES}
    ratios = {name: _ratios(amounts["ours"], amounts[name]) for name in NAMES}
    plain = ratios["plain"]
    load = max(cost.load_share for cost in costs["ours"])
    cells = [
        row.title,
        _median(plain, 2),
        f"{min(plain):.2f}-{max(plain):.2f}" if plain else "",
        ", ".join(_goals(row, {name: median(of) for name, of in ratios.items() if of}, amounts)),
        _median(ratios["bare"], 2),
        _median(ratios["ceiling"], 2),
        *(_median(amounts[name], 1) for name in NAMES),
        row.unit,
        f"{load:.0%}" if load else "",
    ]
    return f"| {' | '.join(cells)} |"


def _ratios(ours: list[float], other: list[float]) -> list[float]:
    """Ours by theirs, round by round; without meaning where theirs is nothing."""
    return [mine / theirs for mine, theirs in zip(ours, other, strict=True) if theirs > 0]


def _median(numbers: list[float], digits: int) -> str:
    return f"{median(numbers):.{digits}f}" if numbers else ""


def _goals(row: Row, ratios: dict[str, float], amounts: dict[str, list[float]]) -> Iterator[str]:
    """Each goal of a row, and whether it is met."""
    for name, goal in (("plain", row.of_plain), ("ceiling", row.of_ceiling)):
        if goal is not None and name in ratios:
            yield f"{goal:.2f} of {name} {'met' if ratios[name] <= goal else '**missed**'}"
    if row.most is not None:
        is_met = median(amounts["ours"]) <= row.most
        yield f"{row.most:g} {row.unit} {'met' if is_met else '**missed**'}"


def _setting(options: Options) -> str:
    """On what, with what and when it was measured."""
    installed = ", ".join(f"{name} {version(name)}" for name in PACKAGES if find_spec(name))
    return (
        f"Python {platform.python_version()}, {installed}; servers on {options.loop}, callers"
        f" {'offer' if options.offers_deflate else 'do not offer'} to compress;"
        f" medians of {options.rounds} interleaved rounds, scale {options.scale:g};"
        f" {os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f} at the end,"
        f" {datetime.now(UTC):%d %B %Y}."
    )


def read_options(arguments: list[str]) -> Options:
    """Read the command line."""
    loops = [loop for loop in LOOPS if loop == "asyncio" or find_spec(loop)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", help=f"what to measure: {', '.join(WORKS)}")
    parser.add_argument("--loop", choices=loops, default=loops[0], help="the servers' event loop")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default: 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="shorten: 0.1 does a tenth")
    parser.add_argument("--no-deflate", action="store_true", help="callers offer no compression")
    given = parser.parse_args(arguments)
    if unknown := set(given.works) - set(WORKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected {', '.join(WORKS)}")
    if given.rounds < 1 or given.scale <= 0:
        parser.error("--rounds and --scale must be above 0")
    return Options(
        works=tuple(given.works or WORKS),
        loop=given.loop,
        rounds=given.rounds,
        scale=given.scale,
        offers_deflate=not given.no_deflate,
    )


def main(arguments: list[str]) -> None:
    """Print the table, each line as soon as it is known."""
    for line in report(read_options(arguments)):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
