"""Those whom a command took out of their flow, or whose engine died when one had changed who talks."""

from collections.abc import Mapping
from typing import Any

from engine import ids
from engine.controls.carry_out import carry_out
from engine.controls.park import come_back, to_slot
from engine.sessions.session import Session
from engine.verbs.answer import answer
from engine.verbs.bridge import join, make_bridge, talk
from engine.verbs.hangup import hangup


async def conversation(session: Session, params: Mapping[str, Any]) -> str | None:
    """``params``: bridge. Who talks, and what is under way, stands in the call."""
    call = session.call
    bridge = params.get("bridge") or ids.bridge_id(call.request_id)
    parties = [call.legs[n] for n in call.parties if call.legs[n].alive] or [call.first]
    involved = {leg.n for leg in parties}
    if call.transfer is not None:
        involved |= {call.transfer.transferee, call.transfer.transferer or 0}
        involved |= {leg.n for leg in call.legs.values() if leg.conversation == call.transfer.conversation}
    for leg in session.live_legs():
        if leg.n not in involved and leg.role != "monitor":
            await hangup(session, leg)
    for leg in parties:
        if not leg.up and not await answer(session, leg):
            return None
    await make_bridge(session, bridge)
    if call.slot is not None:
        await to_slot(session, parties[0])
        session.spawn(come_back(session, parties[0]), "comeback")
    elif call.transfer is None:
        await join(session, bridge, *parties)
    if call.transfer is not None:
        session.spawn(carry_out(session), "transfer")
    await talk(session, bridge, *parties)
    return None
