"""``trunkline objects``: files of accounts in the object store."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from engine import config
from engine.api.objects import view
from engine.cli.files import add_account, chunks, hand_over
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.config import Config
from engine.errors import NotFound
from engine.media import create
from engine.media.objects import names

if TYPE_CHECKING:
    from engine.cli import Subparsers

_PIECE = 1 << 20
Work = Callable[[argparse.Namespace, Config], Awaitable[int]]


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser("objects", description="Files of accounts, as they came.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    put = actions.add_parser("put", help="keep a file; one of the same name is replaced")
    put.add_argument("file", type=Path, metavar="FILE")
    put.add_argument("--name", help="the file's own when it is not given")
    _finish(put, _put)
    get = actions.add_parser("get", help="write a file to standard output, or to --output")
    get.add_argument("name", metavar="NAME")
    get.add_argument("--output", type=Path, metavar="FILE")
    _finish(get, _get)
    _finish(actions.add_parser("list", help="files of the account"), _list)
    delete = actions.add_parser("delete", help="delete a file")
    delete.add_argument("name", metavar="NAME")
    _finish(delete, _delete)


def _finish(parser: argparse.ArgumentParser, work: Work) -> None:
    add_account(parser)
    add_config(parser)
    add_json(parser)

    def run(arguments: argparse.Namespace) -> int:
        async def all_of_it() -> int:
            return await work(arguments, config.load(config.find(arguments.config)))

        return asyncio.run(all_of_it())

    parser.set_defaults(run=run)


async def _put(arguments: argparse.Namespace, settings: Config) -> int:
    name = names.new(arguments.name or arguments.file.name)
    stored = await create.objects(settings).put(
        arguments.account, name, chunks(arguments.file), limit=settings.http.max_upload
    )
    if settings.bucket is None:
        hand_over(settings.objects, arguments.account)
    if arguments.json:
        as_json(view(stored))
    else:
        print(f"{stored.name}: {stored.size} bytes")
    return 0


async def _get(arguments: argparse.Namespace, settings: Config) -> int:
    found = await create.objects(settings).get(arguments.account, names.known(arguments.name))
    if found is None:
        raise NotFound("no object has this name")
    pieces = found.chunks or chunks(found.path or Path())
    if arguments.output is None:
        await _copy(pieces, sys.stdout.buffer)
    else:
        with arguments.output.open("wb") as out:
            await _copy(pieces, out)
    return 0


async def _copy(pieces: AsyncIterator[bytes], out: IO[bytes]) -> None:
    async for piece in pieces:
        out.write(piece)
    out.flush()


async def _list(arguments: argparse.Namespace, settings: Config) -> int:
    found = await create.objects(settings).list(arguments.account)
    if arguments.json:
        as_json([view(each) for each in found])
    else:
        table(("name", "bytes", "since"), [(o.name, o.size, f"{o.modified_at:%Y-%m-%d %H:%M}") for o in found])
    return 0


async def _delete(arguments: argparse.Namespace, settings: Config) -> int:
    name = names.known(arguments.name)
    if not await create.objects(settings).delete(arguments.account, name):
        raise NotFound("no object has this name")
    if arguments.json:
        as_json({"name": name})
    else:
        print(f"{name} is gone")
    return 0
