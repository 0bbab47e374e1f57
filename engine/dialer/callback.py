"""Call-backs: a click-to-call at a time."""

from engine.dialer.kinds import Order, Plain
from engine.dialer.port import Due

FLOW = "callback"


class Callback(Plain):
    async def order(self, due: Due) -> Order:
        return Order(FLOW, due.params, due.params["caller_id"])
