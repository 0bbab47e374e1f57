"""``trunkline otp-templates``: what is said when a one-time password is announced, and whether it may be."""

import argparse
from typing import TYPE_CHECKING, Any

from engine.api.otp_templates import template_view
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.commands.otp_templates import TYPES, checked
from engine.errors import NotFound
from engine.ids import token
from engine.store.administration import AccountAdministration
from engine.store.otp_templates import PgOtpTemplates
from engine.store.pool import Database
from engine.store.port import OtpTemplate

if TYPE_CHECKING:
    from engine.cli import Subparsers

MOST = 1000


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "otp-templates",
        description="Templates of announcements. {otp} stands for the password; only an approved template is spoken.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    found = actions.add_parser("list", help="all templates, or those of an account")
    found.add_argument("--account")
    _finish(found, _list)
    _add(actions.add_parser("add", help="make one, a draft"))
    for name, work, help_ in (
        ("approve", _approve, "let it be spoken"),
        ("reject", _reject, "make it a draft again: no call speaks it from now on"),
        ("remove", _remove, "delete it"),
    ):
        one = actions.add_parser(name, help=help_)
        one.add_argument("template", metavar="TEMPLATE")
        _finish(one, work)


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account")
    parser.add_argument("text", metavar="TEXT", help='"Your code is {otp}"')
    parser.add_argument("--name", default="code")
    parser.add_argument("--language", default="", help="of calls that name neither voice nor language")
    parser.add_argument("--otp-type", choices=TYPES, default="digits", help="what its passwords are made of")
    parser.add_argument("--approve", action="store_true", help="approve it at once")
    _finish(parser, _do_add)


async def _list(arguments: argparse.Namespace, store: Database) -> int:
    found = await PgOtpTemplates(store).page(arguments.account, limit=MOST, after=None)
    if arguments.json:
        as_json([_view(each) for each in found])
    else:
        rows = [(each.id, each.account, each.state, each.otp_type, each.language or None, each.text) for each in found]
        table(("id", "account", "state", "otp type", "language", "text"), rows)
    return 0


async def _do_add(arguments: argparse.Namespace, store: Database) -> int:
    await AccountAdministration(store).get(arguments.account)
    checked(text=arguments.text, language=arguments.language)
    templates = PgOtpTemplates(store)
    made = await templates.add(
        token("AN"),
        arguments.account,
        name=arguments.name,
        text=arguments.text,
        language=arguments.language,
        otp_type=arguments.otp_type,
    )
    return _show(arguments, await templates.approve(made.id, approved=True) if arguments.approve else made)


async def _approve(arguments: argparse.Namespace, store: Database) -> int:
    return _show(arguments, await PgOtpTemplates(store).approve(arguments.template, approved=True))


async def _reject(arguments: argparse.Namespace, store: Database) -> int:
    return _show(arguments, await PgOtpTemplates(store).approve(arguments.template, approved=False))


async def _remove(arguments: argparse.Namespace, store: Database) -> int:
    if not await PgOtpTemplates(store).remove(None, arguments.template):
        raise NotFound(f"no template {arguments.template}")
    if arguments.json:
        as_json({"id": arguments.template})
    return 0


def _show(arguments: argparse.Namespace, template: OtpTemplate | None) -> int:
    if template is None:
        raise NotFound(f"no template {arguments.template}")
    if arguments.json:
        as_json(_view(template))
    else:
        print(f"{template.id}: {template.state}")
    return 0


def _view(template: OtpTemplate) -> dict[str, Any]:
    return {"account": template.account, **template_view(template)}
