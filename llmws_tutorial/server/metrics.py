"""What a server counts: calls, turns, latencies, drops; as Prometheus reads it."""

from functools import cache
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the latency buckets."""


class Metrics:
    """The counters of one app, in a registry of their own.

    Those with labels are functions of them: ``metrics.calls("new").inc()``.

    Attributes:
        calls: calls that were accepted, by whether they were greeted or came back.
        refused: sockets that were refused, by HTTP status.
        open_calls: calls at this moment.
        turns: turns by kind and by how they ended: done, cancelled or failed.
        odd: what did not take effect: frames ignored, actions dropped, foreign frames closed on.
        first_piece: from a request to the first piece of the answer (seconds).
        media_type: the content type of `text`.
    """

    media_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        # a look-up of labels costs more than all the rest of counting
        self.calls = cache(Counter("llmws_calls", "Calls", ["opened"], registry=registry).labels)
        self.refused = cache(
            Counter("llmws_refused", "Sockets refused", ["status"], registry=registry).labels
        )
        self.open_calls = Gauge("llmws_open_calls", "Calls now", registry=registry)
        self.turns = cache(
            Counter("llmws_turns", "Turns", ["kind", "ended"], registry=registry).labels
        )
        self.odd = cache(
            Counter(
                "llmws_drops", "Frames and actions without effect", ["event"], registry=registry
            ).labels
        )
        self.first_piece = Histogram(
            "llmws_first_piece_seconds",
            "From a request to the first piece of the answer",
            buckets=SECONDS,
            registry=registry,
        )

    def text(self) -> bytes:
        """Everything that was counted, in Prometheus' text format."""
        return generate_latest(self._registry)
