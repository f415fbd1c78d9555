"""What a server counts: calls, turns, latencies, drops; as Prometheus reads it."""

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

    Attributes:
        calls: calls that were accepted, by whether they were greeted or came back.
        refused: sockets that were refused, by HTTP status.
        open_calls: calls at this moment.
        turns: turns by kind and by how they ended: done, cancelled or failed.
        odd: what did not take effect: frames ignored, actions dropped, foreign frames closed on.
        first_piece: from the request to the first piece of the answer (seconds).
        media_type: the content type of `text`.
    """

    media_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.calls = Counter("llmws_calls", "Calls accepted", ["opened"], registry=self._registry)
        self.refused = Counter(
            "llmws_refused", "Sockets refused", ["status"], registry=self._registry
        )
        self.open_calls = Gauge("llmws_open_calls", "Calls now", registry=self._registry)
        self.turns = Counter("llmws_turns", "Turns", ["kind", "ended"], registry=self._registry)
        self.odd = Counter(
            "llmws_drops", "Frames and actions without effect", ["event"], registry=self._registry
        )
        self.first_piece = Histogram(
            "llmws_first_piece_seconds",
            "From the request to the first piece of the answer",
            buckets=SECONDS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Everything that was counted, in Prometheus' text format."""
        return generate_latest(self._registry)
