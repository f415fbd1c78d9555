"""The kit's own voice: a neural one inside a wheel, the same for everybody.

It asks no network for anything. It needs the package hibari-tts, of the extra ``lab``; all that the
package reads to speak is checked by its hash before it is loaded.
"""

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from llmws_tutorial.dashboard.weights import check_weights
from llmws_tutorial.errors import SetupError

RATE: Final = 24_000
"""How many samples a second of sound has."""
LONGEST: Final = 400
"""How many characters of a piece are spoken: more than that is no sentence."""
LONGEST_WORD: Final = 100
"""How many characters of a word are spoken: 200 hyphens in one take the voice 10 s."""
_WEIGHTS: Final = {
    "hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    "oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
    "oov.json": "b462e6e5dbdf0e7346c732385d0dd844f612f1770871441c56932bff4ca75d8c",
    "lexicon_us_gold.json.gz": "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
    "lexicon_us_silver.json.gz": "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
    "normalize.json": "d478ff05404bc43ac3e0468e306674e51085f1b1afc94cdef7c7ea4fb0d56bd8",
    "tagger.json.gz": "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
    "tokenizer_exceptions.json": "ddf3a3da07bdcf5144270ea4530191d8580fb4fd6f5ae93296e87916e795659a",
    "vocab.json": "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
    "voices.json": "f8b7657ecd0e0e362d3403e99538c0e5bfe20d6a903dfcd04c772b2c73abb204",
}
_QUIET: Final = 0.01  # of full scale
_EDGE_S: Final = 0.03  # of silence that stays on both sides
_SEED: Final = 0  # the same words sound the same


class NeuralVoice:
    """Turns a sentence into sound, in some 20 ms; threads take turns."""

    def __init__(self) -> None:
        """Load the voice.

        Raises:
            SetupError: when it is not installed, or is not the one that was pinned.
        """
        spec = find_spec("hibari")
        if spec is None or spec.origin is None:
            raise SetupError(
                "the kit's own voice is not installed: pip install 'llmws-tutorial[lab]' brings it"
            )
        check_weights(Path(spec.origin).with_name("assets"), _WEIGHTS)
        from hibari import Hibari  # noqa: PLC0415 - heavy, and optional

        self._voice: Any = Hibari()
        self._turn = threading.Lock()  # it keeps what it has looked up
        self.sound("Ready.")  # the first sentence takes ten times as long

    def sound(self, text: str) -> bytes:
        """Speak a piece of text.

        Returns:
            Mono PCM, int16, little endian, at `RATE`, without the silence around it; empty when
            there is nothing that could be spoken.
        """
        import numpy as np  # noqa: PLC0415 - it comes with the voice

        if not any(sign.isalnum() for sign in text):
            return b""  # it would breathe
        words = text[:LONGEST].split()
        one_line = " ".join(word[:LONGEST_WORD] for word in words)  # at a line's end it pauses long
        with self._turn:
            samples = self._voice(one_line, seed=_SEED)
        loud = np.flatnonzero(np.abs(samples) > _QUIET)
        if not len(loud):
            return b""
        edge = int(_EDGE_S * RATE)
        kept = samples[max(loud[0] - edge, 0) : loud[-1] + edge]
        return bytes((np.clip(kept, -1, 1) * 32767).astype("<i2").tobytes())
