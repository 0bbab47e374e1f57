"""``trunkline tokens``: bearer tokens of accounts, for the call-control API and every other route."""

import argparse
from typing import TYPE_CHECKING, Any

from engine.api.views import iso
from engine.calls.account import SCOPES
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.errors import NotFound
from engine.store.administration import AccountAdministration
from engine.store.pool import Database
from engine.store.port import TokenRow
from engine.store.tokens import PgTokens

if TYPE_CHECKING:
    from engine.cli import Subparsers

HOUR = 3600


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "tokens",
        description="Bearer tokens of accounts. Clients get their own by POST /oauth/token; one made here lasts as long "
        "as it is told to. A token is shown once, when it is made.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    made = actions.add_parser("create", help="make one; prints it")
    made.add_argument("account")
    made.add_argument("--hours", type=float, default=24.0, help="how long it is good for (24; 8784 at most)")
    made.add_argument("--scopes", default=",".join(SCOPES), help=f"what it allows: some of {','.join(SCOPES)} (all)")
    _finish(made, _create)
    found = actions.add_parser("list", help="all tokens, or those of an account, and whether they are good")
    found.add_argument("--account")
    _finish(found, _list)
    ended = actions.add_parser("revoke", help="end one at once, or all of an account")
    ended.add_argument("token", nargs="?", metavar="TOKEN_ID")
    ended.add_argument("--account", help="all of this account")
    _finish(ended, _revoke)


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


async def _create(arguments: argparse.Namespace, store: Database) -> int:
    await AccountAdministration(store).get(arguments.account)
    scopes = [scope.strip() for scope in arguments.scopes.split(",") if scope.strip()]
    made = await PgTokens(store).issue(arguments.account, scopes=scopes, lifetime=round(arguments.hours * HOUR))
    if arguments.json:
        as_json({"id": made.id, "token": made.token, "scopes": made.scopes, "expires_at": iso(made.expires_at)})
    else:
        print(f"id: {made.id}\ntoken: {made.token}\nexpires: {iso(made.expires_at)}")
    return 0


async def _list(arguments: argparse.Namespace, store: Database) -> int:
    found = await PgTokens(store).all(arguments.account)
    if arguments.json:
        as_json([_view(row) for row in found])
    else:
        heads = ("id", "account", "scopes", "made by", "created", "expires", "revoked")
        table(heads, [tuple(_view(row).values()) for row in found])
    return 0


def _view(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "account": row.account,
        "scopes": " ".join(row.scopes),
        "made_by": "operator" if row.by_operator else "client",
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "revoked_at": iso(row.revoked_at),
    }


async def _revoke(arguments: argparse.Namespace, store: Database) -> int:
    if not arguments.token and not arguments.account:
        raise NotFound("name a token by its id, or an account by --account")
    tokens = PgTokens(store)
    if arguments.token:
        await tokens.revoke(arguments.token)
    ended = await tokens.revoke_all(arguments.account) if arguments.account else 1
    if arguments.json:
        as_json({"revoked": ended})
    else:
        print(f"{ended} revoked")
    return 0
