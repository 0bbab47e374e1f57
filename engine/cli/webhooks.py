"""``trunkline webhooks``: who is told of what happens, and whether it arrived."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine import config
from engine.api.views import iso
from engine.api.webhooks import delivery_view
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.commands.webhooks import checked_types, checked_url, send_test
from engine.errors import NotFound, StateConflict, Unavailable
from engine.ids import token
from engine.store.administration import AccountAdministration
from engine.store.pool import Database
from engine.store.webhooks import PgHooks
from engine.webhooks.port import Delivery, Webhook
from engine.webhooks.resolve import Guard
from engine.webhooks.signing import new_secret
from engine.webhooks.types import FAMILIES, TYPES

if TYPE_CHECKING:
    from engine.cli import Subparsers

_TRIED_WITHIN = 20.0
"""Seconds a test message has: an engine must be running, and the receiver answer."""
_LOOK = 0.1


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "webhooks",
        description="Web hooks: URLs that are told of what happens, signed as Standard Webhooks says. A running engine "
        "delivers; a secret is shown once, when it is made.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    found = actions.add_parser("list", help="all subscriptions, or those of an account")
    found.add_argument("--account")
    _finish(found, _list)
    _add(actions.add_parser("add", help="subscribe a URL; prints its secret"))
    for name, work, help_ in (
        ("remove", _remove, "unsubscribe; what was waiting is dropped"),
        ("test", _test, "send a test message, and tell what became of it"),
    ):
        one = actions.add_parser(name, help=help_)
        one.add_argument("webhook", metavar="WEBHOOK")
        _finish(one, work)
    _deliveries(actions.add_parser("deliveries", help="what was sent and what became of it"))
    again = actions.add_parser("redeliver", help="deliver again, now: one delivery, or all dead ones of a hook")
    again.add_argument("delivery", nargs="?", type=int, metavar="DELIVERY")
    again.add_argument("--dead", metavar="WEBHOOK", help="all dead ones of this hook")
    _finish(again, _redeliver)
    secret = actions.add_parser("secret", help="the account's secret, which signs what goes to notify URLs")
    secret.add_argument("account")
    secret.add_argument("--rotate", action="store_true", help="make a new one in its place, at once")
    _finish(secret, _secret)


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account")
    parser.add_argument("url", metavar="URL")
    parser.add_argument("types", nargs="+", metavar="TYPE", help=f"{', '.join((*TYPES, *FAMILIES))}")
    _finish(parser, _do_add)


def _deliveries(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("webhook", nargs="?", metavar="WEBHOOK", help="without it: of all, notify URLs too")
    parser.add_argument("--account")
    parser.add_argument("--state", choices=("waiting", "delivered", "dead"))
    parser.add_argument("--limit", type=int, default=50)
    _finish(parser, _do_deliveries)


async def _list(arguments: argparse.Namespace, store: Database) -> int:
    hooks = await PgHooks(store).all(arguments.account)
    if arguments.json:
        as_json([_view(hook) for hook in hooks])
    else:
        rows = [(hook.id, hook.account, hook.url, " ".join(hook.types), iso(hook.created_at)) for hook in hooks]
        table(("id", "account", "url", "types", "created"), rows)
    return 0


def _view(hook: Webhook) -> dict[str, Any]:
    return {
        "id": hook.id,
        "account": hook.account,
        "url": hook.url,
        "types": list(hook.types),
        "created_at": iso(hook.created_at),
    }


async def _do_add(arguments: argparse.Namespace, store: Database) -> int:
    await AccountAdministration(store).get(arguments.account)
    guard = Guard(config.load(config.find(arguments.config)).webhooks.allow)
    url, types = await checked_url(guard, arguments.url), checked_types(arguments.types)
    await guard.close()
    secret = new_secret()
    hook = await PgHooks(store).add(token("WH"), arguments.account, url, types, secret)
    if arguments.json:
        as_json({**_view(hook), "secret": secret})
    else:
        print(f"id: {hook.id}\nsecret: {secret}")
    return 0


async def _remove(arguments: argparse.Namespace, store: Database) -> int:
    if not await PgHooks(store).remove(None, arguments.webhook):
        raise NotFound(f"no web hook {arguments.webhook}")
    if arguments.json:
        as_json({"removed": arguments.webhook})
    return 0


async def _do_deliveries(arguments: argparse.Namespace, store: Database) -> int:
    found = await PgHooks(store).deliveries(
        arguments.account, arguments.webhook, state=arguments.state, limit=arguments.limit, before=None
    )
    if arguments.json:
        as_json([delivery_view(each) for each in found])
    else:
        _print(found)
    return 0


def _print(found: Sequence[Delivery]) -> None:
    heads = ("id", "to", "type", "about", "sequence", "state", "attempts", "status", "error", "next try")
    table(
        heads,
        [
            (
                each.id,
                each.webhook or each.url,
                each.type,
                each.subject,
                each.sequence,
                each.state,
                each.attempts,
                each.status,
                each.error,
                iso(each.next_at),
            )
            for each in found
        ],
    )


async def _redeliver(arguments: argparse.Namespace, store: Database) -> int:
    hooks, numbers = PgHooks(store), [arguments.delivery] if arguments.delivery is not None else []
    if arguments.dead:
        numbers += await _dead(hooks, arguments.dead)
    elif not numbers:
        raise NotFound("name a delivery, or a web hook by --dead")
    again = [number for number in numbers if await hooks.redeliver(None, None, number)]
    if arguments.delivery is not None and arguments.delivery not in again:
        raise StateConflict(f"no delivery {arguments.delivery}, or it is under way")
    if arguments.json:
        as_json({"redelivered": again})
    else:
        print(f"{len(again)} to be delivered again")
    return 0


async def _dead(hooks: PgHooks, webhook: str) -> list[int]:
    """Oldest first."""
    numbers: list[int] = []
    page = await hooks.deliveries(None, webhook, state="dead", limit=500, before=None)
    while page:
        numbers += [each.id for each in page]
        page = await hooks.deliveries(None, webhook, state="dead", limit=500, before=page[-1].id)
    return numbers[::-1]


async def _test(arguments: argparse.Namespace, store: Database) -> int:
    hooks = PgHooks(store)
    hook = await hooks.get(None, arguments.webhook)
    number = await send_test(hooks, hook) if hook else None
    if number is None:
        raise NotFound(f"no web hook {arguments.webhook}")
    tried = await _tried(hooks, arguments.webhook, number)
    if arguments.json:
        as_json(delivery_view(tried))
    else:
        print(f"{tried.state}" + (f": {tried.error}" if tried.error else f" (status {tried.status})"))
    return 0 if tried.state == "delivered" else 1


async def _tried(hooks: PgHooks, webhook: str, number: int) -> Delivery:
    """The delivery after its first attempt. Raises Unavailable."""
    try:
        async with asyncio.timeout(_TRIED_WITHIN):
            while True:
                for each in await hooks.deliveries(None, webhook, state=None, limit=1, before=number + 1):
                    if each.status is not None or each.error is not None:
                        return each
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        raise Unavailable(f"not tried within {_TRIED_WITHIN:g} s; is an engine running?") from None


async def _secret(arguments: argparse.Namespace, store: Database) -> int:
    await AccountAdministration(store).get(arguments.account)
    secret = await PgHooks(store).account_secret(arguments.account, rotate=arguments.rotate)
    if arguments.json:
        as_json({"account": arguments.account, "secret": secret})
    else:
        print(secret)
    return 0
