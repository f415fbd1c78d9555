"""The house style, as far as a machine can tell."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import llmws_tutorial
from llmws_tutorial.notebook.doctor import PROJECT

PACKAGE: Final = PROJECT / "llmws_tutorial"
MODULES: Final = sorted(PACKAGE.rglob("*.py"))
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
every_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix()
)


def public(node: ast.AST) -> Iterator[tuple[str, Documented]]:
    """The public classes and functions of a module, methods included."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not child.name.startswith("_"):
            yield child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


@every_module
def test_every_public_name_is_documented_and_its_first_line_is_a_sentence(path: Path) -> None:
    module = ast.parse(path.read_text())
    for name, node in [("", module), *public(module)]:
        first = (ast.get_docstring(node) or "").partition("\n")[0]
        assert re.fullmatch(r"[A-Z`].*[.:?]", first), f"{name}: {first!r}"
        assert len(first) <= 80, f"{name}: {len(first)} characters"


@every_module
def test_a_module_and_its_functions_are_small(path: Path) -> None:
    module = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name
            assert len(node.args.posonlyargs + node.args.args) <= 4, node.name  # with self


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"])
def test_a_folder_hands_on_names_and_defines_nothing(path: Path) -> None:
    handed_on: set[str] = set()
    declared: set[str] = set()
    for node in ast.parse(path.read_text()).body[1:]:
        if isinstance(node, ast.ImportFrom):
            handed_on |= {alias.name for alias in node.names}
        else:
            assert isinstance(node, ast.Assign), ast.unparse(node)
            [target] = node.targets
            assert ast.unparse(target) in ("__all__", "__version__")
            if ast.unparse(target) == "__all__":
                declared = set(ast.literal_eval(node.value))
    assert handed_on == declared


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "common", "helpers", "misc"}
    assert not drawers & {path.stem for path in MODULES}


def test_the_version_is_the_top_of_the_changelog() -> None:
    top = re.search(r"^## (\S+)", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert top
    assert top[1] == llmws_tutorial.__version__


@pytest.mark.parametrize(
    "tool", ["ruff check", "ruff format --check", "mypy"], ids=lambda tool: tool.replace(" ", "-")
)
def test_a_tool_finds_nothing(tool: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", *tool.split()],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout + found.stderr
