"""The dashboard as a tile of Jupyter's launcher, below Jupyter's path."""

import asyncio
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from jupyter_server.serverapp import ServerApp
from websockets.exceptions import ConnectionClosed

from llmws_tutorial.dashboard.access import TOKEN_HEADER
from llmws_tutorial.dashboard.proxy import HUB_VARIABLE, TOKEN_VARIABLE, setup
from llmws_tutorial.notebook.doctor import PROJECT
from tests.jupyter import BASE, TIMEOUT_S, Jupyter, jupyter
from tests.pages import coming


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests run on no hub, and leave no Jupyter behind in this process."""
    monkeypatch.delenv(HUB_VARIABLE, raising=False)
    yield
    ServerApp.clear_instance()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """One Jupyter for all that is asked of it."""
    with jupyter(tmp_path_factory.mktemp("jupyter")) as started:
        yield started


def test_the_project_says_where_jupyter_finds_it() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    [(name, value)] = project["entry-points"]["jupyter_serverproxy_servers"].items()
    assert (name, EntryPoint(name, value, "").load()) == ("llmws", setup)


def test_jupyter_does_not_wait_for_what_only_the_dashboard_needs() -> None:
    look = f"import sys, {setup.__module__}; print(*sys.modules)"
    command = [sys.executable, "-c", look]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    loaded = {name for name in found.stdout.split() if name.startswith("llmws_tutorial.")}
    assert loaded == {
        "llmws_tutorial.dashboard",
        "llmws_tutorial.dashboard.access",
        "llmws_tutorial.dashboard.proxy",
    }


def test_the_token_goes_where_nobody_else_looks_and_is_new_with_each_start() -> None:
    told, again = setup(), setup()
    token = told["environment"][TOKEN_VARIABLE]
    assert told["request_headers_override"] == {TOKEN_HEADER: token}
    assert again["environment"] != told["environment"]
    assert token not in " ".join(told["command"])


def test_the_tile_has_a_picture() -> None:
    entry = setup()["launcher_entry"]
    assert entry["title"] == "Make a web call"
    assert Path(entry["icon_path"]).read_text().startswith("<svg ")


def test_on_this_machine_it_has_the_names_of_this_machine() -> None:
    assert "--allow-host" not in setup()["command"]
    ServerApp.instance(ip="127.0.0.1")
    assert "--allow-host" not in setup()["command"]


def test_it_is_called_anything_where_jupyter_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ServerApp.instance(ip="192.0.2.1")
    assert setup()["command"][-2:] == ["--allow-host", "*"]
    ServerApp.clear_instance()
    monkeypatch.setenv(HUB_VARIABLE, "/user/somebody/")
    assert setup()["command"][-2:] == ["--allow-host", "*"]


def test_outside_jupyter_jupyter_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jupyter_server.serverapp")
    assert "--allow-host" not in setup()["command"]


def test_the_launcher_shows_the_tile(lab: Jupyter) -> None:
    [tile] = json.loads(lab.ask("server-proxy/servers-info")[2])["server_processes"]
    entry = tile["launcher_entry"]
    assert (entry["title"], entry["path_info"]) == ("Make a web call", "llmws/")
    status, _, picture = lab.ask(entry["icon_url"].removeprefix(BASE))
    assert (status, picture[:5]) == (200, b"<svg ")


def test_the_page_is_below_jupyters_path_with_or_without_the_last_slash(lab: Jupyter) -> None:
    assert lab.ask("llmws")[:2] == (302, f"{BASE}llmws/")
    status, _, page = lab.ask("llmws/")
    assert (status, b"<title>Make a web call</title>" in page) == (200, True)
    assert lab.ask("llmws/app.js")[0] == 200


def test_a_call_is_made_and_fetched_without_a_token_as_the_proxy_shows_it(lab: Jupyter) -> None:
    async def call() -> str:
        async with coming(lab.socket("llmws/socket")) as page:
            url = (await page.until("hello"))["url"]
            await page.ask("call", url=url)
            frame = await page.until("frame", sender="server")
            await page.ask("hang_up")
            await page.until("history")
            return str(frame["call_id"])

    call_id = asyncio.run(asyncio.wait_for(call(), TIMEOUT_S))
    status, _, recording = lab.ask(f"llmws/calls/{call_id}.jsonl")
    assert (status, call_id.encode() in recording) == (200, True)


def test_a_page_from_elsewhere_is_told_nothing_though_jupyter_lets_it_in(lab: Jupyter) -> None:
    """For Jupyter its own token outweighs a foreign Origin; for the dashboard nothing does."""

    async def intrude() -> None:
        async with coming(lab.socket("llmws/socket", origin="http://evil.test")) as page:
            await page.until("hello")

    with pytest.raises(ConnectionClosed):
        asyncio.run(asyncio.wait_for(intrude(), TIMEOUT_S))


def test_no_token_of_the_dashboard_is_in_jupyters_log(lab: Jupyter) -> None:
    assert lab.ask("llmws/")[0] == 200
    shown = "".join(lab.log)
    assert "llmws" in shown
    assert "#" not in shown
