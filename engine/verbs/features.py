"""What a phone of ours can have done while it talks, by its keys. Who is no phone of ours can't."""

import re

from engine.calls.model import Leg
from engine.calls.numbers import is_extension
from engine.errors import RequestError
from engine.sessions.conversation import Conversation
from engine.sessions.inbox import Order
from engine.sessions.session import Session
from engine.verbs import keys
from engine.verbs.play import play

CODES = {
    re.compile(r"##(\d{2,15})#"): "transfer",
    re.compile(r"\*2(\d{2,15})#"): "attended_transfer",
    re.compile(r"\*70"): "park",
}
"""Keys → action; the number is whom to."""
REFUSED = "sound:beeperr"


def heed(session: Session, conversation: Conversation) -> bool:
    """Order what was pressed, if a code was; True then. While a consultation is on, its own keys are meant."""
    if session.consult is not None or session.call.transfer is not None:
        return False
    for leg in conversation.parties:
        if leg.up and is_extension(leg.number) and (order := _pressed(session, leg)):
            keys.flush(session, leg)
            session.spawn(_ordered(session, leg, order), "feature")
            return True
    return False


def _pressed(session: Session, leg: Leg) -> Order | None:
    unread = keys.unread(session, leg)
    for code, action in CODES.items() if "*" in unread or "#" in unread else ():
        if match := code.search(unread):
            fields = {"to": match[1]} if match.groups() else {}
            others = session.conversation.others(leg) if session.conversation else []
            about = others[0] if action == "park" and others else leg
            return Order(action, about.leg_id, fields, by="phone")
    return None


async def _ordered(session: Session, leg: Leg, order: Order) -> None:
    try:
        session.inbox.put(session, order)
        await order.outcome
    except RequestError:
        await play(session, leg, REFUSED, longest=5)
