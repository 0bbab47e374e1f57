"""A command into a live call of the account."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.calls.model import Call
from engine.commands.calls import show
from engine.commands.context import Context
from engine.errors import InvalidFields, NotFound, StateConflict
from engine.media.library.sounds import Sounds

_ASTERISKS = re.compile(r"sound:[a-z0-9][a-z0-9_-]{0,60}(/[a-z0-9_-]{1,60})?")
"""A recorded prompt of Asterisk's: no path that leads elsewhere."""


@dataclass(frozen=True, slots=True)
class Control:
    """``leg``: a role or a leg's id, empty for the action's default. ``fields``: what else the action takes."""

    action: str
    leg: str
    fields: Mapping[str, Any]
    by: str = "api"


async def execute(ctx: Context, account: str, request_id: str, control: Control) -> Mapping[str, Any]:
    """Have it done; what the action has to tell, beside the call. Raises NotFound (call, leg), StateConflict, InvalidFields,
    Forbidden (gate), Unavailable when it was not done in time."""
    call: Call = await show(ctx, account, request_id)
    if not call.alive:
        raise StateConflict("the call has ended already")
    if call.state == "scheduled":
        raise StateConflict("the call has not begun yet")
    fields = await with_sounds(ctx, account, control.fields)
    return await ctx.engine.control(request_id, control.action, control.leg, fields, by=control.by)


async def with_sounds(ctx: Context, account: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """``media`` as what Asterisk plays: a sound of its own (``sound:beep``), or one of the account's."""
    name = fields.get("media")
    if not isinstance(name, str):  # none, or found by the engine that asks on somebody's behalf
        return fields
    if _ASTERISKS.fullmatch(name):
        return {**fields, "media": (name,)}
    try:
        found = await Sounds(ctx.library, ctx.objects).find(account, name)
    except NotFound as error:
        raise InvalidFields({"media": error.message}) from None
    return {**fields, "media": (found.media,)}
