"""One request, one effect: ``Idempotency-Key`` for every command that creates something (CONTRACT §2).

The key is claimed in the database before anything is done, together with the answer that will be given, so that two
requests at the same moment, even at two engines, have one effect. A claim whose request came to nothing is released;
one whose engine died before it committed is taken over once it is older than ``ORPHAN_AFTER``.
"""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engine.commands.context import Context
from engine.errors import InvalidFields, StateConflict, StoreError, Unavailable
from engine.store.port import IdempotentAnswer

HEADER = "Idempotency-Key"
ORPHAN_AFTER = 30.0
"""Seconds after which a claim that shows no effect is taken for one whose engine died."""
WAIT, POLL = 2.0, 0.05
"""Seconds a duplicate waits for the first request, and between looks."""
_SECRET_FIELDS = frozenset({"otp"})
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Key:
    key: str
    fingerprint: str


async def key_of(ctx: Context, header: str, *, operation: str, body: Mapping[str, Any]) -> Key:
    """The key of a request. Raises InvalidFields when it is empty, too long or not printable, StoreAway."""
    if not _KEY.fullmatch(header):
        raise InvalidFields({HEADER: "must be 1 to 255 printable ASCII characters"})
    secret = await ctx.calls.fingerprint_key()
    return Key(header, fingerprint(body, secret=secret, operation=operation))


def fingerprint(body: Mapping[str, Any], *, secret: bytes, operation: str) -> str:
    """HMAC of the operation and the body, keys sorted; secrets such as ``otp`` are left out, so that none is kept."""
    kept = {name: value for name, value in body.items() if "".join(name.split()) not in _SECRET_FIELDS}
    canonical = json.dumps([operation, kept], sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, canonical.encode(), hashlib.sha256).hexdigest()


async def once(
    ctx: Context,
    account: str,
    key: Key | None,
    answer: Mapping[str, Any],
    *,
    act: Callable[[], Awaitable[None]],
    happened: Callable[[Mapping[str, Any]], Awaitable[bool]],
) -> Mapping[str, Any]:
    """Do ``act`` and give ``answer``; or, when ``key`` was used before, do nothing and give the first answer.

    ``happened`` tells whether what an earlier answer promised is there. Raises StateConflict when the key was used with
    another body, Unavailable while the first request is still under way.
    """
    if key is None:
        await act()
        return answer
    claim = {"answer": dict(answer), "claimed_at": ctx.now().timestamp()}
    first = await _claim(ctx, account, key, claim, happened)
    if first is not None:
        return first
    try:
        await act()
    except Exception:  # not when cancelled: the effect may be there, and ``happened`` will tell
        await ctx.calls.release_key(account, key.key, claim)
        raise
    return answer


async def remembered(
    ctx: Context, account: str, key: Key | None, act: Callable[[], Awaitable[Mapping[str, Any]]]
) -> Mapping[str, Any]:
    """Do ``act`` and give its answer; or, when ``key`` was used before, do nothing and give the first answer.

    For what has an answer only when it is done, and does no harm when done twice: a claim without an answer whose engine
    died is taken over like any other. Raises what ``once`` does.
    """
    if key is None:
        return await act()

    async def answered(answer: Mapping[str, Any] | None) -> bool:
        return answer is not None

    claim: dict[str, Any] = {"answer": None, "claimed_at": ctx.now().timestamp()}
    first = await _claim(ctx, account, key, claim, answered)
    if first is not None:
        return first
    try:
        answer = await act()
    except Exception:
        await ctx.calls.release_key(account, key.key, claim)
        raise
    with suppress(StoreError):  # it is done, whether the key can be kept or not
        await ctx.calls.release_key(account, key.key, claim)
        await ctx.calls.claim_key(account, key.key, key.fingerprint, {**claim, "answer": dict(answer)})
    return answer


async def _claim(
    ctx: Context,
    account: str,
    key: Key,
    claim: dict[str, Any],
    happened: Callable[[Mapping[str, Any]], Awaitable[bool]],
) -> Mapping[str, Any] | None:
    """None: the key is ours. Else the answer of the first request, once its effect is there."""
    deadline = time.monotonic() + WAIT
    while True:
        claim["claimed_at"] = ctx.now().timestamp()
        first = await ctx.calls.claim_key(account, key.key, key.fingerprint, claim)
        if first is None:
            return None
        promised = _promised(first, key)
        if await happened(promised):
            return promised
        if ctx.now().timestamp() - float(first.answer["claimed_at"]) > ORPHAN_AFTER:
            await ctx.calls.release_key(account, key.key, first.answer)
        elif time.monotonic() > deadline:
            raise Unavailable("the first request with this key is still under way", retry_after=1)
        else:
            await asyncio.sleep(POLL)


def _promised(first: IdempotentAnswer, key: Key) -> Mapping[str, Any]:
    if not hmac.compare_digest(first.fingerprint, key.fingerprint):
        raise StateConflict("this idempotency key was used with another request")
    promised: Mapping[str, Any] = first.answer["answer"]
    return promised
