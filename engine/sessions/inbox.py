"""Commands into a live call: messages to it, done one after the other, each answered truthfully and within its time.

Nothing outside changes a call: whoever wants something of it puts an order into its inbox. What an order does is a
control (``engine.controls``). Two orders at once are done in turn, the second in the state that the first one left.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from engine.errors import (
    Clash,
    Gone,
    InvalidFields,
    LinkDown,
    NotFound,
    Refused,
    RequestError,
    RequestTimedOut,
    StateConflict,
    StoreAway,
    Unavailable,
    UnsafeValue,
    Unsupported,
)

if TYPE_CHECKING:
    from engine.calls.model import Leg
    from engine.sessions.session import Session

log = structlog.get_logger(__name__)

AT_ANY_DOOR = frozenset({"hangup"})
"""Actions for calls that came by FastAGI too."""

WITHIN = 10.0
"""Seconds that an order may take until its effect: an answer is given by then, and nothing is done later."""


@dataclass(eq=False, slots=True)
class Order:
    """``action``: a name of ``engine.controls.table``. ``leg``: a role or a leg's id, empty for the action's default.
    ``fields``: what else the action takes, parsed. ``by``: who wants it: api, operator, phone."""

    action: str
    leg: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    by: str = "api"
    within: float = WITHIN
    outcome: asyncio.Future[Mapping[str, Any]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    ends: float = 0.0

    def settle(self, result: Mapping[str, Any]) -> None:
        """Its effect is there. What comes after is nobody's answer."""
        if not self.outcome.done():
            self.outcome.set_result(result)

    def refuse(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)
            self.outcome.exception()  # whoever asked may have gone


@dataclass(slots=True)
class Inbox:
    """One call's orders; a job of the call does them while there are any. What comes between two flows waits."""

    orders: deque[Order] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None

    def put(self, session: "Session", order: Order) -> None:
        """Raises StateConflict when the call is ending or came by a door that takes no orders, Unavailable when it is not
        under way yet."""
        if session.door is not None and order.action not in AT_ANY_DOOR:
            raise StateConflict(str(Unsupported("control from outside")))
        if session.closing or session.stop_reason is not None or not session.call.alive:
            raise StateConflict("the call is ending")
        if session.task is None:
            raise Unavailable("the call is not under way yet", retry_after=1)
        order.ends = asyncio.get_running_loop().time() + order.within
        self.orders.append(order)
        self.begin(session)

    def begin(self, session: "Session") -> None:
        """Do what there is, if the call has a flow for it to be a job of."""
        working = self.worker is not None and not self.worker.done()
        if working or not self.orders or session.background is None:
            return
        work = self._work(session)
        try:
            self.worker = session.spawn(work, "inbox")
        except RuntimeError:  # the flow is just ending
            work.close()

    async def _work(self, session: "Session") -> None:
        while self.orders:
            order = self.orders[0]
            try:
                await _do(session, order)
            finally:
                order.refuse(StateConflict("the call has gone elsewhere"))
                self.orders.popleft()

    def close(self) -> None:
        """The call is over: what was not done will not be."""
        while self.orders:
            self.orders.popleft().refuse(StateConflict("the call has ended"))


async def _do(session: "Session", order: Order) -> None:
    control = session.services.controls.get(order.action, _unknown)
    if (
        asyncio.get_running_loop().time() >= order.ends
    ):  # what the control does before its first wait is not done either
        order.refuse(Unavailable("the call did not take the command in time", retry_after=2))
        return
    try:
        async with asyncio.timeout_at(order.ends):
            order.settle(await control(session, order))
    except TimeoutError:
        order.refuse(Unavailable("the call did not take the command in time", retry_after=2))
    except Exception as error:  # noqa: BLE001 - whatever it was, it is the order's answer, and not the call's end
        order.refuse(_told(session, order, error))


async def _unknown(session: "Session", _order: Order) -> Mapping[str, Any]:
    raise InvalidFields({"action": f"must be one of {', '.join(session.services.controls)}"})


def _told(session: "Session", order: Order, error: Exception) -> Exception:
    """What went wrong, as whoever asked may be told."""
    match error:
        case RequestError() | UnsafeValue() | StoreAway():
            return error
        case Unsupported():
            return StateConflict(str(error))
        case Gone() | Clash():
            return StateConflict("the party has gone")
        case LinkDown() | RequestTimedOut():
            return Unavailable("Asterisk does not answer", retry_after=2)
        case Refused():
            return StateConflict("Asterisk refused it")
    log.error("control_failed", request_id=session.call.request_id, action=order.action, exc_info=error)
    return Unavailable("the command failed", retry_after=5)


def party(session: "Session", word: str) -> "Leg":
    """The leg of that role (the latest, a living one first) or of that id. Raises NotFound, StateConflict when it has
    ended."""
    legs = [leg for leg in session.call.legs.values() if word in (leg.role, leg.leg_id)]
    if not legs:
        raise NotFound("the call has no such leg")
    living = [leg for leg in legs if leg.alive]
    if not living:
        raise StateConflict("that leg has ended")
    return living[-1]
