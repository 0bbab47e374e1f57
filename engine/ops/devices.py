"""Which telephones are registered, from what Asterisk tells of their contacts.

Asterisk tells of a first registration and of an end (ContactStatus), but not of a renewal (22.10.1, measured); and what
came while nobody listened was told to nobody. So the contacts are also read at each link and from time to time. When a
registration was renewed follows from when it now expires.
"""

import asyncio
import math
import random
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from engine.calls.mac import told_in
from engine.errors import StoreError, TelephonyError
from engine.store.port import Device
from engine.telephony.manager import ContactStatus, Manager, ManagerEvent, ManagerUp

log = structlog.get_logger(__name__)

LOOKED_AT_EVERY = 30.0
"""Seconds."""
_GONE = frozenset({"Removed", "Unreachable", "Unknown"})
_HOST = re.compile(r"^sips?:(?:[^@]*@)?(\[[0-9A-Fa-f:.]+\]|[^:;>?]+)")


class Keeper(Protocol):
    """Part of ``engine.store.call_book.PgDevices``."""

    async def keep(self, account: str, device: Device, *, lifetime: int, expires_at: datetime) -> None: ...
    async def contacts(self) -> dict[tuple[str, str], tuple[str, int, datetime]]: ...


class DeviceWatch:
    """``phones``: extension → account."""

    def __init__(self, keeper: Keeper, managers: Sequence[Manager], phones: Mapping[str, str]) -> None:
        self._keeper = keeper
        self._managers = {manager.name: manager for manager in managers}
        self._phones = phones
        self._known: dict[tuple[str, str], tuple[str, int, datetime]] = {}
        self._due: dict[tuple[str, str], bool] = {}
        """(server, extension) to be looked at → whether it has just registered."""
        self._work = asyncio.Event()

    def heard(self, event: ManagerEvent) -> None:
        """Called by the links' readers: returns at once."""
        if isinstance(event, ManagerUp):
            self._look_at(event.server, self._phones)
        elif isinstance(event, ContactStatus) and event.status not in _GONE:
            self._look_at(event.server, [event.aor], fresh=True)

    def _look_at(self, server: str, extensions: Mapping[str, str] | Sequence[str], *, fresh: bool = False) -> None:
        for extension in extensions:
            if extension in self._phones:
                self._due[server, extension] = fresh or self._due.get((server, extension), False)
        self._work.set()

    async def run(self) -> None:
        """Keep the table for ever."""
        await self._recall()
        while True:
            try:
                async with asyncio.timeout(LOOKED_AT_EVERY * random.uniform(0.8, 1.2)):
                    await self._work.wait()
            except TimeoutError:
                for name, manager in self._managers.items():
                    if manager.up:
                        self._look_at(name, self._phones)
            await self.look()

    async def _recall(self) -> None:
        while True:
            try:
                self._known = await self._keeper.contacts()
            except StoreError:
                await asyncio.sleep(random.uniform(0.5, 1.0))
            else:
                return

    async def look(self) -> None:
        """Look at what is due."""
        self._work.clear()
        due, self._due = self._due, {}
        for (server, extension), fresh in due.items():
            try:
                await self._extension(self._managers[server], extension, fresh=fresh)
            except (TelephonyError, StoreError) as error:
                log.info("device_not_seen", extension=extension, error=repr(error))

    async def _extension(self, manager: Manager, extension: str, *, fresh: bool) -> None:
        listed = await _value(manager, f"PJSIP_AOR({extension},contact)")
        for contact in filter(None, listed.split(",")):
            await self._contact(manager, extension, contact, fresh=fresh)

    async def _contact(self, manager: Manager, extension: str, contact: str, *, fresh: bool) -> None:
        """Keep it, if it has registered since it was last seen."""
        expires, uri, agent = [
            await _value(manager, f"PJSIP_CONTACT({contact},{field})")
            for field in ("expiration_time", "uri", "user_agent")
        ]
        if not expires.isdecimal() or not int(expires):
            return  # static, or gone meanwhile
        match = _HOST.match(uri)
        address = match.group(1).strip("[]") if match else ""
        mac = told_in(agent) or told_in(uri)
        account, key = self._phones[extension], mac or f"{extension}@{address}"
        expires_at = datetime.fromtimestamp(int(expires), UTC)
        known = self._known.get((account, key))
        if known is not None and known[0] == uri and known[2] == expires_at:
            return
        at, lifetime = registered(expires_at, known[1] if known and not fresh else None, datetime.now(UTC))
        device = Device(key, extension, mac, address, uri, at, at)
        await self._keeper.keep(account, device, lifetime=lifetime, expires_at=expires_at)
        self._known[account, key] = (uri, lifetime, expires_at)


def registered(expires_at: datetime, lifetime: int | None, now: datetime) -> tuple[datetime, int]:
    """When a registration was made that expires then, and the seconds that it is good for. ``lifetime``: of the one before
    it, as phones keep to theirs; None: it was made just now, as far as is known."""
    left = max(math.ceil((expires_at - now).total_seconds()), 1)
    if lifetime is None or lifetime < left:
        return min(now, expires_at), left
    return expires_at - timedelta(seconds=lifetime), lifetime


async def _value(manager: Manager, function: str) -> str:
    """What a function of the dialplan says. Raises TelephonyError."""
    reply = await manager.action("Getvar", {"Variable": function})
    return reply[0].get("value", "")
