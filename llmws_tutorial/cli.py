"""The command line, `llmws`: thin shells over what Python can reach as well.

Exit codes: 0 fine, 1 a check failed, 2 wrong use, 3 cannot connect, 4 a defect of this program.
"""

import asyncio
import io
import os
import subprocess
import sys
import threading
import traceback
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from dotenv import find_dotenv, load_dotenv
from uvicorn.importer import ImportFromStringError, import_from_string

from llmws_tutorial import __version__
from llmws_tutorial.errors import CannotConnect, LlmwsError, SetupError, TunnelError
from llmws_tutorial.messages.schema import Format, generate
from llmws_tutorial.notebook import open_tunnel, serve
from llmws_tutorial.notebook.doctor import PROJECT, examine
from llmws_tutorial.notebook.lessons import LESSONS
from llmws_tutorial.notebook.runtime import LOOPBACK, bind
from llmws_tutorial.server import Settings, create_app
from llmws_tutorial.server.listener import run
from llmws_tutorial.simulator import place_call
from llmws_tutorial.steps import step3
from llmws_tutorial.terminal import (
    call,
    check_server,
    explain_checks,
    open_dashboard,
    replay_calls,
    run_scenarios,
    serve_local_model,
    serve_model,
)
from llmws_tutorial.terminal.dashboard import has_browser

app = typer.Typer(
    help="Build and call the WebSocket server behind a voice agent.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_FIRST_WITH_A_MODEL: Final = 5
_passes_on: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


def main() -> None:
    """Run a command, and turn what goes wrong into one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal has no letter for is no error
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except LlmwsError as error:
        print(f"llmws: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, CannotConnect | TunnelError) else 2)
    except Exception:
        traceback.print_exc()
        print("llmws: a defect of llmws itself; please report the lines above", file=sys.stderr)
        sys.exit(4)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"llmws {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Build and call the WebSocket server behind a voice agent."""


@app.command(context_settings=_passes_on)
def lab(context: typer.Context) -> None:
    """Open JupyterLab on step 00; further options go to JupyterLab."""
    first = f"{_in_clone('notebooks').name}/{LESSONS[0].file}"
    try:
        from jupyterlab.labapp import LabApp  # noqa: PLC0415 - heavy, and optional
    except ImportError:
        raise SetupError(
            "the notebooks are opened with jupyterlab: python3 -m llmws_tutorial lab installs it"
        ) from None
    options = [f"--ServerApp.root_dir={PROJECT}", f"--LabApp.default_url=/lab/tree/{first}", "-y"]
    LabApp.launch_instance([*options, *_options_of_this_machine(), *context.args])


@app.command(context_settings=_passes_on)
def test(context: typer.Context) -> None:
    """Run every test and every notebook; further options go to pytest."""
    _in_clone("tests")
    command = [sys.executable, "-m", "pytest", *context.args]
    with subprocess.Popen(command, cwd=PROJECT) as pytest:
        try:
            code = pytest.wait()
        except KeyboardInterrupt:  # pytest got it as well, and says what it ran so far
            code = pytest.wait()
    raise typer.Exit(code)


@app.command()
def doctor() -> None:
    """Say whether this machine is ready for the notebooks."""
    diagnoses = list(examine())
    for diagnosis in diagnoses:
        print(diagnosis)
    if any(item.is_needed and not item.is_fine for item in diagnoses):
        raise typer.Exit(1)


@app.command()
def demo() -> None:
    """Serve the guide's server, call it, and print the transcript."""
    with serve(step3.app, name="demo", show_log=False) as server:
        asyncio.run(_demo(server.websocket_url))


@app.command("serve")
def serve_forever(
    target: Annotated[str | None, typer.Argument(help="Your app, as module:app.")] = None,
    *,
    step: Annotated[int, typer.Option(help="The server of this step.", min=1, max=7)] = 3,
    model: Annotated[
        str | None, typer.Option(help="An agent over this model, at OPENAI_BASE_URL.")
    ] = None,
    port: Annotated[int, typer.Option(help="The port; 0 is a free one.", min=0, max=65535)] = 3000,
    host: Annotated[
        str, typer.Option(help="The address; one that others reach wants LLMWS_SECRET.")
    ] = LOOPBACK,
) -> None:
    """Serve an app, or the server of a step, until Ctrl-C."""
    settings = Settings()
    if not (settings.secret or _is_loopback(host)):
        raise SetupError(
            f"at {host} others can call: set LLMWS_SECRET to a long random word; it becomes a part "
            "of the path, /llm-websocket/<secret>/"
        )
    asgi_app = _load(target or _step(step)) if model is None else _agent(model)
    with bind(port, host) as listener:
        port = listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        print(f"calls arrive at ws://{name}:{port}/llm-websocket/ (Ctrl-C stops)", flush=True)
        if settings.secret:
            print("an app of create_app wants LLMWS_SECRET next in the path", flush=True)
        try:
            run(asgi_app, listener, settings)
        except SystemExit:  # how uvicorn gives up on an app that fails to start
            raise SetupError("the app did not start; the lines above say why") from None
        except KeyboardInterrupt:  # raised by uvicorn again, once every call has ended
            print("stopped")


@app.command()
def tunnel(
    port: Annotated[int, typer.Option(help="The port that your server listens on.")] = 3000,
) -> None:
    """Open a public tunnel to a local server until Ctrl-C."""
    with open_tunnel(port, needs_public=True) as opened:
        print(opened.note)
        print(f"paste into the dashboard: {opened.websocket_url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("closed")


@app.command()
def schema(
    wanted: Annotated[Format, typer.Option("--format", help="In which language.")] = (
        Format.JSONSCHEMA
    ),
) -> None:
    """Print a description of every message, for tools and other languages."""
    print(generate(wanted), end="")


for command in (call, run_scenarios, replay_calls, check_server, explain_checks):
    app.command(command.__name__.partition("_")[0])(command)
app.command("llm")(serve_model)
app.command("model")(serve_local_model)
app.command("dashboard")(open_dashboard)


async def _demo(url: str) -> None:
    record = await place_call(url, ["Hello, who is there?", None])
    print(record)
    print(f"({len(record.frames)} frames, {record.disconnection_reason})")


def _step(number: int) -> str:
    """Find the app of a step; the server of step 4 is that of step 3."""
    if number >= _FIRST_WITH_A_MODEL:
        _need_openai()
        load_dotenv(find_dotenv(usecwd=True))  # what is exported wins
        if not os.environ.get("OPENAI_API_KEY"):
            raise SetupError(
                f"the server of step {number} asks a model: set OPENAI_API_KEY (with an endpoint "
                "of your own, OPENAI_BASE_URL, any word will do), or try llmws llm beside it"
            )
    return f"llmws_tutorial.steps.step{3 if number == 4 else number}:app"


def _agent(model: str) -> Any:
    _need_openai()
    from llmws_tutorial.server.llm import LlmResponder  # noqa: PLC0415 - heavy, and optional

    return create_app(LlmResponder(model))


def _need_openai() -> None:
    if find_spec("openai") is None:
        raise SetupError("models are spoken to with openai: pip install openai")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _load(target: str) -> Any:
    sys.path.insert(0, str(Path.cwd()))
    try:
        loaded = import_from_string(target)
    except ImportFromStringError as error:
        raise SetupError(f"cannot serve {target!r}: {str(error).rstrip('.')}") from None
    except Exception as error:  # of the learner's own module: the traceback is for them
        traceback.print_exc()
        raise SetupError(f"cannot serve {target!r}: it cannot be imported: {error!r}") from None
    if not callable(loaded):
        kind = type(loaded).__name__
        raise SetupError(f"cannot serve {target!r}: it is {kind}, expected an app like FastAPI()")
    return loaded


def _in_clone(folder: str) -> Path:
    path = PROJECT / folder
    if not path.is_dir():
        raise SetupError(
            f"there is no folder {folder}/ beside the installed package: clone the repository, "
            "and run python3 -m llmws_tutorial lab in it"
        )
    return path


def _options_of_this_machine() -> list[str]:
    options = [] if has_browser() else ["--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # in a container everybody is root
    return options
