"""Before a campaign begins: how many of its contacts can be called when, and why the others can't."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.calls import gate, routing
from engine.calls.account import Account
from engine.calls.numbers import EMERGENCY
from engine.commands.campaigns import show
from engine.commands.context import Context
from engine.dialer import windows
from engine.dialer.campaign import filled, speech
from engine.dialer.campaigns import Campaign, Listed
from engine.dialer.port import Rules
from engine.errors import Forbidden, InvalidFields
from engine.media.tts.resolve import resolve

PAGE = 500
"""Contacts judged before the event loop gets its turn: about 20 ms."""


@dataclass(slots=True)
class Preview:
    campaign_id: str
    contacts: int = 0
    callable: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why contacts can't be called: dnd, missing_fields, unspeakable, emergency, a rule of the gate, route,
    zone_unknown, closed."""
    opening: Counter[datetime] = field(default_factory=Counter)
    """From when on → contacts."""
    minutes: float = 0.0
    fits: bool = True


async def preview(ctx: Context, account: Account, campaign_id: str) -> Preview:
    """Every contact is judged as it would be now. Raises NotFound."""
    campaign = await show(ctx, account.account, campaign_id)
    found, after = Preview(campaign.id), 0
    start = max(ctx.now(), campaign.starts_at)
    while page := await ctx.campaigns.contacts(campaign, after=after, limit=PAGE):
        for contact in page:
            _note(found, _judged(ctx, account, campaign, contact, start))
        after = page[-1].id
        await asyncio.sleep(0)
    found.minutes = round(found.callable / campaign.calls_per_minute, 2)
    found.fits = start + timedelta(minutes=found.minutes) <= campaign.ends_at
    return found


def _note(found: Preview, judged: datetime | str) -> None:
    found.contacts += 1
    if isinstance(judged, str):
        found.reasons[judged] += 1
    else:
        found.callable += 1
        found.opening[judged] += 1


def _judged(ctx: Context, account: Account, campaign: Campaign, contact: Listed, start: datetime) -> datetime | str:
    """From when on it can be called, or why it can't."""
    if (reason := _never(ctx, account, campaign, contact)) is not None:
        return reason
    rules = windows.rules(campaign.rules)
    opening = windows.opening(rules, contact.number, start) if rules.schedule else start
    if opening is None or opening >= campaign.ends_at:
        return "zone_unknown" if _nowhere(rules, contact.number) else "closed"
    return opening


def _nowhere(rules: Rules, number: str) -> bool:
    return rules.callee_zone and not windows.zones_of(number)


def _never(ctx: Context, account: Account, campaign: Campaign, contact: Listed) -> str | None:
    if contact.dnd:
        return "dnd"
    if contact.number in EMERGENCY:
        return "emergency"
    if any(name not in contact.fields for name in campaign.variables):
        return "missing_fields"
    try:
        gate.check(account, contact.number, campaign.caller_id, live_calls=0)
        routing.endpoint(ctx.routes.current(), contact.number, account.account)
    except Forbidden as refusal:
        return refusal.rule
    except routing.NoRoute:
        return "route"
    return None if _speakable(campaign, contact) else "unspeakable"


def _speakable(campaign: Campaign, contact: Listed) -> bool:
    text = campaign.announcement.get("text", "")
    if "{" not in text:
        return True
    said: Mapping[str, object] = {"fields": contact.fields}
    try:
        resolve(speech(campaign.announcement, filled(text, contact.number, said)))
    except InvalidFields:
        return False
    return True
