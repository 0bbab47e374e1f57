"""Press keys towards a party: for the menus of others."""

import re

from engine.calls.model import Leg
from engine.errors import TelephonyError, UnsafeValue
from engine.sessions.session import Session

PAUSES = {"w": 0.5, "W": 1.0}
"""Seconds."""
GRACE = 1.0

_FORM = re.compile(r"[0-9A-Da-d*#wW]{1,128}")
_PIECES = re.compile(r"[wW]+|[^wW]+")


async def send_dtmf(session: Session, leg: Leg, keys: str, *, duration_ms: int = 100, between_ms: int = 100) -> bool:
    """Send ``keys`` (0-9 A-D * #; ``w`` waits half a second, ``W`` one), and wait until they are through; False when the
    party went before. Raises UnsafeValue for other letters."""
    if not _FORM.fullmatch(keys):
        raise UnsafeValue("not an acceptable DTMF string")
    for piece in _PIECES.findall(keys):
        if piece[0] in PAUSES:
            seconds = sum(PAUSES[letter] for letter in piece)
        else:
            try:
                await session.switch.send_dtmf(
                    leg.channel_id, piece, between_ms=between_ms, duration_ms=duration_ms
                )  # fmt: skip
            except TelephonyError:
                return False
            seconds = len(piece) * (duration_ms + between_ms) / 1000
        if await session.until(lambda: not leg.up, seconds):
            return False
    return leg.up
