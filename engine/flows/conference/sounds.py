"""What a room plays: its own media, else what everybody knows from conferences."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from engine import ids
from engine.calls.rooms import Room
from engine.errors import InvalidFields, NotFound, StoreError, TelephonyError, Unavailable
from engine.media.library.sounds import Sounds
from engine.sessions.rooms import LiveRoom, Member
from engine.verbs.say import Prompt, Say, rendered

log = structlog.get_logger(__name__)

TTS = "TTS|"
"""``TTS|VOICE|text`` in place of a name."""
DEFAULTS: Mapping[str, tuple[Prompt, ...]] = {
    "pin_ask": ("sound:conf-getpin",),
    "pin_invalid": ("sound:conf-invalidpin",),
    "alone": ("sound:conf-onlyperson",),
    "max_duration_reached": ("sound:vm-goodbye",),
    "out_confirm": (Say("Press 1 to join the conference."),),
    "room_ask": ("sound:conf-getconfno",),
    "room_invalid": ("sound:conf-invalid",),
    "full": ("sound:conf-full",),
    "locked": ("sound:conf-locked",),
    "closed": (Say("The conference is closed."),),
    "expired": (Say("The conference is over."),),
}
LONGEST = 60.0
"""Seconds that may be played to a room at a time, besides what is known to last longer."""


@dataclass(frozen=True, slots=True)
class RoomSounds:
    sounds: Sounds

    async def prompts(self, room: Room, name: str) -> tuple[Prompt, ...]:
        """What is played for ``name``. What can't be found is replaced: a call goes on."""
        held = room.media.get(name, "")
        if not held:
            return DEFAULTS.get(name, ())
        try:
            return (await self.prompt(room.account, held),)
        except (NotFound, InvalidFields, StoreError, Unavailable, OSError) as error:
            log.warning("room_media_missing", room=room.id, media=name, error=repr(error))
            return DEFAULTS.get(name, ())

    async def prompt(self, account: str, text: str) -> Prompt:
        """A media's name, or ``TTS|VOICE|text``. Raises NotFound, InvalidFields, StoreAway, Unavailable."""
        if text.startswith(TTS):
            voice, _, said = text.removeprefix(TTS).partition("|")
            return Say(said, voice=voice)
        return (await self.sounds.find(account, text)).media


async def play_to_room(
    live: LiveRoom, member: Member, prompts: tuple[Prompt, ...], stop_when: Callable[[], bool] = lambda: False
) -> None:
    """Play to all who are in the room; ``member``'s call is told of the end. Nobody waits for it but the caller."""
    session = member.session
    if not prompts:
        return
    playback = ids.playback_id(session.call.request_id)
    with ExitStack() as held:
        try:
            playlist = await rendered(session, held, prompts)
            await session.switch.play(live.bridge, playback, playlist.media, bridge=True)
            await session.until(
                lambda: playback in session.finished or not member.leg.alive or stop_when(), playlist.seconds + LONGEST
            )
            if playback not in session.finished and stop_when():
                await session.switch.stop_play(playback)
        except (TelephonyError, InvalidFields) as error:
            log.info("not_played_to_room", room=live.room.id, error=repr(error))
        finally:
            session.finished.pop(playback, None)
