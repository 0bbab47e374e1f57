"""``trunkline demo``: a click-to-call between two phones of the simulator, watched through the HTTP interface."""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.demo_call import Doors, show_call, show_hearing
from engine.cli.options import add_state
from engine.embedded import environment, runner, stack
from engine.embedded.progress import say

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "demo",
        description="Start the stack in a temporary folder (or in --state, or TRUNKLINE_STATE), let two phones of the "
        "carrier simulator talk for 3 s by click-to-call, and show the call's timeline and CDR. Exit code 1 unless the "
        "CDR says ANSWERED.",
    )
    add_state(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if arguments.state or environment.names_state():
        return _demo(arguments.state)
    with tempfile.TemporaryDirectory(prefix="trunkline-demo-") as folder:
        return _demo(Path(folder) / "var")


def _demo(state: Path | None) -> int:
    plan = stack.prepare(environment.read(state=state), say)
    say(f"starting PostgreSQL, Asterisk {plan.asterisk.version}, a second one as the telephone network, and the engine")
    return asyncio.run(runner.run(stack.Stack(plan), _body))


async def _body(running: stack.Stack) -> None:
    about = running.describe()
    await show_call(Doors(api=about["api"], account=about["account"], auth=about["auth"]))
    if running.plan.simulator is not None:
        await show_hearing(running.plan.state.carrier)
    phone = running.plan.config.softphones[0].extension
    print(_FAREWELL.format(phone=phone))


_FAREWELL = """
The same by hand: `make run` in one terminal, and in another

  eval "$(python3 -c 'import json; s = json.load(open("var/stack.json")); print("API=%(api)s AUTH=%(auth)s" % s)')"
  curl "$API/api/click2call" -H 'account: account_1' -H "auth: $AUTH" -H 'Content-Type: application/json' \\
    -d '{{"agent_number": "919979270001", "caller_id": "15168148111", "destination_number": "918000680002"}}'
  curl "$API/api/get_cdr_by_request_id" -H 'account: account_1' -H "auth: $AUTH" -H 'Content-Type: application/json' \\
    -d '{{"request_id": "THE ONE ABOVE"}}'

A softphone of your own: user {phone}, the password and the server (UDP) stand in var/stack.json under "softphones" and
"asterisk": "sip". Dial another extension (101 to 110), or call yourself: "agent_number": "{phone}"."""
