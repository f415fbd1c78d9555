"""The commands about the checks: `llmws check` and `llmws explain`."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.markdown import Markdown

from llmws_tutorial.checks import CASES, Case, Conditions, Profile, judge, select
from llmws_tutorial.checks.case import Need
from llmws_tutorial.checks.explain import explain, must_mean_something
from llmws_tutorial.checks.html_report import as_html
from llmws_tutorial.checks.probe import PATIENCE_S
from llmws_tutorial.checks.report import Report, as_data, as_github, as_junit
from llmws_tutorial.checks.runner import Progress, lacks
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator.llm_endpoint import served
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm
from llmws_tutorial.terminal import options
from llmws_tutorial.terminal.findings import Watching, cases_as_data, show_list, show_report
from llmws_tutorial.terminal.server_process import ServerProcess

STOPPED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""
_ENDS: Final = ("SIGTERM", "SIGHUP")  # a job that is cancelled, a terminal that is closed
_UNHEEDED: Final = (signal.SIG_IGN, None)  # as under nohup; None: not ours to set


@dataclass(frozen=True, kw_only=True)
class _Server:
    transport: Sockets
    conditions: Conditions
    port: int  # of the model behind it, if it is ours
    command: str | None  # that starts it, if we are to


def check_server(
    url: options.Url = None,
    prefixes: options.Prefixes = None,
    *,
    profile: options.OfProfile = None,
    is_list: options.IsList = False,
    strict: options.Strict = False,
    fail_on: options.FailsOn = options.FailOn.ERROR,
    timeout: options.Timeout = PATIENCE_S,
    header: options.Header = None,
    llm: options.LlmPort = None,
    start: options.Start = None,
    webhook: options.Webhook = None,
    webhook_key: options.WebhookKey = "",
    as_json: options.AsJson = False,
    junit: options.Junit = None,
    html: options.Html = None,
    github: options.Github = None,
) -> None:
    """Check a server on the wire, and say what to mend and how."""
    console = Console(stderr=as_json, highlight=False)
    if is_list:
        names = [url, *(prefixes or ())] if url else []
        _list(_choose(names, profile), console, as_json=as_json)
        return
    url = _must_be_given(url)
    profile = profile or Profile.CURRENT
    cases = _choose(prefixes or (), profile)
    headers = options.read_headers(header or ())
    server = _Server(
        transport=Sockets(url, headers=headers, webhook=webhook),
        conditions=_conditions(options.read_timeout(timeout), llm, webhook, webhook_key),
        port=llm or 0,
        command=start,
    )
    _must_have_enough(cases, server)
    pages = _pages(junit, html)
    report = Report(
        url=url,
        wanted=len(cases),
        profile=profile,
        fail_on=fail_on.severity,
        strict=strict,
        options=options.repeated(timeout, headers, llm, start),
        webhook=webhook,
    )
    report = _run(report, server, cases, console)
    with _written(report, pages):
        _tell(report, console, as_json=as_json, github=github)
    raise typer.Exit(_exit_code(report))


def explain_checks(checks: options.Explained = None) -> None:
    """Explain checks in full, each with a server that passes and one that fails."""
    text = explain(*(checks or ()))
    console = Console()
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text)


def _must_be_given(url: str | None) -> str:
    """Refuse to go on without a URL, also where a check stands in its place."""
    if url is None:
        raise SetupError("which server? expected its URL: llmws check ws://host/llm-websocket/")
    if url.partition("/")[0] in {case.topic for case in CASES}:
        must_mean_something(url)
        kind = "a check" if "/" in url else "a topic of checks"
        command = f"llmws check ws://host/llm-websocket/ {url}"
        raise SetupError(f"{url} is {kind}: expected the URL first, {command}")
    return url


def _choose(prefixes: Sequence[str], profile: Profile | None) -> list[Case]:
    """The cases that are meant; what means none is refused with the nearest."""
    for prefix in prefixes:
        must_mean_something(prefix)
    return select(*prefixes, profile=profile)


def _must_have_enough(cases: Sequence[Case], server: _Server) -> None:
    """Refuse to run when every check lacks what it needs: nothing would be seen."""
    lacking = [lacks(case, server.transport, server.conditions) for case in cases]
    if all(lacking):
        ids = ", ".join(case.id for case in cases)
        needs = " and ".join(need.value for need in Need if any(need in one for one in lacking))
        raise SetupError(f"nothing can be checked: {ids} cannot do without {needs}")


def _pages(junit: Path | None, html: Path | None) -> dict[Path, Callable[[Report], str]]:
    """The files to write, each with its form; that they can be written is known before the run."""
    forms: tuple[tuple[Path | None, Callable[[Report], str]], ...]
    forms = ((junit, as_junit), (html, as_html))
    pages: dict[Path, Callable[[Report], str]] = {path: form for path, form in forms if path}
    for path in pages:
        options.check_writable(path)
    return pages


def _list(cases: Sequence[Case], console: Console, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(cases_as_data(cases), indent=2))
    else:
        show_list(cases, console)


def _conditions(
    timeout_s: float, llm: int | None, webhook: str | None, webhook_key: str
) -> Conditions:
    if webhook and not webhook_key:
        raise SetupError("--webhook wants the API key that signs as well: --webhook-key KEY")
    model = None if llm is None else ScriptedLlm()
    return Conditions(patience_s=timeout_s, llm=model, webhook_key=webhook_key)


def _run(report: Report, server: _Server, cases: Sequence[Case], console: Console) -> Report:
    """Fill a report with what is found, to the end or until Ctrl-C."""
    began_s = time.monotonic()
    with (
        _quiet_asyncio(),
        _stoppable(),
        Watching(console, len(cases)) as watching,
        contextlib.suppress(KeyboardInterrupt),
    ):
        asyncio.run(_judge(server, cases, watching.found))
    found = watching.findings
    return replace(
        report,
        findings=tuple(found[case.id] for case in cases if case.id in found),
        took_s=time.monotonic() - began_s,
    )


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let whoever ends this process stop it as Ctrl-C does: the server that it started ends too."""
    asked = [getattr(signal, name) for name in _ENDS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in asked}
    heeded = [number for number, handler in before.items() if handler not in _UNHEEDED]
    for number in heeded:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


@contextlib.contextmanager
def _quiet_asyncio() -> Iterator[None]:
    """Keep asyncio's warnings out of the report: that a line was cut is said there."""
    log = logging.getLogger("asyncio")
    level = log.level
    log.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        log.setLevel(level)


async def _judge(server: _Server, cases: Sequence[Case], progress: Progress) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if server.conditions.llm is not None:
            await stack.enter_async_context(served(server.conditions.llm, port=server.port))
        conditions = server.conditions
        if server.command is not None:
            variables = _model_variables(server.port) if server.port else {}
            process = ServerProcess(server.command, server.transport, variables)
            await stack.enter_context(process).start()
            conditions = replace(conditions, restart=process.start)
        await judge(server.transport, cases, conditions, progress=progress)


def _model_variables(port: int) -> dict[str, str]:
    """What a server has to know to ask our model."""
    return {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": "none"}


def _tell(report: Report, console: Console, *, as_json: bool, github: bool | None) -> None:
    github = _is_at_github() if github is None else github
    with _unheard_by_github(console) if github else contextlib.nullcontext():
        show_report(report, console)
    for line in as_github(report) if github else ():
        print(line, file=console.file)
    if as_json:
        print(json.dumps(as_data(report), indent=2))


@contextlib.contextmanager
def _written(report: Report, pages: Mapping[Path, Callable[[Report], str]]) -> Iterator[None]:
    """Write the files at the end, also when whoever reads the rest has gone, as in `| head`."""
    try:
        yield
    finally:
        for path, form in pages.items():
            options.write(path, form(report))


@contextlib.contextmanager
def _unheard_by_github(console: Console) -> Iterator[None]:
    """Let no line be taken for a command to GitHub's runner, whatever a server sent."""
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", file=console.file)
    yield
    print(f"::{token}::", file=console.file)


def _is_at_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _exit_code(report: Report) -> int:
    if report.absence is not None:
        return 3
    if report.was_stopped:
        return STOPPED
    return 0 if report.is_fine else 1
