"""Refresh notebooks: ``python -m llmws_tutorial.notebook.refresh [number ...]``.

Runs each notebook from a fresh kernel, writes its navigation and its picture, keeps the outputs,
and strips everything that differs from run to run. Notebooks are never finished by hand.
"""

import argparse
import configparser
import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient

from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.notebook.lessons import LESSONS, Lesson, table
from llmws_tutorial.notebook.picture import draw

NOTEBOOKS: Final = PROJECT / "notebooks"
CELL_TIMEOUT_S: Final = 60

_KERNEL: Final = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_KEPT_CELL_METADATA: Final = ("tags", "jupyter")
_GENERATED: Final = re.compile(r"<!-- (navigation|map) -->.*?<!-- end -->", re.DOTALL)
_RUN_KEY: Final = "code_that_was_run"


def refresh(lesson: Lesson, folder: Path = NOTEBOOKS) -> None:
    """Run one notebook and write it back, with its picture.

    Raises:
        nbclient.exceptions.CellExecutionError: when a cell fails; nothing is written then.
    """
    path = folder / lesson.file
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT_S, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    notebook.metadata[_RUN_KEY] = code_digest(notebook)
    path.write_text(tidy(notebook, lesson))
    picture = folder / "pictures" / f"{lesson.number:02}.svg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(draw(lesson.lit))


def tidy(notebook: Any, lesson: Lesson) -> str:
    """The text of a notebook file in its one proper form; running nothing."""
    for index, cell in enumerate(notebook.cells):
        cell.id = f"{lesson.number:02}-{index:02}"
        cell.metadata = {
            key: cell.metadata[key] for key in _KEPT_CELL_METADATA if key in cell.metadata
        }
        if cell.cell_type == "markdown":
            cell.source = _GENERATED.sub(lambda found: _generate(found[1], lesson), cell.source)
        else:
            cell.outputs = [_tidy_output(output) for output in _joined(cell.outputs)]
    notebook.metadata = {
        "kernelspec": _KERNEL,
        "language_info": {"name": "python"},
        _RUN_KEY: notebook.metadata.get(_RUN_KEY, ""),
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return f"{nbformat.writes(notebook)}\n"


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """The outputs with neighbours of one stream in one: a busy machine sends a print in pieces."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last["text"] += output.text
        else:
            joined.append(output)
    return joined


def code_digest(notebook: Any) -> str:
    """What was run, as a short digest: it tells a cell edited after the last run."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def navigation(lesson: Lesson) -> str:
    """The line below a title: how long the step takes, and the steps around it."""
    parts = [f"**{lesson.minutes} minutes**"]
    index = LESSONS.index(lesson)
    if index > 0:
        before = LESSONS[index - 1]
        parts.append(f"[← {before.number:02} {before.title}]({before.file})")
    if index + 1 < len(LESSONS):
        after = LESSONS[index + 1]
        parts.append(f"[{after.number:02} {after.title} →]({after.file})")
    return " · ".join(parts)


def _generate(what: str, lesson: Lesson) -> str:
    text = navigation(lesson) if what == "navigation" else table()
    return f"<!-- {what} -->\n{text}\n<!-- end -->"


def _tidy_output(output: Any) -> Any:
    output.metadata = {}
    if output.output_type == "stream":
        del output["metadata"]
        output.text = _sanitized(output.text)
    for kind, data in output.get("data", {}).items():
        output.data[kind] = _sanitized(data)
    return output


def _sanitized(text: str) -> str:
    rules = configparser.RawConfigParser()
    rules.read(PROJECT / "tests" / "sanitize.cfg")
    for name in rules.sections():
        text = re.sub(rules[name]["regex"], rules[name]["replace"], text)
    return text


def main(arguments: Sequence[str] | None = None, folder: Path = NOTEBOOKS) -> None:
    """Refresh the notebooks whose steps are given on the command line, or all of them."""
    parser = argparse.ArgumentParser(prog="refresh", description="Run notebooks, write them tidy.")
    parser.add_argument("step", type=_lesson, nargs="*", help="the number of a step")
    for lesson in parser.parse_args(arguments).step or LESSONS:
        print(lesson.file, flush=True)
        refresh(lesson, folder)


def _lesson(number: str) -> Lesson:
    for lesson in LESSONS:
        if number == str(lesson.number):
            return lesson
    raise argparse.ArgumentTypeError(f"{number!r}, expected 0 to {LESSONS[-1].number}")


if __name__ == "__main__":
    main()
