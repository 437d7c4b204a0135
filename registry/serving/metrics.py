"""Figures of a server, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0)
"""Seconds of a request."""


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.ended = Counter(
            "musenet_requests",
            "Requests that were done, cut short, cancelled by their client, failed, or refused for a full queue.",
            ["outcome"],
            registry=self._registry,
        )
        self.tokens = Counter("musenet_tokens", "Tokens that went through the decoder.", registry=self._registry)
        self.seconds = Histogram(
            "musenet_request_seconds",
            "Time of requests from their first token on.",
            buckets=BUCKETS,
            registry=self._registry,
        )
        self.swaps = Counter("musenet_model_swaps", "Times that another version took over.", registry=self._registry)
        self.failed_looks = Counter(
            "musenet_model_failures", "Times that the version of the alias could not be had.", registry=self._registry
        )
        self.version = Gauge("musenet_model_version", "Version that is served.", registry=self._registry)
        self._running = Gauge("musenet_requests_running", "Requests that are composed.", registry=self._registry)
        self._queued = Gauge("musenet_requests_queued", "Requests that wait.", registry=self._registry)
        self._rows = Gauge("musenet_decoder_rows", "Rows of the decoder that are taken.", registry=self._registry)

    def watch(self, running: Callable[[], float], queued: Callable[[], float], rows: Callable[[], float]) -> None:
        """Ask these functions for the present numbers whenever figures are wanted."""
        self._running.set_function(running)
        self._queued.set_function(queued)
        self._rows.set_function(rows)

    def text(self) -> bytes:
        """Return all figures in the text format."""
        return generate_latest(self._registry)
