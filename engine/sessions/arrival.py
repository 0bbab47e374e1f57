"""Calls that come in through the dialplan: ``Stasis(app,flow,NAME,EXTEN,name=value…)``, and the same by FastAGI:
``AGI(agi://host:port/NAME?name=value…)``. See docs/dialplan.md."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from engine import ids
from engine.calls.account import Account
from engine.calls.events import Kind
from engine.calls.numbers import EMERGENCY, BadNumber, is_extension, normalize
from engine.calls.routing import NoRoute, Route, resolve
from engine.errors import RequestError, StoreError, TelephonyError
from engine.sessions.inbox import Order
from engine.sessions.observe import deliver
from engine.sessions.reconcile import AGI
from engine.sessions.registry import Registry
from engine.sessions.scope import DURATION_GRACE
from engine.sessions.session import Session
from engine.store.port import NewCall
from engine.telephony import events as t
from engine.telephony.port import Door

log = structlog.get_logger(__name__)

_PHONE = re.compile(r"PJSIP/(\d{3,6})-[0-9a-f]+")
_NUMBER = re.compile(r"\+?[0-9]{1,20}")
_PARAM = re.compile(r"[a-z][a-z0-9_]{0,31}")
MOST_PARAMS, LONGEST_PARAM = 32, 256
"""Of what the dialplan tells a flow."""
HANDED_OVER_WITHIN = 5.0
"""Seconds that the other door may take to have a caller of this one."""
MENU = "menu"
"""A name for ``ivr`` whose parameter ``name`` is the menu."""
ENTRANCES = frozenset({MENU, "inbound"})
"""Names that the dialplan may give beside those of flows."""
_LONGEST = 64
"""Characters of a caller that are kept."""
UNKNOWN = "unknown_number"
_RETRIEVE = re.compile(r"\*71([1-9][0-9]?)")
"""What a phone dials to retrieve a parked call: the code and its slot."""
NOT_THERE = 3
"""Q.850: no route to destination."""
TRY_LATER = 42
"""Q.850: switching equipment congestion."""


class RoomNumbers(Protocol):
    """Part of ``engine.store.port.Rooms``, from memory."""

    def by_extension(self, account: str, number: str) -> str | None: ...

    def by_number(self, number: str) -> tuple[str, str] | None: ...


class Arrivals:
    """Makes a call of a channel that came in. ``phones``: softphone extension → account. ``menu_of``: number → menu.
    ``rooms``: numbers of conference rooms."""

    def __init__(
        self,
        phones: Mapping[str, str],
        default_account: str,
        menu_of: Callable[[str], str | None] = lambda _: None,
        rooms: RoomNumbers | None = None,
    ) -> None:
        self.phones = phones
        self.default_account = default_account
        self.menu_of = menu_of
        self.rooms = rooms

    def __call__(self, registry: Registry, event: t.ChannelEntered) -> None:
        registry.spawn(self._take(registry, event), f"arrival {event.channel.id}")

    async def by_door(self, registry: Registry, door: Door, event: t.ChannelEntered) -> None:
        """Make a call of a caller who came by a door of its own; returns when the caller has gone. One whom we have
        already is turned away."""
        channel = event.channel.id
        if ids.request_of(channel) or registry.holder(channel) or channel in registry.early:
            log.warning("arrival_refused", channel=channel, error="the channel is in a call already")
            return
        registry.early[channel] = []
        await self._take(registry, event, door)
        await door.over()

    async def _take(self, registry: Registry, event: t.ChannelEntered, door: Door | None = None) -> None:
        if door is None and await self._picked_up(registry, event):
            return
        try:
            session = await self._begin(registry, event, door)
        except (StoreError, TelephonyError) as error:
            log.warning("arrival_refused", channel=event.channel.id, error=repr(error))
            session = None
        waiting = registry.early.pop(event.channel.id, [])
        if session is None:
            await _refuse(registry, event, door)
            return
        registry.foreign[event.channel.id] = session.call.request_id
        for early in waiting:
            deliver(session, early)
        if door is not None:
            await _admit(session, door)
        registry.run(session)

    async def _picked_up(self, registry: Registry, event: t.ChannelEntered) -> bool:
        """A phone that dialled the code of a slot of its account joins the call that is parked there: no call of its own."""
        phone, code = _PHONE.fullmatch(event.channel.name), _RETRIEVE.fullmatch("".join(event.args[2:3]))
        if phone is None or code is None:
            return False
        extension = phone.group(1)
        request_id = registry.parked(self.phones.get(extension, self.default_account)).get(code.group(1))
        if request_id is None:
            return False
        registry.foreign[event.channel.id] = request_id
        for early in registry.early.pop(event.channel.id, []):
            deliver(registry.sessions[request_id], early)
        fields = {"to": extension, "arrived": event.channel}
        try:
            await registry.control(request_id, Order("retrieve", "", fields, by="phone"))
        except (RequestError, StoreError) as error:
            log.info("not_retrieved", request_id=request_id, error=str(error))
            await registry.switches[event.server].hangup(event.channel.id, cause=NOT_THERE)
        return True

    async def _begin(self, registry: Registry, event: t.ChannelEntered, door: Door | None) -> Session | None:
        """The call, committed, with the caller's leg; None when it can't be taken."""
        if registry.draining or len(event.args) < len(("flow", "name")) or event.args[0] != "flow":
            return None
        flow, account_id, params = self._route(registry, event)
        if door is not None:
            params["door"] = AGI
        account = await registry.services.accounts.get(account_id)
        if account is None:
            return None
        flow, params = _addressed(account, flow, params)
        session = await registry.begin(
            await self._new_call(registry, event, flow, account, params),
            account,
            door or registry.switches[event.server],
        )
        await _caller_leg(session, event)
        return session

    async def _new_call(
        self, registry: Registry, event: t.ChannelEntered, flow: str, account: Account, params: Mapping[str, str]
    ) -> NewCall:
        services = registry.services
        return NewCall(
            request_id=await services.calls.next_request_id(),
            account=account.account,
            flow=flow,
            direction="inbound" if event.args[1] == "inbound" else "outbound",
            engine=services.engine_id,
            created_at=_arrived(services.now(), event),
            params=params,
        )

    def _route(self, registry: Registry, event: t.ChannelEntered) -> tuple[str, str, dict[str, str]]:
        """(flow, account, params) of the call."""
        name, told = event.args[1], _told(event.args[3:])
        exten = told.pop("dialed", event.args[2] if len(event.args) > len(("flow", "name")) else "")
        phone = _PHONE.fullmatch(event.channel.name)
        account = self.phones.get(phone.group(1), self.default_account) if phone else self.default_account
        account = told.pop("account", account)
        caller = phone.group(1) if phone else shown(event.channel.caller)
        params = told | {"dialed": exten, "from": caller}
        menu = self.menu_of(exten.lstrip("+"))
        if name == MENU:
            return "ivr", account, params | {"customer_number": caller, "menu": told.get("name", exten)}
        if name != "inbound":
            params |= {"customer_number": exten}
            if name == "dial" and not menu and (room := self.rooms and self.rooms.by_extension(account, exten)):
                return "conference", account, params | {"room": room}
            return ("ivr", account, params | {"menu": menu}) if name == "dial" and menu else (name, account, params)
        params |= {"customer_number": caller}
        room_of = self.rooms.by_number(exten.lstrip("+")) if self.rooms and not menu else None
        return _inbound(registry.services.routes.current(), menu, account, params, room_of)

    def leads_to(self, routes: Sequence[Route], account: str, code: str) -> tuple[str, dict[str, str]] | None:
        """The flow, with its parameters, that somebody meets who dials ``code``: a menu, a conference room, or where an
        inbound number's own route leads. None: no flow."""
        if menu := self.menu_of(code):
            return "ivr", {"menu": menu}
        if self.rooms and (room := self.rooms.by_extension(account, code)):
            return "conference", {"room": room}
        if self.rooms and (found := self.rooms.by_number(code)) and found[1] == account:
            return "conference", {"room": found[0]}
        if any(each.direction == "inbound" and each.prefix == code and each.kind == "flow" for each in routes):
            flow, owner, params = _inbound(routes, None, account, {"dialed": code})
            return (flow, params) if owner == account else None
        return None


async def _refuse(registry: Registry, event: t.ChannelEntered, door: Door | None) -> None:
    """The dialplan behind AGI() goes on, and may know what to do; who is in our application is told to try later."""
    if door is None:
        await registry.switches[event.server].hangup(event.channel.id, cause=TRY_LATER)
        return
    await door.tell(TRUNKLINE_STATUS="refused")
    await door.release()


async def _admit(session: Session, door: Door) -> None:
    """The flow may have the caller's channel now; the dialplan may know what the call is called."""
    session.door = door
    door.admit(
        session.call.request_id,
        lambda: session.until(lambda: session.returned.get(door.channel_id) == (AGI,), HANDED_OVER_WITHIN),
    )
    await door.tell(TRUNKLINE_REQUEST_ID=session.call.request_id)


def _told(arguments: Sequence[str]) -> dict[str, str]:
    """``name=value`` of the dialplan as parameters of the flow."""
    pairs = [argument.partition("=") for argument in arguments[:MOST_PARAMS]]
    return {
        name: value[:LONGEST_PARAM]
        for name, equals, value in pairs
        if equals and _PARAM.fullmatch(name) and value.isprintable()
    }


def _inbound(
    routes: Sequence[Route],
    menu: str | None,
    account: str,
    params: dict[str, str],
    room: tuple[str, str] | None = None,
) -> tuple[str, str, dict[str, str]]:
    """The number's own route; else the menu or the conference room that has the number; else the route of its prefix.
    ``room``: its id and its account."""
    exten = params["dialed"].lstrip("+")
    try:
        route = resolve(routes, exten, None, direction="inbound")
    except NoRoute:
        route = None
    if menu and (route is None or route.prefix != exten):
        return "ivr", account, params | {"menu": menu}
    if room and (route is None or route.prefix != exten):
        return "conference", room[1], params | {"room": room[0]}
    if route is None:
        return UNKNOWN, account, params
    if route.kind == "extension":
        return "dial", route.account or account, params | {"dialed": route.target}
    flow, _, argument = route.target.partition(":")
    return flow, route.account or account, params | ({"menu": argument} if argument else {})


def _addressed(account: Account, flow: str, params: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The flow with the digits that a dialling one dials, and what the dialled party sees: a phone's extension within
    the house, else the account's first caller id. What a phone sends need not be a number."""
    if flow != "dial":
        return flow, params
    dialed = params["dialed"]
    try:
        digits = dialed if dialed in EMERGENCY else normalize(dialed, country=account.country)
    except BadNumber:
        return UNKNOWN, params
    inside = is_extension(digits) or not account.caller_ids
    caller_id = params["from"] if inside else min(account.caller_ids)
    return flow, params | {"dialed": digits, "caller_id": caller_id if _NUMBER.fullmatch(caller_id) else ""}


def shown(caller: str) -> str:
    """What a far end says of itself, as it may stand in records: a network lets anything pass as a caller's number,
    ``anonymous`` and line ends too. Only a number is passed on to the dialled party."""
    return "".join(each for each in caller if each.isprintable())[:_LONGEST]


async def _caller_leg(session: Session, event: t.ChannelEntered) -> None:
    channel = event.channel
    leg = session.new_leg(
        "caller",
        session.call.params["from"],
        channel.name.rsplit("-", 1)[0],
        channel_id=channel.id,
        channel=channel.name,
        created_at=session.call.created_at,
    )
    session.entered.add(channel.id)
    session.record(Kind.LEG_RINGING, at=event.at, leg=leg.n)
    if channel.state == "Up":
        session.record(Kind.LEG_ANSWERED, at=event.at, leg=leg.n)
    await session.committed()
    limit = session.account.limits.max_duration + DURATION_GRACE
    await session.attempt(session.switch.set_variable(channel.id, "TIMEOUT(absolute)", str(limit)))


def _arrived(now: datetime, event: t.ChannelEntered) -> datetime:
    return event.channel.created_at or min(now, event.at)
