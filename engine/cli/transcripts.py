"""``trunkline transcripts``: what was said in a call, and making it here and now."""

import argparse
from typing import TYPE_CHECKING, Any

from engine import config, log
from engine.api.transcripts import view
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json
from engine.errors import NotFound
from engine.media import create
from engine.media.stt.jobs import LEASE
from engine.media.stt.port import Transcript
from engine.store.pool import Database
from engine.store.transcripts import PgTranscripts

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser("transcripts", description="What was said in calls, of all accounts.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _one(actions.add_parser("show", help="a call's transcript, or what has become of it"), _show)
    _one(actions.add_parser("run", help="make it here and now, also of a call that did not ask for one"), _run)


def _one(parser: argparse.ArgumentParser, work: Any) -> None:
    parser.add_argument("request_id", metavar="REQUEST_ID")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


async def _show(arguments: argparse.Namespace, store: Database) -> int:
    found = await PgTranscripts(store).get(arguments.request_id)
    if found is None:
        raise NotFound(f"there is no transcript of the call {arguments.request_id}")
    return _print(arguments, found)


async def _run(arguments: argparse.Namespace, store: Database) -> int:
    settings, rows = config.load(config.find(arguments.config)), PgTranscripts(store)
    log.configure(form="text", level="error")
    taken = await rows.take(arguments.request_id, LEASE)
    if taken is None:
        raise NotFound(f"there is no recording of both sides of the call {arguments.request_id}")
    await create.transcriptions(settings, rows).transcribe(taken)
    made = await rows.get(arguments.request_id)
    return _print(arguments, made or taken)


def _print(arguments: argparse.Namespace, row: Transcript) -> int:
    """0 when there is something to read."""
    if arguments.json:
        as_json(view(row))
    elif row.state == "ready":
        for segment in row.segments:
            print(f"{segment.start:8.2f}  {segment.speaker:<8}  {segment.text}")
    else:
        print(row.state if row.error is None else f"{row.state}: {row.error}")
    return 0 if row.state == "ready" else 1
