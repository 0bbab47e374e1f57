"""The flows ``conference`` (somebody called a room) and ``conference_call`` (a room called somebody)."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from engine.calls.disposition import of_leg
from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.calls.rooms import (
    LONGEST_PIN,
    PHONE,
    WEB,
    Access,
    Membership,
    Room,
    by_pin,
    closed,
    fitting,
    refused,
    without_pin,
)
from engine.errors import StoreError
from engine.flows.conference.attempts import Attempts
from engine.flows.conference.sounds import RoomSounds
from engine.flows.conference.stay import STEP, Stay
from engine.sessions.rooms import LiveRooms, Member
from engine.sessions.scope import ABANDONED
from engine.sessions.session import Session
from engine.store.port import Rooms
from engine.verbs import keys
from engine.verbs.answer import answer
from engine.verbs.dial import Dial, dial
from engine.verbs.gather import Gather, gather
from engine.verbs.hangup import hangup
from engine.verbs.play import play
from engine.verbs.say import Prompt, play_prompts

CONFERENCE, CONFERENCE_CALL = "conference", "conference_call"
FIRST_KEY, NEXT_KEY = 8.0, 3.0
"""Seconds for the first digit of a PIN, and for each that follows."""
ROOM_TRIES = 3
ROOM_DIGITS = 6
CONFIRM_WITHIN = 10.0
"""Seconds after the question within which a called party must press a key."""
DECLINE = "2"
UNALLOCATED = 1


@dataclass(slots=True)
class Conference:
    """Somebody calls. ``params``: ``dialed``, ``from``; ``room``: its id; without, the caller is asked for its number."""

    store: Rooms
    rooms: LiveRooms
    sounds: RoomSounds
    stay: Stay
    attempts: Attempts = field(default_factory=Attempts)

    async def __call__(self, session: Session, params: Mapping[str, Any]) -> str | None:
        caller = session.call.legs[1]
        session.require(caller, "a conference room")
        if session.call.room is not None:
            return await back(self.store, self.stay, session, caller, session.call.room)
        if not await answer(session, caller):
            return None
        room = await self._room(session, caller, params)
        if room is None:
            await hangup(session, caller, cause=UNALLOCATED)
            return "no_room"
        return await Visit(self, session, caller, room).run()

    async def _room(self, session: Session, caller: Leg, params: Mapping[str, Any]) -> Room | None:
        try:
            if named := params.get("room") or params.get("menu"):
                return await self.store.find(session.account.account, str(named))
            return await self._asked_for(session, caller)
        except StoreError:
            await play(session, caller, *session.services.prompts["error"], longest=15)
            return None

    async def _asked_for(self, session: Session, caller: Leg) -> Room | None:
        """The room whose number the caller presses. Raises StoreAway."""
        ask: tuple[Prompt, ...] = ("sound:conf-getconfno",)
        for _ in range(ROOM_TRIES):
            asked = Gather(ask, ROOM_DIGITS, "#", FIRST_KEY, NEXT_KEY)
            pressed = await gather(session, caller, asked)
            room = self.store.by_extension(session.account.account, pressed.digits)
            if room is not None:
                return await self.store.find(session.account.account, room)
            if not caller.up:
                return None
            ask = ("sound:conf-invalid", "sound:conf-getconfno")
        await play(session, caller, "sound:conf-invalid", longest=15)
        return None


@dataclass(slots=True)
class Visit:
    """One caller at the door of one room."""

    flow: Conference
    session: Session
    caller: Leg
    room: Room
    access: Access | None = None

    @property
    def number(self) -> str:
        return str(self.session.call.params.get("from", ""))

    @property
    def dialed(self) -> str:
        return str(self.session.call.params.get("dialed", "")).lstrip("+")

    async def run(self) -> str:
        if not self.session.resumed:
            self.tell(Kind.ROOM_INBOUND_CALL)
        result = "hangup"
        try:
            result = await self._run()
            await hangup(self.session, self.caller)
        finally:
            gone(self.flow.rooms, self.member(self.access), self.room.id, result)
        return result

    async def _run(self) -> str:
        if reason := closed(self.room, self.session.services.now()):
            return await self.refuse(reason)
        await play_prompts(self.session, self.caller, await self.prompts("welcome"), stop_when=self._pressed)
        found = await self._access()
        if isinstance(found, str):
            return found
        self.access = found
        return await self._enter(found)

    async def _enter(self, access: Access) -> str:
        """Into the room as it is now: it may have been closed while the PIN was pressed."""
        rooms = self.flow.rooms
        with suppress(StoreError):
            self.room = await self.flow.store.find(self.room.account, self.room.id) or self.room
        live = rooms.get(self.room.id)
        connected = live.connected() if live else 0
        if reason := refused(self.room, access.level, connected, self.session.services.now()):
            return await self.refuse(reason)
        member = self.member(access)
        live = rooms.expect(self.room, member)
        if live is None:
            return await self.refuse("elsewhere")
        try:
            result = await self.flow.stay.enter(live, member)
        finally:
            rooms.leave(live, member)
        return result if member.entered or not self.caller.up else await self.refuse(result)

    async def _access(self) -> Access | str:
        """How the caller may enter, or the result of a call that may not."""
        now = self.session.services.now()
        ways = fitting(self.room, self.number, self.dialed, now)
        if (free := without_pin(ways)) is not None:
            return free
        if not any(way.pin for way in ways):
            return await self.refuse("no_access")
        return await self._by_pin(ways)

    async def _by_pin(self, ways: tuple[Access, ...]) -> Access | str:
        attempts, ask = self.flow.attempts, await self.prompts("pin_ask")
        wrong: tuple[Prompt, ...] = ()
        tried = 1
        while tried <= attempts.allowed(self.room.id, self.number):
            pressed = await gather(
                self.session, self.caller, Gather((*wrong, *ask), LONGEST_PIN + 1, "#", FIRST_KEY, NEXT_KEY)
            )  # fmt: skip
            if pressed.reason == "hangup":
                return "hangup"
            if tried > attempts.allowed(self.room.id, self.number):
                return await self.refuse("too_many_pins")  # of those who guess at the same time
            if (access := by_pin(ways, pressed.digits)) is not None:
                attempts.right(self.room.id, self.number)
                return access
            self._wrong(tried, pressed.digits)
            wrong = await self.prompts("pin_invalid")
            tried += 1
        if tried == 1:
            return await self.refuse("too_many_pins")
        await play_prompts(self.session, self.caller, wrong)
        return "pin_invalid"

    def _wrong(self, tried: int, digits: str) -> None:
        if digits:
            self.flow.attempts.wrong(self.room.id, self.number)
        self.tell(Kind.ROOM_PIN_INVALID, data={"try": tried, "digits": len(digits)})

    async def refuse(self, reason: str) -> str:
        self.tell(Kind.ROOM_REFUSED, data={"reason": reason})
        await play_prompts(self.session, self.caller, await self.prompts(reason))
        return reason

    async def prompts(self, name: str) -> tuple[Prompt, ...]:
        return await self.flow.sounds.prompts(self.room, name)

    def _pressed(self) -> bool:
        return bool(keys.unread(self.session, self.caller))

    def member(self, access: Access | None) -> Member:
        if access is None:
            return Member(self.session, self.caller, "GUEST", "IN", self.number)
        return Member(
            self.session, self.caller, access.level, "IN", self.number, access.id, access.label, access.max_duration
        )  # fmt: skip

    def tell(self, kind: Kind, **data: Any) -> None:
        tell(self.flow.rooms, self.room, self.member(self.access), kind, origin=PHONE, **data)


def tell(rooms: LiveRooms, room: Room, member: Member, kind: Kind, *, origin: str, **data: Any) -> None:
    """A line of the room's log of somebody who is not in it."""
    live = rooms.get(room.id)
    count = live.entered() if live is not None else 0
    member.session.record(kind, **{**member.told(room.id), "from": origin, "connected_count": count, **data})


def gone(rooms: LiveRooms, member: Member, room: str, result: str) -> None:
    """The call of somebody who was in the room, or at its door, is over. Who was let go by command had it told already; an
    engine that goes away leaves everybody where they are."""
    if member.session.stop_reason == ABANDONED or member.kicked:
        return
    live = rooms.get(room)
    told = {**member.told(room), "from": PHONE, "connected_count": live.entered() if live is not None else 0}
    member.session.record(Kind.ROOM_HANGUP, **told, data={"result": result})


def was_there(session: Session) -> Membership | None:
    """After a restart: the room in which the call was. Who was sent elsewhere in between has left it."""
    held = session.call.room
    return held if session.resumed and held is not None and session.call.step == STEP else None


async def back(store: Rooms, stay: Stay, session: Session, leg: Leg, held: Membership) -> str | None:
    """After a restart: whoever was in a room is in it, or was when the line went dead."""
    member = Member(
        session, leg, held.level, held.direction, held.number, held.access_id, held.access_label, held.max_duration
    )
    if held.left_at is not None:
        await hangup(session, leg)
        return "left"
    room = await store.find(session.account.account, held.room)
    result = "hangup"
    try:
        result = await stay.again(room, member, held)
        await hangup(session, leg)
    finally:
        gone(stay.rooms, member, held.room, result)
    return result


@dataclass(slots=True)
class ConferenceCall:
    """A room calls somebody. ``params``: ``room`` (id), ``customer_number``, ``caller_id``, ``level``, ``label``,
    ``access_id``, ``max_duration``, ``confirm`` (a key must be pressed)."""

    store: Rooms
    rooms: LiveRooms
    sounds: RoomSounds
    stay: Stay

    async def __call__(self, session: Session, params: Mapping[str, Any]) -> str | None:
        if (held := was_there(session)) is not None:
            return await back(self.store, self.stay, session, session.call.legs[1], held)
        room = await self.store.find(session.account.account, params["room"])
        if room is None:
            return "no_room"
        return await Invitation(self, session, room).run()


@dataclass(slots=True)
class Invitation:
    """One party that a room calls."""

    flow: ConferenceCall
    session: Session
    room: Room
    known: Member | None = None
    """Once there is a leg."""

    async def run(self) -> str:
        session = self.session
        answered = bool(session.call.legs) and session.call.legs[1].up
        watching = session.spawn(self._expect(), "expected in the room")
        result = "hangup"
        try:
            leg = await self._call()
            watching.cancel()
            member = self._member(leg)
            if not answered:
                status = of_leg(leg).dial_status
                self.tell(Kind.ROOM_OUTBOUND_CALL_STATUS, data={"status": status})
            result = await self._reached(member) if leg.up else "not_reached"
            await hangup(session, leg)
        finally:
            watching.cancel()
            self._gone(result)
        return result

    async def _call(self) -> Leg:
        params, limits = self.session.call.params, self.session.account.limits
        return await dial(
            self.session,
            Dial("member", params["customer_number"], params["caller_id"], ring_timeout=limits.destination_ring),
        )

    async def _expect(self) -> None:
        """Shown as connecting as soon as there is a leg."""
        await self.session.until(lambda: bool(self.session.call.legs))
        member = self._member(self.session.call.legs[1])
        if not self.session.resumed:
            self.tell(Kind.ROOM_OUTBOUND_CALL, origin=WEB)
        self.flow.rooms.expect(self.room, member)

    async def _reached(self, member: Member) -> str:
        session, sounds = self.session, self.flow.sounds
        if not await self._confirmed(member.leg):
            return await self._refuse(member, "not_confirmed")
        await play_prompts(session, member.leg, await sounds.prompts(self.room, "out_welcome"))
        with suppress(StoreError):
            self.room = await self.flow.store.find(self.room.account, self.room.id) or self.room
        live = self.flow.rooms.expect(self.room, member)
        if live is None:
            return await self._refuse(member, "elsewhere")
        result = await self.flow.stay.enter(live, member)
        return result if member.entered else await self._refuse(member, result)

    async def _refuse(self, member: Member, reason: str) -> str:
        if member.leg.up:
            self.tell(Kind.ROOM_REFUSED, data={"reason": reason})
            await play_prompts(self.session, member.leg, await self.flow.sounds.prompts(self.room, reason))
        return reason

    async def _confirmed(self, leg: Leg) -> bool:
        if not self.session.call.params.get("confirm"):
            return leg.up
        ask = await self.flow.sounds.prompts(self.room, "out_confirm")
        pressed = await gather(self.session, leg, Gather(ask, 1, "", CONFIRM_WITHIN, CONFIRM_WITHIN, retries=1))
        return leg.up and pressed.digits not in ("", DECLINE)

    def _gone(self, result: str) -> None:
        if self.known is None:
            return
        live = self.flow.rooms.get(self.room.id)
        if live is not None:
            self.flow.rooms.leave(live, self.known)
        if self.known.leg.answered_at is not None:
            gone(self.flow.rooms, self.known, self.room.id, result)

    def _member(self, leg: Leg) -> Member:
        if self.known is None:
            params = self.session.call.params
            label, longest = str(params.get("label", "")), int(params.get("max_duration", 0))
            level, access = str(params.get("level", "GUEST")), params.get("access_id")
            self.known = Member(self.session, leg, level, "OUT", leg.number, access, label, longest)
        return self.known

    def tell(self, kind: Kind, *, origin: str = PHONE, **data: Any) -> None:
        if self.known is not None:
            tell(self.flow.rooms, self.room, self.known, kind, origin=origin, **data)
