"""What the API counts."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
"""Seconds."""


class ApiMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "trunkline_http_requests", "Requests answered", ("route", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "trunkline_http_request_seconds",
            "Time from the head of a request to its answer",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.refusals = Counter(
            "trunkline_refusals", "Requests that a gate or scope refused", ("rule",), registry=registry
        )
