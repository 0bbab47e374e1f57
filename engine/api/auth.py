"""Who asks: headers ``account`` and ``auth``, and whether their credential allows it."""

from aiohttp import web

from engine.calls.account import Identity
from engine.errors import Forbidden, Unauthenticated
from engine.store.port import Accounts

_LONGEST = 256
"""Characters of either header; no account and no secret of ours is longer."""
_REFUSAL = "missing or wrong credentials"
"""One text for all cases, so that nobody learns which accounts exist."""


async def identify(accounts: Accounts, request: web.Request) -> Identity:
    """Raises Unauthenticated, StoreAway when the credential can't be looked up."""
    account, auth = request.headers.get("account", ""), request.headers.get("auth", "")
    if not (_sane(account) and _sane(auth)):
        raise Unauthenticated(_REFUSAL)
    identity = await accounts.identify(account, auth)
    if identity is None:
        raise Unauthenticated(_REFUSAL)
    return identity


def _sane(header: str) -> bool:
    return 0 < len(header) <= _LONGEST and header.isprintable()


def require(identity: Identity, scope: str) -> None:
    """Raises Forbidden unless the credential has ``scope``, or ``admin``, which holds all."""
    if scope not in identity.scopes and "admin" not in identity.scopes:
        raise Forbidden(f"the credential lacks the scope {scope}", rule="scope")
