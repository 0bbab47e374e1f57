"""A caller leaves a message in a mailbox."""

from collections.abc import Mapping
from typing import Any

from engine.sessions.session import Session
from engine.verbs.answer import answer
from engine.verbs.hangup import hangup
from engine.verbs.voicemail import voicemail


async def leave_message(session: Session, params: Mapping[str, Any]) -> str | None:
    """``params``: mailbox (else what was dialled), greeting (unavailable, busy, none)."""
    caller = session.call.legs[1]
    if not await answer(session, caller):
        return None
    left = await voicemail(
        session, caller, params.get("mailbox", params["dialed"]), greeting=params.get("greeting", "unavailable")
    )
    await hangup(session, caller)
    return left.reason
