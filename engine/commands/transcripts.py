"""A call's transcript as its account may see it: made, being made, or never to be."""

from engine.commands.calls import show as show_call
from engine.commands.context import Context
from engine.errors import NotFound
from engine.ids import is_request_id
from engine.media.stt.port import Transcript


async def show(ctx: Context, account: str, request_id: str) -> Transcript | None:
    """None: there will be one, when the call and its recording are over. Raises NotFound, with the reason."""
    found = await ctx.transcripts.get(request_id, account) if is_request_id(request_id) else None
    if found is not None:
        return found
    call = await show_call(ctx, account, request_id)
    if not call.params.get("transcript"):
        raise NotFound("no transcript was asked for in this call")
    if not call.alive and not (call.recording_name or call.transcript_recording):
        raise NotFound("nobody talked in this call, so that there is no transcript")
    return None
