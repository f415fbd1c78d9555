"""The command that serves a small model on this machine: `llmws model`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

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
    try:
        if fetch_only:
            _tell(f"the weights are in {fetch_weights(tell=_tell).parent}")
        else:
            _serve(weights or SMOLLM2, port)
    except KeyboardInterrupt:
        _tell("stopped")


def _serve(weights: Weights | Path, port: int) -> None:
    with local_model(weights, port=port, tell=_tell) as model:
        _tell(f"export OPENAI_BASE_URL={model.base_url}\nexport OPENAI_API_KEY=none")
        _tell(f"export OPENAI_MODEL={shlex.quote(model.name)}\n(Ctrl-C stops)")
        model.wait()


def _tell(text: str) -> None:
    print(text, flush=True)  # also to a program that waits for it
