"""``trunkline fetch``: get the batteries before they are needed, for images and machines that go offline."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "fetch",
        help="fetch Asterisk (and SIPp) into the cache folder now",
        description="Fetch the packages that the stack would fetch when it first needs them, and print where they are.",
    )
    parser.add_argument("sets", nargs="*", choices=("asterisk", "sipp", []), help="asterisk unless named")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from engine.embedded import debian, environment, progress

    sets = {"asterisk": debian.ASTERISK, "sipp": debian.SIPP}
    for name in arguments.sets or ["asterisk"]:
        print(debian.ensure(sets[name], environment.read().cache, progress.say).root)
    return 0
