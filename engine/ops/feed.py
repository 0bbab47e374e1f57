"""Who listens to the live feed, read when somebody asks for ``/metrics``."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class FeedFigures(Protocol):
    listeners_dropped: int

    @property
    def listeners(self) -> int: ...


class FeedCollector(Collector):
    def __init__(self, figures: FeedFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("trunkline_feed_listeners", "Listeners of the live feed", value=self._figures.listeners)
        yield CounterMetricFamily(
            "trunkline_feed_dropped",
            "Listeners of the live feed that did not keep up",
            value=self._figures.listeners_dropped,
        )
