"""Operators who speak through AMI: a UserEvent asks, another one answers. docs/live-control.md has the headers."""

import structlog

from engine.commands import orders
from engine.commands.context import Context
from engine.errors import RequestError, TrunklineError
from engine.ids import is_request_id
from engine.telephony.manager import Manager, UserEvent

log = structlog.get_logger(__name__)

ASKED, ANSWERED = "Trunkline", "TrunklineAnswer"
_OWN = frozenset({"command", "request", "leg", "id"})
_CODES = {"Forbidden": "403", "NotFound": "404", "StateConflict": "409", "InvalidFields": "422", "Unavailable": "503"}


async def obey(ctx: Context, manager: Manager, event: UserEvent) -> None:
    """Do what is asked of a call of this engine, and say what became of it. A call of another engine is that one's."""
    fields = dict(event.fields)
    request_id, action = fields.get("request", ""), fields.get("command", "")
    if not is_request_id(request_id) or await _another_has_it(ctx, request_id):
        return
    try:
        given = {name.replace("-", "_"): value for name, value in fields.items() if name not in _OWN}
        parsed = orders.parse(action, given)
        told = await orders.execute(ctx, request_id, action, fields.get("leg", ""), parsed, by="operator")
        answer = {"Status": "done", **{_header(name): str(value) for name, value in told.items()}}
    except TrunklineError as error:
        answer = _refusal(error)
    log.info("operator", command=action, request_id=request_id, status=answer["Status"])
    known = {"Command": action[:64], "Request": request_id, "Id": fields.get("id", "")[:64]}
    try:
        await manager.user_event(ANSWERED, {**known, **answer})
    except TrunklineError as error:
        log.warning("operator_not_answered", error=repr(error))


async def _another_has_it(ctx: Context, request_id: str) -> bool:
    return ctx.engine.find(request_id) is None and bool(await ctx.calls.is_live([request_id]))


def _refusal(error: TrunklineError) -> dict[str, str]:
    told = orders.told(error)
    message = str(error) if isinstance(error, RequestError) else told["message"]
    return {"Status": "refused", "Code": _CODES[told["error"]], "Message": message[:500]}


def _header(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
