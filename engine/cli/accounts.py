"""``trunkline accounts``: who may use the engine, and what for."""

import argparse
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from engine.calls.account import SCOPES, Account, Limits
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.errors import InvalidFields
from engine.store.administration import AccountAdministration
from engine.store.pool import Database

if TYPE_CHECKING:
    from engine.cli import Subparsers

_LIMITS = {field.name: type(field.default) for field in fields(Limits)}
_YES, _NO = ("on", "yes", "true", "1"), ("off", "no", "false", "0")


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "accounts",
        description="Accounts, their secrets, caller ids and limits. A running engine hears of each change at once. "
        "A secret is shown once, when it is made, and kept nowhere.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _create(actions.add_parser("create", help="make an account; prints its secret"))
    _plain(actions.add_parser("list", help="all accounts"), _list)
    _rotate(actions.add_parser("rotate", help="a new secret; the old ones stop at once"))
    _scopes(actions.add_parser("scopes", help="change what the account's secrets allow"))
    _named(actions.add_parser("disable", help="refuse all its requests, until it is enabled again"), _disable)
    _named(actions.add_parser("enable", help="take its requests again"), _enable)
    _callerids(actions.add_parser("callerids", help="show, add or remove caller ids"))
    _limits(actions.add_parser("limits", help="show or change limits"))


def _plain(parser: argparse.ArgumentParser, work: Any) -> None:
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


def _named(parser: argparse.ArgumentParser, work: Any) -> None:
    parser.add_argument("account")
    _plain(parser, work)


def _create(parser: argparse.ArgumentParser) -> None:
    _named(parser, _do_create)
    parser.add_argument("--country", required=True, metavar="CODE", help="calling code given to ten-digit numbers")
    parser.add_argument("--number", type=int, help="number in call-control paths (default: the next one)")
    parser.add_argument("--time-zone", default="UTC", metavar="ZONE", help="such as Europe/Paris")
    parser.add_argument("--caller-id", action="append", default=[], metavar="NUMBER", help="may be given again")
    _add_scopes(parser)


def _rotate(parser: argparse.ArgumentParser) -> None:
    _named(parser, _do_rotate)
    parser.add_argument("--keep", action="store_true", help="leave the old secrets valid beside the new one")
    _add_scopes(parser)


def _scopes(parser: argparse.ArgumentParser) -> None:
    _named(parser, _do_scopes)
    parser.add_argument("scopes", type=_words, metavar="LIST", help=f"some of {','.join(SCOPES)}")


def _callerids(parser: argparse.ArgumentParser) -> None:
    _named(parser, _do_callerids)
    parser.add_argument("--add", nargs="+", default=[], metavar="NUMBER")
    parser.add_argument("--remove", nargs="+", default=[], metavar="NUMBER")


def _limits(parser: argparse.ArgumentParser) -> None:
    _named(parser, _do_limits)
    parser.add_argument(
        "changes",
        nargs="*",
        metavar="NAME=VALUE",
        help=f"lists are comma separated, empty for none; names: {', '.join(_LIMITS)}",
    )


def _add_scopes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scopes", type=_words, default=SCOPES, metavar="LIST", help=f"some of {','.join(SCOPES)} (default: all)"
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


async def _do_create(arguments: argparse.Namespace, store: Database) -> int:
    administration = AccountAdministration(store)
    auth = await administration.create(
        arguments.account,
        country=arguments.country,
        number=arguments.number,
        time_zone=arguments.time_zone,
        caller_ids=arguments.caller_id,
        scopes=arguments.scopes,
    )
    _show_secret(arguments, await administration.get(arguments.account), auth)
    return 0


async def _do_rotate(arguments: argparse.Namespace, store: Database) -> int:
    administration = AccountAdministration(store)
    auth = await administration.rotate(arguments.account, scopes=arguments.scopes, keep=arguments.keep)
    _show_secret(arguments, await administration.get(arguments.account), auth)
    return 0


def _show_secret(arguments: argparse.Namespace, account: Account, auth: str) -> None:
    if arguments.json:
        as_json({"account": account.account, "auth": auth, "account_number": account.number})
    else:
        print(f"account: {account.account}\nauth: {auth}\naccount number: {account.number}")


async def _do_scopes(arguments: argparse.Namespace, store: Database) -> int:
    await AccountAdministration(store).set_scopes(arguments.account, arguments.scopes)
    scopes = sorted(set(arguments.scopes))
    if arguments.json:
        as_json({"account": arguments.account, "scopes": scopes})
    else:
        print(f"the secrets of {arguments.account} allow: {', '.join(scopes)}")
    return 0


async def _disable(arguments: argparse.Namespace, store: Database) -> int:
    return await _switch(arguments, store, enabled=False)


async def _enable(arguments: argparse.Namespace, store: Database) -> int:
    return await _switch(arguments, store, enabled=True)


async def _switch(arguments: argparse.Namespace, store: Database, *, enabled: bool) -> int:
    await AccountAdministration(store).enable(arguments.account, enabled=enabled)
    if arguments.json:
        as_json({"account": arguments.account, "enabled": enabled})
    else:
        print(f"{arguments.account} is {'enabled' if enabled else 'disabled'}")
    return 0


async def _list(arguments: argparse.Namespace, store: Database) -> int:
    found = await AccountAdministration(store).list()
    if arguments.json:
        as_json([_view(account) for account in found])
    else:
        table(
            ("account", "number", "country", "time zone", "enabled", "caller ids"),
            [(a.account, a.number, a.country, a.time_zone.key, _word(a.enabled), _joined(a.caller_ids)) for a in found],
        )
    return 0


async def _do_callerids(arguments: argparse.Namespace, store: Database) -> int:
    administration = AccountAdministration(store)
    if arguments.add:
        await administration.add_caller_ids(arguments.account, arguments.add)
    if arguments.remove:
        await administration.remove_caller_ids(arguments.account, arguments.remove)
    numbers = sorted((await administration.get(arguments.account)).caller_ids)
    if arguments.json:
        as_json({"account": arguments.account, "caller_ids": numbers})
    else:
        print("\n".join(numbers) or "none")
    return 0


async def _do_limits(arguments: argparse.Namespace, store: Database) -> int:
    administration = AccountAdministration(store)
    changes = dict(_change(text) for text in arguments.changes)
    if changes:
        await administration.set_limits(arguments.account, **changes)
    limits = (await administration.get(arguments.account)).limits
    if arguments.json:
        as_json({"account": arguments.account, "limits": asdict(limits)})
    else:
        table(("limit", "value"), [(name, _shown(value)) for name, value in asdict(limits).items()])
    return 0


def _change(text: str) -> tuple[str, Any]:
    """``agent_ring=20`` as name and value of its type. Raises InvalidFields."""
    name, equals, value = text.partition("=")
    if not equals or name not in _LIMITS:
        raise InvalidFields({name: f"is not NAME=VALUE with one of {', '.join(_LIMITS)}"})
    return name, _value(name, _LIMITS[name], value.strip())


def _value(name: str, kind: type, text: str) -> Any:
    if kind is tuple:
        return list(_words(text))
    if kind is bool and text.lower() in _YES + _NO:
        return text.lower() in _YES
    if kind is int and text.isascii() and text.isdigit():
        return int(text)
    if kind is str:
        return text
    wanted = "on or off" if kind is bool else "a whole number"
    raise InvalidFields({name: f"must be {wanted}"})


def _view(account: Account) -> dict[str, Any]:
    return {**asdict(account), "time_zone": account.time_zone.key, "caller_ids": sorted(account.caller_ids)}


def _joined(words: frozenset[str]) -> str:
    return " ".join(sorted(words)) or "none"


def _word(value: bool) -> str:  # noqa: FBT001 - is its only argument
    return "yes" if value else "no"


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) or "none" if isinstance(value, tuple) else value
