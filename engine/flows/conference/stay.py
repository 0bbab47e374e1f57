"""In the room: from the last check at its door to the last one out."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from engine import ids
from engine.calls.events import Kind
from engine.calls.rooms import AUTO, PHONE, WEB, Membership, Room, refused
from engine.errors import Gone, Refused, StoreAway, TelephonyError
from engine.flows.conference.sounds import RoomSounds, play_to_room
from engine.sessions.rooms import LiveRoom, LiveRooms, Member
from engine.sessions.scope import ABANDONED
from engine.store.port import RecordingRow
from engine.verbs.hangup import hangup
from engine.verbs.say import play_prompts

log = structlog.get_logger(__name__)

STEP = "room"
TALK_DETECT = "TALK_DETECT(set)"
TRIES = 4
ALONE_AFTER = 1.5
"""Seconds."""
SILENT_AFTER = "1000"
"""Milliseconds without a voice after which somebody is shown as silent."""


@dataclass(slots=True)
class Stay:
    """Coming in, being there, leaving; the same for whoever called and whoever was called."""

    rooms: LiveRooms
    sounds: RoomSounds

    async def enter(self, live: LiveRoom, member: Member) -> str:
        """Let somebody in who may come in; what becomes of it: left, kicked, …, or why it was refused."""
        if reason := self._admit(live, member):
            return reason
        session, leg = member.session, member.leg
        await play_prompts(session, leg, await self.sounds.prompts(live.room, "bridge"))
        if not leg.up:
            return "hangup"
        member.entered = True
        began = live.began_at = live.began_at or session.services.now()
        live.record(
            member,
            Kind.ROOM_ENTERED,
            origin=PHONE,
            began_at=began.isoformat(),
            max_duration=member.max_duration,
            called=session.call.params.get("dialed", ""),
        )
        await session.step(STEP)
        await session.committed()
        return await self.stay(live, member)

    def _admit(self, live: LiveRoom, member: Member) -> str | None:
        """Looked at, and taken up, in one step: two can't have the last place."""
        now = member.session.services.now()
        # whom the room itself calls is expected: a lock keeps out callers
        room = replace(live.room, locked=live.room.locked and member.direction == "IN")
        reason = refused(room, member.level, live.connected(), now) or live.ending
        member.admitted = reason is None
        return reason

    async def stay(self, live: LiveRoom, member: Member) -> str:
        """Be in the room until something ends it. Whatever that is, the room's log has it."""
        session = member.session
        member.admitted = member.entered = True
        try:
            if await self._join(live, member):
                await self._settle_in(live, member)
                await self._until_over(live, member)
            return self._result(live, member)
        finally:
            if session.stop_reason != ABANDONED:
                self._left(live, member)
                await self._put_out(live, member)

    async def _join(self, live: LiveRoom, member: Member) -> bool:
        session, leg = member.session, member.leg
        if not member.paused and not await self._put_in(live, member):
            return False
        member.inside = leg.alive
        if session.call.state == "in_flow":
            session.record(Kind.CALL_BRIDGED, bridge=live.bridge, legs=[leg.n])
        live.wake()
        return member.inside

    async def _put_in(self, live: LiveRoom, member: Member) -> bool:
        """Into the bridge; again when the last one's leaving has just taken it away, or another engine makes it at this
        moment. False when the member was gone first. Raises TelephonyError."""
        for tried in range(1, TRIES + 1):
            try:
                await self._into_bridge(live, member, anew=tried > 1)
            except (Gone, Refused):
                if not member.leg.alive:
                    return False
                if tried == TRIES:
                    raise
                await asyncio.sleep(0.05 * tried)
            else:
                return True
        return False

    async def _into_bridge(self, live: LiveRoom, member: Member, *, anew: bool) -> None:
        switch, channel = live.switch, member.leg.channel_id
        if member.session.joined.get(channel) == live.bridge:
            return
        await self.rooms.undisturbed(live.bridge)
        detect = member.session.attempt(switch.set_variable(channel, TALK_DETECT, SILENT_AFTER))
        await asyncio.gather(live.make_bridge(anew=anew), detect)
        await switch.bridge_add(live.bridge, channel)
        member.session.joined[channel] = live.bridge

    async def _settle_in(self, live: LiveRoom, member: Member) -> None:
        session = member.session
        if live.limit is None:
            self.limit(live)
        if live.room.recording == AUTO and live.recording is None:
            try:
                await self.record(live, member)
            except (StoreAway, TelephonyError) as error:
                log.warning("room_not_recorded", room=live.room.id, error=repr(error))
        if len(live.inside()) == 1 and not session.resumed:
            session.spawn(self._alone(live, member), "alone")

    async def _alone(self, live: LiveRoom, member: Member) -> None:
        """Said to the first one, unless the next comes at once, as where a room calls several."""

        def company() -> bool:
            return len(live.inside()) > 1 or member.paused

        if not await member.session.until(company, ALONE_AFTER):
            await play_to_room(live, member, await self.sounds.prompts(live.room, "alone"), company)

    async def _until_over(self, live: LiveRoom, member: Member) -> None:
        def over() -> bool:
            return not member.leg.alive or live.ending is not None

        while await member.session.until(lambda: over() or _untold(member), _left(member)) and not over():
            self._tell(live, member)

    def _tell(self, live: LiveRoom, member: Member) -> None:
        """The log has it too where the member's call was told to mute or hold it, and not the room."""
        held = member.membership
        assert held is not None
        if held.muted != member.muted:
            live.record(member, Kind.ROOM_MUTED if member.muted else Kind.ROOM_UNMUTED, origin=WEB)
        if held.paused != member.paused:
            live.record(member, Kind.ROOM_PAUSED if member.paused else Kind.ROOM_UNPAUSED, origin=WEB)
        held.muted, held.paused = member.muted, member.paused

    def _result(self, live: LiveRoom, member: Member) -> str:
        if member.kicked:
            return "kicked"
        if not member.leg.alive:
            return "left"
        return live.ending or "max_duration"

    def _left(self, live: LiveRoom, member: Member) -> None:
        """At once, so that nobody is listed who is not there."""
        session, leg = member.session, member.leg
        at = leg.ended_at or session.services.now()
        last_status = "DISCONNECTING" if member.kicked else "CONNECTED"
        if live.recording is not None and len(live.members) == 1:
            live.record(member, Kind.ROOM_RECORDING_STOPPED, origin=PHONE, data={"recording_name": live.recording})
        member.inside = member.admitted = False
        member.left = True
        live.record(member, Kind.ROOM_LEFT, origin=PHONE, at=at, data={"last_status": last_status})
        if session.call.state in ("talking", "held"):
            session.record(Kind.CALL_UNBRIDGED, bridge=live.bridge)
        self.rooms.leave(live, member)
        live.wake()

    async def _put_out(self, live: LiveRoom, member: Member) -> None:
        """Its call ends with this, unless a command has sent it elsewhere."""
        session, channel = member.session, member.leg.channel_id
        if member.leg.alive and session.joined.pop(channel, None) is not None:
            await session.attempt(live.switch.bridge_remove(live.bridge, channel))

    # -- after a restart ---------------------------------------------------------------------------------------------

    async def again(self, room: Room | None, member: Member, held: Membership) -> str:
        """Somebody who was in the room when the last process ended. The room is as it was, or is gone."""
        session, leg = member.session, member.leg
        live = self.rooms.expect(room, member) if room is not None else None
        if live is None:
            told: dict[str, Any] = {**member.told(held.room), "from": PHONE, "connected_count": 0}
            session.record(Kind.ROOM_LEFT, **told)
            await hangup(session, leg)
            return "room_gone"
        live.began_at = min(live.began_at or held.began_at, held.began_at)
        if leg.alive:
            await self._as_it_was(member)
        return await self.stay(live, member)

    async def _as_it_was(self, member: Member) -> None:
        """A command that the last process did and did not write down is undone: nobody was told of it."""
        session, channel = member.session, member.leg.channel_id
        work = [session.switch.mute(channel, "in", on=member.muted)]
        if not member.paused:
            work.append(session.switch.hold_music(channel, on=False))
        await session.attempt(*work)

    # -- the room ------------------------------------------------------------------------------------------------------

    def limit(self, live: LiveRoom) -> None:
        """Watch the room's limits, as they are now."""
        if live.limit is not None:
            live.limit.cancel()
            live.limit = None
        ends = ends_at(live)
        if ends is not None:
            live.limit = self.rooms.spawn(self._end_at(live, *ends), f"limit of room {live.room.id}")

    async def _end_at(self, live: LiveRoom, at: datetime, reason: str) -> None:
        member = next(iter(live.present()), None)
        if member is None:
            return
        await asyncio.sleep(max((at - member.session.services.now()).total_seconds(), 0))
        if inside := live.inside():
            await play_to_room(live, inside[0], await self.sounds.prompts(live.room, "max_duration_reached"))
        live.end(reason)

    async def announce(self, live: LiveRoom, member: Member, said: str) -> None:
        """A media's name, or ``TTS|VOICE|text``. Raises NotFound, InvalidFields, StoreAway, Unavailable."""
        prompt = await self.sounds.prompt(live.room.account, said)
        self.rooms.spawn(play_to_room(live, member, (prompt,)), f"announce in room {live.room.id}")

    async def record(self, live: LiveRoom, member: Member, *, origin: str = PHONE) -> str:
        """Begin to record the room; the recording's name. Raises StoreAway, TelephonyError."""
        file = ids.room_recording(live.room.id)
        live.recording = name = f"{file}.wav"
        session = member.session
        row = RecordingRow(
            name=name,
            request_id=session.call.request_id,
            account=live.room.account,
            option="room",
            state="recording",
            server=live.switch.name,
            sides={"room": file},
            started_at=session.services.now(),
        )
        try:
            session.keep(row)
            await session.committed()
            await live.switch.record_bridge(live.bridge, file)
        except BaseException:  # also when the member's call is ended meanwhile: the next one who enters begins anew
            live.recording = None
            self.rooms.spawn(self.rooms.finish_recording(live.switch, name), f"give up {name}")
            raise
        live.record(member, Kind.ROOM_RECORDING_STARTED, origin=origin, data={"recording_name": name})
        return name

    async def stop_recording(self, live: LiveRoom, member: Member, *, origin: str) -> str | None:
        """The name of what was recorded; None when nothing was."""
        name, live.recording = live.recording, None
        if name is not None:
            live.record(member, Kind.ROOM_RECORDING_STOPPED, origin=origin, data={"recording_name": name})
            await self.rooms.finish_recording(live.switch, name)
            with suppress(StoreAway):
                await member.session.committed()
        return name


def _left(member: Member) -> float | None:
    """Seconds that the member may still stay; None: as long as it likes."""
    held = member.membership
    if held is None or not held.max_duration:
        return None
    return max(held.max_duration - (member.session.services.now() - held.joined_at).total_seconds(), 0)


def _untold(member: Member) -> bool:
    held = member.membership
    return held is not None and (held.muted, held.paused) != (member.muted, member.paused)


def ends_at(live: LiveRoom) -> tuple[datetime, str] | None:
    """When the conference has to end, and why."""
    room, found = live.room, []
    if room.max_duration and live.began_at is not None:
        found.append((live.began_at + timedelta(seconds=room.max_duration), "max_duration"))
    if room.date_expiration is not None:
        found.append((room.date_expiration, "expired"))
    return min(found, default=None)
