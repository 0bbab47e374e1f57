"""``trunkline due``: what waits to be dialled, in which lane, and which engines dial it."""

import argparse
from typing import TYPE_CHECKING

from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.store.operators import Operators
from engine.store.pool import Database

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "due", description="Due calls of all accounts, by lane, and the engines that dial them."
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(_show, arguments))


async def _show(arguments: argparse.Namespace, store: Database) -> int:
    operators = Operators(store)
    lanes, dialers = await operators.due_lanes(), await operators.dialers()
    if arguments.json:
        as_json({"lanes": lanes, "engines": dialers})
        return 0
    heads = ("lane", "open", "per_minute", "due", "claimed", "placed", "next_due")
    table(heads, [[row[name] for name in heads] for row in lanes])
    print()
    table(("engine", "alive_until"), [[row["engine"], row["alive_until"]] for row in dialers])
    return 0
