"""``trunkline run``: the whole stack in one folder until SIGTERM or ^C."""

import argparse
import asyncio
from typing import TYPE_CHECKING

from engine.cli.options import add_state
from engine.embedded import environment, runner, stack
from engine.embedded.progress import say

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "run",
        description="Run the whole stack in one state folder until SIGTERM or ^C. What is missing is fetched, without "
        "root. stack.json in the folder says where everything is once all is ready. Settings of your own go into "
        "trunkline.yaml in the folder.",
        epilog="Environment: TRUNKLINE_STATE, TRUNK=host:port (instead of the simulator), TRUNKLINE_POSTGRES=DSN, "
        "TRUNKLINE_ENGINE_ID, TRUNKLINE_HOOK_ALLOW, TRUNKLINE_ASTERISK.",
    )
    add_state(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    plan = stack.prepare(environment.read(state=arguments.state), say)
    say(f"starting in {plan.state.root} (Asterisk {plan.asterisk.version})")
    return asyncio.run(runner.run(stack.Stack(plan), runner.announce))
