"""``trunkline engine``: the engine alone, as systemd and the supervisor run it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from engine import app, config
from engine.cli.options import add_config
from engine.ops.systemd import Notifier

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "engine",
        description="Run the engine alone, against the Asterisk and PostgreSQL that its configuration names. SIGTERM "
        "drains for at most 10 s; a second one ends at once.",
    )
    add_config(parser)
    parser.add_argument("--seed", type=Path, metavar="FILE", help="JSON of accounts to make when they do not exist")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = config.load(config.find(arguments.config))
    return uvloop.run(app.run(settings, seed=arguments.seed, notifier=Notifier(*config.service_manager())))
