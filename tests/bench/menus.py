"""``menus``: how many menus a second callers can go through, who press a key as soon as they hear a prompt.

Each turn is a key, the menu that it leads to (whose entry is committed before it is heard) and the first packet of that
menu's prompt, 40 ms of tone.
"""

import asyncio
import io
import time
import wave
from typing import Any

from engine.embedded.stack import Stack
from engine.embedded.state import free_port
from tests.bench.callers import Network
from tests.bench.subject import Spent, keep, on_stack, percentile, told

NUMBER = "15557000091"
CALLERS, SECONDS = 120, 15.0


def _menu(other: str, number: str = "") -> bytes:
    return f"{number}prompt: {{play: blip.wav}}\ntimeout: 30\nkeys:\n  1:\n    - menu: {other}\n".encode()


def _blip() -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x00\x08\x00\xf8" * 160)
    return made.getvalue()


FILES = {"here.yaml": _menu("there", f"number: {NUMBER}\n"), "there.yaml": _menu("here"), "blip.wav": _blip()}


def main(*, quick: bool = False) -> int:
    port = free_port(set())
    run = _Run(port, *((10, 3.0) if quick else (CALLERS, SECONDS)), quick=quick)
    on_stack(run.measure, trunk=port, menus=FILES)
    return run.verdict


class _Run:
    def __init__(self, port: int, callers: int, seconds: float, *, quick: bool) -> None:
        self._port, self._callers, self._seconds, self._quick = port, callers, seconds, quick
        self._turns: list[float] = []
        """Seconds from the key's beginning to the prompt, of each menu."""
        self._measuring, self._over = False, False
        self._failed: list[str] = []
        self.verdict = 1

    async def measure(self, stack: Stack) -> None:
        network = await Network.at(self._port, stack.describe()["asterisk"]["sip"])
        try:
            callers = [asyncio.create_task(self._caller(network, n)) for n in range(self._callers)]
            await asyncio.sleep(self._callers * 0.05 + 1)
            spent, self._measuring = Spent(stack), True
            await asyncio.sleep(self._seconds)
            self._measuring, self._over = False, True
            self._conclude(spent.per(len(self._turns), "menu"), spent.seconds)
            await asyncio.gather(*callers)
        finally:
            await network.close()

    async def _caller(self, network: Network, number: int) -> None:
        await asyncio.sleep(number * 0.05)
        caller = await network.enter(NUMBER)
        heard = await caller.ears.prompt(0.0)
        while not self._over:
            began = await caller.press("1")
            try:
                heard = await caller.ears.prompt(heard)
            except TimeoutError:
                self._failed.append(f"caller {number} heard nothing")
                break
            if self._measuring:
                self._turns.append(time.time() - began)
        await caller.hang_up()

    def _conclude(self, spent: dict[str, Any], seconds: float) -> None:
        figures = {
            "callers": self._callers,
            "menus_per_second": round(len(self._turns) / seconds, 1),
            "key_to_prompt_ms_p50": percentile([turn * 1000 for turn in self._turns], 50),
            "key_to_prompt_ms_p99": percentile([turn * 1000 for turn in self._turns], 99),
            "failed": len(self._failed),
            **spent,
        }
        told(figures)
        self.verdict = 0 if self._turns and not self._failed else 1
        if not self._quick:
            keep("menus", figures)
