"""What became of a call, from how its last dialled party's leg ended (CONTRACT §3).

SIP codes are RFC 3261's, causes Q.850's. A refusal carries both; what never answered a packet carries neither.
"""

from dataclasses import dataclass

from engine.calls.model import Call, Leg

BUSY_CODES = frozenset({486, 600})
NO_ANSWER_CODES = frozenset({480, 487})
REJECTED_CODES = frozenset({401, 403, 407, 603, 607, 608})
CAUSE_BUSY, CAUSE_NO_ANSWER, CAUSE_REJECTED, CAUSE_CONGESTION = 17, 19, 21, 34


@dataclass(frozen=True, slots=True)
class Disposition:
    dial_status: str
    call_status: str | None


ANSWER = Disposition("ANSWER", "ANSWERED")
BUSY = Disposition("BUSY", "BUSY")
NOANSWER = Disposition("NOANSWER", "NO ANSWER")
CANCEL = Disposition("CANCEL", "NO ANSWER")
CONGESTION = Disposition("CONGESTION", "FAILED")
CHANUNAVAIL = Disposition("CHANUNAVAIL", "FAILED")
NEVER_DIALLED = Disposition("CANCEL", "FAILED")
DND = Disposition("DND", None)


_BY_CAUSE = {CAUSE_BUSY: BUSY, CAUSE_NO_ANSWER: NOANSWER, CAUSE_CONGESTION: CONGESTION}


def of_leg(leg: Leg) -> Disposition:
    if leg.answered_at:
        return ANSWER
    if leg.why in ("engine_restart", "gate"):
        return NEVER_DIALLED
    if leg.sip_code is None and (
        leg.why in ("cancelled", "elsewhere", "peer", "limit") or (leg.why and leg.why == "flow")
    ):
        return CANCEL
    if leg.why == "ring_timeout":
        return NOANSWER if leg.ringing_at or leg.progress_at else CHANUNAVAIL
    return _of_codes(leg)


def _of_codes(leg: Leg) -> Disposition:
    if leg.sip_code in BUSY_CODES:
        return BUSY
    if leg.sip_code in NO_ANSWER_CODES:
        return NOANSWER
    if leg.sip_code is not None:
        congested = leg.sip_code == 503 and leg.q850 == CAUSE_CONGESTION  # noqa: PLR2004 - RFC 3261
        return CONGESTION if congested else CHANUNAVAIL
    if (
        leg.q850 in _BY_CAUSE
    ):  # the code is not known of a leg that ended while nobody listened: CEL has the cause alone
        return _BY_CAUSE[leg.q850]
    rang = leg.ringing_at or leg.progress_at
    return NOANSWER if rang and leg.q850 in (0, 16, CAUSE_NO_ANSWER, None) else CHANUNAVAIL


def of_call(call: Call) -> Disposition:
    if call.end_reason == "dnd":
        return DND
    principal = call.principal()
    if call.end_reason == "gate":  # whoever is on the line was only told so
        return NEVER_DIALLED
    if principal is None:
        return CANCEL if call.end_reason == "cancelled" else NEVER_DIALLED
    return of_leg(principal)


def end_reason(leg: Leg) -> str:
    """Why a call ended whose fate is this leg's, in the words of CONTRACT §2."""
    if leg.answered_at:
        return "timeout" if leg.why == "limit" else "completed"
    if leg.why == "engine_restart":
        return "engine_restart"
    disposition = of_leg(leg)
    if disposition is CHANUNAVAIL and (leg.sip_code in REJECTED_CODES or leg.q850 == CAUSE_REJECTED):
        return "rejected"
    return {BUSY: "busy", NOANSWER: "no_answer", CANCEL: "cancelled"}.get(disposition, "failed")
