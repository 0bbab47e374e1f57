"""``trunkline tail``: the live feed of all accounts, or of one, on the console."""

import argparse
import asyncio
import itertools
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.api.events import body, wanted
from engine.cli import database
from engine.cli.options import add_config
from engine.errors import StoreAway
from engine.ids import token
from engine.store.feed import PgFeed
from engine.store.pool import Database
from engine.webhooks.feed import LOOKED_AT_EVERY, PAGE, UNFINISHED, FeedEvent

if TYPE_CHECKING:
    from engine.cli import Subparsers


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "tail", description="What happens in calls, rooms and campaigns, as it happens. ^C ends it."
    )
    parser.add_argument("--account", help="of this account alone")
    parser.add_argument("--types", default="", metavar="TYPES", help="only these, with commas; call.* for a family")
    parser.add_argument("--after", type=int, metavar="ID", help="begin behind this event instead of now")
    parser.add_argument("--count", type=int, metavar="N", help="end after so many events")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_config(parser)
    parser.set_defaults(run=lambda arguments: database.run(_tail, arguments))


async def _tail(arguments: argparse.Namespace, store: Database) -> int:
    log, reader = PgFeed(store), token("tail-")
    news = asyncio.Event()
    store.listener.subscribe(lambda told: news.set() if told in (None, "feed") else None)
    await log.attend(reader)
    try:
        await _follow(arguments, log, news)
    finally:
        with suppress(StoreAway):
            await log.leave(reader)
    return 0


async def _follow(arguments: argparse.Namespace, log: PgFeed, news: asyncio.Event) -> None:
    types = tuple(each.strip() for each in arguments.types.split(",") if each.strip())
    place = await log.position() if arguments.after is None else arguments.after
    told = 0
    while told != arguments.count:
        until = max(await log.position(), place)
        page = await log.page(place, until, arguments.account, PAGE)
        finished = list(itertools.takewhile(lambda event: not event.unfinished, page))
        for event in finished:
            place = event.id
            if told != arguments.count and wanted(event.type, types):
                _print(event, as_json=arguments.json)
                told += 1
        if len(finished) < len(page):
            await _rest(news, UNFINISHED)
        elif len(page) < PAGE:
            place = until
            await _rest(news, LOOKED_AT_EVERY)


async def _rest(news: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
    news.clear()


def _print(event: FeedEvent, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"id": event.id, "account": event.account, **body(event)}), flush=True)
        return
    data = event.data
    leg = data.get("leg") or {}
    about = data.get("request_id") or data.get("room_id") or data.get("campaign_id") or ""
    facts = [leg.get("role"), leg.get("number"), data.get("end_reason"), data.get("dial_status")]
    shown = " ".join(str(fact) for fact in facts if fact)
    print(f"{event.id:>8}  {event.timestamp}  {event.account}  {event.type:<18} {about}  {shown}".rstrip(), flush=True)
