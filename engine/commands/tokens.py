"""Bearer tokens for accounts: OAuth 2.0 client credentials (RFC 6749 §4.4), the account its own client."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.calls.account import SCOPES
from engine.commands.context import Context
from engine.errors import Forbidden, InvalidFields, Unauthenticated
from engine.store.port import IssuedToken

LIFETIME = 3600
"""Seconds that a token is good for which a client asked for."""


@dataclass(frozen=True, slots=True)
class Grant:
    """``auth`` is the account's secret; no ``scopes``: all that it has."""

    account: str
    auth: str
    scopes: Sequence[str] = ()


async def execute(ctx: Context, grant: Grant) -> IssuedToken:
    """A token for an account that proves its secret.

    Raises Unauthenticated, InvalidFields (a scope that is none), Forbidden (one that the secret has not), StoreAway.
    """
    identity = await ctx.accounts.identify(grant.account, grant.auth)
    if identity is None:
        raise Unauthenticated("missing or wrong credentials")
    held = set(SCOPES) if "admin" in identity.scopes else set(identity.scopes)
    if unknown := [scope for scope in grant.scopes if scope not in SCOPES]:
        raise InvalidFields({"scope": f"must be some of {', '.join(SCOPES)}, not {unknown[0][:32]!r}"})
    if missing := [scope for scope in grant.scopes if scope not in held]:
        raise Forbidden(f"the secret has not the scope {missing[0]}", rule="scope")
    scopes = [scope for scope in SCOPES if scope in (grant.scopes or identity.scopes)]
    return await ctx.tokens.issue(grant.account, scopes=scopes, lifetime=LIFETIME, auth=grant.auth)
