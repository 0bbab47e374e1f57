"""Calls of the call-control API: from an extension, a device, a feature code or a number to those.

``click2dial`` (and ``default``) calls ``from``, then ``to``; ``click2dialme`` calls ``to``, then ``from``; ``odr`` calls
``to`` alone, which then meets what ``from`` leads to. A feature code can't be rung: with one on either side the other is
called and then meets it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.calls.account import Account, Identity
from engine.calls.mac import mac_of
from engine.calls.numbers import BadNumber, is_extension, normalize
from engine.commands import click_to_call, refusals
from engine.commands.calls import kept
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.commands.placing import new_call, pass_gate
from engine.errors import Forbidden, InvalidFields

ODR = "odr"
TYPES = ("click2dial", "click2dialme", ODR, "default")
PARTIES = ("extension", "device", "feature_code", "pstn")
APPLICATIONS = {"*43": "echo", "*97": "mailbox"}
"""Feature codes of the dialplan (dialplan/softphones.conf) → its subroutine that does the same for the engine."""


@dataclass(frozen=True, slots=True)
class Party:
    """``destination`` as it came, ``type`` one of PARTIES."""

    destination: str
    type: str


@dataclass(frozen=True, slots=True)
class Create:
    source: Party
    to: Party
    type: str = "default"


async def execute(ctx: Context, identity: Identity, command: Create, key: Key | None = None) -> str:
    """Start the call and give its request id, when it is committed.

    Raises InvalidFields, Forbidden (gate, route), StateConflict (key used with another body), Unavailable.
    """
    account = identity.account
    flow, params = await _meaning(ctx, account, command)
    request_id = await ctx.calls.next_request_id()

    async def act() -> None:
        ctx.engine.accepting()
        call = new_call(ctx, account.account, request_id, flow, params)
        try:
            pass_gate(ctx, account, _numbers(params), params["caller_id"])
        except Forbidden as refusal:
            await refusals.record(ctx, call, refusal)
            raise
        await ctx.engine.start_call(call)

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await kept(ctx, account.account, answer["request_id"])

    answer = await once(ctx, account.account, key, {"request_id": request_id}, act=act, happened=happened)
    return str(answer["request_id"])


async def _meaning(ctx: Context, account: Account, command: Create) -> tuple[str, dict[str, Any]]:
    """The flow and its parameters. Raises InvalidFields with all that is wrong."""
    wrong: dict[str, str] = {}
    found = {name: await resolve(ctx, account, name, getattr(command, name), wrong) for name in ("source", "to")}
    if wrong:
        raise InvalidFields(wrong)
    source, to = found["source"], found["to"]
    shown = min(account.caller_ids, default="")
    common = {"caller_id": shown, "asked": {"from": source, "to": to, "type": command.type}}
    codes = {name for name in found if getattr(command, name).type == "feature_code"}
    if command.type == ODR and "to" in codes:
        raise InvalidFields({"to": "is called: it can't be a feature code"})
    if len(codes) > 1:
        raise InvalidFields({"to": "can't be a feature code too: somebody must be called"})
    if command.type == ODR or codes:
        met = "to" if "to" in codes else "source"
        party = source if met == "to" else to
        return ODR, common | _odr(ctx, account, party, getattr(command, met), found[met], field=_FIELDS[met])
    first, second = (to, source) if command.type == "click2dialme" else (source, to)
    numbers = {"agent_number": first, "customer_number": second}
    return click_to_call.FLOW, common | numbers | {"recording_option": "off", "transcript": False}


_FIELDS = {"source": "from", "to": "to"}


async def resolve(ctx: Context, account: Account, name: str, party: Party, wrong: dict[str, str]) -> str:
    """Digits, or the feature code."""
    text = party.destination.strip()
    try:
        if party.type == "feature_code":
            return _feature_code(text)
        if party.type == "device":
            return await _device(ctx, account, text)
        return _number(text, extension=party.type == "extension", country=account.country)
    except BadNumber as error:
        wrong[_FIELDS[name]] = f"destination {error}"
        return ""


def _number(text: str, *, extension: bool, country: str) -> str:
    if extension != is_extension(text):
        raise BadNumber(
            "must be an extension of 3 to 6 digits" if extension else "must be a telephone number of 7 to 15 digits"
        )
    return normalize(text, country=country)


def _feature_code(text: str) -> str:
    if 0 < len(text) <= 20 and set(text) <= set("0123456789*#"):  # noqa: PLR2004
        return text
    raise BadNumber("must be a feature code: digits, * and #")


async def _device(ctx: Context, account: Account, text: str) -> str:
    """The extension as which the device has registered."""
    device = await ctx.devices.get(account.account, mac_of(text) or text)
    if device is None:
        raise BadNumber("is no device of the account")
    return device.extension


def _odr(ctx: Context, account: Account, party: str, met: Party, code: str, *, field: str) -> dict[str, Any]:
    """``then``: what the called party meets: a flow with its parameters, a subroutine of the dialplan, or a number."""
    then: dict[str, Any]
    if (leads := ctx.engine.leads_to(account.account, code)) is not None:
        then = {"flow": leads[0], "params": dict(leads[1])}
    elif met.type == "feature_code" and code in APPLICATIONS:
        if APPLICATIONS[code] == "mailbox" and not is_extension(party):
            raise InvalidFields({field: "destination is a mailbox of its owner's own phone"})
        then = {"application": APPLICATIONS[code]}
    elif met.type in ("extension", "device"):
        then = {"number": code}
    else:
        raise InvalidFields({field: "destination leads nowhere"})
    return {"customer_number": party, "from": party, "dialed": code, "then": then}


def _numbers(params: Mapping[str, Any]) -> list[str]:
    """All that may be dialled in the call."""
    numbers = [params.get("agent_number"), params["customer_number"], params.get("then", {}).get("number")]
    return [number for number in numbers if number]
