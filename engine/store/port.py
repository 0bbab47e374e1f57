"""What the engine asks of its memory.

Two kinds of access. **Journal**: facts about calls, one ordered stream, written in batches (one transaction a batch);
each record is idempotent, so that a batch whose fate is unknown can be written again. While PostgreSQL is away the
stream goes to an fsynced spool and is drained in order. **Reads and administration**: plain queries that raise
StoreAway when PostgreSQL can't be reached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from engine.calls.account import Account, Identity
from engine.calls.events import Event
from engine.calls.record import CallRecord
from engine.calls.rooms import Access, Room
from engine.calls.routing import Route


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call that exists from now on. ``event`` is its ``call.created``."""

    request_id: str
    account: str
    flow: str
    direction: str
    engine: str
    created_at: datetime
    params: Mapping[str, Any]
    campaign_id: str | None = None
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewLeg:
    """One try to reach a party: committed before Asterisk hears of it."""

    leg_id: str
    request_id: str
    n: int
    role: str
    number: str
    endpoint: str
    channel_id: str
    attempt: int
    server: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CallEvent:
    request_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class LegRow:
    """What became of a leg, written when its call ends (or when the leg does)."""

    leg_id: str
    request_id: str
    n: int
    role: str
    number: str
    endpoint: str
    channel_id: str
    channel: str | None
    attempt: int
    server: str | None
    state: str
    created_at: datetime
    dialing_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    sip_code: int | None
    q850: int | None
    hangup_by: str | None
    why: str | None
    dtmf: str
    reconciled: bool


@dataclass(frozen=True, slots=True)
class ClosedCall:
    """The end of a call: its row, its legs, its CDRs and the outbox message, in one transaction, once."""

    request_id: str
    ended_at: datetime
    end_reason: str
    result: str | None
    reconciled: bool
    legs: tuple[LegRow, ...]
    records: tuple[CallRecord, ...]
    outbox: tuple[Mapping[str, Any], ...] = ()
    """Web hook bodies: ``{"type", "timestamp", "data"}``."""


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A recording's life: ``recording``, then ``ready`` or ``failed``. The latest row of a name wins."""

    name: str
    request_id: str
    account: str
    option: str
    """both, agent or customer; room: all of a conference together."""
    state: str
    server: str
    sides: Mapping[str, str] = field(default_factory=dict)
    """agent/customer/room → name of that side's recording in Asterisk's folder."""
    started_at: datetime | None = None
    duration: float | None = None
    size: int | None = None
    sha256: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class OtpTemplate:
    """What is said when a one-time password is announced; ``{otp}`` stands for the password."""

    id: str
    account: str
    name: str
    text: str
    language: str
    """Empty: the default."""
    otp_type: str
    """digits or alphanumeric."""
    state: str
    """draft or approved."""
    created_at: datetime
    updated_at: datetime
    approved_at: datetime | None = None


JournalRecord = NewCall | NewLeg | CallEvent | ClosedCall | RecordingRow


@dataclass(frozen=True, slots=True)
class IdempotentAnswer:
    """What the first request with this key was answered, and the fingerprint of its body."""

    fingerprint: str
    answer: Mapping[str, Any]


class Journal(Protocol):
    """Append returns at once; ``committed`` waits until all that was appended before is durable."""

    @property
    def away(self) -> bool:
        """PostgreSQL can't be reached: records go to the spool."""

    def append(self, *records: JournalRecord) -> None: ...

    async def committed(self) -> None:
        """Durable in PostgreSQL, or in the fsynced spool. Raises StoreAway when neither takes it."""


class Calls(Protocol):
    """Calls, CDRs and recordings, as they are read. Unknown and foreign are both None."""

    async def next_request_id(self) -> str:
        """Unique; from a block fetched ahead, so that it is there while PostgreSQL is away."""

    async def fingerprint_key(self) -> bytes:
        """Key of the HMAC of idempotent bodies; the same for every engine on one database."""

    async def claim_key(
        self, account: str, key: str, fingerprint: str, answer: Mapping[str, Any]
    ) -> IdempotentAnswer | None:
        """Reserve an idempotency key for 24 h. None: it is ours now. Else the first request's answer."""

    async def release_key(self, account: str, key: str, answer: Mapping[str, Any]) -> None:
        """Forget the claim that promised ``answer``, whose request came to nothing; one that another request made of
        the key since stays."""

    async def live(self, engine: str) -> list[tuple[NewCall, list[Event]]]:
        """Calls of that engine which have not ended and are not scheduled, with their events in order."""

    async def is_live(self, request_ids: Sequence[str]) -> set[str]:
        """Those of them that have not ended, of any engine."""

    async def events(self, request_id: str, account: str | None = None) -> list[Event] | None:
        """The timeline; ``account`` None for operators."""

    async def timelines(self, request_ids: Sequence[str]) -> dict[str, list[Event]]:
        """The timelines of those of them that exist, in one question."""

    async def listed(self, account: str | None, *, states: Sequence[str], limit: int, before: str | None) -> list[str]:
        """Request ids, newest first; ``states`` of live scheduled ended. ``before``: the last request id of the page
        before this one."""

    async def cdr_by_request(self, account: str, request_id: str) -> list[CallRecord] | None:
        """Ascending; [] while it runs; None when unknown or foreign."""

    async def cdr_by_date(
        self, account: str, start: datetime, end: datetime, *, count: int, offset: int
    ) -> list[CallRecord]:
        """CDRs whose ``call_date`` is in [start, end), ascending by id."""

    async def recording(self, account: str | None, name: str) -> RecordingRow | None: ...

    async def open_recordings(self, engine: str) -> list[RecordingRow]:
        """Those in state ``recording`` whose calls have ended."""


class Accounts(Protocol):
    """Accounts, credentials, limits. Credentials known within 60 s are served from memory."""

    async def identify(self, account: str, auth: str) -> Identity | None: ...

    async def get(self, account: str) -> Account | None: ...

    async def seed(self, accounts: Sequence[Mapping[str, Any]]) -> None:
        """Create those accounts of a seed file that do not exist yet."""


class Routes(Protocol):
    def current(self) -> Sequence[Route]:
        """The route table as last heard; kept fresh by notifications."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A bearer token, the only time that it can be seen. ``lifetime`` in seconds."""

    id: str
    token: str = field(repr=False)
    scopes: tuple[str, ...]
    lifetime: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: str
    account: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    by_operator: bool


class Tokens(Protocol):
    """Bearer tokens of accounts."""

    async def issue(
        self, account: str, *, scopes: Sequence[str], lifetime: int, auth: str | None = None
    ) -> IssuedToken: ...

    async def identify(self, token: str) -> Identity:
        """Raises Unauthenticated."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which calls or devices of an account are listed: those of [since, until), in one order."""

    since: datetime
    until: datetime
    descending: bool
    extension: str | None = None
    """Only calls with that party."""


class CallBook(Protocol):
    """The calls of an account as the call-control API pages through them: what has begun, live and ended."""

    async def count(self, account: str, span: Span) -> int: ...

    async def page(
        self, account: str, span: Span, *, limit: int, offset: int = 0, after: str | None = None, back: bool = False
    ) -> list[str]:
        """Request ids in the order of ``span``: from the beginning, or behind the call ``after``, or with ``back`` those
        just before it. Raises InvalidFields when the account has no such call."""


@dataclass(frozen=True, slots=True)
class Device:
    """A telephone that has registered."""

    key: str
    extension: str
    mac: str | None
    """``79-5C-7D-28-1B-B3``, where the phone tells it."""
    address: str
    contact: str
    last_request: datetime
    last_success: datetime


class Devices(Protocol):
    async def count(self, account: str, span: Span) -> int: ...

    async def page(
        self, account: str, span: Span, *, limit: int, offset: int = 0, after: str | None = None, back: bool = False
    ) -> list[Device]:
        """As ``CallBook.page``, in the order in which they came to be known."""

    async def get(self, account: str, key: str) -> Device | None:
        """By its MAC address or extension."""

    async def forget(self, account: str, key: str) -> bool: ...


class OtpTemplates(Protocol):
    """Templates of announcements. ``account`` None stands for operators; unknown and foreign are both None."""

    async def add(
        self, template_id: str, account: str, *, name: str, text: str, language: str, otp_type: str
    ) -> OtpTemplate:
        """A draft. Raises StateConflict when the account has as many as it may."""

    async def page(self, account: str | None, *, limit: int, after: str | None) -> list[OtpTemplate]:
        """Ascending by id, those behind ``after``."""

    async def get(self, account: str | None, template_id: str) -> OtpTemplate | None: ...

    async def change(
        self,
        account: str,
        template_id: str,
        *,
        name: str | None = None,
        text: str | None = None,
        language: str | None = None,
        otp_type: str | None = None,
    ) -> OtpTemplate | None:
        """Null leaves a field as it is. Anything but another name makes it a draft again."""

    async def remove(self, account: str | None, template_id: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """A line of a room's event log; ``origin`` PHONE or WEB."""

    id: int
    room: str
    at: datetime
    action: str
    origin: str
    connected_count: int
    member: str | None
    access_id: str | None
    access_label: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RoomMember:
    """That somebody was in a room. ``direction`` IN or OUT; ``called``: the number of the room that was dialled."""

    id: str
    room: str
    request_id: str
    number: str
    direction: str
    called: str
    access_id: str | None
    access_label: str
    level: str
    muted: bool
    paused: bool
    joined_at: datetime
    left_at: datetime | None
    last_status: str


@dataclass(frozen=True, slots=True)
class RoomFilter:
    """None: whatever it is."""

    action: str | None = None
    member: str | None = None
    access: str | None = None


class Rooms(Protocol):
    """Conference rooms, their accesses, their logs. ``account`` None stands for operators; unknown and foreign are both
    None."""

    def by_extension(self, account: str, number: str) -> str | None:
        """The room that phones of the account reach by dialling ``number``; from memory."""

    def by_number(self, number: str) -> tuple[str, str] | None:
        """(room, account) that an inbound number leads to; from memory."""

    async def find(self, account: str | None, key: str) -> Room | None:
        """By its id, or by the number that phones dial."""

    async def page(self, account: str | None, *, limit: int, after: str | None) -> list[Room]:
        """Ascending by id, those behind ``after``."""

    async def add(self, room: Room) -> None:
        """With its accesses. Raises StateConflict when the account has as many as it may, Duplicate when a number or a PIN
        is taken."""

    async def change(self, room: Room) -> bool:
        """All but its accesses. False when it is not there any more as it was read (``updated_at``). Raises Duplicate."""

    async def remove(self, account: str | None, room: str) -> bool: ...

    async def add_access(self, access: Access) -> None:
        """Raises StateConflict, Duplicate."""

    async def change_access(self, access: Access) -> bool:
        """As ``change``. Raises Duplicate."""

    async def remove_access(self, room: str, access: str) -> bool: ...

    async def tell(self, room: str, kind: str, at: datetime, data: Mapping[str, Any]) -> None:
        """Write an event of the room that belongs to no call."""

    async def events(
        self, room: str, wanted: RoomFilter, *, limit: int, after: int | None
    ) -> tuple[list[RoomEvent], int, int]:
        """Ascending, those behind ``after``; how many there are in all; how many are wanted."""

    async def history(
        self, room: str, wanted: RoomFilter, *, limit: int, after: tuple[datetime, str] | None
    ) -> tuple[list[RoomMember], int, int]:
        """Who was in the room and left, ascending; how many in all; how many are wanted."""

    async def open_recordings(self, engine: str) -> list[RecordingRow]:
        """Those of rooms that are not finished."""
