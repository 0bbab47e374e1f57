"""What the subjects share that announce something to one party, against a bare ARI client that plays a sound of the same
length to the same far end."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any

import asyncpg

from engine.embedded.progress import say
from engine.embedded.stack import Stack
from engine.embedded.state import free_port
from engine.store.administration import AccountAdministration
from engine.store.pool import Database
from tests.bench.load import Load
from tests.bench.processes import Helper
from tests.bench.sides import Bench, Outcome, ari_of
from tests.bench.subject import keep, on_stack, told

IN_FLIGHT = 300


class Announcements(Bench):
    """Both sides announce to one party, who hangs up on nobody."""

    media: str

    async def _get_ready(self, load: Load, talk: float = 0.2) -> int:
        first = await super()._get_ready(load, talk)
        await self.far_end.ask({"do": "talk", "seconds": talk, "speaks": True})
        return first

    async def bare(self, load: Load) -> Outcome:
        first = await self._get_ready(load)
        before = self._usage()
        assert self._bare is not None
        run = await self._bare.ask({"first": first, "media": self.media, "load": asdict(load)})
        used = self._usage() - before
        problems = [f"{count} × {what}" for what, count in run["refused"].items()]
        return await self._outcome(load, run, used, (run["ended"] - run["began"]) / 1e9, problems)

    @property
    def parties(self) -> int:
        return 1


class Run(ABC):
    """One subject: the two sides in turn, on a stack of its own."""

    name: str

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self._rounds, self._calls = (1, 200) if quick else (3, 800)
        self._port = free_port(set())
        self.far_end = Helper("tests.bench.far_end", str(self._port))
        self.bare = Helper("tests.bench.bare_announce")
        self._verdict = 1

    def main(self) -> int:
        on_stack(self._measure, trunk=self._port)
        return self._verdict

    async def _measure(self, stack: Stack) -> None:
        accounts = Database(stack.plan.dsn)
        await accounts.open()
        await AccountAdministration(accounts).set_limits("account_1", concurrent_calls=1000)
        await accounts.close()
        database = await asyncpg.connect(stack.plan.dsn)
        try:
            await self.far_end.start()
            await self.bare.start(ari_of(stack))
            figures, problems = await self.figures(stack, database)
        finally:
            await asyncio.gather(self.far_end.stop(), self.bare.stop())
            await database.close()
        self._conclude(figures, problems)

    @abstractmethod
    async def figures(self, stack: Stack, database: asyncpg.Connection) -> tuple[dict[str, Any], list[str]]:
        """What was measured, and what went wrong."""

    async def in_turn(self, bench: Bench) -> tuple[Outcome, Outcome, list[str]]:
        """The middle runs of the engine and of the bare client, and what went wrong in any."""
        load = Load(self._calls, in_flight=IN_FLIGHT)
        runs: dict[str, list[Outcome]] = {"engine": [], "bare": []}
        problems = [problem for side in runs for problem in (await getattr(bench, side)(Load(40))).problems]
        for number in range(self._rounds):
            for side in ("bare", "engine") if number % 2 == 0 else ("engine", "bare"):
                runs[side].append(await getattr(bench, side)(load))
                problems += runs[side][-1].problems
        engine, bare = (
            sorted(runs[side], key=lambda run: run.cps)[len(runs[side]) // 2] for side in ("engine", "bare")
        )
        return engine, bare, problems

    def _conclude(self, figures: dict[str, Any], problems: list[str]) -> None:
        told(figures)
        for problem in dict.fromkeys(problems):
            say(f"problem: {problem}")
        self._verdict = 1 if problems else 0
        if not self.quick:
            keep(self.name, figures)


def calls_a_second(engine: Outcome, bare: Outcome) -> dict[str, Any]:
    return {
        "throughput_ratio": round(engine.cps / bare.cps, 3),
        "engine_cps": round(engine.cps, 1),
        "bare_cps": round(bare.cps, 1),
        "in_flight": IN_FLIGHT,
    }


def shares(engine: Outcome, bare: Outcome) -> dict[str, Any]:
    """Of the machine's processor time, in both runs."""
    return {
        "idle_share": round((engine.idle + bare.idle) / 2, 3),
        "foreign_share": round((engine.foreign + bare.foreign) / 2, 3),
    }
