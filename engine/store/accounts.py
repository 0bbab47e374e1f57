"""Accounts and their credentials.

A credential is a random token of at least 128 bits. It can't be guessed however fast a guess can be checked, so one
SHA-256 is the right hash for it; a slow one (for words that people choose) would only slow each request.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engine.calls.account import SCOPES, Account, Identity
from engine.errors import StoreAway, StoreError
from engine.store import rows
from engine.store.pool import Database
from engine.store.queries import query

_KEPT = 60.0
"""Seconds for which what is known of an account is served without asking again."""
_RENEWED = 15.0
"""Age at which it is asked for again, aside, so that an outage finds it young."""


@dataclass(frozen=True, slots=True)
class Known:
    account: Account
    credentials: tuple[tuple[bytes, frozenset[str]], ...]
    since: float


def digest(auth: str) -> bytes:
    return hashlib.sha256(auth.encode("utf-8", "surrogatepass")).digest()


def match(known: Known | None, auth: str) -> Identity | None:
    """Compares with every credential in constant time, so that its duration tells nothing."""
    wanted = digest(auth)
    scopes: frozenset[str] | None = None
    for found, allowed in known.credentials if known else ((bytes(32), frozenset()),):
        if hmac.compare_digest(found, wanted):
            scopes = allowed
    return Identity(known.account, scopes) if known and scopes and known.account.enabled else None


class PgAccounts:
    """Implements ``engine.store.port.Accounts``."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._turn = 0
        """Counts invalidations: an answer asked for before one is not remembered after it."""
        self._renewals: set[str] = set()

    async def start(self) -> None:
        """Hear of changes from now on; may be called again."""
        self._database.listener.subscribe(self.heard)

    def heard(self, table: str | None) -> None:
        if table in (None, "accounts", "credentials", "caller_ids"):
            self._turn += 1
            self._known.clear()

    async def identify(self, account: str, auth: str) -> Identity | None:
        """None for unknown, wrong, revoked and disabled alike. Raises StoreAway when it is not known from memory."""
        remembered = self._known.get(account)
        known = await self._get(account)
        identity = match(known, auth)
        if identity is None and known is not None and known is remembered:
            # It may be new, and its notification on the way.
            try:
                identity = match(await self._load(account), auth)
            except StoreAway:
                return None
        return identity

    async def get(self, account: str) -> Account | None:
        known = await self._get(account)
        return known.account if known else None

    async def seed(self, accounts: Sequence[Mapping[str, Any]]) -> None:
        """Create those that do not exist; the first time, with no route there, all numbers lead to the trunk
        ``carrier``."""
        created = 0
        for entry in accounts:
            async with self._database.transaction() as connection:
                taken = await connection.fetchval(
                    query("seed_account"), entry["account"], entry["number"], entry["country"]
                )
                if taken is None:
                    continue
                await connection.execute(query("add_credential"), entry["account"], digest(entry["auth"]), list(SCOPES))
                await connection.execute(query("add_caller_ids"), entry["account"], list(entry["caller_ids"]))
                created += 1
        if created:
            await self._database.fetchval("seed_routes", "carrier")
        self.heard(None)

    async def _get(self, account: str) -> Known | None:
        known = self._known.get(account)
        if known is None or self._age(known) > _KEPT:
            return await self._load(account)
        if self._age(known) > _RENEWED and account not in self._renewals:
            self._renewals.add(account)
            self._database.spawn(self._renew(account), f"renew {account}")
        return known

    async def _renew(self, account: str) -> None:
        try:
            with suppress(StoreError):
                await self._load(account)
        finally:
            self._renewals.discard(account)

    def _age(self, known: Known) -> float:
        return self._clock() - known.since

    async def _load(self, account: str) -> Known | None:
        turn, since = self._turn, self._clock()
        if "\0" in account or not account.isprintable():
            return None
        row = await self._database.fetchrow("account", account)
        if row is None:
            self._known.pop(account, None)
            return None
        credentials = tuple((bytes(hash_), frozenset(scopes.split(","))) for hash_, scopes in row["credentials"])
        known = Known(rows.account(row), credentials, since)
        if turn == self._turn:
            self._known[account] = known
        return known


def new_auth() -> str:
    """A fresh token: 32 lower-case hex digits, 128 random bits."""
    return secrets.token_hex(16)
