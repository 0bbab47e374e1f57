"""GET /api/get_live_call_statistics."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.api.route import Answer, Ask, Route
from engine.commands.context import LiveFlow

_COUNTERS = ("live_calls_c2c", "live_calls_campaign", "live_calls_inbound", "live_calls_otp")
_FLOWS = {
    "click_to_call": "live_calls_c2c",
    "callback": "live_calls_c2c",
    "odr": "live_calls_c2c",
    "otp": "live_calls_otp",
}


async def get(ask: Ask) -> Mapping[str, Any]:
    return {"result": counted(await ask.ctx.engine.live_flows(ask.name))}


def counted(found: Sequence[LiveFlow]) -> dict[str, int]:
    """Call-backs count as click-to-call; what is none of the four (a phone that dials out) is counted nowhere."""
    counts = dict.fromkeys(_COUNTERS, 0)
    for each in found:
        if counter := _counter(each):
            counts[counter] += each.calls
    return counts


def _counter(each: LiveFlow) -> str | None:
    if each.campaign:
        return "live_calls_campaign"
    if each.direction == "inbound":
        return "live_calls_inbound"
    return _FLOWS.get(each.flow)


_NUMBER = {"type": "integer"}
ROUTES = (
    Route(
        "GET",
        "/api/get_live_call_statistics",
        "How many calls are under way, by kind",
        get,
        scope="read",
        errors=(503,),
        answers={
            200: Answer(
                "Calls at every engine of the database",
                {"result": {"type": "object", "properties": dict.fromkeys(_COUNTERS, _NUMBER)}},
                {"result": dict.fromkeys(_COUNTERS, 0)},
            )
        },
    ),
)
