"""An account (tenant) as the engine needs it: who it is, what it may dial and how long it waits."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

SCOPES = ("read", "call", "campaign", "admin")


@dataclass(frozen=True, slots=True)
class Limits:
    """Per-account limits; the defaults are those of a fresh account (CONTRACT §1). Times in seconds."""

    concurrent_calls: int = 500
    agent_ring: int = 30
    destination_ring: int = 45
    max_duration: int = 7200
    park_comeback: int = 120
    """After which a parked party rings back the phone that it talked to; 0: never."""
    requests_per_minute: int = 0
    """0: no limit."""
    allowed_prefixes: tuple[str, ...] = ()
    """Empty: all, but for closed ranges."""
    open_ranges: tuple[str, ...] = ()
    """Closed ranges opened for this account: premium, satellite."""
    connect_prompt: bool = True
    campaign_connect: str = "ivr:welcome"
    """Where campaigns of type 1 lead that don't say it: ``ivr:NAME``, ``mailbox:N``, ``sip:…``, an extension,
    ``group:NAME``."""
    groups: tuple[str, ...] = ()
    """Groups of phones, each ``NAME:EXTENSION:EXTENSION…``."""
    abandonment_percent: int = 3
    """Live answers in 100 that a campaign which connects to people may abandon."""


@dataclass(frozen=True, slots=True)
class Account:
    account: str
    """The value of the ``account`` header, and ``account_id`` of its CDRs."""
    number: int
    """Number in call-control paths."""
    country: str
    """Calling code given to ten-digit numbers, digits alone."""
    caller_ids: frozenset[str]
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    limits: Limits = field(default_factory=Limits)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request: an account, and what its credential allows."""

    account: Account
    scopes: frozenset[str] = frozenset(SCOPES)
