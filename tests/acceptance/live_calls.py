"""Phones that talk, and what each of them hears between two moments."""

import asyncio
import functools
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

from engine.testkit import audio
from engine.testkit.client import Client, leg_of
from engine.testkit.phone import Phone, PhoneCall
from engine.testkit.poll import eventually

TONES = (2200.0, 2550.0, 2900.0)
"""Of the first, second and third phone of a group; the music on hold has nothing there."""
SETTLES = 0.5
"""Seconds of sound that are under way when a control is answered: jitter buffers and packets."""
LISTEN = 0.6
LATE = 1.5
"""Seconds that a party may hear later, on a machine that has too much to do."""


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


GROUPS = (("101", "102", "103"), ("104", "105", "106"), ("107", "108", "109"))


class Scenarios:
    """Scenarios of a module: each has three phones of its own, and three go on at a time.

    ``@scenario()`` takes ``async def name(stack, phones)``; ``@scenario("a", "b")`` one with a third argument ``how``.
    """

    def __init__(self):
        self.all = {}

    def __call__(self, *variants):
        def take(work):
            if not variants:
                self.all[work.__name__] = work
            for variant in variants:
                self.all[f"{work.__name__}[{variant}]"] = functools.partial(work, how=variant)
            return work

        return take

    async def run(self, stack):
        """Scenario → what it failed of, or None."""
        groups = asyncio.Queue()
        for group in GROUPS:
            groups.put_nowait(group)
        done = await asyncio.gather(*(self._one(stack, groups, work) for work in self.all.values()))
        return dict(zip(self.all, done, strict=True))

    async def _one(self, stack, groups, work):
        group = await groups.get()
        try:
            async with registered(stack, *group) as phones:
                await work(stack, phones)
        except Exception as error:  # noqa: BLE001 - whatever it was, its test raises it
            return error
        finally:
            groups.put_nowait(group)


async def talk(api, agent, customer, **fields):
    request_id = await api.click2call(agent.extension, customer.extension, **fields)
    first = await agent.next_call()
    second = await customer.next_call()
    await asyncio.gather(first.answered(), second.answered())
    await api.wait_state(request_id, "talking")
    return Talk(api, request_id, Party(agent, first), Party(customer, second))


async def hear(*parties, seconds=LISTEN):
    """What each of them hears, for so long from now on; where packets come late, until there is so much of them."""
    await asyncio.sleep(SETTLES)  # what was under way when the control was answered
    await _caught_up()
    start = time.monotonic()
    await asyncio.sleep(seconds)  # the length of the talk

    def heard():
        return [party.call.sound.heard_between(start, time.monotonic()) for party in parties]

    while any(audio.duration(each) < 0.9 * seconds for each in heard()) and time.monotonic() < start + seconds + LATE:
        await asyncio.sleep(audio.WINDOW / audio.RATE)
    return heard()


async def they_hear_each_other(one, other):
    at_one, at_other = await hear(one, other)
    assert has(at_one, other.tone), f"{one.phone.extension} does not hear {other.phone.extension}"
    assert has(at_other, one.tone), f"{other.phone.extension} does not hear {one.phone.extension}"


async def _caught_up():
    """Nothing that came before is still to be read: a packet counts as heard when it is."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.02)
        if time.monotonic() - began < 0.05:
            return


async def until_heard(party, check, within=60.0):
    """Wait until what it hears from now on, all together, passes ``check``; that sound."""
    start = time.monotonic()

    async def look():
        sound = party.call.sound.heard_between(start, time.monotonic())
        return sound if check(sound) else None

    return await eventually(look, within=within, what="such a sound", every=0.1)


def ends_with_speech(samples):
    """Whether somebody speaks last, however long a tone was there before."""
    return any(audio.speech_present(samples[-int(seconds * audio.RATE) :]) for seconds in (0.6, 0.8, 1.0))


def rings(samples):
    """Ringback, of which there are two seconds in six."""
    return audio.tone_present(samples, 440, 480)


def has(samples, *tones, share=None):
    return audio.tone_present(samples, *tones, min_seconds=LISTEN / 2, share=share)


def none_of(samples, *tones):
    return all(audio.tone_seconds(samples, tone, share=0.1) < 0.15 for tone in tones)
