"""``trunkline check-config``: is this configuration one that the engine would start with?"""

import argparse
from typing import TYPE_CHECKING

from engine import config
from engine.cli.options import add_config

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "check-config",
        description="Read a configuration as the engine would and name each wrong setting. Exit code 1 when one is.",
    )
    add_config(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    path = config.find(arguments.config)
    settings = config.load(path)
    print(
        f"{path}: good (engine {settings.engine_id}, {len(settings.asterisk)} Asterisk, {len(settings.trunks)} trunks)"
    )
    return 0
