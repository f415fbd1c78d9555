"""Play scenarios from a terminal: progress while they run, a table at the end."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from llmws_tutorial.simulator.latency import Latency
from llmws_tutorial.simulator.playing import Manner, Outcome, play
from llmws_tutorial.simulator.scenario import Scenario
from llmws_tutorial.terminal.screen import shown


async def play_all(
    scenarios: Sequence[tuple[str, Scenario]], url: str, manner: Manner, console: Console
) -> list[Outcome]:
    """Play scenarios one after the other, show how it goes, and what came of it.

    Args:
        scenarios: each with its name.
        url: where the server's calls live.
        manner: how to play them.
        console: where it is shown.
    """
    outcomes = []
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        for number, (name, scenario) in enumerate(scenarios, 1):
            task = progress.add_task(f"{number} of {len(scenarios)}: {escape(name)}", total=None)
            outcomes.append(await play(name, scenario, url, manner))
            progress.remove_task(task)
            _show_outcome(outcomes[-1], console)
    console.print(_table(outcomes))
    passed = sum(outcome.passed for outcome in outcomes)
    console.print(f"{passed} of {len(outcomes)} scenarios passed")
    return outcomes


def _show_outcome(outcome: Outcome, console: Console) -> None:
    if outcome.passed:
        console.print(f"[green]ok[/]     {escape(outcome.name)}")
        return
    title = f"{escape(outcome.name)}: {escape(outcome.scenario.scenario)}"
    console.print(f"[red]failed[/] {title}", soft_wrap=True)
    for wrong in outcome.wrongs:
        console.print(f"       {shown(wrong)}", soft_wrap=True)
    if outcome.scenario.needs:
        console.print(f"       it needs {escape(outcome.scenario.needs)}", soft_wrap=True)


def _table(outcomes: Sequence[Outcome]) -> Table:
    texts = ("scenario", "verdict", "ended as")
    numbers = ("turns", "dropped", "llm p50", "llm p95")
    table = Table(
        *(Column(name, overflow="fold") for name in texts),
        *(Column(name, justify="right") for name in numbers),
    )
    for outcome in outcomes:
        records = outcome.records
        llm = [record.latency["llm"] for record in records if "llm" in record.latency]
        values = sorted(value for part in llm for value in part.values)
        table.add_row(
            escape(outcome.name),
            "[green]ok[/]" if outcome.passed else "[red]failed[/]",
            ", ".join(sorted({str(record.disconnection_reason) for record in records})),
            str(sum(len(record.turns) for record in records)),
            str(sum(len(record.dropped) for record in records)),
            *(_milliseconds(values, share) for share in (50, 95)),
        )
    return table


def _milliseconds(values: Sequence[float], share: float) -> str:
    return f"{Latency(tuple(values)).percentile(share):.0f} ms" if values else ""
