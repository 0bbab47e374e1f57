"""All that a use case needs, handed in by the composition root."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from engine.calls.model import Call
from engine.config import Config
from engine.dialer.campaigns import Campaigns
from engine.dialer.contacts.port import Lists
from engine.dialer.port import DueCalls
from engine.media.library.library import Library
from engine.media.objects.port import Objects
from engine.media.stt.port import TranscriptTable
from engine.sessions.codes import Codes
from engine.sessions.rooms import LiveRoom, LiveRooms, Member
from engine.store.port import Accounts, CallBook, Calls, Devices, Journal, NewCall, OtpTemplates, Rooms, Routes, Tokens
from engine.webhooks.feed import Feed
from engine.webhooks.port import Hooks
from engine.webhooks.sender import Sender


@dataclass(frozen=True, slots=True)
class LiveFlow:
    """So many calls under way of one kind."""

    flow: str
    direction: str
    campaign: bool
    calls: int


class EnginePort(Protocol):
    """The running engine, as commands and health checks see it."""

    def ready(self) -> Mapping[str, bool]:
        """Part → usable now: ``{"asterisk": True, "postgres": True, "ami": True}``."""

    def accepting(self) -> None:
        """Raises Unavailable while the engine drains, no Asterisk is up, or PostgreSQL is away and calls are refused."""

    def live_calls(self, account: str) -> int: ...

    async def start_call(self, call: NewCall) -> None:
        """Commit the call, then start its session; returns when committed. Raises Unavailable."""

    def find(self, request_id: str) -> Call | None:
        """The call, if it lives in this engine."""

    def leads_to(self, account: str, code: str) -> tuple[str, Mapping[str, Any]] | None:
        """The flow, with its parameters, that a code or number of the house leads to; None when it leads to none."""

    async def end_call(self, request_id: str) -> None:
        """End or cancel it. Raises NotFound, StateConflict."""

    async def channel(self, account: str, name: str) -> tuple[str, str, str] | None:
        """The live call of the account that has a channel of this name: its request id, that leg's id, and the id of the
        leg that talks with it (empty: nobody does)."""

    async def live_flows(self, account: str) -> Sequence[LiveFlow]:
        """The account's calls under way, at every engine of the database, by what they are."""

    async def control(
        self, request_id: str, action: str, leg: str, fields: Mapping[str, Any], *, by: str = "api"
    ) -> Mapping[str, Any]:
        """Have a live call do something (``engine.controls``); what it has to tell. Raises RequestError."""


class RoomStay(Protocol):
    """What goes on in a conference room, as commands see it."""

    def limit(self, live: LiveRoom) -> None:
        """Watch its limits, as they are now."""

    async def announce(self, live: LiveRoom, member: Member, said: str) -> None:
        """Play a media, or ``TTS|VOICE|text``, to all; ``member``'s call hears of its end."""

    async def record(self, live: LiveRoom, member: Member, *, origin: str) -> str:
        """Begin; the recording's name. Raises StoreAway, TelephonyError."""

    async def stop_recording(self, live: LiveRoom, member: Member, *, origin: str) -> str | None:
        """The name of what was recorded; None when nothing was."""


@dataclass(frozen=True, slots=True)
class RoomDesk:
    """Conference rooms: as they are kept, and as they are now."""

    store: Rooms
    live: LiveRooms
    stay: RoomStay


def _registry() -> CollectorRegistry:
    """One engine's own, so that two in one process don't clash."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Context:
    config: Config
    calls: Calls
    journal: Journal
    accounts: Accounts
    routes: Routes
    engine: EnginePort
    hooks: Hooks
    sender: Sender
    """Speaks to servers that somebody outside named."""
    library: Library
    objects: Objects
    transcripts: TranscriptTable
    otp_templates: OtpTemplates
    lists: Lists
    campaigns: Campaigns
    due: DueCalls
    tokens: Tokens
    call_book: CallBook
    devices: Devices
    feed: Feed
    rooms: RoomDesk
    codes: Codes = field(default_factory=Codes)
    """One-time passwords, handed to their calls in memory alone."""
    registry: CollectorRegistry = field(default_factory=_registry)
    """What ``/metrics`` shows."""
    menu_of: Callable[[str], str | None] = lambda _: None
    """Number → menu."""
    now: Callable[[], datetime] = _utc_now
    menu_exists: Callable[[str], bool] = lambda _name: False
    """Whether there is a menu of that name."""
