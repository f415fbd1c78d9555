"""The page of the dashboard as files: small, from here alone, and never markup of a stranger."""

import re
from pathlib import Path
from typing import Final

import pytest

import llmws_tutorial.dashboard
from llmws_tutorial.simulator.keepalive import DIALS_AGAIN

PAGE: Final = Path(llmws_tutorial.dashboard.__file__).with_name("page")
FILES: Final = sorted(path for path in PAGE.rglob("*") if path.is_file())
SCRIPTS: Final = [path for path in FILES if path.suffix == ".js"]
STYLES: Final = [path for path in FILES if path.suffix == ".css"]
INDEX: Final = (PAGE / "index.html").read_text(encoding="utf-8")
MOST_BYTES: Final = 300_000
MOST_LINES: Final = 300
MARKUP: Final = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    r"|setHTML|\beval\(|new Function"
)
COLOUR: Final = re.compile(r"#[0-9a-fA-F]{3,8}\b(?!\()")


def _name(path: Path) -> str:
    return path.relative_to(PAGE).as_posix()


def test_a_lost_line_is_found_by_what_the_log_says_of_it() -> None:
    script = (PAGE / "utterance.js").read_text(encoding="utf-8")
    [begins] = re.findall(r'^const LOST = "(.+)";', script, re.MULTILINE)
    assert DIALS_AGAIN.startswith(begins)


def test_all_of_it_stays_light() -> None:
    assert sum(path.stat().st_size for path in FILES) < MOST_BYTES


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_no_script_makes_markup_of_text(path: Path) -> None:
    assert MARKUP.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SCRIPTS + STYLES, ids=_name)
def test_a_file_is_short_and_says_first_what_it_is_for(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("// " if path.suffix == ".js" else "/* ")
    assert len(lines) <= MOST_LINES


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_what_a_script_imports_is_there(path: Path) -> None:
    found = re.findall(r'(?:from|import) "([^"]+)"', path.read_text(encoding="utf-8"))
    assert all(name.startswith((".", "..")) for name in found)
    assert [name for name in found if not (path.parent / name).is_file()] == []


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.findall(r"""["'(](?:https?:)?//[^"')]+""", text) == []


@pytest.mark.parametrize("path", STYLES, ids=_name)
def test_colours_have_names_that_one_file_gives_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name == "style.css":
        text = text.partition("--mono")[2]
    assert COLOUR.findall(text) == []


def test_what_the_page_loads_is_there_and_every_panel_is_loaded() -> None:
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', INDEX)
    assert [name for name in loaded if not (PAGE / name).is_file()] == []
    styles = {_name(path) for path in STYLES}
    assert styles <= set(loaded)
    assert len(re.findall(r"<script>", INDEX)) == 1  # the slash at the end, by its hash
    assert re.findall(r"\s(?:style|on\w+)=", INDEX) == []
