"""Call-backs: a click-to-call at a time."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from engine.calls.numbers import BadNumber, normalize
from engine.dialer.kinds import Order, Plain
from engine.dialer.port import CALLBACK, Due, DueCalls, NewDue
from engine.errors import StoreAway
from engine.sessions.session import Session

log = structlog.get_logger(__name__)

FLOW = "callback"


class Callback(Plain):
    async def order(self, due: Due) -> Order:
        return Order(FLOW, due.params, due.params["caller_id"])


@dataclass(frozen=True, slots=True)
class CallBacks:
    """What callers of menus ask for. Implements ``engine.sessions.services.CallBack``."""

    due: DueCalls

    async def __call__(self, session: Session, agent: str, number: str, after: float) -> None:
        account, services = session.account, session.services
        try:
            agent, number = (normalize(each, country=account.country) for each in (agent, number))
        except BadNumber:
            log.info("no_number_to_call_back", request_id=session.call.request_id)
            return
        asked = NewDue(
            kind=CALLBACK,
            account=account.account,
            number=agent,
            due_at=services.now() + timedelta(seconds=after),
            params={
                "agent_number": agent,
                "customer_number": number,
                "caller_id": min(account.caller_ids, default=""),
                "recording_option": "off",
                "transcript": False,
                "time_zone": account.time_zone.key,
            },
            request_id=await services.calls.next_request_id(),
            flow=FLOW,
        )
        try:
            await self.due.add(asked)
        except StoreAway:
            log.warning("call_back_not_kept", request_id=session.call.request_id)
