"""``otp``: announcements a second, against a bare ARI client that plays a sound of the same length to the same far end.

The engine synthesises each password anew, because what is said is in no cache; the bare client's sound lies ready.
"""

import asyncio
from dataclasses import asdict
from typing import Any

import asyncpg

from engine.embedded.progress import say
from engine.embedded.stack import Stack
from engine.embedded.state import free_port
from engine.media.tts.create import synthesizer
from engine.media.tts.port import Speech
from engine.media.tts.template import announcement
from engine.store.administration import AccountAdministration
from engine.store.pool import Database
from tests.bench.load import Load
from tests.bench.processes import Helper
from tests.bench.sides import Bench, Outcome
from tests.bench.subject import keep, on_stack, told

IN_FLIGHT = 300
OTP, RATE = "1234", "x-fast"


def main(*, quick: bool = False) -> int:
    port = free_port(set())
    run = _Run(port, quick=quick)
    on_stack(run.measure, trunk=port)
    return run.verdict


class _Announcements(Bench):
    """Both sides announce to one party, who hangs up on nobody."""

    media: str
    template: str

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

    def click_to_calls(self, first: int, load: Load) -> dict[str, Any]:
        body = {"customer_number": "", "otp": OTP, "announce_template_id": self.template, "caller_id": "15168148111",
                "rate": RATE}  # fmt: skip
        return {**super().click_to_calls(first, load), "path": "/api/outbound_call", "body": body}

    @property
    def parties(self) -> int:
        return 1


class _Run:
    def __init__(self, port: int, *, quick: bool) -> None:
        self._quick = quick
        self._rounds, self._calls = (1, 200) if quick else (3, 800)
        self._far_end = Helper("tests.bench.far_end", str(port))
        self._bare = Helper("tests.bench.bare_announce")
        self.verdict = 1

    async def measure(self, stack: Stack) -> None:
        plan = stack.plan
        accounts = Database(plan.dsn)
        await accounts.open()
        await AccountAdministration(accounts).set_limits("account_1", concurrent_calls=1000)
        await accounts.close()
        database = await asyncpg.connect(plan.dsn)
        try:
            await self._far_end.start()
            server = plan.config.asterisk[0]
            secret = server.ari_password.get_secret_value()
            await self._bare.start(
                {"base": server.ari, "user": server.ari_user, "password": secret, "trunk": "carrier"}
            )
            bench = _Announcements(stack, self._far_end, self._bare, database, "")
            bench.template = stack.describe()["otp_template"]
            text = await database.fetchval("SELECT text FROM otp_templates WHERE id = $1", bench.template)
            async with _Said(stack, text) as spoken:
                bench.media = spoken.media
                await self._measure(bench, spoken.duration)
        finally:
            await asyncio.gather(self._far_end.stop(), self._bare.stop())
            await database.close()

    async def _measure(self, bench: _Announcements, duration: float) -> None:
        load = Load(self._calls, in_flight=IN_FLIGHT)
        runs: dict[str, list[Outcome]] = {"engine": [], "bare": []}
        problems = [problem for side in runs for problem in (await getattr(bench, side)(Load(40))).problems]
        for number in range(self._rounds):
            for side in ("bare", "engine") if number % 2 == 0 else ("engine", "bare"):
                runs[side].append(await getattr(bench, side)(load))
                problems += runs[side][-1].problems
        self._conclude(runs, problems, duration)

    def _conclude(self, runs: dict[str, list[Outcome]], problems: list[str], duration: float) -> None:
        engine, bare = (
            sorted(runs[side], key=lambda run: run.cps)[len(runs[side]) // 2] for side in ("engine", "bare")
        )
        figures = {
            "throughput_ratio": round(engine.cps / bare.cps, 3),
            "engine_cps": round(engine.cps, 1),
            "bare_cps": round(bare.cps, 1),
            "in_flight": IN_FLIGHT,
            "announcement_s": round(duration, 2),
            "engine_cpu_ms": round(engine.cpu["engine"], 3),
            "bare_cpu_ms": round(bare.cpu["client"], 3),
            "engine_asterisk_cpu_ms": round(engine.cpu["Asterisk"], 3),
            "bare_asterisk_cpu_ms": round(bare.cpu["Asterisk"], 3),
            "engine_postgres_cpu_ms": round(engine.cpu["PostgreSQL"], 3),
            "idle_share": round((engine.idle + bare.idle) / 2, 3),
            "foreign_share": round((engine.foreign + bare.foreign) / 2, 3),
        }
        told(figures)
        for problem in dict.fromkeys(problems):
            say(f"problem: {problem}")
        self.verdict = 1 if problems else 0
        if not self._quick:
            keep("otp", figures)


class _Said:
    """What the engine announces, from its own synthesizer, as a sound that lies ready."""

    def __init__(self, stack: Stack, text: str) -> None:
        self._synthesizer = synthesizer(stack.plan.config)
        self._text = text

    async def __aenter__(self) -> Any:
        await self._synthesizer.start()
        return await self._synthesizer.speak(Speech(announcement(self._text, OTP), rate=RATE))

    async def __aexit__(self, *_: object) -> None:
        await self._synthesizer.close()
