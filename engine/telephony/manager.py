"""What the engine asks of, and hears from, the manager interface (AMI) of an Asterisk server.

The call itself is ARI's business. AMI tells about the server and its phones, and carries the operators' commands as
UserEvents.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ManagerEvent:
    server: str


@dataclass(frozen=True, slots=True)
class ManagerUp(ManagerEvent):
    """Logged in; actions can be sent and events flow."""


@dataclass(frozen=True, slots=True)
class ManagerLost(ManagerEvent):
    """The link broke; what happens until the next ManagerUp is not told."""


@dataclass(frozen=True, slots=True)
class FullyBooted(ManagerEvent):
    """All modules are loaded. Told at each login to a server that has booted."""

    uptime: int | None
    """Seconds since Asterisk started."""


@dataclass(frozen=True, slots=True)
class ShuttingDown(ManagerEvent):
    restart: bool


@dataclass(frozen=True, slots=True)
class ContactStatus(ManagerEvent):
    """A registration or a qualified contact changed: Created, Updated, Reachable, Unreachable, Removed, …"""

    endpoint: str
    aor: str
    uri: str
    status: str
    round_trip: float | None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class PeerStatus(ManagerEvent):
    """An endpoint as a whole: ``PJSIP/101`` is Reachable or Unreachable."""

    peer: str
    status: str


@dataclass(frozen=True, slots=True)
class UserEvent(ManagerEvent):
    """What an operator, or the dialplan, sent. ``fields`` has their names in lower case."""

    name: str
    fields: Mapping[str, str]


ManagerSink = Callable[[ManagerEvent], None]
"""Takes each event, in order, at once and without waiting."""

Fields = Mapping[str, str | Sequence[str]]
"""Headers of an action; a sequence repeats the header."""


class Manager(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def up(self) -> bool: ...

    async def action(self, name: str, fields: Fields | None = None) -> list[dict[str, str]]:
        """Send an action, give its answer and the events that belong to it, header names in lower case. It is sent
        once or never. Raises LinkDown, RequestTimedOut, Refused or UnsafeValue."""

    async def user_event(self, name: str, fields: Mapping[str, str] | None = None) -> None:
        """Tell all AMI clients of that server."""
