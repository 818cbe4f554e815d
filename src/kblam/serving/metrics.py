"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]


class Metrics:
    """The measures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kblam_requests", "Requests that were answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "kblam_request_seconds", "From a request to the end of its answer.", ("route",), registry=self.registry
        )
        self.questions = Counter(
            "kblam_questions", "Questions by what became of them.", ("knowledge", "outcome"), registry=self.registry
        )
        self.batch = Histogram(
            "kblam_batch_questions",
            "Questions that were answered together.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.waiting = Gauge("kblam_waiting_questions", "Questions in the queue.", registry=self.registry)
        self.version = Gauge(
            "kblam_knowledge_version", "Version of a knowledge base.", ("knowledge",), registry=self.registry
        )
        self.facts = Gauge(
            "kblam_knowledge_facts", "Facts in a knowledge base.", ("knowledge",), registry=self.registry
        )

    def text(self) -> bytes:
        """All of it, in Prometheus' own format."""
        return generate_latest(self.registry)
