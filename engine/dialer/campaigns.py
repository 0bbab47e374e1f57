"""A campaign, and what is asked of the engine's memory for it.

What is done to a campaign is one function of the database each (sql/migrations/0017_campaigns.sql): it is seen by every
engine at the same instant, and what follows from it stands in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from engine.calls.record import CallRecord

STATES = ("scheduled", "running", "paused", "completed", "stopped")
"""Their places are the document's ``campaign_status``."""


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """``announcement``: text or file, repeat, voice, language, rate, pitch, volume, engine; safe_harbour."""

    id: str
    account: str
    name: str
    type: int
    """0: says something; 1: says it, then connects."""
    list_id: str
    dnd_list_id: str | None
    caller_id: str
    announcement: Mapping[str, Any]
    variables: Sequence[str]
    """Fields of contacts that the text needs."""
    missing: str
    """What is done with a contact that lacks one: refuse, skip or empty."""
    connect_to: str
    people: bool
    """It connects to people: the abandonment ledger applies."""
    abandon_percent: float
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    calls_per_minute: int
    max_concurrent: int | None
    max_retries: int
    retry_seconds: int
    retry_on: Sequence[str]
    rules: Mapping[str, Any] = field(default_factory=dict)
    """``engine.dialer.port.Rules`` in JSON."""


@dataclass(frozen=True, slots=True)
class Campaign(NewCampaign):
    """``list`` and ``dnd_list``: the lists as contacts name them."""

    list: int = 0
    dnd_list: int | None = None
    state: str = "scheduled"
    reason: str | None = None
    """Why it was paused, when nobody asked for that: ``abandonment``."""
    total: int | None = None
    """Contacts it calls; known once it has begun."""
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """``statuses``: CDRs by dial status; ``results``: contacts that are done, by what became of them; ``keys``: how often
    each key was pressed."""

    statuses: Mapping[str, int]
    results: Mapping[str, int]
    keys: Mapping[str, int]
    under_way: int
    answers: int = 0
    """Live answers of the last 30 days, of a campaign that connects to people."""
    abandoned: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A line of the abandonment ledger."""

    request_id: str
    number: str
    answered_at: datetime
    waiting_at: datetime | None
    """When the announcement was over, and the two seconds began."""
    connected_at: datetime | None
    ended_at: datetime
    outcome: str
    """connected, abandoned or left (hung up before the two seconds were over)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A contact of a list, as a campaign sees it."""

    id: int
    number: str
    fields: Mapping[str, str]
    dnd: bool


class Campaigns(Protocol):
    """``account`` None: an operator asks. Unknown, deleted and foreign are None. Everything raises StoreAway while
    PostgreSQL is."""

    async def add(self, campaign: NewCampaign) -> bool:
        """False: a list of it is gone. One whose start has come is begun at once. Raises Duplicate when the name is
        taken."""

    async def all(self, account: str | None) -> list[Campaign]:
        """In the order in which they were made."""

    async def get(self, account: str | None, campaign_id: str) -> Campaign | None: ...

    async def counts(self, campaign: Campaign) -> Counts: ...

    async def lacking(self, account: str, list_id: str, variables: Sequence[str]) -> tuple[int, Sequence[str]]:
        """How many contacts lack one of these fields, and the numbers of the first ones."""

    async def stop(self, account: str | None, campaign_id: str) -> str | None:
        """``done``, or the state that forbids it. So the following."""

    async def pause(self, account: str | None, campaign_id: str) -> str | None: ...

    async def resume(self, account: str | None, campaign_id: str) -> str | None:
        """``abandonment``: too many of those who answered were abandoned."""

    async def pace(
        self, account: str | None, campaign_id: str, *, per_minute: int | None, concurrent: int | None
    ) -> str | None: ...

    async def delete(self, account: str | None, campaign_id: str) -> str | None: ...

    async def delete_list(self, account: str, list_id: str) -> str | None:
        """``done``; ``used``: a campaign that is not over needs it."""

    async def contacts(self, campaign: Campaign, *, after: int, limit: int) -> list[Listed]:
        """Ascending by id."""

    async def answers(self, campaign_id: str, *, after: tuple[datetime, str] | None, limit: int) -> list[Answer]:
        """The ledger, ascending by time of answer; ``after``: time and request id of the last one."""

    async def records(self, campaign_id: str, *, after: int, limit: int) -> list[CallRecord]:
        """CDRs ascending by id."""

    async def record_counts(self, account: str) -> Mapping[str, int]:
        """CDRs of the account by dial status."""

    # what the dialer asks

    async def to_dial(self, campaign_id: str) -> Campaign | None: ...

    async def unwanted(self, campaign: Campaign, number: str) -> bool:
        """Whether the number is on the campaign's do-not-dial list."""

    async def feed(self, campaign_id: str, most: int) -> int:
        """Make due calls of the next contacts; how many."""

    async def drained(self, campaign_id: str) -> bool:
        """Complete it, if nothing is left to do."""
