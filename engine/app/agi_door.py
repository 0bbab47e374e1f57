"""Callers whom the dialplan sends by ``AGI(agi://…)``."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from engine.config import Config
from engine.errors import TelephonyError
from engine.sessions.arrival import ENTRANCES, Arrivals
from engine.sessions.registry import Registry
from engine.sessions.services import Flow
from engine.telephony.agi.line import AgiLine
from engine.telephony.agi.request import AgiRequest
from engine.telephony.agi.switch import AgiSwitch
from engine.telephony.ari.switch import AriSwitch

NO_FLOW: Final = "no_flow"
"""The flow of an AGI request whose path could be none's name."""


@dataclass(frozen=True, slots=True)
class AgiDoor:
    config: Config
    registry: Registry
    switches: Mapping[str, AriSwitch]
    arrivals: Arrivals
    flow_of: Callable[[str], Flow | None]

    async def take(self, line: AgiLine, request: AgiRequest) -> None:
        """A caller by FastAGI, until that one has gone. One whom we can't take goes on in the dialplan."""
        base = self._server_of(line, request)
        if base.name not in self.registry.settled:
            return
        if self.flow_of(request.flow) is None and request.flow not in ENTRANCES:
            line.send(f'VERBOSE "Trunkline has no flow called {request.flow or NO_FLOW}" 1')
        door = AgiSwitch(base, self.config.app, line, request, self.registry.dispatch)
        params = (f"{name}={value}" for name, value in request.params.items())
        with contextlib.suppress(TelephonyError):
            event = await door.enter(("flow", request.flow or NO_FLOW, request.exten, *params))
            await self.arrivals.by_door(self.registry, door, event)

    def _server_of(self, line: AgiLine, request: AgiRequest) -> AriSwitch:
        """The server that is named in the request, else the one at the address that it comes from, else the first."""
        hosts = {server.name: urlsplit(server.ari).hostname for server in self.config.asterisk}
        here = [name for name, host in hosts.items() if host == line.peer]
        name = request.params.get("server", here[0] if here else "")
        return self.switches.get(name) or next(iter(self.switches.values()))
