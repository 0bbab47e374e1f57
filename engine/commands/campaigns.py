"""Campaigns: made, watched, paused, stopped."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.calls import gate
from engine.calls.account import Account, Identity
from engine.calls.numbers import BadNumber, is_extension, normalize
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.commands.lists import is_list
from engine.dialer import windows
from engine.dialer.campaign import VARIABLE, speech, variables
from engine.dialer.campaigns import Campaign, Counts, NewCampaign
from engine.dialer.localtime import NoSuchTime, instant
from engine.errors import Duplicate, InvalidFields, NotFound, StateConflict
from engine.ids import token
from engine.media.library.sounds import Sounds
from engine.media.tts.resolve import resolve

SAFE_HARBOUR = "We are sorry that nobody is free to speak to you now. Please excuse this call. Goodbye."
MISSING = ("refuse", "skip", "empty")
_ID = re.compile(r"CM[0-9a-f]{10}")
_SIP = re.compile(r"sip:[A-Za-z0-9_.+\-]{1,64}@[A-Za-z0-9][A-Za-z0-9.\-]{0,252}(:\d{1,5})?", re.ASCII)
_MAILBOX = re.compile(r"\d{1,20}", re.ASCII)
_NAMED = re.compile(r"[A-Za-z0-9_.\-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CreateCampaign:
    """As the document has it, parsed; times as walls of ``time_zone`` show them. None and empty: not given."""

    list_id: str
    campaign_name: str
    campaign_type: int
    campaign_caller_id: str
    campaign_start_date: datetime
    campaign_end_date: datetime
    calls_per_minute: int
    dnd_list_id: str = ""
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    dynamic_announcement: bool | None = None
    announcement_text: str = ""
    recorded_filename: str = ""
    repeat: int = 1
    max_retries: int = 0
    retry_time: int = 300
    retry_on_statuses: Sequence[str] = ("NOANSWER", "BUSY")
    voice: str = ""
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    language_code: str = ""
    tts_engine_type: str = "standard"
    connect_to: str = ""
    safe_harbour_text: str = ""
    abandonment_percent: int | None = None
    missing_fields: str = "refuse"
    schedule: Mapping[str, Sequence[str]] = field(default_factory=dict)
    callee_zone: bool = False
    max_per_number_24h: int | None = None
    max_per_number_7d: int | None = None
    max_concurrent: int | None = None


async def create(ctx: Context, identity: Identity, command: CreateCampaign, key: Key | None = None) -> str:
    """The new campaign's id; one whose start has come is begun. Raises InvalidFields, Forbidden (caller id), NotFound (a
    list), StateConflict (key), Unavailable."""
    account, campaign_id = identity.account, token("CM")

    async def act() -> None:
        # Judged here, so that a repeated request is not judged by what has happened since.
        campaign = await _checked(ctx, account, command, campaign_id)
        try:
            made = await ctx.campaigns.add(campaign)
        except Duplicate:
            raise InvalidFields({"campaign_name": "is the name of another campaign of the account"}) from None
        if not made:
            raise NotFound("no list has this id")

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await ctx.campaigns.get(account.account, answer["campaign_id"]) is not None

    answer = await once(ctx, account.account, key, {"campaign_id": campaign_id}, act=act, happened=happened)
    return str(answer["campaign_id"])


# -- what is asked for, judged ---------------------------------------------------------------------------------------------


async def _checked(ctx: Context, account: Account, command: CreateCampaign, campaign_id: str) -> NewCampaign:
    wrong: dict[str, str] = {}
    caller_id = _caller_id(account, command.campaign_caller_id, wrong)
    start, end = _times(ctx, command, wrong)
    announcement = await _announcement(ctx, account, command, wrong)
    connect_to, targets = _target(ctx, account, command, wrong)
    _rules(command, wrong)
    await _lists(ctx, account, command, announcement, wrong)
    if wrong:
        raise InvalidFields(wrong)
    gate.check(account, "15550001234", caller_id, live_calls=0)
    text = announcement.get("text", "")
    percent = command.abandonment_percent
    return NewCampaign(
        id=campaign_id,
        account=account.account,
        name=command.campaign_name,
        type=command.campaign_type,
        list_id=command.list_id,
        dnd_list_id=command.dnd_list_id or None,
        caller_id=caller_id,
        announcement={
            **announcement,
            "targets": targets,
            "safe_harbour": (command.safe_harbour_text or SAFE_HARBOUR) if targets else "",
        },
        variables=() if command.missing_fields == "empty" else variables(text),
        missing=command.missing_fields,
        connect_to=connect_to,
        people=bool(targets),
        abandon_percent=account.limits.abandonment_percent if percent is None else percent,
        starts_at=start,
        ends_at=end,
        time_zone=command.time_zone.key,
        calls_per_minute=command.calls_per_minute,
        max_concurrent=command.max_concurrent,
        max_retries=command.max_retries,
        retry_seconds=command.retry_time,
        retry_on=tuple(command.retry_on_statuses),
        rules=_rules(command, wrong),
    )


def _caller_id(account: Account, text: str, wrong: dict[str, str]) -> str:
    try:
        return normalize(text, country=account.country)
    except BadNumber as error:
        wrong["campaign_caller_id"] = str(error)
        return ""


def _times(ctx: Context, command: CreateCampaign, wrong: dict[str, str]) -> tuple[datetime, datetime]:
    """A start that is past is no error, an end that is past is one."""
    now = ctx.now()
    times = {"campaign_start_date": command.campaign_start_date, "campaign_end_date": command.campaign_end_date}
    at: dict[str, datetime] = {}
    for name, wall in times.items():
        try:
            at[name] = instant(wall, command.time_zone)
        except NoSuchTime as error:
            wrong[name] = str(error)
    if len(at) == len(times):
        start, end = at.values()
        if end <= start:
            wrong["campaign_end_date"] = "must be after campaign_start_date"
        elif end <= now:
            wrong["campaign_end_date"] = "is past"
        else:
            return start, end
    return now, now + timedelta(days=1)


async def _announcement(
    ctx: Context, account: Account, command: CreateCampaign, wrong: dict[str, str]
) -> dict[str, Any]:
    """What is said, a text or a file, and how."""
    manner = {
        "repeat": command.repeat,
        "voice": command.voice,
        "language": command.language_code,
        "rate": command.rate,
        "pitch": command.pitch,
        "volume": command.volume,
        "engine": command.tts_engine_type,
    }
    spoken = bool(command.announcement_text) if command.dynamic_announcement is None else command.dynamic_announcement
    if spoken:
        _check_text(command, manner, wrong)
        return {**manner, "text": command.announcement_text}
    await _check_file(ctx, account, command.recorded_filename, wrong)
    return {**manner, "file": command.recorded_filename}


def _check_text(command: CreateCampaign, manner: Mapping[str, Any], wrong: dict[str, str]) -> None:
    text = command.announcement_text
    if not text:
        wrong["announcement_text"] = "is required: dynamic_announcement is 1"
        return
    bare = VARIABLE.sub("", text)
    if "{" in bare or "}" in bare:
        wrong["announcement_text"] = "has a brace that belongs to no variable"
        return
    for name, said in (
        ("announcement_text", VARIABLE.sub("1", text)),
        ("safe_harbour_text", command.safe_harbour_text),
    ):
        try:
            if said:
                resolve(speech(manner, said))
        except InvalidFields as error:
            wrong.update({name if key == "text" else key: reason for key, reason in error.fields.items()})


async def _check_file(ctx: Context, account: Account, name: str, wrong: dict[str, str]) -> None:
    if not name:
        wrong["recorded_filename"] = "is required: dynamic_announcement is 0"
        return
    try:
        await Sounds(ctx.library, ctx.objects).find(account.account, name)
    except NotFound as error:
        wrong["recorded_filename"] = error.message
    except InvalidFields as error:
        wrong["recorded_filename"] = "; ".join(error.fields.values())


def _target(ctx: Context, account: Account, command: CreateCampaign, wrong: dict[str, str]) -> tuple[str, list[str]]:
    """Where a campaign of type 1 leads, and the phones that this means when it is people."""
    if command.campaign_type == 0:
        if command.connect_to:
            wrong["connect_to"] = "is for campaign_type 1"
        return "", []
    target = command.connect_to or account.limits.campaign_connect
    reason, phones = judged(ctx, account, target)
    if reason:
        wrong["connect_to"] = reason if command.connect_to else f"the account's default ({target}) {reason}"
    return target, phones


def judged(ctx: Context, account: Account, target: str) -> tuple[str, list[str]]:
    """What is wrong with a target ("" for nothing), and the phones that it means."""
    kind, _, name = target.partition(":")
    if is_extension(target):
        return "", [target]
    if kind == "ivr" and _NAMED.fullmatch(name):
        return ("" if ctx.menu_exists(name) else "no menu has this name"), []
    if kind == "mailbox" and _MAILBOX.fullmatch(name):
        return "", []
    if kind == "group" and _NAMED.fullmatch(name):
        phones = groups(account).get(name, [])
        return ("" if phones else "no group has this name"), phones
    if _SIP.fullmatch(target):
        return "", []
    return "must be ivr:NAME, mailbox:N, sip:user@host, an extension or group:NAME", []


def groups(account: Account) -> dict[str, list[str]]:
    """The account's groups of phones."""
    parts = [each.split(":") for each in account.limits.groups]
    return {name: [phone for phone in phones if is_extension(phone)] for name, *phones in parts}


def _rules(command: CreateCampaign, wrong: dict[str, str]) -> dict[str, Any]:
    """``engine.dialer.port.Rules``; all of it only where it was asked for."""
    try:
        windows.week(command.schedule)
    except windows.BadSchedule as error:
        wrong["schedule"] = str(error)
    if command.callee_zone and not command.schedule:
        wrong["callee_zone"] = "needs a schedule"
    rules: dict[str, Any] = {}
    if command.schedule:
        rules |= {"zone": command.time_zone.key, "schedule": {day: list(s) for day, s in command.schedule.items()}}
    if command.callee_zone:
        rules["callee_zone"] = True
    caps = {"per_day": command.max_per_number_24h, "per_week": command.max_per_number_7d}
    return rules | {name: cap for name, cap in caps.items() if cap is not None}


async def _lists(
    ctx: Context, account: Account, command: CreateCampaign, announcement: Mapping[str, Any], wrong: dict[str, str]
) -> None:
    """Raises NotFound."""
    name, found = account.account, None
    if is_list(command.list_id):
        found = await ctx.lists.get(name, command.list_id, do_not_dial=False)
    if found is None:
        raise NotFound("no list has this list_id")
    if dnd := command.dnd_list_id:
        known = is_list(dnd, do_not_dial=True) and await ctx.lists.get(name, dnd, do_not_dial=True)
        if not known:
            raise NotFound("no do-not-dial list has this dnd_list_id")
    if not found.contacts:
        wrong["list_id"] = "the list is empty"
        return
    needed = variables(announcement.get("text", ""))
    if needed and command.missing_fields == "refuse" and not wrong:
        count, numbers = await ctx.campaigns.lacking(name, command.list_id, needed)
        if count:
            wrong["announcement_text"] = (
                f"{count} contacts lack one of {', '.join(needed)}, such as {', '.join(numbers)};"
                " missing_fields: skip leaves them out, empty says nothing in its place"
            )


# -- what is done to one ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """``done``: contacts with which nothing more will be done. ``ends_at``: an estimate; None when it does not run."""

    campaign: Campaign
    counts: Counts
    total: int
    done: int
    ends_at: datetime | None


async def show(ctx: Context, account: str | None, campaign_id: str) -> Campaign:
    found = await ctx.campaigns.get(account, campaign_id) if _ID.fullmatch(campaign_id) else None
    if found is None:
        raise _unknown()
    return found


async def progress(ctx: Context, account: str | None, campaign_id: str) -> Progress:
    campaign = await show(ctx, account, campaign_id)
    return progress_of(campaign, await ctx.campaigns.counts(campaign), ctx.now())


def progress_of(campaign: Campaign, counts: Counts, now: datetime) -> Progress:
    done, total = sum(counts.results.values()), campaign.total or 0
    ends = None
    if campaign.state in ("scheduled", "running"):
        left = timedelta(minutes=(total - done - counts.under_way) / campaign.calls_per_minute)
        ends = min(max(now, campaign.starts_at) + max(left, timedelta()), campaign.ends_at)
    return Progress(campaign, counts, total, done, ends)


async def stop(ctx: Context, account: str | None, campaign_id: str) -> None:
    """Nothing of it is dialled from now on; who is being rung is let go. Raises NotFound, StateConflict."""
    _outcome(await _known(ctx.campaigns.stop, account, campaign_id), "stopped")


async def pause(ctx: Context, account: str | None, campaign_id: str) -> None:
    _outcome(await _known(ctx.campaigns.pause, account, campaign_id), "paused")


async def resume(ctx: Context, account: str | None, campaign_id: str) -> None:
    _outcome(await _known(ctx.campaigns.resume, account, campaign_id), "resumed")


async def delete(ctx: Context, account: str | None, campaign_id: str) -> None:
    """Its CDRs and its ledger stay."""
    _outcome(await _known(ctx.campaigns.delete, account, campaign_id), "deleted")


async def pace(
    ctx: Context, account: str | None, campaign_id: str, *, per_minute: int | None, concurrent: int | None
) -> None:
    if not _ID.fullmatch(campaign_id):
        raise _unknown()
    outcome = await ctx.campaigns.pace(account, campaign_id, per_minute=per_minute, concurrent=concurrent)
    _outcome(outcome, "changed")


async def delete_list(ctx: Context, account: str, list_id: str) -> None:
    """Contacts and do-not-dial lists alike. Raises NotFound, StateConflict."""
    outcome = await ctx.campaigns.delete_list(account, list_id)
    if outcome is None:
        raise NotFound("no list has this id")
    if outcome == "used":
        raise StateConflict("a campaign that is not over needs the list")


async def _known(work: Any, account: str | None, campaign_id: str) -> str | None:
    outcome: str | None = await work(account, campaign_id) if _ID.fullmatch(campaign_id) else None
    return outcome


def _outcome(outcome: str | None, wanted: str) -> None:
    if outcome is None:
        raise _unknown()
    if outcome == "abandonment":
        raise StateConflict("too many of those who answered in the last 30 days were abandoned")
    if outcome != "done":
        raise StateConflict(f"the campaign is {outcome} and can't be {wanted}")


def _unknown() -> NotFound:
    return NotFound("no campaign has this id")
