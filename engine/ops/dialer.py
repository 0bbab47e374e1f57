"""What the dialer has in hand, read when somebody asks for ``/metrics``."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class BrakeFigures(Protocol):
    window: float
    braked: int


class DialerFigures(Protocol):
    holding: int
    flying: int

    @property
    def placed(self) -> Mapping[str, int]: ...
    @property
    def brake(self) -> BrakeFigures: ...


class DialerCollector(Collector):
    def __init__(self, figures: DialerFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        figures = self._figures
        placed = CounterMetricFamily("trunkline_due_placed", "Due calls that this engine has placed", labels=("kind",))
        for kind, count in figures.placed.items():
            placed.add_metric([kind], count)
        yield placed
        yield GaugeMetricFamily(
            "trunkline_due_claimed", "Due calls that this engine holds for their instants", value=figures.holding
        )
        yield GaugeMetricFamily("trunkline_due_under_way", "Due calls that it has under way", value=figures.flying)
        yield GaugeMetricFamily(
            "trunkline_due_window", "Due calls that it would have under way at most, now", value=figures.brake.window
        )
        yield CounterMetricFamily(
            "trunkline_due_braked", "Times that it slowed down for Asterisk or the network", value=figures.brake.braked
        )
