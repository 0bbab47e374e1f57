"""``trunkline campaigns``: what runs, how far it is, and what an operator does about it."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from engine.api.campaigns import preview_view, progress_view
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.commands import campaigns
from engine.commands.campaigns import Progress, progress_of
from engine.commands.preview import preview
from engine.dialer.campaigns import Campaign
from engine.errors import NotFound
from engine.store.administration import AccountAdministration
from engine.store.campaigns import PgCampaigns
from engine.store.pool import Database
from engine.store.routes import PgRoutes

if TYPE_CHECKING:
    from engine.cli import Subparsers

BAR = 40
"""Characters."""
EVERY = 0.5
"""Seconds between two looks of ``watch``."""
OVER = ("completed", "stopped")


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser("campaigns", description="Campaigns of all accounts, as the database has them.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="campaigns, oldest first")
    listed.add_argument("--account", help="of this account alone")
    listed.add_argument("--all", action="store_true", help="those that are over too")
    _finish(listed, _list)
    for name, work, help_ in (
        ("show", _show, "how far a campaign is"),
        ("watch", _watch, "a progress bar until it is over"),
        ("preview", _preview, "how many contacts can be called when, and why others can't"),
        ("pause", _pause, "dial nobody until it is resumed"),
        ("resume", _resume, "go on"),
        ("stop", _stop, "for good: dial nobody any more, let go of whom it rings"),
    ):
        one = actions.add_parser(name, help=help_)
        one.add_argument("campaign", metavar="CAMPAIGN")
        _finish(one, work)


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


async def _list(arguments: argparse.Namespace, store: Database) -> int:
    campaigns_ = PgCampaigns(store)
    found = [
        await _progress(campaigns_, each)
        for each in await campaigns_.all(arguments.account)
        if arguments.all or each.state not in OVER
    ]
    if arguments.json:
        as_json([_view(each) for each in found])
    else:
        heads = ("id", "account", "name", "status", "done", "total", "answered", "per minute", "estimated end")
        table(heads, [_row(each) for each in found])
    return 0


def _row(found: Progress) -> tuple[object, ...]:
    campaign = found.campaign
    answered = found.counts.results.get("ANSWER", 0)
    status = f"{campaign.state} ({campaign.reason})" if campaign.reason else campaign.state
    return (
        *(campaign.id, campaign.account, campaign.name, status, found.done, found.total, answered),
        campaign.calls_per_minute,
        _clock(found.ends_at),
    )


def _clock(at: datetime | None) -> str | None:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else None


async def _show(arguments: argparse.Namespace, store: Database) -> int:
    return _tell(arguments, await _progress(PgCampaigns(store), await _campaign(arguments, store)))


def _tell(arguments: argparse.Namespace, found: Progress) -> int:
    view = _view(found)
    if arguments.json:
        as_json(view)
    else:
        print(bar(found))
        for name, value in view.items():
            if value not in (None, {}):
                print(f"  {name}: {_text(value)}")
    return 0


def _text(value: object) -> str:
    return "  ".join(f"{name} {n}" for name, n in value.items()) if isinstance(value, dict) else str(value)


async def _watch(arguments: argparse.Namespace, store: Database) -> int:
    """One line that changes on a terminal, a line for each change elsewhere."""
    shown = ""
    while True:
        found = await _progress(PgCampaigns(store), await _campaign(arguments, store))
        line = bar(found)
        if arguments.json:
            as_json(_view(found))
        elif sys.stdout.isatty():
            print(f"\r\x1b[K{line}", end="", flush=True)
        elif line != shown:
            print(line, flush=True)
        shown = line
        if found.campaign.state in OVER and not found.counts.under_way:
            if sys.stdout.isatty() and not arguments.json:
                print()
            return 0
        await asyncio.sleep(EVERY)


def bar(found: Progress) -> str:
    """``[########------------]  40 % 400/1000  answered 310  under way 12  running until 17:03:10``"""
    share = found.done / found.total if found.total else float(found.campaign.state in OVER)
    full = int(share * BAR)
    ends = f" until {found.ends_at.astimezone(UTC):%H:%M:%S}" if found.ends_at else ""
    answered = found.counts.results.get("ANSWER", 0)
    return (
        f"[{'#' * full}{'-' * (BAR - full)}] {share:4.0%} {found.done}/{found.total}"
        f"  answered {answered}  under way {found.counts.under_way}  {found.campaign.state}{ends}"
    )


async def _preview(arguments: argparse.Namespace, store: Database) -> int:
    campaign = await _campaign(arguments, store)
    account = await AccountAdministration(store).get(campaign.account)
    routes = PgRoutes(store)
    await routes.refresh()
    world: Any = SimpleNamespace(campaigns=PgCampaigns(store), routes=routes, now=lambda: datetime.now(UTC))
    view = preview_view(await preview(world, account, campaign.id))
    if arguments.json:
        as_json(view)
        return 0
    print(f"{view['callable']} of {view['contacts']} contacts can be called, in {view['minutes']} minutes of dialling")
    for each in view["when"]:
        print(f"  from {each['from']}: {each['contacts']}")
    for reason, n in view["not_callable"].items():
        print(f"  never ({reason}): {n}")
    if not view["fits"]:
        print("  the campaign's end comes before that")
    return 0


async def _pause(arguments: argparse.Namespace, store: Database) -> int:
    return await _do(arguments, store, campaigns.pause)


async def _resume(arguments: argparse.Namespace, store: Database) -> int:
    return await _do(arguments, store, campaigns.resume)


async def _stop(arguments: argparse.Namespace, store: Database) -> int:
    return await _do(arguments, store, campaigns.stop)


async def _do(arguments: argparse.Namespace, store: Database, work: Any) -> int:
    """The engines hear of it from the database."""
    await work(SimpleNamespace(campaigns=PgCampaigns(store)), None, arguments.campaign)
    return _tell(arguments, await _progress(PgCampaigns(store), await _campaign(arguments, store)))


async def _campaign(arguments: argparse.Namespace, store: Database) -> Campaign:
    found = await PgCampaigns(store).get(None, arguments.campaign)
    if found is None:
        raise NotFound(f"no campaign {arguments.campaign}")
    return found


async def _progress(store: PgCampaigns, campaign: Campaign) -> Progress:
    return progress_of(campaign, await store.counts(campaign), datetime.now(UTC))


def _view(found: Progress) -> dict[str, Any]:
    return {"account": found.campaign.account, **progress_view(found)}
