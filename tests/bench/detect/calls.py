"""Clips over real calls: the carrier simulator answers and plays them, Asterisk carries them, the verb decides.

An engine in miniature (registry, session, verbs and the ARI adapter as they are; the store in memory) calls one number
per clip. Our detector and AMD() hear the same call at the same time.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.calls.account import Account, Limits
from engine.sessions import reconcile
from engine.sessions.registry import Registry
from engine.sessions.services import Services
from engine.sessions.session import Session
from engine.store.memory import Memory, MemoryAccounts, MemoryCalls, MemoryJournal, MemoryRoutes
from engine.store.port import NewCall
from engine.telephony.ari.switch import AriSwitch
from engine.telephony.events import LinkRestored, TelephonyEvent
from engine.testkit.asterisks import Asterisks, asterisks
from engine.verbs.detect import Detect, Detection, detect
from engine.verbs.dial import Dial, dial
from engine.verbs.hangup import hangup

APP = "trunkline-detect"
CALLER = "15168148111"
ACCOUNT = Account("bench", 1, "1", frozenset({CALLER}), limits=Limits(concurrent_calls=1000, connect_prompt=False))
FIRST = 15557000000
"""Clip n is at FIRST + n, with an ending that the simulator has no rule for."""
METHODS: Mapping[str, Detect] = {"own": Detect("own"), "amd": Detect("amd", limit=5.5)}


@dataclass
class Outcome:
    """What each method said of one clip; ``cpu_ms`` of the engine while the call lasted is of all calls together."""

    number: str
    said: dict[str, Detection] = field(default_factory=dict)


@dataclass
class Desk:
    """``async with desk() as d: await d.ask(number)``"""

    pair: Asterisks
    registry: Registry
    memory: Memory
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    _serial: int = 0

    async def ask(self, number: str, methods: Mapping[str, Detect] = METHODS) -> Outcome:
        """Call ``number`` and let each method say who answered, all on the same call."""
        self._serial += 1
        request_id = f"{self._serial:010x}"
        outcome = self.outcomes[request_id] = Outcome(number)
        params = {"number": number, "methods": methods}
        new = NewCall(
            request_id=request_id,
            account=ACCOUNT.account,
            flow="ask",
            direction="outbound",
            params=params,
            created_at=datetime.now(UTC),
            engine="bench",
        )
        session = await self.registry.begin(new, ACCOUNT, self.registry.choose())
        self.registry.run(session)
        assert session.task is not None
        await session.task
        return outcome

    async def measure(self, session: Session, params: Mapping[str, Any]) -> str | None:
        leg = await dial(session, Dial("customer", params["number"], CALLER, ring_timeout=60))
        if leg.up:
            names = list(params["methods"])
            said = await asyncio.gather(*(detect(session, leg, params["methods"][name]) for name in names))
            self.outcomes[session.call.request_id].said = dict(zip(names, said, strict=True))
        await hangup(session, leg)
        return None


@contextlib.asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    async with asterisks(APP) as pair:
        memory = Memory()
        journal = MemoryJournal(memory)
        restored = asyncio.Event()

        def sink(event: TelephonyEvent) -> None:
            registry.dispatch(event)

        def on_link(event: TelephonyEvent) -> None:
            if isinstance(event, LinkRestored):
                restored.set()

        switch = AriSwitch(pair.server, APP, sink)
        services = Services(
            engine_id="bench",
            journal=journal,
            calls=MemoryCalls(memory),
            accounts=MemoryAccounts(),
            routes=MemoryRoutes(),
            flow_of=lambda _name: bench.measure,
            live_calls=lambda _account: 0,
        )
        registry = Registry(services, {switch.name: switch}, lambda _registry, _event: None, on_link)
        bench = Desk(pair, registry, memory)
        await switch.start()
        try:
            await asyncio.wait_for(restored.wait(), 60)
            await reconcile.server(registry, switch, reconcile.NoCel())
            yield bench
        finally:
            await switch.stop()
            await journal.close()


def publish(pair: Asterisks, clips: Sequence[bytes]) -> list[str]:
    """Put WAV files where the simulator finds them; the number of each."""
    folder = pair.results / "clips"
    folder.mkdir(exist_ok=True)
    (pair.results / "no-recording").touch()
    numbers = []
    for place, clip in enumerate(clips):
        number = str(FIRST + 9000 + place % 1000 + 10000 * (place // 1000))
        (folder / f"{number}.wav").write_bytes(clip)
        numbers.append(number)
    return numbers


async def over_calls(clips: Sequence[bytes], *, at_once: int = 10) -> tuple[list[Outcome], float]:
    """What each method says of each clip, in order; and milliseconds of our CPU per call."""
    async with desk() as bench:
        numbers = publish(bench.pair, clips)
        turns = asyncio.Semaphore(at_once)

        async def one(number: str) -> Outcome:
            async with turns:
                return await bench.ask(number)

        before = time.process_time()
        outcomes = await asyncio.gather(*(one(number) for number in numbers))
        return list(outcomes), (time.process_time() - before) * 1000 / max(len(clips), 1)


def read(folder: Path) -> list[tuple[str, str, bytes]]:
    """(name, kind, WAV) of the clips in ``folder``/human, machine, fax, and in silence, music and noise: those count as
    human."""
    kinds = {
        "human": "human",
        "machine": "machine",
        "fax": "fax",
        "silence": "human",
        "music": "human",
        "noise": "human",
    }
    return [
        (path.name, kind, path.read_bytes())
        for name, kind in kinds.items()
        for path in sorted((folder / name).glob("*.wav"))
    ]
