"""Counters of web hook deliveries, read when somebody asks for ``/metrics``."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class DeliveryFigures(Protocol):
    delivered: int
    failed: int
    dead: int

    @property
    def under_way(self) -> int: ...


class WebhookCollector(Collector):
    def __init__(self, figures: DeliveryFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        attempts = CounterMetricFamily(
            "trunkline_webhook_attempts", "Attempts of this engine to deliver a message", labels=("outcome",)
        )
        attempts.add_metric(["delivered"], self._figures.delivered)
        attempts.add_metric(["failed"], self._figures.failed)
        yield attempts
        yield CounterMetricFamily(
            "trunkline_webhook_dead", "Messages given up after their last attempt", value=self._figures.dead
        )
        yield GaugeMetricFamily(
            "trunkline_webhook_under_way", "Deliveries under way in this engine", value=self._figures.under_way
        )
