"""``trunkline ivr``: menus as trees, tried without a phone, checked, read anew by running engines."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from engine import config, resources
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import table
from engine.errors import ConfigError, NotFound
from engine.flows.menus import check
from engine.flows.menus.book import Book
from engine.flows.menus.create import BESIDE
from engine.flows.menus.draw import tree
from engine.flows.menus.runner import Runner
from engine.flows.menus.terminal import TerminalVoice
from engine.flows.table import FLOWS
from engine.store.operators import Operators
from engine.store.pool import Database

if TYPE_CHECKING:
    from engine.cli import Subparsers

KNOWN = frozenset({*FLOWS, *BESIDE})
"""Flows that a step may ask for."""


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "ivr", description="Menus: those that ship with Trunkline, and those of the configuration, which win."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _finish(actions.add_parser("list", help="all menus and their numbers"), _list)
    show = actions.add_parser("show", help="draw the menu NAME as a tree")
    show.add_argument("name", metavar="NAME")
    _finish(show, _show)
    _try_options(actions.add_parser("try", help="walk through the menu NAME here, without a phone"))
    checking = actions.add_parser("check", help="name what is wrong in menus, by file, line and key")
    checking.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="another folder of menus")
    _finish(checking, _check)
    reload = actions.add_parser("reload", help="have running engines read their menus anew; live calls keep theirs")
    add_config(reload)
    reload.set_defaults(run=_reload)


def _try_options(attempt: argparse.ArgumentParser) -> None:
    attempt.description = "Type keys and Enter; Enter alone is silence; the end of the input hangs up."
    attempt.add_argument("name", metavar="NAME")
    attempt.add_argument("--at", metavar="TIME", help="as if it were this time: 2026-12-25T10:00+01:00")
    attempt.add_argument("--from", dest="caller", default="15550001234", metavar="NUMBER", help="as if this one called")
    _finish(attempt, _try)


def _finish(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    parser.add_argument("--menus", type=Path, metavar="FOLDER", help="in place of the configuration's folder")
    add_config(parser)
    parser.set_defaults(run=run)


def _folders(arguments: argparse.Namespace) -> list[Path]:
    own: Path | None = getattr(arguments, "folder", None) or arguments.menus
    if own is not None and not own.is_dir():
        raise ConfigError(f"{own}: no such folder")
    if own is None:
        own = _configured(arguments.config)
    return [resources.folder("menus"), *([own] if own else [])]


def _configured(explicit: str | None) -> Path | None:
    """Menus can be looked at where no engine is set up; a configuration that is named must be there."""
    try:
        path = config.find(explicit)
    except ConfigError:
        return None
    return config.load(path).menus


def _book(arguments: argparse.Namespace) -> Book:
    """With what is good; what is not is told on standard error."""
    book, problems = check.load(_folders(arguments), KNOWN)
    for each in problems:
        print(each, file=sys.stderr)
    return book


def _named(arguments: argparse.Namespace) -> Book:
    book = _book(arguments)
    if arguments.name not in book.entries:
        raise NotFound(f"no menu {arguments.name}; there are {', '.join(book.entries) or 'none'}")
    return book


def _list(arguments: argparse.Namespace) -> int:
    book = _book(arguments)
    rows = [
        (name, " ".join(entry.page.menu.number) or None, entry.page.path)
        for name, entry in book.entries.items()
        if entry.above is None
    ]
    table(("menu", "numbers", "file"), rows)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    print(tree(_named(arguments), arguments.name))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    book = check.strict(_folders(arguments), KNOWN)
    print(f"{len(book.entries)} menus are good: {', '.join(book.entries)}")
    return 0


def _try(arguments: argparse.Namespace) -> int:
    book = _named(arguments)
    at = _time(arguments.at) if arguments.at else None
    facts = {"caller": arguments.caller, "dialed": next(iter(book.numbers), "")}
    voice = TerminalVoice(_line, print, lambda: at or datetime.now(UTC), facts)
    result = asyncio.run(Runner(voice, book).run(arguments.name))
    print(f"({result})")
    return 0


def _line() -> str | None:
    line = sys.stdin.readline()
    return line.strip() if line else None


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--at {text}: not a time such as 2026-12-25T10:00+01:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _reload(arguments: argparse.Namespace) -> int:
    check.strict(_reload_folders(arguments), KNOWN)
    return database.run(_ask_reload, arguments)


def _reload_folders(arguments: argparse.Namespace) -> list[Path]:
    arguments.menus = None
    return _folders(arguments)


async def _ask_reload(_arguments: argparse.Namespace, store: Database) -> int:
    await Operators(store).ask_reload()
    print("asked the engines to read their menus")
    return 0
