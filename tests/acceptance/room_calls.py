"""Callers in conference rooms, and what they hear of one another."""

import asyncio
import itertools

from engine.testkit import audio, numbers
from engine.testkit.poll import eventually

_NUMBERS = itertools.count(7100)


async def make(api, **fields):
    """A room of its own for a test; gives it as the API shows it."""
    fields.setdefault("number", str(next(_NUMBERS)))
    fields.setdefault(
        "accesses", [{"pin": "11", "label": "guests"}, {"pin": "22", "level": "ADMIN", "label": "admins"}]
    )
    reply = await api.post("/api/rooms", {"name": "test", **fields})
    return reply.expect().response["room"]


async def members(api, room):
    return (await api.get(f"/api/rooms/{room}/members")).expect().response["members"]


async def events(api, room, **query):
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return (await api.get(f"/api/rooms/{room}/events?{words}")).expect().response["events"]


async def actions(api, room):
    return [each["action"] for each in await events(api, room, limit=500)]


async def history(api, room):
    return (await api.get(f"/api/rooms/{room}/history?limit=500")).expect().response["history"]


async def left(api, room, count, within=60.0):
    """The history, as soon as so many stand in it: it is written a moment after they left."""

    async def look():
        found = await history(api, room)
        return found if len(found) == count else None

    return await eventually(look, within=within, what=f"history of {count}")


async def connected(api, room, count, within=60.0):
    """The members, as soon as that many are connected."""

    async def look():
        found = [each for each in await members(api, room) if each["status"] == "CONNECTED"]
        return found if len(found) == count else None

    async def tell():
        return f"{await members(api, room)}\n{await events(api, room, limit=500)}"

    return (
        (await eventually(look, within=within, what=f"{count} members", tell=tell)) if count else await empty(api, room)
    )


async def empty(api, room, within=60.0):
    async def look():
        return not await members(api, room)

    await eventually(look, within=within, what="empty room")
    return []


async def logged(api, room, action, within=60.0, **data):
    """The newest event of that action whose data has these values."""

    async def look():
        found = await events(api, room, action=action, limit=500)
        fitting = [each for each in found if all(each["data"].get(name) == value for name, value in data.items())]
        return fitting[-1] if fitting else None

    async def tell():
        return str(await events(api, room, limit=500))

    return await eventually(look, within=within, what=f"{action} {data}", tell=tell)


async def enter(stack, extension, room, *, tone, pin="11"):
    """A phone in the room; (phone, call). The caller of this closes the phone."""
    phone = await stack.phone(extension, tone=tone)
    await phone.register()
    call = await phone.call(room["number"])
    await call.answered()
    call.press(f"{pin}#")
    return phone, call


async def invite(api, room, number=None, **fields):
    number = number or numbers.plain()
    reply = await api.post(f"/api/rooms/{room}/calls", {"number": number, **fields})
    return number, reply.expect().response


def mark(*calls):
    """How much each has heard until now."""
    return [len(call.heard) for call in calls]


async def hear(call, *tones, since=0, without=(), seconds=0.6, within=60.0):
    """Wait until the phone has heard all of ``tones`` for so long since ``since``, and none of ``without`` in the end."""

    async def look():
        samples = call.heard[since:]
        return all(audio.tone_seconds(samples, each, share=0.12) >= seconds for each in tones)

    async def tell():
        samples = call.heard[since:]
        return str({each: audio.tone_seconds(samples, each, share=0.12) for each in (*tones, *without)})

    await eventually(look, within=within, what=f"tones {tones}", tell=tell)
    samples = call.heard[since:]
    for each in without:
        assert audio.tone_seconds(samples, each, share=0.12) < 0.3, (each, await tell())


async def silence_of(call, tone, *, seconds=0.8, within=60.0):
    """Wait until ``tone`` has not been heard for so long."""

    async def look():
        tail = call.heard[-int(8000 * seconds) :]
        return len(tail) >= 8000 * seconds and audio.tone_seconds(tail, tone, share=0.12) == 0

    await eventually(look, within=within, what=f"no {tone} Hz")


async def close(*phones):
    await asyncio.gather(*(phone.close() for phone in phones))
