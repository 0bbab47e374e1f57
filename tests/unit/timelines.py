"""Calls made of events, for tests of the model."""

from datetime import UTC, datetime, timedelta

from engine.calls.events import Event, Kind
from engine.calls.model import Call, replay

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def call(*events: tuple, flow: str = "click_to_call", **params: str) -> Call:
    """``events``: (kind, seconds, leg, data)."""
    params = {"agent_number": "919979270001", "customer_number": "918000680002", "caller_id": "15168148111", **params}
    first = Event(
        Kind.CALL_CREATED, START, None,
        {"request_id": "57362de4f0", "account": "account_1", "flow": flow, "direction": "outbound", "params": params},
        1,
    )  # fmt: skip
    rest = [
        Event(kind, at(seconds), leg, data, seq)
        for seq, (kind, seconds, leg, data) in enumerate(events, 2)
    ]  # fmt: skip
    return replay([first, *rest])


def leg(n: int, role: str, seconds: float, number: str = "1") -> tuple:
    data = {"leg_id": f"leg-{n}", "role": role, "number": number, "endpoint": f"PJSIP/{number}@carrier",
            "channel_id": f"tl-57362de4f0-{n}", "server": "asterisk"}  # fmt: skip
    return (Kind.LEG_CREATED, seconds, n, data)


def dialing(n: int, seconds: float) -> tuple:
    return (Kind.LEG_DIALING, seconds, n, {"channel": f"PJSIP/carrier-0000000{n}"})


def ringing(n: int, seconds: float) -> tuple:
    return (Kind.LEG_RINGING, seconds, n, {})


def answered(n: int, seconds: float) -> tuple:
    return (Kind.LEG_ANSWERED, seconds, n, {})


def ended(n: int, seconds: float, **data: object) -> tuple:
    return (Kind.LEG_ENDED, seconds, n, {"q850": None, "sip_code": None, "hangup_by": None, "why": None, **data})


def over(seconds: float, reason: str = "completed") -> tuple:
    return (Kind.CALL_ENDED, seconds, None, {"end_reason": reason})
