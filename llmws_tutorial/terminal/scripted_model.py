"""The command that serves a scripted model: `llmws llm`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from llmws_tutorial.simulator.llm_endpoint import served
from llmws_tutorial.simulator.llm_script import load_scripts
from llmws_tutorial.simulator.printable import shortened
from llmws_tutorial.simulator.scripted_llm import Asked, ScriptedLlm
from llmws_tutorial.terminal.screen import shown


def serve_model(
    script: Annotated[
        Path | None, typer.Argument(help="A file of docs/scripted_llm.md; none: one sentence.")
    ] = None,
    *,
    port: Annotated[int, typer.Option(help="The port; 0 is a free one.", min=0, max=65535)] = 8089,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON Lines; what people read goes to stderr.")
    ] = False,
) -> None:
    """Serve a scripted model until Ctrl-C, and say how each request ended."""
    people = Console(stderr=as_json, highlight=False, soft_wrap=True)

    def tell(asked: Asked) -> None:
        if as_json:
            print(json.dumps(_as_data(asked)), flush=True)
        else:
            people.print(_in_words(asked, llm))

    llm = ScriptedLlm(load_scripts(script) if script else (), on_end=tell)
    try:
        asyncio.run(_serve(llm, port, people))
    except KeyboardInterrupt:
        people.print("stopped")


async def _serve(llm: ScriptedLlm, port: int, console: Console) -> None:
    async with served(llm, port=port) as url:
        console.print(f"export OPENAI_BASE_URL={url}\nexport OPENAI_API_KEY=none")
        console.print("(Ctrl-C stops)")
        await asyncio.Event().wait()


def _in_words(asked: Asked, llm: ScriptedLlm) -> str:
    """Say in one line how a request ended, what was asked, and what answered it."""
    which = "no script" if asked.script is None else f"script {_number(asked, llm)}"
    why = f" ({shown(shortened(asked.problem))})" if asked.problem else ""
    said = shown(shortened(asked.said)) or "(nothing)"
    return f"{asked.outcome} after {_took_ms(asked)} ms, {which}{why}: {said}"


def _number(asked: Asked, llm: ScriptedLlm) -> int:
    return next(number for number, one in enumerate(llm.scripts, 1) if one is asked.script)


def _took_ms(asked: Asked) -> int:
    return round(((asked.ended_at_s or asked.at_s) - asked.at_s) * 1000)


def _as_data(asked: Asked) -> dict[str, Any]:
    return {
        "outcome": asked.outcome,
        "took_ms": _took_ms(asked),
        "when": None if asked.script is None else asked.script.when,
        "said": asked.said,
        "problem": asked.problem,
        "most_at_once": asked.most_at_once,
        "request": asked.request,
    }
