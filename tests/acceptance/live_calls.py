"""Phones that talk, and what each of them hears between two moments."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

from engine.testkit import audio
from engine.testkit.client import Client, leg_of
from engine.testkit.phone import Phone, PhoneCall

TONES = (620.0, 930.0, 1240.0)
"""Of the first, second and third phone of a group."""
SETTLES = 0.25
"""Seconds of sound that are under way when a control is answered: jitter buffers and packets."""
LISTEN = 0.6


@dataclass
class Party:
    """One phone in one call."""

    phone: Phone
    call: PhoneCall

    @property
    def tone(self):
        return self.phone.tone


@dataclass
class Talk:
    """A click-to-call of two phones, both up."""

    api: Client
    request_id: str
    agent: Party
    customer: Party

    async def control(self, action, leg="", status=200, **fields):
        body = {"action": action, **({"leg": leg} if leg else {}), **fields}
        reply = await self.api.post(f"/api/calls/{self.request_id}/control", body)
        return reply.expect(status).response

    async def now(self):
        return await self.api.call(self.request_id)

    async def leg(self, role):
        return leg_of(await self.now(), role)


@asynccontextmanager
async def registered(stack, *extensions):
    """Phones of these extensions, each with a tone of its own."""
    phones = [await stack.phone(extension, tone=tone) for extension, tone in zip(extensions, TONES, strict=True)]
    try:
        await asyncio.gather(*(phone.register() for phone in phones))
        yield phones
    finally:
        await asyncio.gather(*(phone.close() for phone in phones))


async def talk(api, agent, customer, **fields):
    request_id = await api.click2call(agent.extension, customer.extension, **fields)
    first = await agent.next_call()
    second = await customer.next_call()
    await asyncio.gather(first.answered(), second.answered())
    await api.wait_state(request_id, "talking")
    return Talk(api, request_id, Party(agent, first), Party(customer, second))


async def hear(*parties, seconds=LISTEN):
    """What each of them hears, for so long from now on."""
    await asyncio.sleep(SETTLES)  # what was under way when the control was answered
    start = time.monotonic()
    await asyncio.sleep(seconds)  # the length of the talk
    return [party.call.sound.heard_between(start, start + seconds) for party in parties]


def has(samples, *tones, share=None):
    return audio.tone_present(samples, *tones, min_seconds=LISTEN / 2, share=share)


def none_of(samples, *tones):
    return all(audio.tone_seconds(samples, tone, share=0.1) < 0.15 for tone in tones)
