"""The form of the notebooks. What their cells print is compared by nbval, not here."""

import ast
import configparser
import re
import statistics
from pathlib import Path
from typing import Any, cast

import nbformat
import pytest
from nbclient import NotebookClient

from llmws_tutorial import steps
from llmws_tutorial.notebook.checking import STEPS, cases_of
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.notebook.exercises import EXERCISES
from llmws_tutorial.notebook.lessons import LESSONS, Lesson
from llmws_tutorial.notebook.picture import PARTS, draw
from llmws_tutorial.notebook.refresh import NOTEBOOKS, code_digest, main, refresh, tidy
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm

ORDER = ["The idea", "Break it", "Check", "Your turn", "What you have now"]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.file)
every_step = pytest.mark.parametrize("lesson", LESSONS[1:], ids=lambda lesson: lesson.file)


def read(lesson: Lesson) -> Any:
    return nbformat.read(NOTEBOOKS / lesson.file, as_version=4)


def code_cells(lesson: Lesson) -> list[Any]:
    return [cell for cell in read(lesson).cells if cell.cell_type == "code"]


def prose(lesson: Lesson) -> str:
    return "\n".join(cell.source for cell in read(lesson).cells if cell.cell_type == "markdown")


def lines_of(cell: Any) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def parsed(source: str) -> ast.Module:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return cast(ast.Module, compile(source, "cell", "exec", flags))


def definitions(source: str) -> dict[str, Any]:
    return {node.name: node for node in parsed(source).body if isinstance(node, DEFINITIONS)}


def test_every_notebook_is_a_lesson() -> None:
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == [
        lesson.file for lesson in LESSONS
    ]


@every_lesson
def test_a_notebook_is_as_the_refresh_command_writes_it(lesson: Lesson) -> None:
    assert (NOTEBOOKS / lesson.file).read_text() == tidy(read(lesson), lesson), (
        f"run: python -m llmws_tutorial.notebook.refresh {lesson.number}"
    )


@every_lesson
def test_no_code_was_edited_after_the_last_run(lesson: Lesson) -> None:
    notebook = read(lesson)
    counts = [cell.execution_count for cell in code_cells(lesson)]
    assert notebook.metadata["code_that_was_run"] == code_digest(notebook)
    assert counts == list(range(1, len(counts) + 1))


@every_lesson
def test_the_picture_lights_the_parts_of_the_step(lesson: Lesson) -> None:
    picture = f"pictures/{lesson.number:02}.svg"
    assert set(lesson.lit) <= set(PARTS)
    assert (NOTEBOOKS / picture).read_text() == draw(lesson.lit)
    assert f"]({picture})" in prose(lesson)


@every_step
def test_a_step_has_the_size_of_a_lesson(lesson: Lesson) -> None:
    sizes = [lines_of(cell) for cell in code_cells(lesson)]
    assert 25 <= len(read(lesson).cells) <= 60
    assert 700 <= len(prose(lesson).split()) <= 1600
    assert 60 <= sum(sizes) <= 200
    assert max(sizes) <= 25
    assert statistics.median(sizes) < 6


@every_step
def test_a_step_has_its_parts_in_order(lesson: Lesson) -> None:
    headings = re.findall(r"^## (.*)$", prose(lesson), re.MULTILINE)
    assert prose(lesson).startswith(f"# Step {lesson.number}: {lesson.title}\n\nBy the end ")
    assert [heading for heading in headings if heading in ORDER] == ORDER
    assert (headings[0], headings[-1]) == (ORDER[0], ORDER[-1])


@every_step
def test_the_idea_is_told_in_120_words(lesson: Lesson) -> None:
    idea = prose(lesson).partition("## The idea")[2].partition("\n## ")[0]
    assert len(idea.split()) <= 120


@every_lesson
def test_a_cell_defines_one_thing_at_most(lesson: Lesson) -> None:
    assert [cell.source for cell in code_cells(lesson) if len(definitions(cell.source)) > 1] == []


@every_lesson
def test_a_definition_is_run_within_two_cells(lesson: Lesson) -> None:
    cells = code_cells(lesson)
    for index, cell in enumerate(cells):
        following = [later.source for later in cells[index + 1 : index + 3]]
        for name, node in definitions(cell.source).items():
            used = any(name in source for source in following)
            served = node.decorator_list and not all(map(definitions, following))
            assert used or served or "solution" in tags(cell), f"{name} is not run"


@every_lesson
def test_nothing_is_skipped_and_nothing_is_installed(lesson: Lesson) -> None:
    for cell in code_cells(lesson):
        assert set(tags(cell)) <= {"exercise", "solution"}
        assert not re.search(r"NBVAL|^\s*[%!]|\bpip\b|sys\.path", cell.source, re.MULTILINE)


@every_lesson
def test_no_output_differs_from_run_to_run(lesson: Lesson) -> None:
    for cell in code_cells(lesson):
        for output in cell.outputs:
            assert output.output_type in ("stream", "execute_result")
            assert output.get("name") != "stderr"
            shown = str(output.get("text", "")) + str(output.get("data", ""))
            assert not re.search(
                r"0x[0-9a-f]{6}|127\.0\.0\.1:\d|INFO|\d\.\d\d s|call_[0-9a-f]{6}", shown
            )


def test_few_patterns_are_sanitized() -> None:
    rules = configparser.RawConfigParser()
    rules.read(PROJECT / "tests" / "sanitize.cfg")
    assert 1 <= len(rules.sections()) <= 6


@every_step
def test_the_notebook_and_the_package_hold_the_same_code(lesson: Lesson) -> None:
    """What step N defines, and what the package's step N defines, is the same syntax tree."""
    module = Path(str(steps.__file__)).with_name(f"step{lesson.number}.py")
    package = definitions(module.read_text()) if module.exists() else {}
    learned: dict[str, Any] = {}
    for cell in code_cells(lesson):
        learned |= {
            name: node for name, node in definitions(cell.source).items() if name not in learned
        }
    for name, node in package.items():
        assert name in learned, f"{lesson.file} does not define {name}"
        assert ast.dump(learned[name]) == ast.dump(node), f"{name} differs from {module.name}"


@every_lesson
def test_every_exercise_shows_its_verdicts(lesson: Lesson) -> None:
    """The stub, its check and the solution follow one another; nbval runs all three."""
    cells = code_cells(lesson)
    shown = []
    for stub, check, solution in zip(cells, cells[1:], cells[2:], strict=False):
        if "exercise" in tags(stub):
            shown.append(re.findall(r'check\("(\S+)"', check.source)[0])
            assert check.outputs[0].data["text/plain"] == "not attempted yet"
            assert solution.outputs[0].data["text/plain"] == "ok"
            assert solution.metadata["jupyter"] == {"source_hidden": True}
            assert tags(solution) == ["solution"]
            assert check.source in solution.source
    assert shown == [known for known in EXERCISES if known.startswith(f"{lesson.number:02}.")]
    assert len(shown) >= 1


@every_lesson
def test_the_check_of_the_step_passes(lesson: Lesson) -> None:
    number = f"{lesson.number:02}"
    [cell] = [cell for cell in code_cells(lesson) if f'check("{number}", ' in cell.source]
    shown = cell.outputs[0].data["text/plain"]
    model = ScriptedLlm() if ", model)" in cell.source else None
    seen = len(cases_of(number, model)) - shown.count(" not seen: ")
    assert number in STEPS
    assert f"{seen} of {seen} passed" in shown
    assert all(said in prose(lesson) for said in re.findall(r"^(\S+) not seen: ", shown, re.M))


@every_lesson
def test_a_notebook_runs_the_same_without_its_solutions(lesson: Lesson) -> None:
    notebook = read(lesson)
    notebook.cells = [cell for cell in notebook.cells if "solution" not in tags(cell)]
    expected = [cell.get("outputs") for cell in notebook.cells]
    resources = {"metadata": {"path": str(NOTEBOOKS)}}
    NotebookClient(notebook, timeout=60, resources=resources).execute()
    tidy(notebook, lesson)
    for cell, outputs in zip(notebook.cells, expected, strict=True):
        for output in [*cell.get("outputs", []), *(outputs or [])]:
            output.pop("execution_count", None)
        assert cell.get("outputs") == outputs


def test_a_print_that_came_in_pieces_is_one_output() -> None:
    pieces = [
        nbformat.v4.new_output("stream", name=name, text=text)
        for name, text in (("stdout", "port 1"), ("stdout", "234\n"), ("stderr", "!"))
    ]
    cell = nbformat.v4.new_code_cell("print()", outputs=pieces)
    tidy(nbformat.v4.new_notebook(cells=[cell]), LESSONS[0])
    assert [output.text for output in cell.outputs] == ["port PORT\n", "!"]


def rough(folder: Path, *lessons: Lesson) -> None:
    title = nbformat.v4.new_markdown_cell("<!-- navigation -->old<!-- end -->")
    code = nbformat.v4.new_code_cell("print('127.0.0.1:4711')", metadata={"trusted": True})
    text = nbformat.writes(nbformat.v4.new_notebook(cells=[title, code]))
    for lesson in lessons:
        (folder / lesson.file).write_text(text)


def test_refreshing_runs_a_notebook_and_writes_it_in_its_one_form(tmp_path: Path) -> None:
    lesson = LESSONS[1]
    rough(tmp_path, lesson)
    refresh(lesson, tmp_path)
    fresh = nbformat.read(tmp_path / lesson.file, as_version=4)
    assert "**20 minutes** · [← 00 Hear it first](00_hear_it_first.ipynb)" in fresh.cells[0].source
    assert fresh.cells[1].outputs[0].text == "127.0.0.1:PORT\n"
    assert fresh.cells[1].metadata == {}
    assert (tmp_path / "pictures" / "01.svg").exists()


def test_the_refresh_command_takes_steps_or_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rough(tmp_path, *LESSONS)
    main(["3", "1"], tmp_path)
    assert capsys.readouterr().out.split() == [LESSONS[3].file, LESSONS[1].file]
    main([], tmp_path)
    assert capsys.readouterr().out.split() == [lesson.file for lesson in LESSONS]


def test_the_refresh_command_refuses_a_step_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["three"], tmp_path)
    assert f"argument step: 'three', expected 0 to {len(LESSONS) - 1}" in capsys.readouterr().err
