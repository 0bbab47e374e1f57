"""``trunkline media``: the media library."""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine import config, log
from engine.api.media import view
from engine.cli import database
from engine.cli.files import add_account, chunks, hand_over
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.media import create
from engine.media.library import names
from engine.media.library.library import Library
from engine.media.library.port import Media
from engine.store.media import PgMedia
from engine.store.pool import Database

if TYPE_CHECKING:
    from engine.cli import Subparsers

_PAGE = 500
Work = Callable[[argparse.Namespace, Library], Awaitable[int]]


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser("media", description="Sounds that calls play. WAV, MP3, OGG and FLAC are taken.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    upload = actions.add_parser("upload", help="keep a sound; one of the same name is replaced")
    upload.add_argument("file", type=Path, metavar="FILE")
    upload.add_argument("--name", help="how requests name it (the file's own name without its ending)")
    upload.add_argument("--extension", metavar="DIGITS", help="number by which instant calls ask for it")
    _finish(upload, _upload)
    _finish(actions.add_parser("list", help="sounds of the account"), _list)
    delete = actions.add_parser("delete", help="delete a sound")
    delete.add_argument("name", metavar="NAME")
    _finish(delete, _delete)


def _finish(parser: argparse.ArgumentParser, work: Work) -> None:
    add_account(parser)
    add_config(parser)
    add_json(parser)

    async def with_library(arguments: argparse.Namespace, store: Database) -> int:
        settings = config.load(config.find(arguments.config))
        log.configure(form="text", level="error")
        return await work(arguments, create.library(settings, PgMedia(store)))

    parser.set_defaults(run=lambda arguments: database.run(with_library, arguments))


async def _upload(arguments: argparse.Namespace, library: Library) -> int:
    name, account = arguments.name or arguments.file.stem, arguments.account
    names.check(name, arguments.extension)
    claimed = names.claimed(arguments.file.name, "")
    staged = await library.receive(account, chunks(arguments.file))
    made = await library.add(account, name, staged, extension=arguments.extension, claimed=claimed)
    hand_over(library.folder, account)
    _show(arguments, library, made)
    return 0


def _show(arguments: argparse.Namespace, library: Library, media: Media) -> None:
    uri = library.playable(media).media
    if arguments.json:
        as_json(view(media, uri))
    else:
        print(f"{media.name}: {media.duration:.2f} s, {uri}")


async def _list(arguments: argparse.Namespace, library: Library) -> int:
    found, after = list[Media](), ""
    while page := await library.list(arguments.account, limit=_PAGE, after=after):
        found += page
        after = page[-1].name
    if arguments.json:
        as_json([view(each, library.playable(each).media) for each in found])
    else:
        rows = [(m.name, m.extension, f"{m.duration:.2f} s", m.source, f"{m.created_at:%Y-%m-%d %H:%M}") for m in found]
        table(("name", "extension", "duration", "was", "uploaded"), rows)
    return 0


async def _delete(arguments: argparse.Namespace, library: Library) -> int:
    gone = await library.delete(arguments.account, arguments.name)
    if arguments.json:
        as_json({"name": gone.name})
    else:
        print(f"{gone.name} is gone")
    return 0
