"""How long things took in a call, in the platform's names and milliseconds.

Source: docs/protocol.md, section 11.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmws_tutorial.simulator.turn import Turn


@dataclass(frozen=True)
class Latency:
    """One part of the latency, once for each turn that it happened in.

    Attributes:
        values: the milliseconds, in the order of the call.
    """

    values: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """The smallest value that so many percent are not above (nearest rank).

        Args:
            share: how many (percent).
        """
        ranked = sorted(self.values)
        return ranked[max(math.ceil(share / 100 * len(ranked)), 1) - 1]

    def as_fields(self) -> dict[str, Any]:
        """The part as the platform's API would say it."""
        shares = {f"p{share}": self.percentile(share) for share in (50, 90, 95, 99)}
        return {
            **shares,
            "min": min(self.values),
            "max": max(self.values),
            "num": len(self.values),
            "values": list(self.values),
        }


def measure(turns: Sequence[Turn], round_trips_ms: Sequence[float]) -> dict[str, Latency]:
    """The parts that a stand-in can know; one that never happened is left out.

    Returns:
        ``e2e``: the caller stops until the agent's first sound. ``llm``: the request until the
        first sentence is there. ``llm_websocket_network_rtt``: a heartbeat and back. ``tts``: from
        when the voice could have begun until it did. ``asr`` is never there: a dashboard that
        listens counts it into ``e2e``.
    """
    answered = [turn for turn in turns if turn.kind in ("response", "reminder")]
    voiced = [turn for turn in answered if turn.voice_at_s is not None]
    parts = {
        "e2e": [
            (turn.voice_at_s - turn.stopped_at_s) * 1000
            for turn in voiced
            if turn.voice_at_s is not None and turn.stopped_at_s is not None
        ],
        "llm": [turn.first_sentence_ms for turn in answered if turn.first_sentence_ms is not None],
        "llm_websocket_network_rtt": list(round_trips_ms),
        "tts": [
            (turn.voice_at_s - turn.ready_at_s) * 1000
            for turn in voiced
            if turn.voice_at_s is not None and turn.ready_at_s is not None
        ],
    }
    return {
        name: Latency(tuple(round(value, 3) for value in values))
        for name, values in parts.items()
        if values
    }
