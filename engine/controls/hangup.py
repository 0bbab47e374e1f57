"""End one party, or all."""

from collections.abc import Mapping
from typing import Any

from engine.sessions.inbox import Order, party
from engine.sessions.session import Session

ENDS_WITHIN = 3.0


async def hangup(session: Session, order: Order) -> Mapping[str, Any]:
    """The leg named ends, and with it a conversation of two; without a leg, the call."""
    if not order.leg:
        order.settle({})
        session.stop("cancelled")
        return {}
    leg = party(session, order.leg)
    result = {"leg_id": leg.leg_id}
    try:
        await session.hangup(leg, "cancelled")
        await session.until(lambda: not leg.alive, ENDS_WITHIN)
    finally:
        if not leg.alive:  # the end of its call may take this order's job with it
            order.settle(result)
    return result
