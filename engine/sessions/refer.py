"""A phone transfers by itself, with SIP REFER: what it asks for is ordered like anything else, and it is told the outcome."""

import structlog

from engine.calls.model import Leg
from engine.errors import RequestError, StoreError
from engine.sessions.inbox import Order
from engine.sessions.session import Session
from engine.telephony.events import TransferRequested

log = structlog.get_logger(__name__)


async def refer(session: Session, leg: Leg, event: TransferRequested) -> None:
    if event.replaced is None:
        order = Order("transfer", leg.leg_id, {"to": event.destination, "refer": True}, by="phone")
    else:
        order = Order("merge", leg.leg_id, {"channel": event.replaced.id, "refer": True}, by="phone")
    try:
        session.inbox.put(session, order)
        await order.outcome
    except (RequestError, StoreError) as error:
        log.info("refer_refused", request_id=session.call.request_id, error=str(error))
        if leg.alive:
            await session.attempt(session.switch.transfer_progress(leg.channel_id, "channel_declined"))
