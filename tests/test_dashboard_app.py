"""The dashboard over HTTP and its socket: who comes in, and what it gets."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from llmws_tutorial.dashboard import app
from llmws_tutorial.dashboard.access import ANY, TOKEN_HEADER, Access
from tests.pages import PATIENCE_S, TOKEN, Board, Page, board
from tests.sockets import served
from tests.wrong_servers import Polite

Talk = Callable[[Board], Awaitable[Any]]


def on_board(folder: Path, talk: Talk, **options: Any) -> Any:
    async def run() -> Any:
        async with asyncio.timeout(2 * PATIENCE_S), board(folder, **options) as opened:
            return await talk(opened)

    return asyncio.run(run())


def got(folder: Path, path: str, **options: Any) -> httpx.Response:
    answer: httpx.Response = on_board(folder, lambda opened: opened.get(path, **options))
    return answer


async def close_code(opened: Board, *messages: str | bytes, **options: Any) -> int | None:
    async with opened.socket(**options) as ws:
        for message in messages:
            await ws.send(message)
        await ws.wait_closed()
        return ws.close_code


def hello(token: str = TOKEN) -> str:
    return json.dumps({"type": "hello", "token": token})


def test_the_page_is_there_with_its_files(tmp_path: Path) -> None:
    async def look(opened: Board) -> None:
        assert "<main>" in (await opened.get("/")).text
        assert (await opened.get("/store.js")).headers["content-type"].startswith("text/javascript")
        assert (await opened.get("/", method="HEAD")).status_code == 200

    on_board(tmp_path, look)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/", {}),
        ("/store.js", {}),
        ("/nothing", {}),
        ("/", {"method": "POST"}),
        ("/", {"headers": {"Host": "evil.example"}}),
        ("/calls/call_1.jsonl", {}),
        ("/store.js", {"headers": {"Range": "bytes=0-9"}}),
    ],
)
def test_every_answer_has_the_policy(tmp_path: Path, path: str, options: dict[str, Any]) -> None:
    headers = got(tmp_path, path, **options).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/..%2fapp.py",
        "/%2e%2e/app.py",
        "//etc/passwd",
        "/page/../../access.py",
        "/socket",
        "/docs",
        "/openapi.json",
    ],
)
def test_nothing_but_the_page_is_served(tmp_path: Path, path: str) -> None:
    assert got(tmp_path, path).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a@127.0.0.1", ""])
def test_a_name_of_no_machine_here_is_refused(tmp_path: Path, host: str) -> None:
    refused = got(tmp_path, "/", headers={"Host": host})
    assert refused.status_code == 403
    assert "this dashboard is not called" in refused.text


def test_a_page_elsewhere_is_refused(tmp_path: Path) -> None:
    refused = got(tmp_path, "/", headers={"Origin": "http://evil.example"})
    assert (refused.status_code, refused.text) == (
        403,
        "a page of 'http://evil.example' may not use this dashboard",
    )


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://["}]
)
def test_a_socket_of_a_page_elsewhere_never_opens(tmp_path: Path, headers: Any) -> None:
    async def dial(opened: Board) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with opened.socket(additional_headers=headers):
                pass
        assert refused.value.response.status_code == 403

    on_board(tmp_path, dial)


def test_the_token_is_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    access = Access()

    async def look(opened: Board) -> None:
        await opened.get("/")
        shown = {"Authorization": f"Bearer {access.token}"}
        await opened.get("/calls/call_1.jsonl", headers=shown)
        async with opened.page(access.token) as page:
            await page.until("hello")

    on_board(tmp_path, look, access=access)
    uvicorns = [record.getMessage() for record in caplog.records if "uvicorn" in record.name]
    assert any("/socket" in line for line in uvicorns)
    assert access.token not in "".join(uvicorns)


def test_its_own_page_and_a_program_without_an_origin_come_in(tmp_path: Path) -> None:
    async def dial(opened: Board) -> None:
        own = {"Origin": f"http://{opened.address}"}
        for headers in (own, {}):
            async with opened.socket(additional_headers=headers) as ws:
                await ws.send(hello())
                assert json.loads(await ws.recv())[0]["type"] == "hello"

    on_board(tmp_path, dial)


@pytest.mark.parametrize(
    "message",
    [
        hello("wrong"),
        hello(""),
        hello("\ud800"),
        '{"type": "hello"}',
        '{"type": "hang_up"}',
        "hello",
        b"right",
        "[" * 100_000,
    ],
)
def test_whoever_does_not_show_the_token_is_told_so_and_let_go(
    tmp_path: Path, message: str | bytes
) -> None:
    code = on_board(tmp_path, lambda opened: close_code(opened, message))
    assert code == app.FORBIDDEN


def test_whoever_shows_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "HELLO_S", 0.01)
    assert on_board(tmp_path, close_code) == app.FORBIDDEN


@pytest.mark.parametrize("is_torn", [False, True])
def test_whoever_leaves_without_a_word_leaves_nothing_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_torn: bool
) -> None:
    async def dial(opened: Board) -> None:
        async with opened.socket() as ws:
            if is_torn:
                ws.transport.abort()
        assert (await opened.get("/")).status_code == 200  # by then it was noticed

    on_board(tmp_path, dial)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_proxy_shows_the_token_for_its_user(tmp_path: Path) -> None:
    async def dial(opened: Board) -> None:
        async with opened.socket(additional_headers={TOKEN_HEADER: TOKEN}) as ws:
            await ws.send(hello(""))
            assert json.loads(await ws.recv())[0]["type"] == "hello"
        wrong = {"additional_headers": {TOKEN_HEADER: "wrong"}}
        assert await close_code(opened, hello(), **wrong) == app.FORBIDDEN

    on_board(tmp_path, dial)


def test_a_hub_is_any_host_but_its_page_has_to_be_there(tmp_path: Path) -> None:
    async def look(opened: Board) -> None:
        hub = {"Host": "hub.example"}
        assert (await opened.get("/", headers=hub)).status_code == 200
        same = {**hub, "Origin": "https://hub.example"}
        assert (await opened.get("/", headers=same)).status_code == 200
        other = {**hub, "Origin": "https://evil.example"}
        assert (await opened.get("/", headers=other)).status_code == 403

    on_board(tmp_path, look, access=Access(token=TOKEN, hosts=frozenset([ANY])))


def test_a_recording_is_handed_out_to_whoever_shows_the_token(tmp_path: Path) -> None:
    (tmp_path / "call_1.jsonl").write_bytes(b"{}\n" * 50_000)

    async def look(opened: Board) -> None:
        for headers in ({"Authorization": f"Bearer {TOKEN}"}, {TOKEN_HEADER: TOKEN}):
            answer = await opened.get("/calls/call_1.jsonl", headers=headers)
            assert (answer.status_code, answer.content) == (200, b"{}\n" * 50_000)
            assert answer.headers["content-type"] == "application/jsonl"
        for shown in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            refused = await opened.get("/calls/call_1.jsonl", headers=shown)
            assert (refused.status_code, refused.text) == (403, "not the token of this start")

    on_board(tmp_path, look)


@pytest.mark.parametrize("call_id", ["call_2", "..", "..%2fcall_1", "a.b", "x" * 200, "%00"])
def test_a_call_that_is_not_there_is_none(tmp_path: Path, call_id: str) -> None:
    (tmp_path / "call_1.jsonl").write_bytes(b"{}\n")
    shown = {"Authorization": f"Bearer {TOKEN}"}
    assert got(tmp_path / "calls", f"/calls/{call_id}.jsonl", headers=shown).status_code == 404


def test_what_is_no_command_is_told_and_the_page_goes_on(tmp_path: Path) -> None:
    async def talk(opened: Board) -> None:
        async with opened.page() as page:
            for text in ("", "[]", '{"type": "fly"}', '{"type": "say"}', "[" * 100_000):
                await page.ws.send(text)
                trouble = await page.until("trouble")
                assert trouble["text"].startswith("the page sent what is no command: ")
            again = await page.asked("hello", "trouble", token=TOKEN)
            assert again["text"] == "this page has said hello already"

    on_board(tmp_path, talk)


def test_too_much_sound_at_once_is_refused(tmp_path: Path) -> None:
    async def talk(opened: Board) -> None:
        async with opened.page() as page:
            await page.ws.send(bytes(app.MOST_SOUND + 2))
            assert "65538 bytes of sound at once" in (await page.until("trouble"))["text"]
            await page.ws.send(bytes(app.MOST_SOUND))  # its microphone is off
            assert await page.asked("hint", "hints", url="ws://127.0.0.1/llm-websocket/")

    on_board(tmp_path, talk)


def test_a_page_that_does_not_read_is_let_go_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmws_tutorial.dashboard.tab.MOST_WAITING", 2**20)

    async def talk(opened: Board) -> None:
        async with opened.page() as slow, opened.page() as quick:
            await slow.until("hello")
            await quick.until("hello")
            for _ in range(100):  # each is told to both
                await quick.ask("heard", text="x" * 2**18)
                await quick.until("ears")
            with pytest.raises(ConnectionClosed):
                await slow.until("never")
            assert slow.ws.close_code in (app.LATE, 1006)
        async with opened.page() as back:
            await back.until("hello")

    on_board(tmp_path, talk)


def test_a_page_that_breaks_off_is_forgotten(tmp_path: Path) -> None:
    async def talk(opened: Board) -> None:
        async with opened.page() as page, opened.page() as other:
            await page.until("sounding", here=True)
            await other.until("sounding", here=False)
            page.ws.transport.abort()
            await other.until("sounding", here=True)

    on_board(tmp_path, talk)


def test_it_stops_within_a_second_or_two_in_mid_call(tmp_path: Path) -> None:
    async def run() -> float:
        async with served(Polite()) as url:
            async with board(tmp_path) as opened, opened.page() as page:
                await in_call(page, url)
                began_s = asyncio.get_running_loop().time()
            return asyncio.get_running_loop().time() - began_s

    assert asyncio.run(asyncio.wait_for(run(), PATIENCE_S)) < 2


async def in_call(page: Page, url: str) -> None:
    await page.ask("call", url=url)
    await page.until("status", is_open=True)
