"""The weights of models: those that were pinned, or none."""

import hashlib
from pathlib import Path

import pytest

from llmws_tutorial.dashboard.weights import check_weights
from llmws_tutorial.errors import SetupError


def test_weights_that_are_as_they_were_pinned_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"weights")
    check_weights(tmp_path, {"a.onnx": hashlib.sha256(b"weights").hexdigest()})


@pytest.mark.parametrize("content", [b"wEights", b"", None])
def test_weights_that_differ_or_are_missing_are_refused(
    content: bytes | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(SetupError, match=r"the weights a\.onnx are not those .* pinned version"):
        check_weights(tmp_path, {"a.onnx": hashlib.sha256(b"weights").hexdigest()})
