"""Who asks: headers ``account`` and ``auth``, or a bearer token; and whether the credential allows it."""

from aiohttp import web

from engine.calls.account import Identity
from engine.commands.context import Context
from engine.errors import Forbidden, Unauthenticated

_LONGEST = 256
"""Characters of any of these headers; no account, no secret and no token of ours is longer."""
_REFUSAL = "missing or wrong credentials"
"""One text for all cases, so that nobody learns which accounts exist."""
BEARER = "bearer "


async def identify(ctx: Context, request: web.Request) -> Identity:
    """Raises Unauthenticated, StoreAway when the credential can't be looked up."""
    if has_bearer(request):
        return await identify_bearer(ctx, request)
    account, auth = request.headers.get("account", ""), request.headers.get("auth", "")
    if not (_sane(account) and _sane(auth)):
        raise Unauthenticated(_REFUSAL)
    identity = await ctx.accounts.identify(account, auth)
    if identity is None:
        raise Unauthenticated(_REFUSAL)
    return identity


def has_bearer(request: web.Request) -> bool:
    return request.headers.get("Authorization", "")[: len(BEARER)].lower() == BEARER


async def identify_bearer(ctx: Context, request: web.Request) -> Identity:
    """By a token alone. Raises as ``identify``."""
    if not has_bearer(request):
        raise Unauthenticated("a bearer token is needed")
    token = request.headers["Authorization"][len(BEARER) :].strip()
    if not _sane(token):
        raise Unauthenticated("the token is unknown, expired or revoked")
    return await ctx.tokens.identify(token)


def _sane(header: str) -> bool:
    return 0 < len(header) <= _LONGEST and header.isprintable()


def require(identity: Identity, scope: str) -> None:
    """Raises Forbidden unless the credential has ``scope``, or ``admin``, which holds all."""
    if scope not in identity.scopes and "admin" not in identity.scopes:
        raise Forbidden(f"the credential lacks the scope {scope}", rule="scope")
