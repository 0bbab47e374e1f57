"""What every subject needs: a stack of its own, and a place in ``bench/results.json``."""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import quantiles
from typing import Any

from engine.embedded import environment, runner
from engine.embedded.progress import say
from engine.embedded.stack import Stack, engine_command, prepare
from tests.bench import report
from tests.bench.processes import cpu_ms, family, machine_ms


def on_stack(
    measure: Callable[[Stack], Awaitable[None]], *, trunk: int | None = None, menus: Mapping[str, bytes] | None = None
) -> None:
    """Run ``measure`` on a new stack, of which nothing is left. ``trunk``: the loopback port that is the telephone
    network, in place of the simulator; ``menus``: files of its menus' folder."""
    folder = Path(tempfile.mkdtemp(prefix="trunkline-bench-"))
    folder.chmod(0o755)
    named = {"TRUNK": f"127.0.0.1:{trunk}"} if trunk else {}
    try:
        plan = prepare(environment.read({**os.environ, **named}, state=folder / "state"), say)
        place = plan.state.engine_yaml.parent / "menus"
        place.mkdir(exist_ok=True)
        for name, content in (menus or {}).items():
            (place / name).write_bytes(content)
        asyncio.run(runner.run(Stack(plan, engine=engine_command(plan.state)), measure))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(name: str, figures: Mapping[str, Any]) -> None:
    """Put the subject's figures into the results, beside the others'."""
    try:
        results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    except FileNotFoundError:
        results = {}
    results[name] = {**figures, **report.made()}
    report.RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def percentile(values: list[float], percent: int) -> float:
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 3) if len(values) > 1 else float("nan")


class Spent:
    """Processor time since it was made: of each process, and of the machine."""

    def __init__(self, stack: Stack) -> None:
        about = stack.describe()
        self._pids = {
            "engine": [about["engine_pid"]],
            "asterisk": [about["pids"]["asterisk"]],
            "postgres": family(about["pids"]["postgres"]),
            "callers": [os.getpid()],
        }
        self._began, self._machine = time.time(), machine_ms()
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        return {name: cpu_ms(pids) for name, pids in self._pids.items()}

    def per(self, count: int, what: str) -> dict[str, float]:
        """Milliseconds for each of ``count``, and the shares of the machine that were idle and that others had."""
        spent = {name: now - self._before[name] for name, now in self._now().items()}
        busy, idle = (now - before for now, before in zip(machine_ms(), self._machine, strict=True))
        shares = {"idle_share": idle, "foreign_share": max(busy - sum(spent.values()), 0.0)}
        return {
            **{f"{name}_cpu_ms_per_{what}": round(ms / max(count, 1), 3) for name, ms in spent.items()},
            **{name: round(ms / (busy + idle), 3) for name, ms in shares.items()},
        }

    @property
    def seconds(self) -> float:
        return time.time() - self._began


def told(figures: Mapping[str, Any]) -> None:
    for name, value in figures.items():
        say(f"{name:28} {value}")
