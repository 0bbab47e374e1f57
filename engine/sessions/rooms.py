"""Rooms in which somebody is: who, since when, and the bridge that they share. In memory, rebuilt by the members' own
calls after a restart (their timelines say who is in which room).

A room's bridge is no call's: its id comes from the room, so that a new process finds it, and so that it is there for as
long as anybody is in it.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.rooms import Membership, Room
from engine.errors import TelephonyError
from engine.ids import is_room_bridge, room_bridge
from engine.sessions.scope import ABANDONED
from engine.sessions.session import Session
from engine.store.port import RecordingRow
from engine.telephony.port import Switch

log = structlog.get_logger(__name__)

SWEPT_EVERY = 60.0
"""Seconds between two looks for bridges in which nobody is."""
LOOKS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between looks whether the last channel has left a bridge."""
FIRST_SWEEP = 1.0
"""Seconds after the members of a restarted engine were found."""


@dataclass(slots=True, eq=False)
class Member:
    """Somebody in a room, or on the way into it. The id is that of the leg."""

    session: Session
    leg: Leg
    level: str
    direction: str
    number: str
    access_id: str | None = None
    access_label: str = ""
    max_duration: int = 0
    admitted: bool = False
    """Counts for the room's limit: in it, or about to be."""
    entered: bool = False
    """The log has its entry."""
    left: bool = False
    inside: bool = False
    """Its channel is in the bridge, or held out of it."""

    @property
    def id(self) -> str:
        return self.leg.leg_id

    @property
    def membership(self) -> Membership | None:
        held = self.session.call.room
        return held if held is not None and held.member == self.id else None

    @property
    def muted(self) -> bool:
        return self.leg.muted in ("in", "both")

    @property
    def paused(self) -> bool:
        return self.leg.held_from is not None

    @property
    def kicked(self) -> bool:
        held = self.membership
        return held is not None and held.kicked

    @property
    def talking(self) -> bool:
        heard = self.leg.channel_id in self.session.talking
        return heard and self.inside and not (self.muted or self.paused)

    @property
    def joined_at(self) -> datetime | None:
        held = self.membership
        return held.joined_at if held is not None and held.left_at is None else None

    @property
    def status(self) -> str:
        """In the words of the conference documents."""
        if not self.leg.alive:
            return "DISCONNECTED"
        if self.kicked or self.session.closing or self.leg.n in self.session.asked:
            return "DISCONNECTING"
        return "CONNECTED" if self.inside else "CONNECTING"

    def told(self, room: str) -> dict[str, Any]:
        return {
            "room": room,
            "member": self.id,
            "number": self.number,
            "level": self.level,
            "direction": self.direction,
            "access_id": self.access_id,
            "access_label": self.access_label,
        }


@dataclass(slots=True, eq=False)
class LiveRoom:
    """A room with members. All of them are on one server."""

    room: Room
    switch: Switch
    members: dict[str, Member] = field(default_factory=dict)
    began_at: datetime | None = None
    """When the first member entered."""
    recording: str | None = None
    ending: str | None = None
    """Why all are let go: duration, expired, deleted."""
    limit: asyncio.Task[None] | None = None
    making: asyncio.Future[None] | None = None
    """The bridge's making, which is over when there is one."""

    async def make_bridge(self, *, anew: bool = False) -> None:
        """Have a bridge: made once, for Asterisk refuses one of two requests that come together. ``anew``: the one that was
        made is not there any more. Raises TelephonyError."""
        if self.making is None or (self.making.done() and (anew or self.making.exception() is not None)):
            self.making = asyncio.ensure_future(self.switch.create_bridge(self.bridge))
        await asyncio.shield(self.making)

    @property
    def bridge(self) -> str:
        return room_bridge(self.room.id)

    def present(self) -> list[Member]:
        """Whose leg lives, in the order in which they entered; whoever is on the way comes last."""
        found = [member for member in self.members.values() if member.leg.alive]
        return sorted(found, key=lambda member: (member.joined_at is None, member.joined_at or member.leg.created_at))

    def connected(self) -> int:
        """Who takes up a place."""
        return sum(1 for member in self.present() if member.admitted)

    def entered(self) -> int:
        """Who has entered and not left, as the log counts them."""
        return sum(1 for member in self.present() if member.entered and not member.left)

    def inside(self) -> list[Member]:
        return [member for member in self.present() if member.inside]

    def wake(self) -> None:
        for member in self.members.values():
            member.session.waiters.wake()

    def end(self, reason: str) -> None:
        if self.ending is None:
            self.ending = reason
            self.wake()

    def record(self, member: Member, kind: Kind, *, origin: str, at: datetime | None = None, **data: Any) -> bool:
        """A line of the room's log, in the timeline of the member's call."""
        told = {**member.told(self.room.id), "from": origin, "connected_count": self.entered(), **data}
        return member.session.record(kind, at=at, **told)


@dataclass(slots=True)
class LiveRooms:
    """All rooms of this engine in which somebody is. ``on_recorded``: told of recordings that are over."""

    switches: Mapping[str, Switch]
    on_recorded: Callable[[str], None] = lambda _name: None
    live: dict[str, LiveRoom] = field(default_factory=dict)
    unfinished: dict[str, RecordingRow] = field(default_factory=dict)
    """Room → a recording that the last process began, which goes on in Asterisk."""
    destroying: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    """Bridges that are being taken away."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def get(self, room: str) -> LiveRoom | None:
        return self.live.get(room)

    def expect(self, room: Room, member: Member) -> LiveRoom | None:
        """Somebody is on the way into a room; it must be told ``leave`` in the end. None where the room's members are on
        another server: two servers have no bridge in common."""
        found = self.live.get(room.id)
        if found is None:
            found = self.live[room.id] = LiveRoom(room, member.session.switch)
            self._resume_recording(found)
        if found.switch is not member.session.switch:
            return None
        found.room = room
        found.members[member.id] = member
        return found

    def _resume_recording(self, live: LiveRoom) -> None:
        row = self.unfinished.pop(live.room.id, None)
        live.recording = row.name if row is not None else None

    def leave(self, live: LiveRoom, member: Member) -> None:
        """Whoever was expected is not there any more. The last one closes the room. Told twice is told once. An engine that
        goes away leaves everybody where they are."""
        if member.session.stop_reason == ABANDONED:
            return
        live.members.pop(member.id, None)
        if live.members or self.live.get(live.room.id) is not live:
            return
        del self.live[live.room.id]
        if live.limit is not None:
            live.limit.cancel()
        self.spawn(self._close(live), f"close room {live.room.id}")

    async def _close(self, live: LiveRoom) -> None:
        if live.recording is not None:
            await self.finish_recording(live.switch, live.recording)
        await self._destroy_empty(live.switch, live.bridge)

    async def finish_recording(self, switch: Switch, name: str) -> None:
        try:
            await switch.stop_record(name.removesuffix(".wav"))
        except TelephonyError as error:
            log.info("recording_not_stopped", name=name, error=repr(error))
        self.on_recorded(name)

    async def _destroy_empty(self, switch: Switch, bridge: str) -> None:
        """Unless somebody comes in meanwhile, or another engine has members in it. Asterisk tells of a channel's end
        before it is out of the bridge."""
        for pause in LOOKS:
            await asyncio.sleep(pause)
            try:
                found = [each for each in await switch.bridges() if each.id == bridge]
                if not found or self._used(bridge):
                    return
                if not found[0].channels:
                    await self._destroy(switch, bridge)
                    return
            except TelephonyError as error:
                log.info("bridge_kept", bridge=bridge, error=repr(error))

    async def _destroy(self, switch: Switch, bridge: str) -> None:
        self.destroying[bridge] = asyncio.ensure_future(switch.destroy_bridge(bridge))
        try:
            await asyncio.shield(self.destroying[bridge])
        finally:
            del self.destroying[bridge]

    async def undisturbed(self, bridge: str) -> None:
        """Wait while the bridge is being taken away: who came into it now would be put out."""
        if (going := self.destroying.get(bridge)) is not None:
            await asyncio.wait({going})

    def _used(self, bridge: str) -> bool:
        return any(live.bridge == bridge for live in self.live.values())

    # -- keeping house -------------------------------------------------------------------------------------------------

    async def run(self, settled: Callable[[str], bool]) -> None:
        """After a restart finish recordings of rooms that are empty now; for ever look for bridges that were left behind.
        ``settled``: whether the members on that server were found."""
        while not all(settled(name) for name in self.switches):
            await asyncio.sleep(FIRST_SWEEP)
        await asyncio.sleep(FIRST_SWEEP)
        for row in [self.unfinished.pop(room) for room in list(self.unfinished)]:
            await self.finish_recording(self._server(row.server), row.name)
        while True:
            for switch in self.switches.values():
                if switch.up and settled(switch.name):
                    await self._sweep(switch)
            await asyncio.sleep(SWEPT_EVERY * random.uniform(0.8, 1.2))

    def _server(self, name: str) -> Switch:
        return self.switches.get(name) or next(iter(self.switches.values()))

    async def _sweep(self, switch: Switch) -> None:
        try:
            for bridge in await switch.bridges():
                if is_room_bridge(bridge.id) and not bridge.channels and not self._used(bridge.id):
                    log.warning("empty_room_swept", id=bridge.id)
                    await self._destroy(switch, bridge.id)
        except TelephonyError as error:
            log.info("rooms_not_swept", server=switch.name, error=repr(error))

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task_failed", task=task.get_name(), exc_info=error)
