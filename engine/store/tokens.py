"""Bearer tokens of accounts: random, hashed as credentials are (engine.store.accounts), each with an end."""

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from engine import ids
from engine.calls.account import SCOPES, Identity
from engine.errors import InvalidFields, NotFound, Unauthenticated
from engine.store.accounts import PgAccounts, digest
from engine.store.pool import Database
from engine.store.port import IssuedToken, TokenRow

PREFIX = "tlt_"
"""Begins each token, so that one that leaked is found by those who look for secrets."""
LONGEST = 366 * 24 * 3600
"""Seconds that a token may be good for."""
_KEPT = 60.0
"""Seconds for which a token that was found good is served without asking again."""
_MOST = 10_000
"""Tokens remembered."""


@dataclass(frozen=True, slots=True)
class _Known:
    account: str
    hash: bytes
    scopes: frozenset[str]
    expires_at: datetime
    since: float


class PgTokens:
    """Implements ``engine.store.port.Tokens``."""

    def __init__(
        self, database: Database, accounts: PgAccounts | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._accounts = accounts or PgAccounts(database)
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._turn = 0
        database.listener.subscribe(self.heard)

    def heard(self, table: str | None) -> None:
        if table in (None, "tokens", "credentials"):
            self._turn += 1
            self._known.clear()

    async def issue(
        self, account: str, *, scopes: Sequence[str] = SCOPES, lifetime: int, auth: str | None = None
    ) -> IssuedToken:
        """A new token of the account, good for ``lifetime`` seconds; shown this once. ``auth`` is the secret that it is
        given for, with which it ends. Raises InvalidFields."""
        if not scopes or not set(scopes) <= set(SCOPES):
            raise InvalidFields({"scopes": f"must be some of {', '.join(SCOPES)}"})
        if not 0 < lifetime <= LONGEST:
            raise InvalidFields({"lifetime": f"must be from 1 to {LONGEST} seconds"})
        token, number = PREFIX + secrets.token_urlsafe(32), ids.token("TK")
        expires_at = await self._database.fetchval(
            "add_token", number, account, digest(auth) if auth else None, digest(token), list(scopes), lifetime
        )
        return IssuedToken(number, token, tuple(scopes), lifetime, expires_at)

    async def identify(self, token: str) -> Identity:
        """Whose it is. Raises Unauthenticated, one text for all cases, StoreAway."""
        wanted = digest(token)
        known = self._known.get(wanted)
        if known is None or self._clock() - known.since > _KEPT:
            known = await self._load(wanted)
        account = await self._accounts.get(known.account) if known and _good(known, wanted) else None
        if known is None or account is None or not account.enabled:
            raise Unauthenticated("the token is unknown, expired or revoked")
        return Identity(account, known.scopes)

    async def _load(self, wanted: bytes) -> _Known | None:
        turn, since = self._turn, self._clock()
        row = await self._database.fetchrow("token", wanted)
        if row is None:
            return None
        known = _Known(row["account"], bytes(row["hash"]), frozenset(row["scopes"]), row["expires_at"], since)
        if turn == self._turn:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[wanted] = known
        return known

    async def all(self, account: str | None) -> list[TokenRow]:
        return [
            TokenRow(**{**row, "scopes": tuple(row["scopes"])}) for row in await self._database.fetch("tokens", account)
        ]

    async def revoke(self, token_id: str) -> None:
        """Raises NotFound, also when it is revoked already."""
        if await self._database.fetchval("revoke_token", token_id) is None:
            raise NotFound(f"no token {token_id} that could be revoked")

    async def revoke_all(self, account: str) -> int:
        """How many were good until now."""
        return int(await self._database.fetchval("revoke_tokens", account))


def _good(known: _Known, wanted: bytes) -> bool:
    same = hmac.compare_digest(known.hash, wanted)
    return same and bool(known.scopes) and known.expires_at > datetime.now(UTC)
