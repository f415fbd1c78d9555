"""The commands that place calls: `llmws call`, `llmws run` and `llmws replay`."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator import Choices, dial, new_record
from llmws_tutorial.simulator.choices import choose
from llmws_tutorial.simulator.playing import SPEED, Manner, Outcome
from llmws_tutorial.simulator.recording import Recorder, read_recording
from llmws_tutorial.simulator.replay import replay
from llmws_tutorial.simulator.report import as_data, as_junit
from llmws_tutorial.simulator.scenario import load, shipped
from llmws_tutorial.simulator.webhooks import Webhooks
from llmws_tutorial.simulator.witness import witnessed
from llmws_tutorial.terminal import options
from llmws_tutorial.terminal.playing import play_all
from llmws_tutorial.terminal.screen import shown
from llmws_tutorial.terminal.talking import is_live, talk

Url = Annotated[str, typer.Argument(help="Where calls arrive: ws://host/llm-websocket/")]
UrlOption = Annotated[
    str, typer.Option("--url", help="Where calls arrive: ws://host/llm-websocket/")
]
Speed = Annotated[
    float | None, typer.Option(help="Times faster than on a phone; inf: at once.", min=0.1)
]
Record = Annotated[
    Path | None, typer.Option(help="Write every frame to this new file, as JSON Lines.")
]
Choice = Annotated[
    list[str] | None,
    typer.Option(help="A choice of the stand-in, as name=value; see docs/protocol.md."),
]
Webhook = Annotated[str | None, typer.Option(help="Tell this http(s) URL about each call, signed.")]
Key = Annotated[
    str,
    typer.Option(envvar="LLMWS_WEBHOOK_KEY", help="The API key that webhooks are signed with."),
]


def call(
    url: Url,
    say: Annotated[
        list[str] | None, typer.Option(help="What the caller says; repeat for more turns.")
    ] = None,
    *,
    speed: Speed = None,
    record: Record = None,
    choice: Choice = None,
    webhook: Webhook = None,
    webhook_key: Key = "",
) -> None:
    """Call a server. You are the caller: type a line; an empty line is silence."""
    speed = speed or (1.0 if is_live(say) else SPEED)
    choices = choose(_read_choices(choice))
    with _recorder(record) as recorder:
        manner = Manner(speed=speed, recorder=recorder, webhooks=_webhooks(webhook, webhook_key))
        asyncio.run(_call(url, say, choices, manner))


def run_scenarios(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(help="Scenario files, or names of shipped ones; none: all shipped ones."),
    ] = None,
    *,
    url: UrlOption,
    speed: Speed = SPEED,
    record: Record = None,
    choice: Choice = None,
    webhook: Webhook = None,
    webhook_key: Key = "",
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; what people read goes to stderr.")
    ] = False,
) -> None:
    """Play scenarios against a server and say which went as expected."""
    loaded = [(name, load(name)) for name in scenarios or shipped()]
    console = Console(stderr=as_json, highlight=False)
    with _recorder(record) as recorder:
        manner = Manner(
            speed=speed or SPEED,
            choices=_read_choices(choice),
            recorder=recorder,
            webhooks=_webhooks(webhook, webhook_key),
        )
        outcomes = asyncio.run(play_all(loaded, url, manner, console))
    if junit is not None:
        options.write(junit, as_junit(outcomes))
    if as_json:
        print(json.dumps(as_data(outcomes), indent=2))
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1 if any(map(_was_open, outcomes)) else 3)


def replay_calls(
    recording: Annotated[Path, typer.Argument(help="A file that --record wrote.")],
    *,
    url: UrlOption,
    speed: Speed = SPEED,
) -> None:
    """Play recorded calls again, and say what a server does otherwise."""
    console = Console(highlight=False, soft_wrap=True)
    are_same = True
    for recorded in read_recording(recording):
        result = asyncio.run(replay(recorded, url, speed=speed or SPEED))
        for line in str(result).split("\n"):
            console.print(shown(line))
        are_same = are_same and result.is_same
    if not are_same:
        raise typer.Exit(1)


async def _call(url: str, say: list[str] | None, choices: Choices, manner: Manner) -> None:
    console = Console(highlight=False, soft_wrap=True)
    async with (
        dial(url, new_record(choices=choices), speed=manner.speed) as line,
        witnessed(line.record, manner.recorder, manner.webhooks),
    ):
        await talk(line, say, console=console)
    for delivery in manner.webhooks.deliveries if manner.webhooks else ():
        console.print(f"webhook {delivery}", markup=False)


def _read_choices(given: list[str] | None) -> dict[str, Any]:
    """Read ``name=value`` as a scenario would: true, 0.5, or text."""
    choices: dict[str, Any] = {}
    for text in given or ():
        name, is_given, value = text.partition("=")
        if not is_given:
            raise SetupError(f"a choice is {text!r}, expected name=value")
        try:
            choices[name] = json.loads(value)
        except (ValueError, RecursionError):
            choices[name] = value
    return choices


@contextlib.contextmanager
def _recorder(path: Path | None) -> Iterator[Recorder | None]:
    if path is None:
        yield None
        return
    with Recorder(path) as recorder:
        yield recorder


def _webhooks(url: str | None, api_key: str) -> Webhooks | None:
    return Webhooks(url, api_key=api_key) if url else None


def _was_open(outcome: Outcome) -> bool:
    """Whether any of its calls came about."""
    return any(record.connections for record in outcome.records)
