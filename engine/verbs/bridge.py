"""Let parties talk, until one of them has had enough."""

from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.sessions.conversation import Conversation
from engine.sessions.session import Session
from engine.verbs import features
from engine.verbs.play import quiet


async def join(session: Session, bridge: str, *legs: Leg) -> bool:
    """Put parties into a bridge, making it if need be; False when one of them was gone. Stop what plays to them first:
    Asterisk blocks while a playback runs. Raises TelephonyError when Asterisk fails though all are there."""
    newcomers = [
        leg.channel_id for leg in legs if session.joined.get(leg.channel_id) != bridge and leg.held_from is None
    ]
    try:
        await make_bridge(session, bridge)
        for leg in legs:
            if leg.channel_id in newcomers:
                await quiet(session, leg)
        if newcomers:
            await session.switch.bridge_add(bridge, *newcomers)
    except TelephonyError:
        if all(leg.alive for leg in legs):
            raise
        return False
    session.joined.update(dict.fromkeys(newcomers, bridge))
    return True


async def make_bridge(session: Session, bridge: str, *, kind: str = "mixing,dtmf_events") -> None:
    if bridge not in session.bridges:
        session.bridges.add(bridge)
        try:
            await session.switch.create_bridge(bridge, kind=kind)
        except TelephonyError:
            session.bridges.discard(bridge)
            raise


async def dissolve(session: Session, bridge: str) -> None:
    """End a bridge. Who was in it is taken out first: sound that is played to a party whom a bridge is just letting go is
    never heard."""
    members = [channel for channel, joined in session.joined.items() if joined == bridge]
    await session.attempt(*(session.switch.bridge_remove(bridge, channel) for channel in members))
    await session.attempt(session.switch.destroy_bridge(bridge))
    session.bridges.discard(bridge)
    for channel in members:
        session.joined.pop(channel, None)


async def talk(session: Session, bridge: str, *legs: Leg) -> Leg | None:
    """Note that these parties, who are in ``bridge``, talk; wait until the first of them has gone, and return it. Controls
    may change meanwhile who they are."""
    conversation = session.conversation = Conversation(bridge, list(legs))
    if len(legs) > 1 and session.call.state not in ("talking", "held"):
        session.record(Kind.CALL_BRIDGED, bridge=bridge, legs=[leg.n for leg in legs])
    try:
        while not conversation.over():
            await session.until(lambda: conversation.over() or features.heed(session, conversation))
    finally:
        session.conversation = None
    session.record(Kind.CALL_UNBRIDGED, bridge=conversation.bridge)
    return next((leg for leg in conversation.parties if not leg.alive), None)
