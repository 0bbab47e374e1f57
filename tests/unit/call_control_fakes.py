"""Tokens, the call book, devices and the live feed of a world of fakes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.calls.account import Identity
from engine.calls.model import replay
from engine.errors import InvalidFields, StoreAway, Unauthenticated
from engine.store.port import Device, IssuedToken, Span
from engine.webhooks.feed import FeedEvent

TOKEN, TOKEN_2 = "tlt_of-account-1", "tlt_of-account-2"


@dataclass
class FakeTokens:
    identities: dict[str, Identity]
    issued: list[tuple[str, str | None]] = field(default_factory=list)

    async def issue(
        self, account: str, *, scopes: Sequence[str], lifetime: int, auth: str | None = None
    ) -> IssuedToken:
        self.issued.append((account, auth))
        at = datetime.now(UTC) + timedelta(seconds=lifetime)
        return IssuedToken("TK0123456789", "tlt_new", tuple(scopes), lifetime, at)

    async def identify(self, token: str) -> Identity:
        if token not in self.identities:
            raise Unauthenticated("the token is unknown, expired or revoked")
        return self.identities[token]


def _cut(  # noqa: PLR0917
    rows: list[Any], keys: list[str], span: Span, limit: int, offset: int, after: str | None, *, back: bool
) -> Any:
    """``rows`` ascend."""
    pairs = list(zip(keys, rows, strict=True))
    pairs = pairs[::-1] if span.descending else pairs
    if after is not None:
        if after not in keys:
            raise InvalidFields({"cursor": "is not one that a page gave"})
        at = [key for key, _ in pairs].index(after)
        pairs = pairs[max(at - limit, 0) : at] if back else pairs[at + 1 :]
    return [row for _, row in pairs][offset : offset + limit]


@dataclass
class FakeCallBook:
    store: Any

    def _found(self, account: str, span: Span) -> list[str]:
        return [
            request_id
            for request_id, (owner, events) in sorted(self.store.kept.items())
            if owner == account and span.since <= replay(events).created_at < span.until
        ]

    async def count(self, account: str, span: Span) -> int:
        return len(self._found(account, span))

    async def page(
        self, account: str, span: Span, *, limit: int, offset: int = 0, after: str | None = None, back: bool = False
    ) -> list[str]:
        found = self._found(account, span)
        return list(_cut(found, found, span, limit, offset, after, back=back))


@dataclass
class FakeDevices:
    rows: dict[tuple[str, str], Device] = field(default_factory=dict)

    def add(self, account: str, **changes: Any) -> Device:
        at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        device = Device("79-5C-7D-28-1B-B3", "101", "79-5C-7D-28-1B-B3", "10.0.0.7", "sip:101@10.0.0.7", at, at)
        device = replace(device, **changes)
        self.rows[account, device.key] = device
        return device

    def _found(self, account: str) -> list[Device]:
        return [device for (owner, _), device in self.rows.items() if owner == account]

    async def count(self, account: str, span: Span) -> int:
        return len(self._found(account))

    async def page(
        self, account: str, span: Span, *, limit: int, offset: int = 0, after: str | None = None, back: bool = False
    ) -> list[Device]:
        found = self._found(account)
        return list(_cut(found, [device.key for device in found], span, limit, offset, after, back=back))

    async def get(self, account: str, key: str) -> Device | None:
        return next((device for device in self._found(account) if key in (device.key, device.extension)), None)

    async def forget(self, account: str, key: str) -> bool:
        return self.rows.pop((account, key), None) is not None


@dataclass
class FakeFeedLog:
    events: list[FeedEvent] = field(default_factory=list)
    away: bool = False
    attended: int = 0
    asked: int = 0
    refused: int = 0

    def _reach(self) -> None:
        self.asked += 1
        if self.away:
            self.refused += 1
            raise StoreAway("away")

    def finish(self) -> None:
        self.events = [replace(event, unfinished=False) for event in self.events]

    def tell(self, type_: str, account: str = "account_1", **changes: Any) -> FeedEvent:
        at, data = "2026-03-01T12:00:00.000Z", changes.pop("data", {})
        event = FeedEvent(len(self.events) + 1, account, type_, at, data, **changes)
        self.events.append(event)
        return event

    async def position(self) -> int:
        self._reach()
        return len(self.events)

    async def page(self, after: int, until: int, account: str | None, limit: int) -> list[FeedEvent]:
        self._reach()
        return [event for event in self.events if after < event.id <= until and account in (None, event.account)][
            :limit
        ]

    async def attend(self, engine: str) -> None:
        self.attended += 1

    async def leave(self, engine: str) -> None:
        self.attended -= 1
