"""``trunkline migrate``: bring the database to this version's tables."""

import argparse
import asyncio
from typing import TYPE_CHECKING

from engine import config
from engine.cli.options import add_config
from engine.store.migrate import migrate

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "migrate",
        description="Apply the migrations that the configured database does not have yet. Safe to run again.",
    )
    add_config(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = config.load(config.find(arguments.config))
    asyncio.run(migrate(settings.database.dsn.get_secret_value()))
    return 0
