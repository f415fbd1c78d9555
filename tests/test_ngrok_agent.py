"""pyngrok, driven for real: the agent is `fake_ngrok.py`, everything else is as for a user."""

import logging
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyngrok import process
from pyngrok.conf import PyngrokConfig

from llmws_tutorial.errors import TunnelError
from llmws_tutorial.notebook import ngrok_agent
from llmws_tutorial.notebook.ngrok_agent import connect

AGENT = Path(__file__).with_name("fake_ngrok.py")
PORT = 3000
"""Where a tunnel leads; nobody goes through it here."""
TOKEN = "good-2Jx7secret"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with an agent and an empty home; nothing is left on it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(AGENT))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(ngrok_agent, "STARTUP_S", 2)
    yield
    assert process._current_processes == {}
    assert list((tmp_path / "tmp").iterdir()) == []


def refused(token: str) -> str:
    with pytest.raises(TunnelError) as caught:
        connect(PORT, token)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "\n" not in str(caught.value)
    assert token not in str(caught.value)
    return str(caught.value)


def test_the_agent_ends_with_the_last_tunnel() -> None:
    _, shut_first = connect(PORT, TOKEN)
    _, shut_second = connect(PORT + 1, TOKEN)
    shut_first()
    assert len(process._current_processes) == 1
    shut_second()
    assert process._current_processes == {}


def test_the_token_is_in_a_private_file_and_nowhere_else(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    public_url, shut = connect(PORT, TOKEN)
    [agent] = process._current_processes.values()
    command_line = Path(f"/proc/{agent.proc.pid}/cmdline").read_text()
    [settings] = tmp_path.rglob("ngrok.yml")
    print(public_url, settings.read_text())
    shut()
    assert "--config" in command_line
    assert TOKEN not in command_line + caplog.text + "".join(capfd.readouterr())
    assert not list(tmp_path.rglob("ngrok.yml"))


def test_only_its_owner_can_read_the_file_with_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    configure = ngrok_agent._configure

    def watched(folder: Path, token: str) -> PyngrokConfig:
        seen.append(stat.S_IMODE(folder.stat().st_mode))
        return configure(folder, token)

    monkeypatch.setattr(ngrok_agent, "_configure", watched)
    _, shut = connect(PORT, TOKEN)
    shut()
    assert seen == [0o700]


def test_an_unverified_account_is_sent_to_the_token_page() -> None:
    said = refused("unverified-2Jx7secret")
    assert "verified account and a token: copy yours from https://dashboard.ngrok.com" in said
    assert said.endswith("(ERR_NGROK_4018)")


def test_an_unknown_token_is_to_be_copied_again() -> None:
    said = refused("unknown-2Jx7secret")
    assert said.startswith("ngrok does not know this token: copy it again from https://")


def test_outside_pytest_the_agents_words_on_a_token_reach_no_terminal() -> None:
    """In a process of its own: pytest gives loggers handlers that hide what Python would print."""
    script = (
        "import os; from llmws_tutorial.notebook.ngrok_agent import connect; "
        f"connect({PORT}, os.environ['NGROK_AUTHTOKEN'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "NGROK_AUTHTOKEN": "unknown-2Jx7secret"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "ngrok does not know this token" in run.stderr
    assert "2Jx7secret" not in run.stdout + run.stderr


def test_an_address_in_use_is_to_be_closed() -> None:
    said = refused("crowded-2Jx7secret")
    assert said.startswith("this address is in use by another of your tunnels: close it")


def test_an_agent_that_stays_offline_points_to_the_network() -> None:
    said = refused("offline-2Jx7secret")
    assert "did not come online in 2 s: check that this network lets ngrok out" in said
    assert "it says: dial tcp: no such host, ***" in said


def test_an_agent_that_is_silent_is_not_awaited_for_ever() -> None:
    started = time.monotonic()
    said = refused("silent-2Jx7secret")
    assert said.endswith("then try again")
    assert time.monotonic() - started < 10


def test_an_agent_that_ends_at_once_is_an_error_in_words() -> None:
    assert "did not come online" in refused("rude-2Jx7secret")


def test_no_agent_and_no_network_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(tmp_path / "nowhere" / "ngrok"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert ngrok_agent.find_agent() is None
    said = refused(TOKEN)
    assert "could not be downloaded: check the network, or install it" in said


def test_an_agent_without_the_run_bit_is_to_be_made_executable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = tmp_path / "ngrok"
    agent.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(agent))
    assert f"chmod +x {agent}" in refused(TOKEN)


def test_an_agent_for_another_machine_is_to_be_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = tmp_path / "ngrok"
    agent.write_bytes(b"\x7fELF of something else")
    agent.chmod(0o755)
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(agent))
    assert "does not run here" in refused(TOKEN)
