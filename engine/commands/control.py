"""A command into a live call of the account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.calls.model import Call
from engine.commands.calls import show
from engine.commands.context import Context
from engine.errors import StateConflict


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
    return await ctx.engine.control(request_id, control.action, control.leg, control.fields, by=control.by)
