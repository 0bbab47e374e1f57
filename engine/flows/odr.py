"""On-demand routing: call a party, and have it meet what a code of the house leads to, as if it had dialled that."""

from collections.abc import Mapping
from typing import Any

from engine import ids
from engine.calls.model import Leg
from engine.sessions.session import Session
from engine.verbs.bridge import join, talk
from engine.verbs.dial import Dial, dial
from engine.verbs.hangup import hangup
from engine.verbs.subroutine import subroutine

LONGEST = 7200.0
"""Seconds in a subroutine of the dialplan."""


async def odr(session: Session, params: Mapping[str, Any]) -> str | None:
    """``params``: customer_number, caller_id, and ``then``: a ``flow`` with its ``params``, an ``application`` of the
    dialplan, or a ``number`` to be connected to."""
    ring, then = session.account.limits.destination_ring, params["then"]
    party = await dial(session, Dial("customer", params["customer_number"], params["caller_id"], ring_timeout=ring))
    if not party.up:
        return None
    await session.step("met")
    if number := then.get("number"):
        await _connect(session, params, party, number)
        return None
    if application := then.get("application"):
        await subroutine(session, party, application, party.number, within=LONGEST)
        await hangup(session, party)
        return None
    flow = session.services.flow_of(then["flow"])
    if flow is None:
        raise LookupError(f"no flow is called {then['flow']!r}")
    return await flow(session, {**params, **then["params"]})


async def _connect(session: Session, params: Mapping[str, Any], party: Leg, number: str) -> None:
    bridge = ids.bridge_id(session.call.request_id)
    ring = session.account.limits.destination_ring
    options = Dial("target", number, params["caller_id"], ring, bridge=bridge, company=(party,), alongside=party)
    target = await dial(session, options)
    if target.up and party.up:
        if session.call.state != "talking":
            await join(session, bridge, party, target)
        await talk(session, bridge, party, target)
    await hangup(session, party, why="peer")
