"""``digits``: from a key to the next prompt, while 50 callers press keys at random times.

From the moment that Asterisk gives in ``ChannelDtmfReceived`` (it stands in the call's timeline) to the first packet of
the prompt at the caller. Callers press while nothing is played, so that the next packet can only be the next prompt's.
"""

import asyncio
import random
from datetime import datetime
from typing import Any

import asyncpg

from engine.embedded.stack import Stack
from engine.embedded.state import free_port
from tests.bench.callers import Caller, Network
from tests.bench.subject import Spent, keep, on_stack, percentile, told

NUMBER = "15557000090"
MENU = f"""
number: {NUMBER}
prompt: Choose.
timeout: 30
keys:
""" + "".join(f"  {key}:\n    - say: You pressed {key}.\n" for key in range(1, 9))
CALLERS, KEYS = 50, 10
SETTLED = 0.3
"""Seconds of silence after which a menu waits for a key."""


def main(*, quick: bool = False) -> int:
    port = free_port(set())
    run = _Run(port, *((10, 4) if quick else (CALLERS, KEYS)), quick=quick)
    on_stack(run.measure, trunk=port, menus={"bench.yaml": MENU.encode()})
    return run.verdict


class _Run:
    def __init__(self, port: int, callers: int, keys: int, *, quick: bool) -> None:
        self._port, self._callers, self._keys, self._quick = port, callers, keys, quick
        self._pressed: dict[str, list[tuple[str, float]]] = {}
        """SIP call → keys and when the prompt after each began."""
        self.verdict = 1

    async def measure(self, stack: Stack) -> None:
        about = stack.describe()
        database = await asyncpg.connect(stack.plan.dsn)
        network = await Network.at(self._port, about["asterisk"]["sip"])
        try:
            await self._warm_up(network)
            since = await database.fetchval("SELECT now()")
            spent = Spent(stack)
            await asyncio.gather(*(self._caller(network, n) for n in range(self._callers)))
            await self._conclude(database, since, spent.per(self._callers * self._keys, "key"))
        finally:
            await network.close()
            await database.close()

    async def _warm_up(self, network: Network) -> None:
        """Each text is rendered once."""
        caller = await network.enter(NUMBER)
        for key in range(1, 9):
            await self._press(caller, str(key))
        await caller.hang_up()

    async def _press(self, caller: Caller, key: str) -> tuple[str, float]:
        await caller.ears.quiet(SETTLED)
        return key, await caller.ears.prompt(await caller.press(key))

    async def _caller(self, network: Network, number: int) -> None:
        await asyncio.sleep(number * 0.05)
        caller = await network.enter(NUMBER)
        await caller.ears.prompt(0.0)
        kept = self._pressed[caller.call.call_id] = []
        for _ in range(self._keys):
            await caller.ears.quiet(SETTLED)
            await asyncio.sleep(random.uniform(0, 1.5))
            kept.append(await self._press(caller, str(random.randint(1, 8))))
        await caller.hang_up()

    async def _conclude(self, database: Any, since: datetime, spent: dict[str, float]) -> None:
        delays, lost = _matched(list(self._pressed.values()), await self._received(database, since))
        wanted = self._callers * self._keys
        figures = {
            "callers": self._callers,
            "keys": wanted,
            "lost_or_crossed": lost,
            "digit_to_prompt_ms_p50": percentile(delays, 50),
            "digit_to_prompt_ms_p99": percentile(delays, 99),
            "digit_to_prompt_ms_max": round(max(delays, default=float("nan")), 3),
            **spent,
        }
        told(figures)
        self.verdict = 0 if not lost and len(delays) == wanted else 1
        if not self._quick:
            keep("digits", figures)

    async def _received(self, database: Any, since: datetime) -> list[list[tuple[str, float]]]:
        """Of each call: its keys, and when Asterisk had them."""
        async with asyncio.timeout(20):
            while await database.fetchval("SELECT count(*) FROM calls WHERE state = 'live'"):
                await asyncio.sleep(0.1)
        rows = await database.fetch(
            "SELECT e.request_id, e.at, e.data FROM call_events AS e JOIN calls AS c USING (request_id) "
            "WHERE c.created_at >= $1 AND e.kind = 'leg.dtmf' ORDER BY e.request_id, e.seq",
            since,
        )
        calls: dict[str, list[tuple[str, float]]] = {}
        for row in rows:
            key = row["data"]["digit"] if isinstance(row["data"], dict) else _digit(row["data"])
            calls.setdefault(row["request_id"], []).append((key, row["at"].timestamp()))
        return list(calls.values())


def _digit(data: str) -> str:
    return data.partition('"digit": "')[2][:1]


def _matched(callers: list[list[tuple[str, float]]], calls: list[list[tuple[str, float]]]) -> tuple[list[float], int]:
    """(milliseconds from each key to its prompt, keys that no call has as they were pressed). A caller's call is the one
    with the same keys whose times fit best."""
    delays, lost, left = [], 0, list(calls)
    for pressed in callers:
        keys = "".join(key for key, _ in pressed)
        fitting = [call for call in left if "".join(key for key, _ in call) == keys]
        if not fitting:
            lost += len(pressed)
            continue
        call = min(fitting, key=lambda call: abs(call[0][1] - pressed[0][1]))
        left.remove(call)
        delays += [(heard - at) * 1000 for (_, heard), (_, at) in zip(pressed, call, strict=True)]
    return delays, lost
