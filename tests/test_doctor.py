"""What the doctor says on machines that lack one thing each."""

import socket
import sys
from pathlib import Path

import pytest

from llmws_tutorial.notebook import doctor, runtime
from llmws_tutorial.notebook.doctor import Diagnosis, examine
from llmws_tutorial.notebook.ngrok_token import TOKEN_PAGE

AGENT = Path(__file__).with_name("fake_ngrok.py")
TOKEN = "good-2Jx7secret"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with everything, from which a test takes one thing away."""
    monkeypatch.setenv("NGROK_AUTHTOKEN", TOKEN)
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(AGENT))
    monkeypatch.chdir(tmp_path)


def diagnosis(name: str) -> Diagnosis:
    [found] = [item for item in examine() if item.name == name]
    return found


def test_on_a_machine_that_has_everything_all_is_fine() -> None:
    diagnoses = list(examine())
    assert [item.name for item in diagnoses if not item.is_fine] == []
    assert {str(item).split()[0] for item in diagnoses} == {"ok"}


def test_everything_that_the_notebooks_need_is_looked_at() -> None:
    names = [item.name for item in examine() if item.is_needed]
    assert names == ["Python", *doctor.PACKAGES, "notebooks", "loopback"]


def test_the_version_of_python_is_shown() -> None:
    assert diagnosis("Python").detail == ".".join(map(str, sys.version_info[:3]))


def test_an_old_python_is_not_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    assert not diagnosis("Python").is_fine


def test_a_package_that_is_missing_comes_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("fastapi", "no_such_package"))
    assert diagnosis("fastapi").is_fine
    said = str(diagnosis("no_such_package"))
    assert said == "missing   no_such_package run: python3 -m llmws_tutorial lab"


@pytest.mark.parametrize(("name", "packages", "better", "worse"), doctor.DASHBOARD)
def test_without_one_package_the_dashboard_does_less_and_the_command_is_said(
    name: str, packages: tuple[str, ...], better: str, worse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(diagnosis(name)) == f"ok        {name:12} {better}"
    lacking = (name, (*packages, "no_such_package"), better, worse)
    monkeypatch.setattr(doctor, "DASHBOARD", (lacking,))
    said = str(diagnosis(name))
    assert said == f"optional  {name:12} {worse}; run: python3 -m llmws_tutorial lab"


def test_the_notebooks_are_counted() -> None:
    count = len(list((doctor.PROJECT / "notebooks").glob("*.ipynb")))
    assert diagnosis("notebooks").detail == f"{count} found"


def test_a_package_without_its_clone_has_no_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PROJECT", tmp_path)
    said = str(diagnosis("notebooks"))
    assert said == "missing   notebooks    clone the repository: the package alone has none"


def test_a_machine_on_which_no_port_can_be_had_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(doctor, "bind", lambda _: runtime.bind(port))
        found = diagnosis("loopback")
    assert (found.is_fine, found.is_needed) == (False, True)
    assert found.detail.startswith(f"port {port} cannot be had")


def test_looking_at_the_port_leaves_it_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    monkeypatch.setattr(doctor, "bind", lambda _: runtime.bind(port))
    assert diagnosis("loopback").is_fine
    runtime.bind(port).close()


@pytest.mark.parametrize("token", [None, "  "])
def test_without_a_token_it_says_where_to_get_one(
    token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NGROK_AUTHTOKEN")
    if token:
        monkeypatch.setenv("NGROK_AUTHTOKEN", token)
    said = str(diagnosis("ngrok token"))
    assert said.startswith("optional  ngrok token  set NGROK_AUTHTOKEN, or put it into .env; yours")
    assert TOKEN_PAGE in said


def test_a_token_in_dotenv_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NGROK_AUTHTOKEN")
    Path(".env").write_text(f"NGROK_AUTHTOKEN={TOKEN}\n")
    assert str(diagnosis("ngrok token")) == "ok        ngrok token  set"


def test_without_the_agent_it_is_downloaded_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(tmp_path / "ngrok"))
    said = str(diagnosis("ngrok agent"))
    assert said == "optional  ngrok agent  pyngrok downloads it with the first tunnel"


def test_without_pyngrok_nobody_has_downloaded_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llmws_tutorial.notebook.ngrok_agent", None)
    assert not diagnosis("ngrok agent").is_fine


def test_the_token_is_never_shown() -> None:
    diagnoses = list(examine())
    assert diagnosis("ngrok token").detail == "set"
    assert "secret" not in repr(diagnoses) + "".join(map(str, diagnoses))
