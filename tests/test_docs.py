"""What the documents say is what the program does."""

import dataclasses
import re
import tomllib
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest
import typer

from llmws_tutorial import messages, server
from llmws_tutorial.checks import CASES, Profile, Severity, Verdict, explain
from llmws_tutorial.checks.report import Report, as_data
from llmws_tutorial.cli import app
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.notebook.lessons import LESSONS, table
from llmws_tutorial.server import Settings
from llmws_tutorial.server.settings import ModelSettings
from llmws_tutorial.simulator import Choices, dialer, endings, keepalive, opening, scenario
from llmws_tutorial.simulator.choices import choose
from llmws_tutorial.terminal.checking import STOPPED
from tests.found import FAILURE, URL

README: Final = (PROJECT / "README.md").read_text()
PROTOCOL: Final = (PROJECT / "docs" / "protocol.md").read_text()
CHECKS: Final = explain.PAGE.read_text()
INTRODUCTION: Final = CHECKS.partition(explain.BEGINS)[0]
COMMANDS: Final = typer.main.get_command(app).commands  # type: ignore[attr-defined]
DOCUMENTS: Final = [
    *PROJECT.glob("*.md"),
    *PROJECT.glob("docs/*.md"),
    *PROJECT.glob("binder/*.md"),
]


def test_the_two_commands_come_before_line_25() -> None:
    top = "\n".join(README.splitlines()[:24])
    assert re.search(r"^python3 -m llmws_tutorial lab\b", top, re.MULTILINE)
    assert re.search(r"^python3 -m llmws_tutorial test\b", top, re.MULTILINE)


def test_the_readme_is_read_in_minutes() -> None:
    words = [word for word in README.split() if any(map(str.isalnum, word))]  # no lines of tables
    assert 400 <= len(words) <= 600


def test_the_readme_shows_the_steps() -> None:
    assert re.sub(r"\((\d\d_\w+\.ipynb)\)", r"(notebooks/\1)", table()) in README


def test_the_badge_opens_step_00_of_this_project() -> None:
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    repository = pyproject["project"]["urls"]["Repository"].removeprefix("https://github.com/")
    first = quote(f"notebooks/{LESSONS[0].file}", safe="")
    assert f"(https://mybinder.org/v2/gh/{repository}/main?labpath={first})" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"^\|.*`llmws {command}[ `].*$", README, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_on_the_page_of_commands_in_its_own_words(command: str) -> None:
    page = (PROJECT / "docs" / "commands.md").read_text()
    [_, *sections] = page.split(f"\n## llmws {command}\n")
    assert len(sections) == 1, "expected one section"
    section = sections[0].partition("\n## ")[0]
    assert COMMANDS[command].help.partition("\n")[0] in section
    for parameter in COMMANDS[command].params:
        if parameter.param_type_name == "option":
            assert f"| `{parameter.opts[0]}` | {parameter.help} |" in section
        else:
            assert f"| `{parameter.name}` | {parameter.help} |" in section


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("module", sorted((PROJECT / "llmws_tutorial").rglob("*.py")))
def test_a_source_that_is_cited_exists(module: Path) -> None:
    sections = set(re.findall(r"^## (\d+)\.", PROTOCOL, re.MULTILINE))
    for cited in re.findall(r"docs/protocol\.md,\s+sections? ([\d, and]+)", module.read_text()):
        assert set(re.findall(r"\d+", cited)) <= sections


@pytest.mark.parametrize("message", [*messages.Request.__args__, *messages.ServerMessage.__args__])
def test_every_message_is_in_the_protocol_with_its_fields(message: type[msgspec.Struct]) -> None:
    tag = message.__struct_config__.tag
    assert tag is None or f"| `{tag}` |" in PROTOCOL
    for field in message.__struct_fields__:
        assert f"`{field}`" in PROTOCOL


def test_the_page_of_the_checks_is_fresh() -> None:
    assert explain.page(CHECKS) == CHECKS, "run python -m llmws_tutorial.checks.explain"


def test_every_check_in_the_list_leads_to_its_long_form() -> None:
    links = re.findall(r"^\| \[(\S+)\]\(#(\S+)\) \|", CHECKS, re.MULTILINE)
    headings = re.findall(r"^### (\S+)$", CHECKS, re.MULTILINE)
    assert [name for name, _ in links] == headings == [case.id for case in CASES]
    assert [anchor for _, anchor in links] == [heading.replace("/", "") for heading in headings]


@pytest.mark.parametrize("value", [*Verdict, *Severity, *Profile])
def test_every_word_of_a_finding_is_on_the_page_of_the_checks(value: Enum) -> None:
    assert re.search(rf"(`|\*\*|`--profile ){value.value}(`|\*\*)", INTRODUCTION)


def test_the_commands_on_the_page_of_the_checks_exist() -> None:
    for command, rest in re.findall(r"llmws (check|explain)\b(.*)", INTRODUCTION):
        known = {option for one in COMMANDS[command].params for option in one.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= known
    assert set(re.findall(r"`(--[\w-]+)", INTRODUCTION)) <= {
        option for one in COMMANDS["check"].params for option in one.opts
    }


def test_every_field_of_the_json_is_on_the_page_of_the_checks() -> None:
    data = as_data(Report(url=URL, findings=(FAILURE,)))
    [finding] = data["findings"]
    for field in (*data, *data["summary"], *finding):
        assert re.search(rf"^\|.*`{field}`", INTRODUCTION, re.MULTILINE), field


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, STOPPED])
def test_every_exit_code_is_on_the_page_of_the_checks(code: int) -> None:
    assert re.search(rf"^\| {code} \|", INTRODUCTION, re.MULTILINE)


@pytest.mark.parametrize("choice", dataclasses.fields(Choices), ids=lambda field: field.name)
def test_every_choice_of_the_stand_in_is_in_the_protocol(choice: dataclasses.Field[Any]) -> None:
    section = PROTOCOL.partition("\n## 10. ")[2]
    row = rf"^\| `{choice.name}` \| [^|]+\? ?[^|]*\| `(.+)` \|$"
    [default] = re.findall(row, section, re.MULTILINE)
    assert default == str(choice.default)


def test_the_ways_to_make_a_choice_lead_to_it() -> None:
    section = PROTOCOL.partition("\n## 10. ")[2]
    [in_python] = re.findall(r"choices=Choices\((\w+)=True\)", section)
    [in_terminal] = re.findall(r"--choice (\w+)=true", section)
    [in_scenario] = re.findall(r"`choices: (.+)`", section)
    chosen = scenario.read(f"scenario: a call\ncaller: []\nchoices: {in_scenario}").choices
    assert choose({in_python: True}) == choose({in_terminal: True}) == choose(chosen)


def test_every_ending_is_in_the_protocol() -> None:
    section = PROTOCOL.partition("\n## 6. ")[2].partition("\n## 7. ")[0]
    assert set(endings.REASONS) == set(re.findall(r"\| `(\w+)`", section))


def test_the_protocol_says_how_often_the_stand_in_dials() -> None:
    for row in (
        f"| {dialer.ATTEMPTS}, of {opening.OPEN_TIMEOUT_S:g} s each,"
        f" with {dialer.BETWEEN_ATTEMPTS_S:g} s between [ref] |",
        f"| every {keepalive.PING_S:g} s a `ping_pong`, both ways [ref] |",
        f"| {keepalive.PATIENCE_S:g} s, then it closes the socket and dials again [ref] |",
        f"| {keepalive.Loss.DROP.value} times a call [ref] |",
    ):
        assert row in PROTOCOL


def test_contributing_names_the_commands_that_exist() -> None:
    contributing = (PROJECT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`((?:tests|llmws_tutorial)/[\w/.]+)`", contributing):
        assert (PROJECT / path).exists(), path


def test_every_setting_is_documented_with_its_default() -> None:
    page = (PROJECT / "docs" / "server.md").read_text()
    example = (PROJECT / ".env.example").read_text()
    for name, field in Settings.model_fields.items():
        default = f"{field.default:.7g}" if field.default else "none"
        default = "false" if field.default is False else default
        assert re.search(rf"^\| `LLMWS_{name.upper()}` \|.*\| {default} \|$", page, re.MULTILINE), (
            name
        )
        assert f"#LLMWS_{name.upper()}={default.replace('none', '')}\n" in example


def test_every_setting_of_the_model_is_documented() -> None:
    page = (PROJECT / "docs" / "server.md").read_text()
    example = (PROJECT / ".env.example").read_text()
    for name, field in ModelSettings.model_fields.items():
        variable = field.validation_alias or f"OPENAI_{name.upper()}"
        default = str(field.default) if name == "budget" else ""
        assert re.search(rf"^\| `{variable}` \|.*\| {default or '(none|OpenAI)'} \|$", page, re.M)
        assert f"#{variable}={default}\n" in example


def test_the_server_page_names_what_the_package_hands_on() -> None:
    page = (PROJECT / "docs" / "server.md").read_text()
    for name in (
        "create_app",
        "DummyResponder",
        "ScriptedResponder",
        "HangUp",
        "Transfer",
        "Press",
        "Toolbox",
        "end_call",
        "press_digits",
        "transfer",
    ):
        assert name in page
        assert name in server.__all__
