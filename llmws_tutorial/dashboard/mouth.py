"""The kit's own voice: a neural one inside a wheel, the same for everybody, without a network.

It needs the package hibari-tts, of the extra ``lab``; the weights that came with it are checked by
their hash before they are loaded.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from llmws_tutorial.errors import SetupError

RATE: Final = 24_000
"""How many samples a second of sound has."""
LONGEST: Final = 400
"""How many characters of a piece are spoken: more than that is no sentence."""
_WEIGHTS: Final = {
    "hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    "oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
}
_QUIET: Final = 0.01  # of full scale
_EDGE_S: Final = 0.03  # of silence that stays on both sides
_SEED: Final = 0  # the same words sound the same


class NeuralVoice:
    """Turns a sentence into sound, in some 20 ms."""

    def __init__(self) -> None:
        """Load the voice.

        Raises:
            SetupError: when it is not installed, or is not the one that was pinned.
        """
        spec = find_spec("hibari")
        if spec is None or spec.origin is None:
            raise SetupError("the kit's own voice is not installed: pip install hibari-tts==0.2.1")
        check_weights(Path(spec.origin).with_name("assets"), _WEIGHTS)
        from hibari import Hibari  # noqa: PLC0415 - heavy, and optional

        self._voice: Any = Hibari()
        self.sound("Ready.")  # the first sentence takes ten times as long

    def sound(self, text: str) -> bytes:
        """Speak a piece of text.

        Returns:
            Mono PCM, int16, little endian, at `RATE`, without the silence around it; empty when
            there is nothing that could be spoken.
        """
        import numpy as np  # noqa: PLC0415 - it comes with the voice

        samples = self._voice(text[:LONGEST], seed=_SEED)
        loud = np.flatnonzero(np.abs(samples) > _QUIET)
        if not len(loud):
            return b""
        edge = int(_EDGE_S * RATE)
        kept = samples[max(loud[0] - edge, 0) : loud[-1] + edge]
        return bytes((np.clip(kept, -1, 1) * 32767).astype("<i2").tobytes())


def check_weights(folder: Path, hashes: dict[str, str]) -> None:
    """Refuse weights that are not those that were pinned.

    Raises:
        SetupError: when a file is missing or differs.
    """
    for name, expected in hashes.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError:
            found = "no file"
        if found != expected:
            raise SetupError(
                f"the weights {name} are not those that this kit was tested with "
                f"(sha256 {found[:12]}, expected {expected[:12]}): install the pinned version again"
            )
