"""The ``trunkline`` command: a table of command modules.

A command is one module with ``register(subparsers)``, which adds its parser and sets ``run`` (a function of the
parsed arguments that gives the exit code). To add one, write the module and add its line to ``COMMANDS``. Only the
module of the command that is asked for is imported, so that one command's libraries never slow another down.

Exit codes: 0 done, 1 it failed (one line on standard error), 2 it was asked for wrongly.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import TrunklineError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - has no public name

COMMANDS = {
    "run": ("engine.cli.run", "run engine, Asterisk, carrier simulator and PostgreSQL here"),
    "demo": ("engine.cli.demo", "two phones talk: timeline, CDR, and how to do it by curl"),
    "engine": ("engine.cli.engine", "run the engine alone"),
    "migrate": ("engine.cli.migrate", "bring the database to this version's tables"),
    "check-config": ("engine.cli.check_config", "check a configuration file"),
    "install": ("engine.cli.install", "put Asterisk's configuration onto a system's Asterisk"),
    "doctor": ("engine.cli.doctor", "name what is wrong on this machine, and how to mend it"),
    "accounts": ("engine.cli.accounts", "accounts: secrets, caller ids, limits"),
    "tokens": ("engine.cli.tokens", "bearer tokens: create, list, revoke"),
    "routes": ("engine.cli.routes", "where numbers lead"),
    "calls": ("engine.cli.calls", "calls: list, show, replay, hang up"),
    "due": ("engine.cli.due", "what waits to be dialled, and which engines dial it"),
    "tail": ("engine.cli.tail", "what happens, as it happens"),
    "campaigns": ("engine.cli.campaigns", "campaigns: list, watch, preview, pause, resume, stop"),
    "ivr": ("engine.cli.ivr", "menus: draw, try without a phone, check, reload"),
    "rooms": ("engine.cli.rooms", "conference rooms: make, lock, who is in them, what happened"),
    "tts": ("engine.cli.tts", "text to speech: hear a text, fill the cache, list the voices"),
    "otp-templates": ("engine.cli.otp_templates", "what is said when a one-time password is announced"),
    "webhooks": ("engine.cli.webhooks", "who is told of what happens, and whether it arrived"),
    "media": ("engine.cli.media", "sounds that calls play: upload, list, delete"),
    "objects": ("engine.cli.objects", "files of accounts: put, get, list, delete"),
    "transcripts": ("engine.cli.transcripts", "what was said in a call: show, make it now"),
    "fetch": ("engine.cli.fetch", "fetch Asterisk into the cache folder now"),
}
"""Each command's module and its line of help, in the order of ``--help``."""


def main(arguments: Sequence[str] | None = None) -> None:
    sys.exit(dispatch(sys.argv[1:] if arguments is None else list(arguments)))


def dispatch(words: Sequence[str]) -> int:
    """Run the command that ``words`` ask for and give its exit code."""
    parsed = _parser(words).parse_args(words)
    try:
        code: int = parsed.run(parsed)
    except TrunklineError as error:
        print(f"trunkline {parsed.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trunkline",
        description="A telephony engine on Asterisk: click-to-call, call flows and CDRs over HTTP.",
        epilog="trunkline COMMAND --help tells more. TRUNKLINE_STATE names the stack that a command is about.",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked = words[0] if words else ""
    for name, (module, summary) in COMMANDS.items():
        if name == asked:
            importlib.import_module(module).register(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser
