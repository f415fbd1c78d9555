"""The weights of others' models: those that this kit was tested with, or none."""

import hashlib
from pathlib import Path

from llmws_tutorial.errors import SetupError


def check_weights(folder: Path, hashes: dict[str, str]) -> None:
    """Refuse weights that are not those that were pinned.

    Raises:
        SetupError: when a file is missing or differs.
    """
    for name, expected in hashes.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            found = "no file"
        if found != expected:
            raise SetupError(
                f"the weights {name} are not those that this kit was tested with "
                f"(sha256 {found[:12]}, expected {expected[:12]}): install the pinned version again"
            )
