"""``trunkline fetch``: get the batteries before they are needed, for images and machines that go offline."""

import argparse
from typing import TYPE_CHECKING

from engine.embedded import debian, environment, progress

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "fetch",
        description="Fetch the packages that the stack would fetch when it first needs them, and print where they are.",
    )
    parser.add_argument("set", nargs="?", default="asterisk", choices=("asterisk", "sipp"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    sets = {"asterisk": debian.ASTERISK, "sipp": debian.SIPP}
    print(debian.ensure(sets[arguments.set], environment.read().cache, progress.say).root)
    return 0
