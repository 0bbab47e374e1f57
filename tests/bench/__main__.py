"""``python -m tests.bench [SUBJECT] [--quick]``: one subject, or all in turn; click2call is the engine against a bare ARI
client on one Asterisk, in one run."""

import argparse
import asyncio
import importlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from engine.embedded import environment, runner
from engine.embedded.progress import say
from engine.embedded.stack import Stack, engine_command, prepare
from engine.embedded.state import free_port
from engine.store.administration import AccountAdministration
from engine.store.pool import Database
from tests.bench import report, upkeep
from tests.bench.load import Load
from tests.bench.processes import Helper
from tests.bench.sides import Bench, Outcome, ari_of

IN_FLIGHT = 60
PACE = 20.0


@dataclass(frozen=True)
class Size:
    rounds: int
    calls: int
    paced: int


FULL = Size(rounds=3, calls=1500, paced=300)
QUICK = Size(rounds=1, calls=400, paced=60)


SUBJECTS = {"click2call": "", "otp": "otp", "detect": "decide", "menus": "menus", "digits": "digits", "due": "due",
            "campaigns": "campaigns"}  # fmt: skip
"""Each but the first has a module of its own, with ``main(quick=…)``."""


def main() -> int:
    options = _parser().parse_args()
    if options.profile:
        return _click2call(options)
    verdicts = [_one(subject, options) for subject in options.subject or SUBJECTS]
    return max(verdicts)


def _one(subject: str, options: argparse.Namespace) -> int:
    say(f"== {subject}")
    if subject == "click2call":
        return _click2call(options)
    verdict: int = importlib.import_module(f"tests.bench.{SUBJECTS[subject]}").main(quick=options.quick)
    return verdict


def _click2call(options: argparse.Namespace) -> int:
    folder = Path(tempfile.mkdtemp(prefix="trunkline-bench-"))
    folder.chmod(0o755)
    port = free_port(set())
    where = environment.read({**os.environ, "TRUNK": f"127.0.0.1:{port}"}, state=folder / "state")
    bench = _Run(options, port)
    try:
        plan = prepare(where, say)
        command = engine_command(plan.state)
        if options.profile:
            command = (*command[:2], "-m", "cProfile", "-o", str(options.profile.absolute()), *command[2:])
        asyncio.run(runner.run(Stack(plan, engine=command), bench.measure))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return bench.verdict


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "subject", nargs="*", choices=[[], *SUBJECTS], help="what is measured; all of it when none is named"
    )
    parser.add_argument("--quick", action="store_true", help="one small round, to see that it works; writes no results")
    parser.add_argument(
        "--way",
        choices=("mixed", "create", "originate"),
        default="mixed",
        help="how the bare client makes its legs",
    )
    parser.add_argument("--profile", type=Path, metavar="FILE", help="run the engine under cProfile, and nothing else")
    return parser


class _Run:
    def __init__(self, options: argparse.Namespace, port: int) -> None:
        self._options = options
        self._size = QUICK if options.quick or options.profile else FULL
        self._far_end = Helper("tests.bench.far_end", str(port))
        self._bare = Helper("tests.bench.bare")
        self.verdict = 1

    async def measure(self, stack: Stack) -> None:
        plan = stack.plan
        await _no_prompt(plan.dsn)
        database = await asyncpg.connect(plan.dsn)
        try:
            await self._far_end.start()
            await self._bare.start(ari_of(stack))
            await self._measure(Bench(stack, self._far_end, self._bare, database, self._options.way))
        finally:
            await asyncio.gather(self._far_end.stop(), self._bare.stop())
            await database.close()

    async def _measure(self, bench: Bench) -> None:
        size, load = self._size, Load(self._size.calls, in_flight=IN_FLIGHT)
        say("warming up")
        warm = [await bench.bare(Load(120)), await bench.engine(Load(120))]
        if self._options.profile:
            say(_line("engine, profiled", await bench.engine(load)))
            self.verdict = 0
            return
        runs: dict[str, list[Outcome]] = {"engine": [], "bare": [], "engine_paced": [], "bare_paced": []}
        for number in range(size.rounds):
            for side in ("bare", "engine") if number % 2 == 0 else ("engine", "bare"):
                for name, asked in ((side, load), (f"{side}_paced", Load(size.paced, pace=PACE))):
                    outcome = await getattr(bench, side)(asked)
                    say(_line(name, outcome))
                    runs[name].append(outcome)
        ready = [await upkeep.ready_seconds(bench) for _ in range(size.rounds)]
        subject = report.Subject(**runs, ready=ready, kilobytes=await upkeep.kilobytes_per_call(bench))
        self._conclude(bench, subject, [problem for run in warm for problem in run.problems])

    def _conclude(self, bench: Bench, subject: report.Subject, problems: list[str]) -> None:
        say(f"\n{report.table(subject)}\n")
        problems = [*problems, *subject.problems()]
        for problem in problems:
            say(f"problem: {problem}")
        if not self._options.quick:
            report.write(subject, self._conditions(bench))
        self.verdict = 1 if problems else 0

    def _conditions(self, bench: Bench) -> dict[str, object]:
        size = self._size
        return {
            "asterisk": bench.stack.plan.asterisk.version,
            "rounds": size.rounds,
            "calls": size.calls,
            "in_flight": IN_FLIGHT,
            "talk_s": 0.2,
            "paced_calls": size.paced,
            "pace_cps": PACE,
            "bare": self._options.way,
        }


async def _no_prompt(dsn: str) -> None:
    database = Database(dsn)
    await database.open()
    await AccountAdministration(database).set_limits("account_1", connect_prompt=False, concurrent_calls=1000)
    await database.close()


def _line(name: str, run: Outcome) -> str:
    latency = f"request → INVITE p50 {run.percentile(50):5.1f} ms, p99 {run.percentile(99):5.1f} ms"
    cpu = ", ".join(f"{who} {spent:.2f}" for who, spent in run.cpu.items())
    cpu += f"; idle {run.idle:.0%}, others {run.foreign:.0%}"
    return f"{name:13} {run.cps:6.1f} calls/s  {latency}  CPU ms/call: {cpu}  {'; '.join(run.problems)}"


if __name__ == "__main__":
    sys.exit(main())
