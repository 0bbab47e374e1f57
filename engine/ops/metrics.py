"""Gauges and counters of the engine itself, read when somebody asks for ``/metrics``; nothing is counted on a hot path."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


def _tasks() -> int:
    """0 when asked outside the engine's loop."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


class JournalFigures(Protocol):
    batches: int
    records: int
    spooled: int
    rejected: int
    lost: int

    @property
    def away(self) -> bool: ...
    @property
    def pending(self) -> int: ...
    @property
    def spool_bytes(self) -> int: ...


class EngineCollector(Collector):
    """``calls``: server → live calls. ``links``: (kind, server) → up."""

    def __init__(
        self,
        calls: Callable[[], Mapping[str, int]],
        links: Callable[[], Mapping[tuple[str, str], bool]],
        journal: JournalFigures,
        unmerged: Callable[[], int],
        blocked: Callable[[], int] = lambda: 0,
    ) -> None:
        self._calls = calls
        self._links = links
        self._journal = journal
        self._unmerged = unmerged
        self._blocked = blocked

    def register(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        live = GaugeMetricFamily("trunkline_live_calls", "Calls that live in this engine", labels=("server",))
        for server, count in self._calls().items():
            live.add_metric([server], count)
        links = GaugeMetricFamily("trunkline_link_up", "1 while the link is up", labels=("kind", "server"))
        for (kind, server), up in self._links().items():
            links.add_metric([kind, server], up)
        yield live
        yield links
        yield GaugeMetricFamily("trunkline_recordings_waiting", "Recordings to be merged", value=self._unmerged())
        yield GaugeMetricFamily("trunkline_tasks", "asyncio tasks: some per live call, the rest steady", value=_tasks())
        yield CounterMetricFamily(
            "trunkline_loop_blocked", "Times that something held up the event loop", value=self._blocked()
        )
        yield from self._of_journal()

    def _of_journal(self) -> Iterable[Metric]:
        journal = self._journal
        yield GaugeMetricFamily("trunkline_postgresql_away", "1 while records go to the spool", value=journal.away)
        yield GaugeMetricFamily(
            "trunkline_journal_pending", "Records in memory, not durable yet", value=journal.pending
        )
        yield GaugeMetricFamily("trunkline_spool_bytes", "Size of the spool", value=journal.spool_bytes)
        for name, text in (
            ("batches", "Transactions of the journal"),
            ("records", "Records written to PostgreSQL"),
            ("spooled", "Records that went to the spool first"),
            ("rejected", "Records put aside because PostgreSQL will never take them"),
            ("lost", "Records lost because neither PostgreSQL nor the spool took them"),
        ):
            yield CounterMetricFamily(f"trunkline_journal_{name}", text, value=getattr(journal, name))
