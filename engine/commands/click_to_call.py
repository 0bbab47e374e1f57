"""Connect two parties: the agent is called first, then the destination."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.calls.account import Account, Identity
from engine.calls.numbers import BadNumber, normalize
from engine.commands import refusals
from engine.commands.calls import kept
from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.commands.placing import new_call, pass_gate
from engine.errors import Forbidden, InvalidFields

FLOW = "click_to_call"
RECORDING = {"both": "both", "on": "both", "agent": "agent", "customer": "customer", "off": "off"}
"""As a caller may say it → as the flow is told."""


@dataclass(frozen=True, slots=True)
class ClickToCall:
    """Numbers as a caller writes them; ``recording_option`` a value of RECORDING."""

    agent_number: str
    destination_number: str
    caller_id: str
    recording_option: str = "off"
    transcript: bool = False


async def execute(ctx: Context, identity: Identity, command: ClickToCall, key: Key | None = None) -> str:
    """Start the call and give its request id, when it is committed.

    Raises InvalidFields, Forbidden (gate, route), StateConflict (key used with another body), Unavailable.
    """
    params = params_of(identity.account, command)
    account = identity.account.account
    request_id = await ctx.calls.next_request_id()

    async def act() -> None:
        ctx.engine.accepting()
        call = new_call(ctx, account, request_id, FLOW, params)
        try:
            pass_gate(ctx, identity.account, parties(params), params["caller_id"])
        except Forbidden as refusal:
            await refusals.record(ctx, call, refusal)
            raise
        await ctx.engine.start_call(call)

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await kept(ctx, account, answer["request_id"])

    answer = await once(ctx, account, key, {"request_id": request_id}, act=act, happened=happened)
    return str(answer["request_id"])


def params_of(account: Account, command: ClickToCall) -> dict[str, Any]:
    """Of the call, numbers normalised. Raises InvalidFields."""
    numbers, wrong = {}, {}
    for name in ("agent_number", "destination_number", "caller_id"):
        try:
            numbers[name] = normalize(getattr(command, name), country=account.country)
        except BadNumber as error:
            wrong[name] = str(error)
    if wrong:
        raise InvalidFields(wrong)
    return {
        "agent_number": numbers["agent_number"],
        "customer_number": numbers["destination_number"],
        "caller_id": numbers["caller_id"],
        "recording_option": RECORDING[command.recording_option],
        "transcript": command.transcript,
    }


def parties(params: Mapping[str, Any]) -> tuple[str, str]:
    """Both numbers that are dialled."""
    return params["agent_number"], params["customer_number"]
