"""What becomes of a call whose flow does not go on after a restart."""

from engine.sessions.session import Session


async def end_with_engine(session: Session) -> None:
    """Whoever is on the line is hung up on, and nobody is called again. Returns where all that is left is to write the
    call's end, because its parties have gone already."""
    if not session.call.legs or session.live_legs():
        session.stop("engine_restart")
        await session.until(lambda: False)
