"""What the cpaas document calls modifying a call: by the name of a channel that is in it."""

from dataclasses import dataclass

from engine.commands.context import Context
from engine.errors import InvalidFields, NotFound

BLIND, ATTENDED, HANGUP, RECORD = "0", "1", "2", "3"
MESSAGES = {
    BLIND: "blind transferred successfully",
    ATTENDED: "attended transferred successfully",
    HANGUP: "hangup successfully",
    RECORD: "recording started successfully",
}


@dataclass(frozen=True, slots=True)
class ModifyCall:
    """``modify_type``: a key of MESSAGES. ``transfer_to``: a number or an extension."""

    channel: str
    modify_type: str
    transfer_to: str = ""


async def execute(ctx: Context, account: str, command: ModifyCall) -> str | None:
    """Do it; the recording's name, of type 3. Raises NotFound for a channel that is in no live call of the account, and what
    the control raises."""
    found = await ctx.engine.channel(account, command.channel)
    if found is None:
        raise NotFound("no live call has this channel")
    request_id, leg, other = found
    try:
        match command.modify_type:
            case "0":
                await ctx.engine.control(request_id, "transfer", leg, {"to": command.transfer_to})
            case "1":
                fields = {"to": command.transfer_to}
                await ctx.engine.control(request_id, "attended_transfer", other or leg, fields)
            case "2":
                await ctx.engine.control(request_id, "hangup", leg, {})
            case _:
                call = ctx.engine.find(request_id)
                if call is not None and call.recording is not None and call.recording.option == "both":
                    return call.recording.name
                told = await ctx.engine.control(request_id, "record_start", "", {})
                return str(told["recording_name"])
    except InvalidFields as error:
        raise InvalidFields(
            {{"to": "transfer_to"}.get(name, name): why for name, why in error.fields.items()}
        ) from None
    return None
