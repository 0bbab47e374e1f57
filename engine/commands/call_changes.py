"""What the call-control API does to a call under way: who of its parties a change is about, and which control it is."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from engine.calls.account import Account
from engine.calls.model import Call, Leg
from engine.calls.numbers import is_extension
from engine.calls.states import CallState
from engine.commands.call_control import Party, resolve
from engine.commands.calls import show
from engine.commands.context import Context
from engine.errors import InvalidFields, NotFound, StateConflict

CONNECTED_LOOK, CONNECTED_LOOKS = 0.03, 100
"""Seconds between looks whether two who have answered talk, and how many there are at most."""
ACTIVE, PARKED, HELD, ENDED = "active", "parked", "held", "ended"


@dataclass(frozen=True, slots=True)
class Change:
    """``to`` transfers, whatever ``state`` says beside it."""

    state: str | None = None
    source: Party | None = None
    to: Party | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    state: str
    destination: str
    """The other party."""


async def change(ctx: Context, account: Account, call: Call, wanted: Change) -> Changed:
    """Have it done. Raises InvalidFields, StateConflict, Forbidden (gate), Unavailable."""
    if wanted.state is None and wanted.to is None:
        raise InvalidFields({"state": "or to is required"})
    number = await _number(ctx, account, "to", wanted.to)
    source = await _number(ctx, account, "source", wanted.source)
    call = await _connected(ctx, call)
    _alive(call)
    if call.slot is not None and wanted.state == PARKED and not number:
        return Changed(PARKED, other(call))
    if call.slot is not None:
        return await _retrieve(ctx, call, number or source)
    if wanted.to is not None:
        leg = _leaves(call, wanted.source, source)
        await ctx.engine.control(call.request_id, "transfer", leg.leg_id, {"to": number})
        return Changed(ACTIVE, number)
    return await _park(ctx, call) if wanted.state == PARKED else await _activate(ctx, call)


async def _number(ctx: Context, account: Account, field: str, party: Party | None) -> str:
    wrong: dict[str, str] = {}
    digits = await resolve(ctx, account, field, party, wrong) if party else ""
    if wrong:
        raise InvalidFields(wrong)
    return digits


async def _connected(ctx: Context, call: Call) -> Call:
    """The call, once parties who have both answered talk: until then there is nothing to take them out of."""
    for _ in range(CONNECTED_LOOKS):
        if not connecting(call):
            break
        await asyncio.sleep(CONNECTED_LOOK)
        call = await show(ctx, call.account, call.request_id)
    return call


def connecting(call: Call) -> bool:
    """Both parties have answered, and are just being put together."""
    return call.state is CallState.IN_FLOW and sum(leg.up and leg.role != "monitor" for leg in call.legs.values()) > 1


def _alive(call: Call) -> None:
    if not call.alive:
        raise StateConflict("the call has ended already")


def _leaves(call: Call, party: Party | None, number: str) -> Leg:
    """Who gives the call on: the party that ``from`` names if that is one of the house; a telephone number that it names
    stays. Without a party of that name: the agent, else whoever is of the house."""
    legs = _talking(call)
    named = next((leg for leg in legs if number and leg.number == number), None)
    if named is not None and party is not None:
        if party.type != "pstn" or len(legs) < 2:  # noqa: PLR2004
            return named
        return next(leg for leg in legs if leg is not named)
    return legs[0]


def _talking(call: Call) -> Sequence[Leg]:
    """Parties on the line, those of the house first."""
    legs = [leg for leg in call.legs.values() if leg.up]
    if not legs:
        raise StateConflict("nobody has answered yet")
    return sorted(legs, key=lambda leg: (leg.role != "agent", not is_extension(leg.number), leg.n))


async def _park(ctx: Context, call: Call) -> Changed:
    """The party that is not of the house waits, with music; the other one is hung up."""
    leg = _talking(call)[-1]
    await ctx.engine.control(call.request_id, "park", leg.leg_id, {})
    return Changed(PARKED, leg.number)


async def _retrieve(ctx: Context, call: Call, number: str) -> Changed:
    """``number`` is called and talks to who waits; without one, whoever talked to it before."""
    waits = call.legs[call.parties[0]]
    number = number if number and number != waits.number else other(call, waits)
    await ctx.engine.control(call.request_id, "retrieve", "", {"to": number})
    return Changed(ACTIVE, waits.number)


async def _activate(ctx: Context, call: Call) -> Changed:
    """Whoever is held comes back; a call that is active stays so."""
    held = [leg for leg in _talking(call) if leg.held_from is not None]
    if not held and any(leg.alive and not leg.up for leg in call.legs.values()):
        raise StateConflict("nobody has answered yet")
    for leg in held:
        await ctx.engine.control(call.request_id, "resume", leg.leg_id, {})
    return Changed(ACTIVE, other(call))


async def change_leg(ctx: Context, call: Call, leg_id: str, state: str) -> Changed:
    """``state``: held or active. Raises NotFound, StateConflict, Unavailable."""
    call = await _connected(ctx, call)
    leg = leg_of(call, leg_id)
    _alive(call)
    if not leg.up:
        raise StateConflict("the leg has ended already" if not leg.alive else "the leg has not been answered")
    if call.slot is not None and state == ACTIVE:
        await _retrieve(ctx, call, "")
    elif (leg.held_from is not None) != (state == HELD):
        await ctx.engine.control(call.request_id, "hold" if state == HELD else "resume", leg.leg_id, {})
    return Changed(state, other(call, leg))


async def end_leg(ctx: Context, call: Call, leg_id: str) -> Changed:
    """Hang up one party. Raises NotFound, StateConflict, Unavailable."""
    leg = leg_of(call, leg_id)
    if not (call.alive and leg.alive):
        raise StateConflict("the leg has ended already")
    await ctx.engine.control(call.request_id, "hangup", leg.leg_id, {})
    return Changed(ENDED, other(call, leg))


def leg_of(call: Call, leg_id: str) -> Leg:
    for leg in call.legs.values():
        if leg.leg_id == leg_id.lower():
            return leg
    raise NotFound("the call has no leg of this id")


def other(call: Call, leg: Leg | None = None) -> str:
    """The party at the other end: of the leg, else of the one who is of the house."""
    legs = sorted(call.legs.values(), key=lambda each: (each.role != "agent", not is_extension(each.number), each.n))
    this = leg or (legs[0] if legs else None)
    rest = [each for each in legs if each is not this]
    last = max(rest, key=lambda each: (each.alive, each.n), default=this)
    asked = call.params.get("asked", {}).get("to", call.params.get("customer_number", ""))
    return last.number if last is not None and last is not this else str(asked)
