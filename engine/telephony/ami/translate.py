"""AMI message → typed event. Pure, and total: what is unknown or malformed becomes None."""

from collections.abc import Callable, Mapping
from typing import Final

from engine.telephony.manager import (
    ContactStatus,
    FullyBooted,
    ManagerEvent,
    PeerStatus,
    ShuttingDown,
    UserEvent,
)

Headers = Mapping[str, str]
"""Names in lower case."""

_MICROSECONDS: Final = 1_000_000
_NOT_THE_SENDERS: Final = frozenset({"event", "privilege", "userevent", "actionid", "systemname", "timestamp"})


def translate(headers: Headers, server: str) -> ManagerEvent | None:
    translator = _TABLE.get(headers.get("event", ""))
    return translator(headers, server) if translator else None


def _fully_booted(headers: Headers, server: str) -> ManagerEvent:
    uptime = headers.get("uptime", "")
    return FullyBooted(server, int(uptime) if uptime.isdecimal() else None)


def _shutdown(headers: Headers, server: str) -> ManagerEvent:
    return ShuttingDown(server, headers.get("restart", "") == "True")


def _contact_status(headers: Headers, server: str) -> ManagerEvent:
    round_trip = headers.get("roundtripusec", "")
    return ContactStatus(
        server,
        endpoint=headers.get("endpointname", ""),
        aor=headers.get("aor", ""),
        uri=headers.get("uri", ""),
        status=headers.get("contactstatus", ""),
        round_trip=int(round_trip) / _MICROSECONDS if round_trip.isdecimal() else None,
    )


def _peer_status(headers: Headers, server: str) -> ManagerEvent:
    return PeerStatus(server, headers.get("peer", ""), headers.get("peerstatus", ""))


def _user_event(headers: Headers, server: str) -> ManagerEvent:
    fields = {name: value for name, value in headers.items() if name not in _NOT_THE_SENDERS}
    return UserEvent(server, headers.get("userevent", ""), fields)


_TABLE: Final[dict[str, Callable[[Headers, str], ManagerEvent]]] = {
    "FullyBooted": _fully_booted,
    "Shutdown": _shutdown,
    "ContactStatus": _contact_status,
    "PeerStatus": _peer_status,
    "UserEvent": _user_event,
}
