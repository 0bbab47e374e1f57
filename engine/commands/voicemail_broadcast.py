"""Leave a recorded message in the mailbox of a number."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.calls.account import Account, Identity
from engine.calls.numbers import BadNumber, is_extension, normalize
from engine.commands import refusals
from engine.commands.calls import kept
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.commands.placing import new_call, pass_gate
from engine.commands.webhooks import PARAM, checked_url, notify_param
from engine.errors import FetchFailed, Forbidden, InvalidFields, NotFound
from engine.media.library.fetched import Fetched
from engine.media.library.port import Playable
from engine.media.library.sounds import Sounds

FLOW = "voicemail_broadcast"
LEAST_DIGITS = 10
FETCHED_WITHIN = 20.0
"""Seconds that the server of a media URL has: whoever asks waits meanwhile."""
TOLL_FREE = ("1", "800", "888", "877", "866", "855")
"""What a caller's number of ten digits may not begin with."""
TRIGGERS: Mapping[str, str] = {
    "on_create": "call.created",
    "on_ring": "call.ringing",
    "on_answer": "call.answered",
    "on_hangup": "call.ended",
    "on_record": "recording.ready",
}
"""The document's triggers → types of messages."""


@dataclass(frozen=True, slots=True)
class VoicemailBroadcast:
    """In the words of the request-type document; what is empty was left out. ``dtmf_duration`` in milliseconds,
    ``wait_time`` in seconds."""

    destination_number: str
    client_media_file_id: str = ""
    media_url: str = ""
    callerid_name: str = ""
    callerid_number: str = ""
    privacy: bool = False
    enable_recording: bool = False
    wait_time: int = 15
    voicemail_detect: bool = True
    fork_call: bool = True
    pre_dtmf: str = ""
    post_dtmf: str = ""
    dtmf_duration: int = 500
    notify_callback_triggers: tuple[str, ...] = ()
    notify_callback_url: str = ""
    meta_data: Any = None


async def execute(ctx: Context, identity: Identity, command: VoicemailBroadcast, key: Key | None = None) -> str:
    """Start the call and give its request id, when it is committed. A media URL is fetched before.

    Raises InvalidFields, Forbidden (gate, route), StateConflict (key used with another body), Unavailable, StoreAway.
    """
    account = identity.account.account
    params, sound = await _params(ctx, identity.account, command)
    request_id = await ctx.calls.next_request_id()

    async def act() -> None:
        ctx.engine.accepting()
        try:
            pass_gate(ctx, identity.account, [params["customer_number"]], params["caller_id"])
        except Forbidden as refusal:
            await refusals.record(ctx, new_call(ctx, account, request_id, FLOW, params), refusal)
            raise
        played = _played(sound or await _fetched(ctx, account, command.media_url))
        await ctx.engine.start_call(new_call(ctx, account, request_id, FLOW, {**params, **played}))

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await kept(ctx, account, answer["request_id"])

    answer = await once(ctx, account, key, {"request_id": request_id}, act=act, happened=happened)
    return str(answer["request_id"])


async def _params(
    ctx: Context, account: Account, command: VoicemailBroadcast
) -> tuple[dict[str, Any], Playable | None]:
    """What the flow is told but for a sound that must be fetched, and the sound if it is here. Raises InvalidFields with
    all that is wrong."""
    wrong: dict[str, str] = {}
    params: dict[str, Any] = {
        "customer_number": _destination(account, command, wrong),
        "caller_id": _caller_id(account, command, wrong),
        "caller_name": command.callerid_name,
        "privacy": command.privacy,
        "recording": command.enable_recording,
        "wait_time": command.wait_time,
        "detect": command.voicemail_detect,
        "fork": command.fork_call,
        "pre_dtmf": command.pre_dtmf,
        "post_dtmf": command.post_dtmf,
        "dtmf_duration": command.dtmf_duration,
    }
    sound = await _sound(ctx, account.account, command, wrong)
    params |= await _notify(ctx, command, wrong)
    if command.meta_data is not None:
        params["meta_data"] = command.meta_data
    if wrong:
        raise InvalidFields(wrong)
    return params, sound


def _destination(account: Account, command: VoicemailBroadcast, wrong: dict[str, str]) -> str:
    try:
        digits = normalize(command.destination_number, country=account.country)
    except BadNumber as error:
        wrong["destination_number"] = str(error)
        return ""
    if is_extension(digits) or len(digits) < LEAST_DIGITS:
        wrong["destination_number"] = f"must have at least {LEAST_DIGITS} digits"
    return digits


def _caller_id(account: Account, command: VoicemailBroadcast, wrong: dict[str, str]) -> str:
    """The account's country and the ten digits; else the first of the account's caller ids. The gate judges whose it is."""
    number = command.callerid_number
    if number:
        national = number.removeprefix("+1") if number.startswith("+") else number
        if national.startswith(TOLL_FREE):
            wrong["callerid_number"] = f"must not begin with {', '.join(TOLL_FREE)}"
        return normalize(number, country=account.country)
    if command.privacy:
        wrong["callerid_number"] = "is required with privacy"
    return min(account.caller_ids, default="")


async def _sound(ctx: Context, account: str, command: VoicemailBroadcast, wrong: dict[str, str]) -> Playable | None:
    """The sound of the library; None when one is to be fetched, or wrong."""
    if not command.client_media_file_id:
        if not command.media_url:
            wrong["client_media_file_id"] = "is required, unless media_url is given"
        else:
            await _checked_media_url(ctx, command.media_url, wrong)
        return None
    try:
        return await Sounds(ctx.library, ctx.objects).find(account, command.client_media_file_id)
    except NotFound:
        wrong["client_media_file_id"] = "no media has this id"
    except InvalidFields as error:
        wrong["client_media_file_id"] = error.fields.get("file", str(error))
    return None


async def _checked_media_url(ctx: Context, url: str, wrong: dict[str, str]) -> None:
    try:
        await checked_url(ctx.sender.guard, url, field="media_url")
    except InvalidFields as error:
        wrong.update(error.fields)


async def _notify(ctx: Context, command: VoicemailBroadcast, wrong: dict[str, str]) -> dict[str, Any]:
    """The call's param that makes messages of its events. URL and triggers need each other."""
    url, triggers = command.notify_callback_url, command.notify_callback_triggers
    if url and not triggers:
        wrong["notify_callback_triggers"] = "is required with notify_callback_url"
    elif triggers and not url:
        wrong["notify_callback_url"] = "is required with notify_callback_triggers"
    elif url:
        try:
            types = [TRIGGERS[each] for each in triggers]
            return {PARAM: await notify_param(ctx.sender.guard, url, types, field="notify_callback_url")}
        except InvalidFields as error:
            wrong.update(error.fields)
    return {}


async def _fetched(ctx: Context, account: str, url: str) -> Playable:
    """Raises InvalidFields, Unavailable."""
    try:
        async with asyncio.timeout(FETCHED_WITHIN):
            return await Fetched(ctx.library, ctx.sender).get(account, url)
    except FetchFailed as error:
        raise InvalidFields({"media_url": str(error)}) from None
    except TimeoutError:
        raise InvalidFields({"media_url": f"did not come within {FETCHED_WITHIN:g} s"}) from None


def _played(sound: Playable) -> dict[str, Any]:
    return {"media": sound.media, "media_seconds": round(sound.duration, 3)}
