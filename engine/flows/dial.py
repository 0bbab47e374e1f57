"""A phone of ours dialled a number: ring the other side, connect them."""

from collections.abc import Mapping
from typing import Any

from engine import ids
from engine.calls.disposition import end_reason
from engine.calls.model import Leg
from engine.errors import Forbidden
from engine.sessions.session import Session
from engine.verbs.answer import answer
from engine.verbs.bridge import join, talk
from engine.verbs.dial import Dial, dial
from engine.verbs.hangup import hangup
from engine.verbs.play import play

CAUSES = {"busy": 17, "no_answer": 19, "rejected": 21, "failed": 3, "cancelled": 16}
"""End reason → Q.850 cause that the caller's phone is told."""


async def dial_number(session: Session, params: Mapping[str, Any]) -> str | None:
    """``params``: dialed (digits), caller_id. The caller's leg stands in the call already."""
    caller = session.call.first
    bridge = ids.bridge_id(session.call.request_id)
    await session.step("destination")
    if not session.resumed:
        await session.attempt(session.switch.ring(caller.channel_id))
    try:
        target = await dial(session, _options(session, params, bridge, caller))
    except Forbidden:
        await _refuse(session, caller)
        raise
    if not target.up:
        await hangup(session, caller, cause=CAUSES.get(end_reason(target), 16), why="peer")
        return None
    if await answer(session, caller):
        if session.call.state != "talking":
            await join(session, bridge, caller, target)
        await talk(session, bridge, caller, target)
    return None


def _options(session: Session, params: Mapping[str, Any], bridge: str, caller: Leg) -> Dial:
    return Dial(
        "target",
        params["dialed"],
        params["caller_id"],
        ring_timeout=session.account.limits.destination_ring,
        bridge=bridge,
        alongside=caller,
        by_phone=True,
    )


async def _refuse(session: Session, caller: Leg) -> None:
    """Say so: a phone that only goes silent is a support call."""
    if await answer(session, caller):
        await play(session, caller, *session.services.prompts["not_allowed"], longest=15)
    await hangup(session, caller, cause=CAUSES["rejected"])
