"""The command that serves a small model on this machine: `llmws model`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from llmws_tutorial.notebook.local_model import local_model
from llmws_tutorial.notebook.model_weights import SMOLLM2, Weights, fetch_weights


def serve_local_model(
    weights: Annotated[
        Path | None, typer.Argument(help="A .gguf file of your own; none: SmolLM2, fetched once.")
    ] = None,
    *,
    port: Annotated[int, typer.Option(help="The port; 0 is a free one.", min=0, max=65535)] = 8088,
    fetch_only: Annotated[
        bool, typer.Option("--fetch-only", help="Fetch the weights, for later without a network.")
    ] = False,
) -> None:
    """Serve a small real model, without a key or a network, until Ctrl-C."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        if fetch_only:
            console.print(f"the weights are in {fetch_weights(tell=console.print).parent}")
        else:
            _serve(weights or SMOLLM2, port, console)
    except KeyboardInterrupt:
        console.print("stopped")


def _serve(weights: Weights | Path, port: int, console: Console) -> None:
    with local_model(weights, port=port, tell=console.print) as model:
        console.print(f"export OPENAI_BASE_URL={model.base_url}\nexport OPENAI_API_KEY=none")
        console.print(f"export OPENAI_MODEL={shlex.quote(model.name)}\n(Ctrl-C stops)")
        model.wait()
