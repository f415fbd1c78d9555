"""Tunnels, opened for real: the agent is `fake_ngrok.py`, everything else is as for a user."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from pyngrok import process

from llmws_tutorial.errors import CannotConnect, SetupError, TunnelError
from llmws_tutorial.notebook import Server, open_tunnel, serve, tunnel
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


def test_without_a_token_a_local_stand_in_takes_the_place_and_says_so(server: Server) -> None:
    opened = open_tunnel(server.port)
    assert str(opened).startswith("no tunnel: NGROK_AUTHTOKEN is not set")
    assert opened.websocket_url == server.websocket_url
    assert repr(opened) == "<Tunnel: local stand-in>"


def test_a_token_that_is_found_opens_a_public_tunnel(server: Server) -> None:
    Path(".env").write_text(f"NGROK_AUTHTOKEN={TOKEN}\n")
    opened = open_tunnel(server.port)
    assert repr(opened) == "<Tunnel: public>"
    assert TOKEN not in str(opened)


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


@pytest.mark.parametrize("port", [1, 99999])
def test_a_tunnel_to_a_dead_server_is_not_opened(port: int) -> None:
    with pytest.raises(TunnelError, match="would lead nowhere; serve your app first"):
        open_tunnel(port, token=TOKEN)


def test_a_server_that_dies_behind_the_tunnel_is_named_to_the_caller(server: Server) -> None:
    with open_tunnel(server.port, token=TOKEN) as opened:
        server.stop()
        with pytest.raises(CannotConnect, match=r"nothing answers behind it \(HTTP 502\)"):
            asyncio.run(place_call(opened.websocket_url))
