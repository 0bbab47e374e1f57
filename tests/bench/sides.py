"""The two sides of the comparison, driven alike, and what one run of one of them gave."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

import asyncpg

from engine.embedded.stack import Stack
from tests.bench.load import Load
from tests.bench.processes import Helper, cpu_ms, family
from tests.bench.sip import AGENT

RECORDS_WITHIN = 10.0


@dataclass(frozen=True)
class Outcome:
    """``latency``: milliseconds from the request to the agent's INVITE, one a call. ``cpu``: milliseconds per call of
    each process. ``problems``: what went wrong, empty in a good run."""

    calls: int
    seconds: float
    latency: tuple[float, ...]
    cpu: Mapping[str, float]
    problems: tuple[str, ...]

    @property
    def cps(self) -> float:
        return self.calls / self.seconds

    def percentile(self, percent: int) -> float:
        if len(self.latency) < 2:
            return float("nan")
        return quantiles(self.latency, n=100, method="inclusive")[percent - 1]


class Bench:
    """A running stack, the far end and the bare client."""

    def __init__(self, stack: Stack, far_end: Helper, bare: Helper, database: asyncpg.Connection, way: str) -> None:
        self.stack = stack
        self.far_end = far_end
        self._bare = bare
        self.database = database
        self._way = way
        self._number = 0

    async def bare(self, load: Load) -> Outcome:
        first = await self._get_ready(load)
        before = self._cpu()
        run = await self._bare.ask({"way": self._way, "first": first, "load": asdict(load)})
        cpu = self._spent(before, load.calls) | {"client": run["cpu"] * 1000 / load.calls}
        problems = [f"{count} × {what}" for what, count in run["refused"].items()]
        return await self._outcome(load, run, cpu, (run["ended"] - run["began"]) / 1e9, problems)

    async def engine(self, load: Load) -> Outcome:
        """The run is over when the last CDR is committed."""
        first = await self._get_ready(load)
        rows = await self._records()
        before = self._cpu()
        run = await self.far_end.ask(self.click_to_calls(first, load))
        missing = await self._records_written(rows + load.calls)
        seconds = max((time.time_ns() if missing else self._last_record) - run["began"], 1) / 1e9
        problems = [f"{count} × answered {status}" for status, count in run["statuses"].items() if status != "200"]
        problems += [f"{missing} CDRs missing or not answered"] if missing else []
        return await self._outcome(load, run, self._spent(before, load.calls), seconds, problems)

    def click_to_calls(self, first: int, load: Load) -> dict[str, Any]:
        about = self.stack.describe()
        return {
            "do": "load",
            "port": int(about["api"].rpartition(":")[2]),
            "account": about["account"],
            "auth": about["auth"],
            "first": first,
            "load": asdict(load),
        }

    async def _get_ready(self, load: Load, talk: float = 0.2) -> int:
        """The first number of a run."""
        first, self._number = self._number, self._number + load.calls
        await self.far_end.ask({"do": "talk", "seconds": talk})
        await asyncio.sleep(0.5)  # let what the last run left (checkpoints, timers) pass
        return first

    def _cpu(self) -> dict[str, float]:
        about = self.stack.describe()
        return {
            "engine": cpu_ms([about["engine_pid"]]),
            "Asterisk": cpu_ms([about["pids"]["asterisk"]]),
            "PostgreSQL": cpu_ms(family(about["pids"]["postgres"])),
            "far end": cpu_ms([self.far_end.pid]),
        }

    def _spent(self, before: Mapping[str, float], calls: int) -> dict[str, float]:
        return {name: (now - before[name]) / calls for name, now in self._cpu().items()}

    async def _records(self) -> int:
        return int(
            await self.database.fetchval("SELECT count(*) FROM cdr WHERE dial_status = 'ANSWER' AND billsec > 0")
        )

    async def _records_written(self, wanted: int) -> int:
        """How many are missing in the end."""
        deadline = time.monotonic() + RECORDS_WITHIN
        while (missing := wanted - await self._records()) > 0 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self._last_record = time.time_ns()
        return missing

    async def _outcome(
        self, load: Load, run: Mapping[str, Any], cpu: Mapping[str, float], seconds: float, problems: list[str]
    ) -> Outcome:
        seen = await self._quiet()
        invites, agent = seen["invites"], AGENT.decode()
        delays = [(invites[agent + n] - at) / 1e6 for n, at in run["sent"].items() if agent + n in invites]
        if run["unended"]:
            problems.append(f"{run['unended']} calls did not end")
        if len(delays) != load.calls:
            problems.append(f"{load.calls - len(delays)} agents were not called")
        if len(invites) != 2 * load.calls:
            problems.append(f"{2 * load.calls - len(invites)} parties were not called")
        if seen["live"]:
            problems.append(f"{seen['live']} parties were left over")
        return Outcome(load.calls, seconds, tuple(sorted(delays)), cpu, tuple(problems))

    async def _quiet(self) -> dict[str, Any]:
        """What the far end saw, once it has nobody on the line."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                while (seen := await self.far_end.ask({"do": "invites"}))["live"]:
                    await asyncio.sleep(0.05)
        return seen
