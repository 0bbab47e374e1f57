"""What every command that has a call placed does: the gate before it, and the call as it is written down."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.calls import gate, routing
from engine.calls.account import Account
from engine.commands.context import Context
from engine.errors import Forbidden
from engine.store.port import NewCall


def pass_gate(
    ctx: Context, account: Account, numbers: Iterable[str], caller_id: str, *, live: int | None = None
) -> None:
    """Raises Forbidden for the first of the numbers that may not be dialled, or that no route leads to. ``live``: the
    account's calls at the time of dialling, those of now unless given."""
    under_way = ctx.engine.live_calls(account.account) if live is None else live
    table = ctx.routes.current()
    for number in numbers:
        gate.check(account, number, caller_id, live_calls=under_way)
        try:
            routing.endpoint(table, number, account.account)
        except routing.NoRoute:
            raise Forbidden(f"no route leads to {number}", rule="route") from None


def new_call(ctx: Context, account: str, request_id: str, flow: str, params: Mapping[str, Any]) -> NewCall:
    """An outbound call of this engine, from now."""
    return NewCall(
        request_id=request_id,
        account=account,
        flow=flow,
        direction="outbound",
        engine=ctx.config.engine_id,
        created_at=ctx.now(),
        params=params,
    )
