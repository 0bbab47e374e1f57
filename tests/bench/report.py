"""A table for people, and ``bench/results.json``."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.sides import Outcome

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results.json"
LEAST_RATIO, MOST_ADDED_MS, MOST_READY_S, MOST_KB = 0.7, 5.0, 1.5, 60.0


@dataclass(frozen=True)
class Subject:
    """Outcomes of each round, engine and bare, at full load and at a moderate pace; ``ready`` and ``kilobytes`` of the
    engine. Everything is given as the median of the rounds."""

    engine: Sequence[Outcome]
    bare: Sequence[Outcome]
    engine_paced: Sequence[Outcome]
    bare_paced: Sequence[Outcome]
    ready: Sequence[float]
    kilobytes: float

    def click2call(self) -> dict[str, float]:
        return {
            "throughput_ratio": _middle(e.cps / b.cps for e, b in zip(self.engine, self.bare, strict=True)),
            "engine_cps": _middle(run.cps for run in self.engine),
            "bare_cps": _middle(run.cps for run in self.bare),
            "engine_cpu_ms": _middle(run.cpu["engine"] for run in self.engine),
            "bare_cpu_ms": _middle(run.cpu["client"] for run in self.bare),
            "added_ms_p50": _added(self.engine_paced, self.bare_paced, 50),
            "added_ms_p99": _added(self.engine_paced, self.bare_paced, 99),
            "engine_ms_p50": _middle(run.percentile(50) for run in self.engine_paced),
            "engine_ms_p99": _middle(run.percentile(99) for run in self.engine_paced),
            "bare_ms_p50": _middle(run.percentile(50) for run in self.bare_paced),
            "bare_ms_p99": _middle(run.percentile(99) for run in self.bare_paced),
            "busy_added_ms_p50": _added(self.engine, self.bare, 50),
            "busy_added_ms_p99": _added(self.engine, self.bare, 99),
            "engine_asterisk_cpu_ms": _middle(run.cpu["Asterisk"] for run in self.engine),
            "bare_asterisk_cpu_ms": _middle(run.cpu["Asterisk"] for run in self.bare),
            "engine_postgres_cpu_ms": _middle(run.cpu["PostgreSQL"] for run in self.engine),
            "idle_share": _middle(run.idle for run in (*self.engine, *self.bare)),
            "foreign_share": _middle(run.foreign for run in (*self.engine, *self.bare)),
            "far_end_cpu_ms": _middle(run.cpu["far end"] for run in self.engine),
        }

    def upkeep(self) -> dict[str, float]:
        return {"ready_s": _middle(self.ready), "kb_per_live_call": round(self.kilobytes, 1)}

    def problems(self) -> list[str]:
        runs = (*self.engine, *self.bare, *self.engine_paced, *self.bare_paced)
        return list(dict.fromkeys(problem for run in runs for problem in run.problems))


def _middle(values: Any) -> float:
    return round(float(median(values)), 3)


def _added(engine: Sequence[Outcome], bare: Sequence[Outcome], percent: int) -> float:
    return _middle(e.percentile(percent) - b.percentile(percent) for e, b in zip(engine, bare, strict=True))


def table(subject: Subject) -> str:
    c, u = subject.click2call(), subject.upkeep()
    rows = [
        ("", "engine", "bare", "", "wanted"),
        ("calls/s", f"{c['engine_cps']:.0f}", f"{c['bare_cps']:.0f}", f"× {c['throughput_ratio']:.2f}", f"≥ {LEAST_RATIO}"),
        ("  each round", *(_each(run.cps for run in side) for side in (subject.engine, subject.bare)), "", ""),
        ("CPU ms/call, engine or client", f"{c['engine_cpu_ms']:.2f}", f"{c['bare_cpu_ms']:.2f}",
         f"× {c['engine_cpu_ms'] / c['bare_cpu_ms']:.1f}", ""),
        ("  Asterisk", f"{c['engine_asterisk_cpu_ms']:.2f}", f"{c['bare_asterisk_cpu_ms']:.2f}", "", ""),
        ("  PostgreSQL", f"{c['engine_postgres_cpu_ms']:.2f}", "", "", ""),
        ("  far end", f"{c['far_end_cpu_ms']:.2f}", "", "", ""),
        ("request → INVITE ms p50", f"{c['engine_ms_p50']:.1f}", f"{c['bare_ms_p50']:.1f}",
         f"+ {c['added_ms_p50']:.1f}", f"≤ {MOST_ADDED_MS:.0f}"),
        ("request → INVITE ms p99", f"{c['engine_ms_p99']:.1f}", f"{c['bare_ms_p99']:.1f}", f"+ {c['added_ms_p99']:.1f}", ""),
        ("  at full load, p50", "", "", f"+ {c['busy_added_ms_p50']:.1f}", ""),
        ("  at full load, p99", "", "", f"+ {c['busy_added_ms_p99']:.1f}", ""),
        ("used by others meanwhile, %", *(_each(100 * run.foreign for run in side) for side in (subject.engine, subject.bare)), "", ""),
        ("start to ready, s", f"{u['ready_s']:.2f}", "", "", f"≤ {MOST_READY_S}"),
        ("memory per live call, KB", f"{u['kb_per_live_call']:.0f}", "", "", f"≤ {MOST_KB:.0f}"),
    ]  # fmt: skip
    return "\n".join(f"{a:<32}{b:>16}{c_:>16}{d:>10}{e:>10}".rstrip() for a, b, c_, d, e in rows)


def _each(values: Any, digits: int = 0) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


def made() -> dict[str, str]:
    """When, where and of what."""
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": _machine(), "commit": _commit()}


def write(subject: Subject, conditions: dict[str, Any]) -> None:
    """Other subjects' results stay."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results |= {"click2call": subject.click2call(), "upkeep": subject.upkeep(), "run": made() | conditions}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Linux {os.uname().release}"


def _commit() -> str:
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "engine", "sql"], capture_output=True, text=True, check=False
    )
    return (head.stdout.strip() or "unknown") + ("+" if changed.stdout.strip() else "")
