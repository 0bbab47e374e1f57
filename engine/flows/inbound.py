"""A call that a trunk brought to a number that no route knows: the caller is told so, decently."""

from collections.abc import Mapping
from typing import Any

from engine.sessions.session import Session
from engine.verbs.answer import answer
from engine.verbs.hangup import hangup
from engine.verbs.play import play

UNALLOCATED = 1


async def unknown_number(session: Session, _params: Mapping[str, Any]) -> str | None:
    caller = session.call.first
    if await answer(session, caller):
        await play(session, caller, *session.services.prompts["unknown_number"], longest=15)
    await hangup(session, caller, cause=UNALLOCATED)
    return "unknown_number"
