"""Who is told what: subscriptions, their delivery log, and messages of any kind for whoever wants them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.errors import AddressRefused, InvalidFields, NotFound, StateConflict
from engine.ids import token
from engine.webhooks import types, urls
from engine.webhooks.port import Delivery, Hooks, Webhook
from engine.webhooks.resolve import Guard
from engine.webhooks.signing import new_secret

PARAM = "notify"
"""The call's param that holds its notify URLs: ``[{"url", "types"}]``. The journal makes messages for them."""


@dataclass(frozen=True, slots=True)
class Made:
    webhook: Webhook
    secret: str


async def checked_url(guard: Guard, text: str, *, field: str = "url") -> str:
    """The URL as it will be asked for. Raises InvalidFields when it is none, or leads where it must not."""
    try:
        url = urls.parse(text)
        await guard.check(url)
    except (urls.BadUrl, AddressRefused) as error:
        raise InvalidFields({field: str(error)}) from None
    return str(url)


def checked_types(given: Sequence[str], *, field: str = "types") -> tuple[str, ...]:
    """Without repetitions. Raises InvalidFields for an unknown one, or none at all."""
    if not given:
        raise InvalidFields({field: "must name at least one type"})
    if wrong := types.unknown(given):
        shown = ", ".join(each[:64] for each in wrong[:5])
        raise InvalidFields({field: f"unknown: {shown}; there are {', '.join((*types.TYPES, *types.FAMILIES))}"})
    return tuple(dict.fromkeys(given))


async def notify_param(guard: Guard, url: str, wanted: Sequence[str], *, field: str = "url") -> list[dict[str, Any]]:
    """Value of a call's param ``notify``, so that each event of these types is POSTed to ``url``, signed with the
    account's secret. Raises InvalidFields."""
    return [{"url": await checked_url(guard, url, field=field), "types": list(checked_types(wanted))}]


async def enqueue_notification(
    hooks: Hooks,
    account: str,
    kind: str,
    subject: str,
    data: Mapping[str, Any],
    *,
    url: str | None = None,
    sequence: int | None = None,
) -> list[int]:
    """Tell the account's hooks that take ``kind`` (``campaign.started``), or ``url`` alone, of something that is no event
    of a call. ``subject`` is what it is about; messages of one subject arrive in order. ``url`` must have passed
    ``checked_url``. Ids of the deliveries. Raises StoreAway."""
    return await hooks.publish(account, kind, subject, data, url=url, sequence=sequence)


async def subscribe(
    ctx: Context, account: str, *, url: str, wanted: Sequence[str], key: Key | None = None
) -> Mapping[str, Any]:
    """``{"id", "secret"}``. Raises InvalidFields, StateConflict (too many, or the key was used otherwise)."""
    target, taken = await checked_url(ctx.sender.guard, url), checked_types(wanted)
    answer = {"id": token("WH"), "secret": new_secret()}

    async def act() -> None:
        await ctx.hooks.add(answer["id"], account, target, taken, answer["secret"])

    async def happened(first: Mapping[str, Any]) -> bool:
        return await ctx.hooks.get(account, first["id"]) is not None

    return await once(ctx, account, key, answer, act=act, happened=happened)


async def show(ctx: Context, account: str, webhook_id: str) -> Webhook:
    found = await ctx.hooks.get(account, webhook_id)
    if found is None:
        raise NotFound("no web hook has this id")
    return found


async def remove(ctx: Context, account: str, webhook_id: str) -> None:
    if not await ctx.hooks.remove(account, webhook_id):
        raise NotFound("no web hook has this id")


async def deliveries(
    ctx: Context, account: str, webhook_id: str, *, state: str | None, limit: int, before: int | None
) -> tuple[list[Delivery], int | None]:
    """A page of the log, newest first, and the cursor of the next. Raises NotFound."""
    await show(ctx, account, webhook_id)
    found = await ctx.hooks.deliveries(account, webhook_id, state=state, limit=limit + 1, before=before)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def redeliver(ctx: Context, account: str, webhook_id: str, delivery: int) -> None:
    """Raises NotFound, StateConflict while it is under way."""
    await show(ctx, account, webhook_id)
    if not await ctx.hooks.redeliver(account, webhook_id, delivery):
        log = await ctx.hooks.deliveries(account, webhook_id, state=None, limit=1, before=delivery + 1)
        if log and log[0].id == delivery:
            raise StateConflict("the delivery is under way")
        raise NotFound("no delivery has this id")


async def test(ctx: Context, account: str, webhook_id: str) -> int:
    """Send the hook a message of type ``webhook.test``; the delivery's id. Raises NotFound."""
    hook = await show(ctx, account, webhook_id)
    made = await send_test(ctx.hooks, hook)
    if made is None:
        raise NotFound("no web hook has this id")
    return made


async def send_test(hooks: Hooks, hook: Webhook) -> int | None:
    """None: the hook is gone. Its subject is its own, so that it waits behind nothing."""
    data = {"webhook_id": hook.id, "account": hook.account, "types": list(hook.types)}
    made = await hooks.publish(hook.account, types.TEST, token("test-"), data, webhook_id=hook.id)
    return made[0] if made else None
