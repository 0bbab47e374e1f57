"""``otp``: announcements a second, against a bare ARI client that plays a sound of the same length to the same far end.

The engine synthesises each password anew, because what is said is in no cache; the bare client's sound lies ready.
"""

from typing import Any

import asyncpg

from engine.embedded.stack import Stack
from engine.media.tts.create import synthesizer
from engine.media.tts.port import Speech
from engine.media.tts.template import announcement
from tests.bench.announcing import Announcements, Run, calls_a_second, shares
from tests.bench.load import Load

OTP, RATE = "1234", "x-fast"


def main(*, quick: bool = False) -> int:
    return _Run(quick=quick).main()


class _Otps(Announcements):
    """The engine's side is asked for passwords."""

    template: str

    def click_to_calls(self, first: int, load: Load) -> dict[str, Any]:
        body = {"customer_number": "", "otp": OTP, "announce_template_id": self.template, "caller_id": "15168148111",
                "rate": RATE}  # fmt: skip
        return {**super().click_to_calls(first, load), "path": "/api/outbound_call", "body": body}


class _Run(Run):
    name = "otp"

    async def figures(self, stack: Stack, database: asyncpg.Connection) -> tuple[dict[str, Any], list[str]]:
        bench = _Otps(stack, self.far_end, self.bare, database, "")
        bench.template = stack.describe()["otp_template"]
        text = await database.fetchval("SELECT text FROM otp_templates WHERE id = $1", bench.template)
        async with _Said(stack, text) as spoken:
            bench.media = spoken.media
            engine, bare, problems = await self.in_turn(bench)
        return {
            **calls_a_second(engine, bare),
            "announcement_s": round(spoken.duration, 2),
            "engine_cpu_ms": round(engine.cpu["engine"], 3),
            "bare_cpu_ms": round(bare.cpu["client"], 3),
            "engine_asterisk_cpu_ms": round(engine.cpu["Asterisk"], 3),
            "bare_asterisk_cpu_ms": round(bare.cpu["Asterisk"], 3),
            "engine_postgres_cpu_ms": round(engine.cpu["PostgreSQL"], 3),
            **shares(engine, bare),
        }, problems


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
