"""Borrow an application of Asterisk's dialplan: the leg leaves us for ``dialplan/trunkline.conf`` and comes back."""

from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.sessions.session import Session

CONTEXT = "trunkline"


async def subroutine(session: Session, leg: Leg, name: str, *arguments: str, within: float) -> tuple[str, ...] | None:
    """Its results; None when the party hung up, or it was not back ``within`` seconds. ``arguments`` become TRUNKLINE_ARG,
    TRUNKLINE_ARG2… Raises TelephonyError."""
    channel = leg.channel_id
    if not leg.up:
        return None
    session.returned.pop(channel, None)
    for n, argument in enumerate(arguments, start=1):
        variable = "TRUNKLINE_ARG" if n == 1 else f"TRUNKLINE_ARG{n}"
        await session.switch.set_variable(channel, variable, argument)
    try:
        await session.switch.leave(channel, CONTEXT, name)
    except TelephonyError:
        if leg.alive:
            raise
        return None
    await session.until(lambda: channel in session.returned or not leg.up, within)
    back = session.returned.pop(channel, None)
    return back[1:] if back else None
