"""Announce a one-time password by telephone.

The password goes from here to the call's flow through memory alone (``engine.sessions.codes``): it is no parameter of
the call, for those are written down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.calls.account import Account, Identity
from engine.calls.numbers import BadNumber, normalize
from engine.commands import refusals
from engine.commands.calls import kept
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.commands.otp_templates import APPROVED, find
from engine.commands.placing import new_call, pass_gate
from engine.errors import Forbidden, InvalidFields
from engine.media.tts.port import Speech
from engine.media.tts.resolve import resolve
from engine.store.port import NewCall, OtpTemplate

FLOW = "otp"


@dataclass(frozen=True, slots=True)
class OutboundCall:
    """Numbers as a caller writes them; ``otp`` letters and digits; the rest in the words of the document, empty for its
    default."""

    customer_number: str
    otp: str = field(repr=False)
    announce_template_id: str
    caller_id: str
    repeat: int = 1
    voice: str = ""
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    language_code: str = ""
    tts_engine_type: str = "standard"


async def execute(ctx: Context, identity: Identity, command: OutboundCall, key: Key | None = None) -> str:
    """Start the call and give its request id, when it is committed.

    Raises InvalidFields, Forbidden (gate, route), StateConflict (key used with another body), Unavailable.
    """
    account = identity.account.account
    params = await _params(ctx, identity.account, command)
    request_id = await ctx.calls.next_request_id()

    async def act() -> None:
        ctx.engine.accepting()
        call = new_call(ctx, account, request_id, FLOW, params)
        try:
            pass_gate(ctx, identity.account, [params["customer_number"]], params["caller_id"])
        except Forbidden as refusal:
            await refusals.record(ctx, call, refusal)
            raise
        await _start(ctx, call, command.otp)

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await kept(ctx, account, answer["request_id"])

    answer = await once(ctx, account, key, {"request_id": request_id}, act=act, happened=happened)
    return str(answer["request_id"])


async def _start(ctx: Context, call: NewCall, otp: str) -> None:
    ctx.codes.keep(call.request_id, otp)
    try:
        await ctx.engine.start_call(call)
    except BaseException:
        if ctx.engine.find(call.request_id) is None:
            ctx.codes.discard(call.request_id)
        raise


async def _params(ctx: Context, account: Account, command: OutboundCall) -> dict[str, Any]:
    """What the call is asked to do, without the password. Raises InvalidFields with all that is wrong."""
    wrong: dict[str, str] = {}
    numbers = _numbers(account, command, wrong)
    template = await find(ctx, account.account, command.announce_template_id)
    if template is None or template.state != APPROVED:
        wrong["announce_template_id"] = "is no approved template of the account"
    elif template.otp_type == "digits" and not command.otp.isdigit():
        wrong["otp"] = "must be digits alone: the template wants digits"
    manner = _manner(command, template, wrong)
    if wrong or template is None:
        raise InvalidFields(wrong)
    return {
        **numbers,
        "announce_template_id": template.id,
        "text": template.text,
        "repeat": command.repeat,
        **manner,
    }


def _numbers(account: Account, command: OutboundCall, wrong: dict[str, str]) -> dict[str, str]:
    numbers = {}
    for name in ("customer_number", "caller_id"):
        try:
            numbers[name] = normalize(getattr(command, name), country=account.country)
        except BadNumber as error:
            wrong[name] = str(error)
    return numbers


def _manner(command: OutboundCall, template: OtpTemplate | None, wrong: dict[str, str]) -> dict[str, str]:
    """How it is spoken: the request's voice, else its language, else the template's language."""
    language = command.language_code or ("" if command.voice or template is None else template.language)
    manner = {
        "voice": command.voice,
        "language": language,
        "rate": command.rate,
        "pitch": command.pitch,
        "volume": command.volume,
        "engine": command.tts_engine_type,
    }
    try:
        resolve(Speech("code", **manner))
    except InvalidFields as error:
        wrong.update(error.fields)
    return manner
