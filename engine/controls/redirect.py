"""Into another flow: a menu."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from engine.calls.events import Kind
from engine.controls.hold import resume_leg, take_out
from engine.controls.who import named, talkers
from engine.errors import InvalidFields, StateConflict
from engine.sessions.inbox import Order
from engine.sessions.session import Session

MENU = "ivr"


async def redirect(session: Session, order: Order) -> Mapping[str, Any]:
    """``flow``: ``ivr:NAME``. The party named, else the other side, meets that menu; whom it talked to is hung up."""
    kind, _, menu = order.fields.get("flow", "").partition(":")
    if kind != MENU or not session.services.has_menu(menu):
        raise InvalidFields({"flow": "must be ivr: and the name of a menu"})
    if session.call.transfer is not None:
        raise StateConflict("a transfer is under way")
    leg = named(session, order)
    others = [each for each in talkers(session) if each is not leg]
    result = {"leg_id": leg.leg_id}
    with _nobody_ends_it(session):
        if leg.held_from is not None:
            await resume_leg(session, leg, into="")
        await take_out(session, leg)
        order.settle(result)
        if session.call.state in ("talking", "held"):
            session.record(Kind.CALL_UNBRIDGED)
        await session.attempt(*(session.hangup(each, "transfer") for each in others))
    session.divert(MENU, {"menu": menu, "from": leg.number, "dialed": menu}, leg)
    return result


@contextmanager
def _nobody_ends_it(session: Session) -> Iterator[None]:
    """The conversation's flow is to be taken away, and no party's end is to end it first; a redirection that fails leaves
    it as it was."""
    conversation = session.conversation
    if conversation is not None:
        conversation.changing += 1
    try:
        yield
    except BaseException:
        if conversation is not None:
            conversation.changing -= 1
            session.waiters.wake()
        raise
