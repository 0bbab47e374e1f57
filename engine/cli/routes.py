"""``trunkline routes``: where numbers lead."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.calls import gate
from engine.calls.account import Account
from engine.calls.numbers import BadNumber, normalize
from engine.calls.routing import NoRoute, Route, endpoint, resolve
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.errors import Forbidden, InvalidFields
from engine.store.administration import AccountAdministration
from engine.store.pool import Database
from engine.store.routes import PgRoutes

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "routes",
        description="The route table: the longest prefix wins, an account's own route before a shared one. A running "
        "engine hears of each change at once.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _finish(actions.add_parser("list", help="all routes"), _list)
    _add(actions.add_parser("add", help="lead numbers that begin with PREFIX somewhere"))
    remove = actions.add_parser("remove", help="take a route out")
    remove.add_argument("id", type=int)
    _finish(remove, _do_remove)
    attempt = actions.add_parser("try", help="where would NUMBER lead, and would the gate let it pass?")
    attempt.add_argument("number", metavar="NUMBER")
    attempt.add_argument("--account", default="account_1", help="who dials (account_1)")
    attempt.add_argument("--inbound", action="store_true", help="a call that a trunk brings, not one that we make")
    _finish(attempt, _do_try)


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prefix", metavar="PREFIX", help='leading digits, without +; "" for every number')
    parser.add_argument("kind", choices=("trunk", "extension", "deny", "flow"), help="flow: inbound numbers alone")
    parser.add_argument("target", nargs="?", default="", help="the trunk's or the flow's name, or the phone to ring")
    parser.add_argument(
        "--inbound", action="store_true", help="for calls that trunks bring; kind extension rings a phone"
    )
    parser.add_argument("--account", help="for this account alone; of an inbound number, the account that owns it")
    _finish(parser, _do_add)


async def _list(arguments: argparse.Namespace, store: Database) -> int:
    found = await PgRoutes(store).list()
    if arguments.json:
        as_json([asdict(route) for route in found])
    else:
        heads = ("id", "direction", "prefix", "kind", "target", "account")
        table(heads, [(r.id, r.direction, r.prefix or '""', r.kind, r.target or None, r.account) for r in found])
    return 0


async def _do_add(arguments: argparse.Namespace, store: Database) -> int:
    direction = "inbound" if arguments.inbound or arguments.kind == "flow" else "outbound"
    if arguments.account is not None:
        await AccountAdministration(store).get(arguments.account)
    route = await PgRoutes(store).add(
        direction, arguments.prefix, arguments.kind, arguments.target, account=arguments.account
    )
    if arguments.json:
        as_json(asdict(route))
    else:
        print(f"route {route.id} added")
    return 0


async def _do_remove(arguments: argparse.Namespace, store: Database) -> int:
    await PgRoutes(store).remove(arguments.id)
    if arguments.json:
        as_json({"removed": arguments.id})
    else:
        print(f"route {arguments.id} removed")
    return 0


async def _do_try(arguments: argparse.Namespace, store: Database) -> int:
    account = await AccountAdministration(store).get(arguments.account)
    try:
        number = normalize(arguments.number, country=account.country)
    except BadNumber as error:
        raise InvalidFields({"number": str(error)}) from None
    table_now = await PgRoutes(store).list()
    told = _inbound(table_now, number) if arguments.inbound else _outbound(table_now, number, account)
    if arguments.json:
        as_json(told)
    else:
        for name, value in told.items():
            print(f"{name}: {'-' if value is None else value}")
    return 0 if told["refused_by"] is None else 1


def _outbound(routes: list[Route], number: str, account: Account) -> dict[str, Any]:
    route, dialled, refused = _found(routes, number, account.account, "outbound"), None, _gate(account, number)
    try:
        dialled = endpoint(routes, number, account.account)
    except NoRoute:
        refused = refused or "route"
    return {"number": number, "route": route.id if route else None, "endpoint": dialled, "refused_by": refused}


def _inbound(routes: list[Route], number: str) -> dict[str, Any]:
    route = _found(routes, number, None, "inbound")
    return {
        "number": number,
        "route": route.id if route else None,
        "flow": route.target if route else None,
        "account": route.account if route else None,
        "refused_by": None if route else "route",
    }


def _found(routes: list[Route], number: str, account: str | None, direction: str) -> Route | None:
    try:
        return resolve(routes, number, account, direction=direction)
    except NoRoute:
        return None


def _gate(account: Account, number: str) -> str | None:
    """The rule that would refuse the number itself, whatever caller id is shown; None when it passes."""
    caller_id = next(iter(account.caller_ids), "")
    try:
        gate.check(account, number, caller_id, live_calls=0)
    except Forbidden as refusal:
        return refusal.rule
    return None
