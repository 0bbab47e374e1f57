"""A world of fakes behind the HTTP API: enough of a store and an engine, with faults to switch on."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from engine.calls.account import Account, Identity, Limits
from engine.calls.events import Event, Kind
from engine.calls.model import Call, replay
from engine.calls.record import CallRecord
from engine.calls.routing import Route
from engine.commands.context import Context, LiveFlow, RoomDesk
from engine.config import parse
from engine.errors import StoreAway
from engine.media import create as media
from engine.sessions.codes import Codes
from engine.sessions.rooms import LiveRooms
from engine.store.port import CallEvent, ClosedCall, IdempotentAnswer, NewCall, RecordingRow
from engine.webhooks.feed import Feed
from engine.webhooks.resolve import Guard
from engine.webhooks.sender import Sender
from tests.unit.call_control_fakes import TOKEN, TOKEN_2, FakeCallBook, FakeDevices, FakeFeedLog, FakeTokens
from tests.unit.due_fakes import FakeDue
from tests.unit.media_fakes import FakeMedia, FakeTranscripts
from tests.unit.otp_fakes import FakeOtpTemplates
from tests.unit.webhook_fakes import FakeHooks

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
AUTH = "s3cret-of-account-1"
AUTH_2 = "s3cret-of-account-2"
HEADERS = {"account": "account_1", "auth": AUTH}
HEADERS_2 = {"account": "account_2", "auth": AUTH_2}
CALLER_IDS = frozenset({"15168148111", "15168148720"})


def account(name: str = "account_1", **limits: Any) -> Account:
    return Account(name, 1234 if name == "account_1" else 1235, "91", CALLER_IDS, limits=Limits(**limits))


class FakeStore:
    """Journal, Calls, Accounts and Routes in one."""

    def __init__(self) -> None:
        self.away = False
        self.identities = {
            ("account_1", AUTH): Identity(account()),
            ("account_2", AUTH_2): Identity(account("account_2")),
        }
        self.appended: list[Any] = []
        self.durable = 0
        self.kept: dict[str, tuple[str, list[Event]]] = {}
        self.cdrs: list[CallRecord] = []
        self.keys: dict[tuple[str, str], IdempotentAnswer] = {}
        self.recordings: dict[str, RecordingRow] = {}
        self.table: list[Route] = [Route(1, "outbound", "", "trunk", "carrier")]
        self.next_id = 0

    def _reach(self) -> None:
        if self.away:
            raise StoreAway("away")

    def append(self, *records: Any) -> None:
        self.appended += records
        for record in records:
            if isinstance(record, NewCall):
                self.kept[record.request_id] = (record.account, [])
            elif isinstance(record, CallEvent):
                self.kept[record.request_id][1].append(record.event)
            elif isinstance(record, ClosedCall):
                self.cdrs += record.records

    async def committed(self) -> None:
        self.durable = len(self.appended)

    async def next_request_id(self) -> str:
        self.next_id += 1
        return f"{self.next_id:010x}"

    async def fingerprint_key(self) -> bytes:
        self._reach()
        return b"key"

    async def claim_key(
        self, account: str, key: str, fingerprint: str, answer: Mapping[str, Any]
    ) -> IdempotentAnswer | None:
        self._reach()
        if (account, key) in self.keys:
            return self.keys[account, key]
        self.keys[account, key] = IdempotentAnswer(fingerprint, answer)
        return None

    async def release_key(self, account: str, key: str, answer: Mapping[str, Any]) -> None:
        if (account, key) in self.keys and self.keys[account, key].answer == answer:
            del self.keys[account, key]

    async def events(self, request_id: str, account: str | None = None) -> list[Event] | None:
        self._reach()
        owner, events = self.kept.get(request_id, (None, []))
        return events if owner is not None and account in (None, owner) else None

    async def timelines(self, request_ids: Sequence[str]) -> dict[str, list[Event]]:
        self._reach()
        return {request_id: self.kept[request_id][1] for request_id in request_ids}

    async def listed(self, account: str | None, *, states: Sequence[str], limit: int, before: str | None) -> list[str]:
        self._reach()
        found = []
        for request_id, (owner, events) in sorted(self.kept.items(), reverse=True):
            state = replay(events).state
            shown = state if state in ("scheduled", "ended") else "live"
            if owner == account and shown in states and (before is None or request_id < before):
                found.append(request_id)
        return found[:limit]

    async def cdr_by_request(self, account: str, request_id: str) -> list[CallRecord] | None:
        self._reach()
        if await self.events(request_id, account) is None:
            return None
        return [row for row in self.cdrs if row.request_id == request_id]

    async def cdr_by_date(
        self, account: str, start: datetime, end: datetime, *, count: int, offset: int
    ) -> list[CallRecord]:
        self._reach()
        rows = [row for row in self.cdrs if row.account_id == account and start <= row.call_date < end]
        return rows[offset : offset + count]

    async def recording(self, account: str | None, name: str) -> RecordingRow | None:
        row = self.recordings.get(name)
        return row if row and account in (None, row.account) else None

    async def identify(self, account: str, auth: str) -> Identity | None:
        self._reach()
        return self.identities.get((account, auth))

    def current(self) -> Sequence[Route]:
        return self.table


class FakeEngine:
    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.calls: dict[str, Call] = {}
        self.started: list[NewCall] = []
        self.ended: list[str] = []
        self.channels: dict[tuple[str, str], tuple[str, str, str]] = {}
        self.controlled: list[tuple[str, str, str, dict[str, Any], str]] = []
        self.refuses: Exception | None = None
        self.parts = {"asterisk": True, "postgres": True, "ami": True}
        self.busy: int | None = None
        self.codes = Codes()
        self.leads: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self.hold = asyncio.Event()
        self.hold.set()

    def ready(self) -> Mapping[str, bool]:
        return self.parts

    def accepting(self) -> None:
        if self.refuses:
            raise self.refuses

    def live_calls(self, account: str) -> int:
        live = sum(call.account == account for call in self.calls.values())
        return live if self.busy is None else self.busy

    async def start_call(self, call: NewCall) -> None:
        self.accepting()
        self.started.append(call)
        await self.hold.wait()
        event = created(call)
        self.store.append(call, CallEvent(call.request_id, event))
        self.calls[call.request_id] = replay([event])

    def find(self, request_id: str) -> Call | None:
        return self.calls.get(request_id)

    def leads_to(self, account: str, code: str) -> tuple[str, Mapping[str, Any]] | None:
        return self.leads.get(code)

    async def live_flows(self, account: str) -> list[LiveFlow]:
        calls = [call for call in self.calls.values() if call.account == account]
        return [LiveFlow(call.flow, call.direction, call.campaign_id is not None, 1) for call in calls]

    async def end_call(self, request_id: str) -> None:
        self.ended.append(request_id)

    async def channel(self, account: str, name: str) -> tuple[str, str, str] | None:
        return next((found for (owner, each), found in self.channels.items() if (owner, each) == (account, name)), None)

    async def control(
        self, request_id: str, action: str, leg: str, fields: Mapping[str, Any], *, by: str = "api"
    ) -> Mapping[str, Any]:
        self.controlled.append((request_id, action, leg, dict(fields), by))
        return {"leg_id": leg}


def created(call: NewCall) -> Event:
    data = {
        "request_id": call.request_id,
        "account": call.account,
        "flow": call.flow,
        "direction": call.direction,
        "params": dict(call.params),
    }
    return Event(Kind.CALL_CREATED, call.created_at, data=data, seq=1)


@dataclass
class World:
    folder: Path
    store: FakeStore = field(default_factory=FakeStore)

    def __post_init__(self) -> None:
        self.engine = FakeEngine(self.store)
        self.time = T0
        self.registry = CollectorRegistry()
        self.media = FakeMedia()
        self.transcripts = FakeTranscripts()
        self.templates = FakeOtpTemplates()
        self.lists: Any = None
        self.campaigns: Any = None
        self.due = FakeDue()
        self.hooks = FakeHooks()
        first, second = (self.store.identities[name] for name in (("account_1", AUTH), ("account_2", AUTH_2)))
        self.tokens = FakeTokens({TOKEN: first, TOKEN_2: second})
        self.call_book = FakeCallBook(self.store)
        self.devices = FakeDevices()
        self.feed_log = FakeFeedLog()
        self.feed = Feed(self.feed_log, "e1")
        self.sender = Sender(Guard(lookup=self.hooks.lookup))

    def context(self) -> Context:
        config = parse(
            {
                "state": self.folder,
                "objects": self.folder / "objects",
                "recordings": self.folder / "recordings",
                "database": {"dsn": "postgresql://nowhere"},
                "http": {"max_body": 4096},
                "asterisk": [{"ari_password": "x", "ami_secret": "x"}],
            }
        )
        store: Any = self.store
        return Context(
            config, store, store, store, store, self.engine, self.hooks, self.sender,
            media.library(config, self.media), media.objects(config), self.transcripts, self.templates, self.lists,
            campaigns=self.campaigns, due=self.due, rooms=RoomDesk(store, LiveRooms({}), store), tokens=self.tokens, call_book=self.call_book, devices=self.devices, feed=self.feed,
            codes=self.engine.codes, registry=self.registry, now=lambda: self.time,
        )  # fmt: skip

    def limit(self, **limits: Any) -> None:
        self.store.identities["account_1", AUTH] = Identity(account(**limits))

    def scope(self, *scopes: str) -> None:
        self.store.identities["account_1", AUTH] = Identity(account(), frozenset(scopes))

    def ended_call(self, request_id: str = "00000000aa", owner: str = "account_1") -> None:
        """A call that talked and ended, in the store alone."""
        call = NewCall(request_id, owner, "click_to_call", "outbound", "e1", T0, {"agent_number": "919979270001"})
        leg = {
            "leg_id": "4b3d7f3e-0000-4000-8000-000000000001",
            "role": "agent",
            "number": "919979270001",
            "endpoint": "PJSIP/919979270001@carrier",
            "channel_id": f"tl-{request_id}-1",
        }
        second = timedelta(seconds=1)
        self.store.append(
            call,
            CallEvent(request_id, created(call)),
            CallEvent(request_id, Event(Kind.LEG_CREATED, T0, 1, leg, 2)),
            CallEvent(request_id, Event(Kind.LEG_RINGING, T0 + second, 1, seq=3)),
            CallEvent(request_id, Event(Kind.LEG_ENDED, T0 + 2 * second, 1, {"sip_code": 486, "q850": 17}, 4)),
            CallEvent(request_id, Event(Kind.CALL_ENDED, T0 + 2 * second, data={"end_reason": "busy"}, seq=5)),
        )

    def cdr(self, **changes: Any) -> CallRecord:
        record = CallRecord(
            request_id="00000000aa",
            conversation=0,
            account_id="account_1",
            agent_number="919979270001",
            customer_number="918000680002",
            caller_id="15168148111",
            dialed_number="918000680002",
            call_direction="outbound-api",
            destination_context="click2call",
            dial_status="ANSWER",
            call_status="ANSWERED",
            call_date=T0 + timedelta(seconds=17),
            started_at=T0,
            answered_at=T0 + timedelta(seconds=10),
            ended_at=T0 + timedelta(seconds=17),
            call_duration=17.0,
            billsec=7.26955,
            uniqueid="tl-00000000aa-1",
            end_reason="completed",
            id=352,
        )
        made = replace(record, **changes)
        self.store.cdrs.append(made)
        return made
