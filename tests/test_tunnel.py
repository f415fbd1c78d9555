"""pyngrok, driven for real: the agent is `fake_ngrok.py`, everything else is as for a user."""

import asyncio
import logging
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from pyngrok import process
from pyngrok.conf import PyngrokConfig

from llmws_tutorial.errors import CannotConnect, SetupError, TunnelError
from llmws_tutorial.notebook import Server, ngrok_agent, open_tunnel, serve, tunnel
from llmws_tutorial.notebook.ngrok_token import find_token
from llmws_tutorial.simulator import place_call
from llmws_tutorial.steps import step3

AGENT = Path(__file__).with_name("fake_ngrok.py")
TOKEN = "good-2Jx7secret"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with an agent, without a token, and with an empty home."""
    for variable in ("NGROK_AUTHTOKEN", "BINDER_LAUNCH_HOST", "BINDER_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(AGENT))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(ngrok_agent, "STARTUP_S", 2)
    monkeypatch.chdir(tmp_path)
    yield
    for opened in list(tunnel._open_tunnels.values()):
        opened.close()
    assert process._current_processes == {}
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(step3.app, name="tunnelled", show_log=False) as running:
        yield running


def refused(server: Server, token: str) -> str:
    with pytest.raises(TunnelError) as caught:
        open_tunnel(server.port, token=token)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "\n" not in str(caught.value)
    assert token not in str(caught.value)
    return str(caught.value)


def test_a_call_goes_through_the_tunnel(server: Server) -> None:
    with open_tunnel(server.port, token=TOKEN) as opened:
        record = asyncio.run(place_call(opened.websocket_url, ["Hello"]))
    assert str(record).splitlines()[-1] == "agent: I am sorry, can you say that again?"
    assert opened.is_public
    assert opened.port != int(opened.public_url.rpartition(":")[2])


def test_a_browser_reaches_the_server_through_the_tunnel(server: Server) -> None:
    with open_tunnel(server.port, token=TOKEN) as opened, urlopen(opened.public_url) as page:
        assert page.read() == b"Hello World!"


def test_a_public_address_is_pasted_as_wss() -> None:
    opened = tunnel.Tunnel("https://x.ngrok-free.app", 3000, is_public=True, note="open")
    assert opened.websocket_url == "wss://x.ngrok-free.app/llm-websocket/"


def test_a_closed_tunnel_leads_nowhere_and_closing_again_is_harmless(server: Server) -> None:
    opened = open_tunnel(server.port, token=TOKEN)
    opened.close()
    opened.close()
    with pytest.raises(CannotConnect, match="nothing answers"):
        asyncio.run(place_call(opened.websocket_url))


def test_two_tunnels_share_one_agent(server: Server) -> None:
    with serve(step3.app, name="other", show_log=False) as other:
        first = open_tunnel(server.port, token=TOKEN)
        second = open_tunnel(other.port, token=TOKEN)
        first.close()
        with urlopen(second.public_url) as page:
            assert page.status == 200
        assert len(process._current_processes) == 1


def test_opening_again_closes_the_first_tunnel_to_a_port(server: Server) -> None:
    first = open_tunnel(server.port, token=TOKEN)
    second = open_tunnel(server.port, token=TOKEN)
    assert list(tunnel._open_tunnels.values()) == [second]
    with pytest.raises(CannotConnect):
        asyncio.run(place_call(first.websocket_url))


def test_the_token_is_in_a_private_file_and_nowhere_else(
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    with open_tunnel(server.port, token=TOKEN) as opened:
        [agent] = process._current_processes.values()
        command_line = Path(f"/proc/{agent.proc.pid}/cmdline").read_text()
        [settings] = tmp_path.rglob("ngrok.yml")
        print(opened, repr(opened), settings.read_text())
    assert "--config" in command_line
    assert TOKEN not in command_line + caplog.text + "".join(capfd.readouterr())
    assert not list(tmp_path.rglob("ngrok.yml"))


def test_only_its_owner_can_read_the_file_with_the_token(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    configure = ngrok_agent._configure

    def watched(folder: Path, token: str) -> PyngrokConfig:
        seen.append(stat.S_IMODE(folder.stat().st_mode))
        return configure(folder, token)

    monkeypatch.setattr(ngrok_agent, "_configure", watched)
    open_tunnel(server.port, token=TOKEN).close()
    assert seen == [0o700]


def test_without_a_token_a_local_stand_in_takes_the_place_and_says_so(server: Server) -> None:
    opened = open_tunnel(server.port)
    assert str(opened).startswith("no tunnel: NGROK_AUTHTOKEN is not set")
    assert opened.websocket_url == server.websocket_url
    assert repr(opened) == "<Tunnel: local stand-in>"


def test_a_token_is_found_in_the_environment_or_in_dotenv(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    Path(".env").write_text(f"NGROK_AUTHTOKEN={TOKEN}\n")
    assert find_token() == TOKEN
    assert repr(open_tunnel(server.port)) == "<Tunnel: public>"
    monkeypatch.setenv("NGROK_AUTHTOKEN", "exported")
    assert find_token() == "exported"


def test_a_blank_exported_token_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"NGROK_AUTHTOKEN={TOKEN}\n")
    monkeypatch.setenv("NGROK_AUTHTOKEN", "  ")
    assert find_token() is None


def test_binder_lets_no_tunnel_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINDER_LAUNCH_HOST", "https://mybinder.org/")
    opened = open_tunnel(server.port, token=TOKEN)
    assert not opened.is_public
    assert "Binder lets no tunnel out" in opened.note


def test_who_needs_a_public_address_gets_an_error_without_a_token(server: Server) -> None:
    with pytest.raises(TunnelError, match=r"no tunnel: NGROK_AUTHTOKEN is not set .*authtoken"):
        open_tunnel(server.port, needs_public=True)


@pytest.fixture
def without_pyngrok(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if only the bare package were installed."""
    monkeypatch.delitem(sys.modules, "llmws_tutorial.notebook.ngrok_agent")
    monkeypatch.setitem(sys.modules, "pyngrok", None)


@pytest.mark.usefixtures("without_pyngrok")
def test_without_pyngrok_a_token_leads_to_what_to_install(server: Server) -> None:
    with pytest.raises(SetupError, match=r"^tunnels .+: pip install pyngrok$"):
        open_tunnel(server.port, token=TOKEN)
    assert tunnel._open_tunnels == {}


@pytest.mark.usefixtures("without_pyngrok")
def test_without_pyngrok_that_is_said_before_a_server_and_a_token_are_asked_for() -> None:
    with pytest.raises(SetupError, match="pip install pyngrok"):
        open_tunnel(1, needs_public=True)


@pytest.mark.usefixtures("without_pyngrok")
def test_the_local_stand_in_needs_no_pyngrok(server: Server) -> None:
    assert open_tunnel(server.port).websocket_url == server.websocket_url


def test_an_unverified_account_is_sent_to_the_token_page(server: Server) -> None:
    said = refused(server, "unverified-2Jx7secret")
    assert "verified account and a token: copy yours from https://dashboard.ngrok.com" in said
    assert said.endswith("(ERR_NGROK_4018)")


def test_an_unknown_token_is_to_be_copied_again(server: Server) -> None:
    said = refused(server, "unknown-2Jx7secret")
    assert said.startswith("ngrok does not know this token: copy it again from https://")


def test_outside_pytest_the_agents_words_on_a_token_reach_no_terminal(server: Server) -> None:
    """In a process of its own: pytest gives loggers handlers that hide what Python would print."""
    script = f"from llmws_tutorial.notebook import open_tunnel; open_tunnel({server.port})"
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


def test_an_address_in_use_is_to_be_closed(server: Server) -> None:
    said = refused(server, "crowded-2Jx7secret")
    assert said.startswith("this address is in use by another of your tunnels: close it")


def test_an_agent_that_stays_offline_points_to_the_network(server: Server) -> None:
    said = refused(server, "offline-2Jx7secret")
    assert "did not come online in 2 s: check that this network lets ngrok out" in said
    assert "it says: dial tcp: no such host, ***" in said


def test_an_agent_that_is_silent_is_not_awaited_for_ever(server: Server) -> None:
    started = time.monotonic()
    said = refused(server, "silent-2Jx7secret")
    assert said.endswith("then try again")
    assert time.monotonic() - started < 10


def test_an_agent_that_ends_at_once_is_an_error_in_words(server: Server) -> None:
    assert "did not come online" in refused(server, "rude-2Jx7secret")


def test_no_agent_and_no_network_says_where_to_get_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(tmp_path / "nowhere" / "ngrok"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert ngrok_agent.find_agent() is None
    said = refused(server, TOKEN)
    assert "could not be downloaded: check the network, or install it" in said


def test_an_agent_without_the_run_bit_is_to_be_made_executable(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = tmp_path / "ngrok"
    agent.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(agent))
    assert f"chmod +x {agent}" in refused(server, TOKEN)


def test_an_agent_for_another_machine_is_to_be_installed_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = tmp_path / "ngrok"
    agent.write_bytes(b"\x7fELF of something else")
    agent.chmod(0o755)
    monkeypatch.setenv("PYNGROK_NGROK_PATH", str(agent))
    assert "does not run here" in refused(server, TOKEN)


@pytest.mark.parametrize("port", [1, 99999])
def test_a_tunnel_to_a_dead_server_is_not_opened(port: int) -> None:
    with pytest.raises(TunnelError, match="would lead nowhere; serve your app first"):
        open_tunnel(port, token=TOKEN)


def test_a_server_that_dies_behind_the_tunnel_is_named_to_the_caller(server: Server) -> None:
    with open_tunnel(server.port, token=TOKEN) as opened:
        server.stop()
        with pytest.raises(CannotConnect, match=r"nothing answers behind it \(HTTP 502\)"):
            asyncio.run(place_call(opened.websocket_url))
