"""Dial a party: one try, whose row is committed before Asterisk hears of it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.calls import gate
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.routing import NoRoute, endpoint
from engine.calls.states import LegState
from engine.errors import Clash, Forbidden, Gone, LinkDown, Refused, RequestTimedOut
from engine.sessions.observe import end_leg
from engine.sessions.scope import DURATION_GRACE
from engine.sessions.session import Session
from engine.verbs.bridge import join, make_bridge

ENTERS_WITHIN = 5.0
"""Seconds from create until Asterisk has handed us the channel."""
INVITED_WITHIN = 2.0
"""Seconds from dial until Asterisk has sent the INVITE; a busy one takes that long."""
ASTERISK_GRACE = 2.0
"""Seconds that Asterisk's own ring timeout is longer than ours; it counts when we are gone."""
PLACINGS = 3
"""Times that a leg is placed whose link broke before Asterisk saw it."""
ENDS_WITHIN = 3.0
"""Seconds from a hang-up to its event."""


@dataclass(frozen=True, slots=True)
class Dial:
    """``ring_timeout`` in seconds. ``bridge``: the leg is put into this bridge before it rings, together with
    ``company``, so that whoever is in it hears the far end's early media. ``alongside``: the try is given up when this
    leg ends, and when ``give_up()`` comes true. ``by_phone``: a person dialled the number on a phone of ours."""

    role: str
    number: str
    caller_id: str
    ring_timeout: float
    attempt: int = 1
    bridge: str | None = None
    company: tuple[Leg, ...] = ()
    alongside: Leg | None = None
    by_phone: bool = False
    give_up: Callable[[], bool] | None = None
    given_up_as: Callable[[], str] | None = None
    """Says why, as it stands with the leg: ``cancelled`` otherwise."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """What else stands with the leg: ``conversation`` and ``other`` of one that a transfer wants."""
    caller_name: str = ""
    """Letters and digits, shown beside ``caller_id``."""
    private: bool = False
    """The party is not shown who calls."""
    trunk: str = ""
    """Over which ``number`` is reached when it is a SIP URI; the route table knows none."""


async def dial(session: Session, options: Dial) -> Leg:
    """Try to reach a party; the leg is up or ended when this returns.

    Raises Forbidden (the gate; the refusal stands in the timeline) and StoreAway (nothing was dialled).
    """
    leg = session.call.leg(options.role, options.attempt)
    if leg is None:
        leg = _attempt(session, options)
        await session.committed()
        await _place(session, leg, options)
    elif leg.n in session.unplaced:
        session.unplaced.discard(leg.n)
        await _place(session, leg, options)
    await _outcome(session, leg, options)
    return leg


def _attempt(session: Session, options: Dial) -> Leg:
    """Past the gate and the route table, a row for the try. Raises Forbidden."""
    try:
        others = session.services.live_calls(session.account.account) - 1
        gate.check(
            session.account, options.number, options.caller_id, live_calls=others, by_phone=options.by_phone
        )  # fmt: skip
        target = _target(session, options)
    except NoRoute:
        session.record(Kind.CALL_REFUSED, rule="route", number=options.number)
        raise Forbidden("no route leads to the number", rule="route") from None
    except Forbidden as refusal:
        session.record(Kind.CALL_REFUSED, rule=refusal.rule, number=options.number)
        raise
    return session.new_leg(options.role, options.number, target, attempt=options.attempt, **options.known)


def _target(session: Session, options: Dial) -> str:
    """The dial string. Raises NoRoute."""
    if options.number.startswith("sip:"):
        return f"PJSIP/{options.trunk}/{options.number}"
    return endpoint(session.services.routes.current(), options.number, session.account.account)


async def announce(session: Session, options: Dial) -> Leg:
    """Past the gate, the row of a try that ``dial`` with the same options places later. Raises Forbidden, StoreAway."""
    leg = _attempt(session, options)
    session.unplaced.add(leg.n)
    await session.committed()
    return leg


async def _place(session: Session, leg: Leg, options: Dial) -> None:
    """Have Asterisk send the call out. A refusal ends the leg. When the link breaks, a command's fate is unknown: the far
    end or the comparison after the break tells it, and only what Asterisk never saw is sent again."""
    for _ in range(PLACINGS):
        try:
            await _admitted(session, leg, options)
        except (LinkDown, RequestTimedOut):
            if await _to_be_placed_again(session, leg):
                continue
            if leg.state is LegState.CREATED:
                await _unplaced(session, leg)
        except (Gone, Clash, Refused):
            await _unplaced(session, leg)
        return
    await _unplaced(session, leg)


async def _admitted(session: Session, leg: Leg, options: Dial) -> None:
    """In its turn, if it is the call's first leg; while others wait, the turn lasts until the INVITE is on its way. Raises
    TelephonyError."""
    if leg.n > 1:
        await _send(session, leg, options)
        return
    async with session.services.placing:
        await _send(session, leg, options)
        if session.services.placing.locked():
            await session.until(lambda: leg.state is not LegState.CREATED, INVITED_WITHIN)


async def _send(session: Session, leg: Leg, options: Dial) -> None:
    """Create, join, dial; what was done before a break is not done again. Raises TelephonyError."""
    await _create(session, leg, options)
    if options.bridge and leg.alive:
        await join(session, options.bridge, *options.company, leg)
    if leg.alive and not _given_up(options):
        await session.switch.dial(leg.channel_id, timeout=options.ring_timeout + ASTERISK_GRACE)


async def _create(session: Session, leg: Leg, options: Dial) -> None:
    """The channel, in our hands: a new one, or the one that was made before a break and not dialled. Raises
    TelephonyError."""
    channel = leg.channel_id
    if channel in session.entered:
        return
    limit = session.account.limits.max_duration + int(options.ring_timeout) + DURATION_GRACE
    session.requested.add(channel)
    done = await asyncio.gather(
        session.switch.create_channel(
            channel, leg.endpoint, caller_id=options.caller_id, variables=variables(options, limit)
        ),
        *([make_bridge(session, options.bridge)] if options.bridge else []),
        return_exceptions=True,
    )
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
    if not await session.until(lambda: channel in session.entered or not leg.alive, ENTERS_WITHIN):
        raise RequestTimedOut("the channel was not handed to us")


def variables(options: Dial, limit: int) -> dict[str, str]:
    """Of the channel. ``limit``: seconds that it lasts at most."""
    made = {"TIMEOUT(absolute)": str(limit)}
    if options.caller_name:
        made["CONNECTEDLINE(name)"] = options.caller_name
    if options.private:
        made["CONNECTEDLINE(pres)"] = "prohib"
    return made


async def _to_be_placed_again(session: Session, leg: Leg) -> bool:
    """Wait for what the comparison after the break says: Asterisk has no channel, or one that was not dialled. Where nothing
    broke, a busy Asterisk may hand us the channel yet."""
    missing = leg.channel_id not in session.entered

    def handed_over() -> bool:
        return missing and leg.channel_id in session.entered

    session.undecided.add(leg.n)
    try:
        await session.until(
            lambda: leg.n in session.unplaced or leg.state is not LegState.CREATED or handed_over(),
            session.services.link_patience,
        )
    finally:
        session.undecided.discard(leg.n)
    again = leg.n in session.unplaced or (handed_over() and leg.state is LegState.CREATED)
    session.unplaced.discard(leg.n)
    return again


async def _unplaced(session: Session, leg: Leg) -> None:
    """End a leg that Asterisk would not place (no such endpoint, nobody registered there)."""
    if leg.channel_id in session.entered:
        await session.attempt(session.hangup(leg, "unplaced"))
        await session.until(lambda: not leg.alive, ENDS_WITHIN)
    if leg.alive:
        session.asked.setdefault(leg.n, "unplaced")
        end_leg(session, leg, session.services.now(), q850=None, sip_code=None)


def _given_up(options: Dial) -> bool:
    gone = options.alongside is not None and not options.alongside.alive
    return gone or (options.give_up is not None and options.give_up())


async def _outcome(session: Session, leg: Leg, options: Dial) -> None:
    """Wait for an answer, an end, the ring timeout, or the end of the leg that the try was for."""
    decided: Callable[[], bool] = lambda: leg.up or not leg.alive or _given_up(options)  # noqa: E731
    began = leg.dialing_at or leg.created_at
    elapsed = (session.services.now() - began).total_seconds()
    in_time = await session.until(decided, max(options.ring_timeout - elapsed, 0))
    if leg.alive and not leg.up:
        given_up = options.given_up_as() if options.given_up_as else "cancelled"
        await session.attempt(session.hangup(leg, given_up if in_time else "ring_timeout"))
        await session.until(lambda: not leg.alive, ENDS_WITHIN)
    if leg.alive and not leg.up:
        end_leg(session, leg, session.services.now(), q850=None, sip_code=None, reconciled=True)
