"""Due calls, and what the dialer asks of its memory.

A due call waits in a lane. A campaign has a lane of its own, whose name is the campaign's id; all else of an account waits
in ``account_lane(account)``. An engine claims a few due calls of a lane for the next second, asks their kind whether and how
each is to be dialled when its instant has come, and places it: in one transaction the due call becomes ``placed`` and a call
is written down for it. Only then does Asterisk hear of it. What becomes of a placed call is told by the end of the call,
in the transaction that writes it (``due_settle`` in sql/migrations/0015_due_calls.sql): another try, or done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from engine.calls.events import Event
from engine.store.port import NewCall

CALLBACK, INSTANT, CAMPAIGN, FOLLOW_UP = "callback", "instant", "campaign", "follow_up"
RETRYABLE = ("BUSY", "NOANSWER", "CANCEL", "CHANUNAVAIL", "CONGESTION")
"""Dial statuses after which there may be another try. An unallocated number (404, cause 1) is never tried again."""

DUE_CALLS = "due_calls"
"""What the listener hears when something may be due sooner than was known."""

DND, EXPIRED, CANCELLED, REFUSED = "DND", "EXPIRED", "CANCELLED", "REFUSED"
"""Results of what was not dialled; REFUSED: the gate or the route table said no."""


def account_lane(account: str) -> str:
    return f"account/{account}"


@dataclass(frozen=True, slots=True)
class Rules:
    """When numbers of a lane may be called, where that is asked for; JSON in ``due_lanes.rules``, absent keys as here."""

    zone: str = "UTC"
    """Of ``schedule``, where the callee's own is not asked for or not known by its number alone."""
    schedule: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Day (mon … sun) → ``["09:00-12:00", "13:00-17:00"]``; a day that is missing is closed. Empty: always open."""
    callee_zone: bool = False
    """The schedule is meant in the callee's zone: open when it is open in every zone that its number may be in."""
    per_day: int | None = None
    """Tries of one number in 24 hours, of every kind and campaign of the account."""
    per_week: int | None = None
    """In 7 days."""


@dataclass(frozen=True, slots=True)
class NewDue:
    """A call to be dialled later. ``request_id``: it stands as a scheduled call from now on, and this is its id; its
    first try has it too. Without one, every try gets an id when it is placed."""

    kind: str
    account: str
    number: str
    due_at: datetime
    params: Mapping[str, Any] = field(default_factory=dict)
    lane: str = ""
    """Empty: the account's."""
    expires_at: datetime | None = None
    max_attempts: int = 1
    retry_seconds: int = 300
    retry_on: Sequence[str] = ()
    request_id: str | None = None
    flow: str = ""
    """Of the scheduled call; needed with ``request_id``."""
    code: str | None = None
    code_item: int = -1


@dataclass(frozen=True, slots=True)
class Due:
    """A row of ``due_calls``."""

    id: int
    lane: str
    kind: str
    account: str
    number: str
    params: Mapping[str, Any]
    state: str
    """due, claimed, placed or done."""
    due_at: datetime
    expires_at: datetime | None
    attempt: int
    """Tries made, that under way included."""
    max_attempts: int
    retry_seconds: int
    retry_on: Sequence[str]
    request_id: str | None
    result: str | None
    outcome: Mapping[str, Any] | None
    created_at: datetime
    ended_at: datetime | None
    campaign_id: str | None = None
    contact_id: int | None = None
    code: str | None = None
    code_item: int = -1


@dataclass(frozen=True, slots=True)
class Claimed:
    """A due call in this engine's hands. ``after``: seconds from the answer of the claim until its instant (negative:
    it is late). ``claim``: the number without which it can't be placed or given back."""

    due: Due
    claim: int
    after: float
    rules: Rules


@dataclass(frozen=True, slots=True)
class Claims:
    calls: Sequence[Claimed]
    hungry: Sequence[str]
    """Lanes that have fewer due calls left than a slice and are not fed to the end: their feeder is to be asked."""
    drained: Sequence[str]
    """Lanes of campaigns of which nothing is left to do: no due call, none under way, none to come, or the end has come."""
    again: float
    """Seconds until some lane is to be looked at again; at most a second or so."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of the wish to place a call. ``timeline``: of the call, its beginning; empty: it may not be dialled any
    more (stopped, changed, cancelled, taken over by another engine)."""

    timeline: Sequence[Event] = ()


class DueCalls(Protocol):
    """Due calls as customers' requests make and change them. Everything raises StoreAway while PostgreSQL is."""

    async def add(self, *calls: NewDue) -> list[Due]:
        """Keep them, all or none, and wake the dialers. With a ``request_id`` a scheduled call stands for each. Raises
        Duplicate when an instant call's code is there already."""

    async def get(self, account: str, due_id: int) -> Due | None: ...

    async def by_request(self, account: str, request_id: str) -> Due | None:
        """That of a call, be it scheduled, under way or over."""

    async def by_codes(self, account: str, codes: Sequence[str]) -> list[Due]:
        """Instant calls with one of these codes, by their place in their request."""

    async def change(
        self, account: str, request_id: str, *, params: Mapping[str, Any], number: str, due_at: datetime
    ) -> str | None:
        """Change what is not dialled yet, with the scheduled call that stands for it. The state that forbids it (placed,
        done, unknown); None: it is done."""

    async def cancel(self, account: str, which: str | int, *, at: datetime) -> str | None:
        """End what is not dialled, or not dialled again yet, as CANCELLED, with the scheduled call that stands for it.
        ``which``: the id of that call, or of the due call. The answer is as ``change`` gives it."""


class Dialing(Protocol):
    """What the dialer itself asks. Everything raises StoreAway while PostgreSQL is."""

    async def alive(self, engine: str, lease: float) -> int:
        """Renew this engine's lease on what it has claimed, for ``lease`` seconds; give claims of engines whose lease is
        over back. How many engines are alive."""

    async def restart(self, engine: str, keep: Sequence[int] = ()) -> int:
        """At the start, give back what the last process of this engine had claimed; later, claims whose answer was lost.
        ``keep``: due calls that are in hand."""

    async def claim(self, engine: str, *, room: int, full: Sequence[str], concurrent: int) -> Claims:
        """Claim at most ``room`` due calls for the next moments, by the pace and the caps of their lanes. ``full``:
        accounts that have no room here. ``concurrent``: calls at once of an account that has no limit of its own."""

    async def place(self, engine: str, claimed: Claimed, call: NewCall, server: str) -> Placed:
        """The due call is placed, and ``call`` is there with its first event; both or neither. For a scheduled call its own
        call goes live instead, with ``call``'s flow and params."""

    async def postpone(self, engine: str, claimed: Claimed, until: datetime | None) -> None:
        """Give a claim back, to be looked at then (None: soon)."""

    async def skip(self, engine: str, claimed: Claimed, result: str, *, at: datetime) -> bool:
        """It is done and was not dialled. False when it was no longer ours."""

    async def tries(self, account: str, number: str) -> tuple[Sequence[datetime], datetime]:
        """When the account tried the number within the last seven days, ascending; and now, by PostgreSQL's clock."""

    async def lost(self, older: float) -> int:
        """End due calls placed more than ``older`` seconds ago whose engine never told of an end; how many."""

    async def forget(self, days: int, most: int) -> int:
        """Delete at most so many of those that ended more than so many days ago; how many it were."""
