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
from tests.bench.processes import Helper, cpu_ms, family, machine_ms
from tests.bench.sip import AGENT

RECORDS_WITHIN = 10.0


@dataclass(frozen=True)
class Outcome:
    """``latency``: milliseconds from the request to the agent's INVITE, one a call. ``cpu``: milliseconds per call of
    each process. ``idle`` and ``foreign``: shares of the machine's processor time that nobody used, and that others
    than ours used: a run beside which others worked says little. ``problems``: what went wrong, empty in a good run."""

    calls: int
    seconds: float
    latency: tuple[float, ...]
    cpu: Mapping[str, float]
    idle: float
    foreign: float
    problems: tuple[str, ...]

    @property
    def cps(self) -> float:
        return self.calls / self.seconds

    def percentile(self, percent: int) -> float:
        if len(self.latency) < 2:
            return float("nan")
        return quantiles(self.latency, n=100, method="inclusive")[percent - 1]


@dataclass(frozen=True)
class Usage:
    """Milliseconds of processor time: of each process, and of the machine."""

    cpu: Mapping[str, float]
    busy: float
    idle: float

    def __sub__(self, before: "Usage") -> "Usage":
        cpu = {name: now - before.cpu[name] for name, now in self.cpu.items()}
        return Usage(cpu, self.busy - before.busy, self.idle - before.idle)


def ari_of(stack: Stack) -> dict[str, str]:
    """What a bare client is told at its start."""
    server = stack.plan.config.asterisk[0]
    secret = server.ari_password.get_secret_value()
    return {"base": server.ari, "user": server.ari_user, "password": secret, "trunk": "carrier"}


class Bench:
    """A running stack, the far end and the bare client."""

    def __init__(
        self, stack: Stack, far_end: Helper, bare: Helper | None, database: asyncpg.Connection, way: str
    ) -> None:
        self.stack = stack
        self.far_end = far_end
        self._bare = bare
        self.database = database
        self._way = way
        self._number = 0

    @property
    def parties(self) -> int:
        """Of a call."""
        return 2

    async def bare(self, load: Load) -> Outcome:
        first = await self._get_ready(load)
        before = self._usage()
        assert self._bare is not None
        run = await self._bare.ask({"way": self._way, "first": first, "load": asdict(load)})
        used = self._usage() - before
        problems = [f"{count} × {what}" for what, count in run["refused"].items()]
        return await self._outcome(load, run, used, (run["ended"] - run["began"]) / 1e9, problems)

    async def engine(self, load: Load) -> Outcome:
        """The run is over when the last CDR is committed."""
        first = await self._get_ready(load)
        rows = await self._records()
        before = self._usage()
        run = await self.far_end.ask(self.click_to_calls(first, load))
        missing = await self._records_written(rows + load.calls)
        used = self._usage() - before
        seconds = max((time.time_ns() if missing else self._last_record) - run["began"], 1) / 1e9
        problems = [f"{count} × answered {status}" for status, count in run["statuses"].items() if status != "200"]
        problems += [f"{missing} CDRs missing or not answered"] if missing else []
        return await self._outcome(load, run, used, seconds, problems)

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

    def _usage(self) -> "Usage":
        about = self.stack.describe()
        cpu = {
            "engine": cpu_ms([about["engine_pid"]]),
            "Asterisk": cpu_ms([about["pids"]["asterisk"]]),
            "PostgreSQL": cpu_ms(family(about["pids"]["postgres"])),
            "far end": cpu_ms([self.far_end.pid]),
            "client": cpu_ms([self._bare.pid]) if self._bare else 0.0,
        }
        return Usage(cpu, *machine_ms())

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
        self, load: Load, run: Mapping[str, Any], used: "Usage", seconds: float, problems: list[str]
    ) -> Outcome:
        seen = await self._quiet()
        invites, agent = seen["invites"], AGENT.decode()
        delays = [(invites[agent + n] - at) / 1e6 for n, at in run["sent"].items() if agent + n in invites]
        if run["unended"]:
            problems.append(f"{run['unended']} calls did not end")
        if len(delays) != load.calls:
            problems.append(f"{load.calls - len(delays)} agents were not called")
        if len(invites) != self.parties * load.calls:
            problems.append(f"{self.parties * load.calls - len(invites)} parties were not called")
        if seen["live"]:
            problems.append(f"{seen['live']} parties were left over")
        total = used.busy + used.idle
        return Outcome(
            calls=load.calls,
            seconds=seconds,
            latency=tuple(sorted(delays)),
            cpu={name: spent / load.calls for name, spent in used.cpu.items()},
            idle=used.idle / total,
            foreign=max(0.0, used.busy - sum(used.cpu.values())) / total,
            problems=tuple(problems),
        )

    async def _quiet(self) -> dict[str, Any]:
        """What the far end saw, once it has nobody on the line."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                while (seen := await self.far_end.ask({"do": "invites"}))["live"]:
                    await asyncio.sleep(0.05)
        return seen
