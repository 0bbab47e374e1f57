"""Calls whose party has come by FastAGI: the verbs' suite behind the other door, on a real Asterisk."""

import asyncio
import secrets
from dataclasses import dataclass, field

from engine.calls.events import Kind
from engine.calls.model import Leg
from engine.config import FastAgi
from engine.sessions.session import Session
from engine.telephony.agi.line import AgiLine
from engine.telephony.agi.request import AgiRequest
from engine.telephony.agi.server import AgiServer
from engine.telephony.agi.switch import AgiSwitch
from engine.telephony.ari.switch import AriSwitch
from engine.telephony.events import ChannelEntered
from engine.testkit.asterisks import TRUNK
from tests.contract.verb_desk import BRING, CALLER_ID, Desk, dialled

COMES_WITHIN = 60.0


@dataclass
class AgiDesk(Desk):
    """The first party of each call is one of the simulator's, whose channel Asterisk sends into ``AGI()``; the others
    are dialled."""

    app: str = "agi-desk"
    server: AgiServer = field(init=False)
    coming: dict[str, asyncio.Future[AgiSwitch]] = field(default_factory=dict)
    requests: list[AgiRequest] = field(default_factory=list)
    back: dict[str, dict[str, str]] = field(default_factory=dict)
    """Channels that went on in the dialplan, and were sent to us by ``Stasis()`` then → what they know."""

    async def open(self) -> str:
        """``host:port`` of the door."""
        self.server = AgiServer(FastAgi(port=0), self._serve)
        await self.server.start()
        BRING.set(self.bring)
        return f"127.0.0.1:{self.server.port}"

    async def _serve(self, line: AgiLine, request: AgiRequest) -> None:
        assert isinstance(self.switch, AriSwitch)
        self.requests.append(request)
        switch = AgiSwitch(self.switch, self.app, line, request, self._take)
        await switch.enter(())
        self.coming[request.params["token"]].set_result(switch)
        await switch.over()

    async def bring(self, session: Session, number: str, role: str, attempt: int) -> Leg:
        if session.door is not None:
            return await dialled(session, number, role, attempt)
        token = secrets.token_hex(6)
        self.coming[token] = asyncio.get_running_loop().create_future()
        await self._originate(number, f"verbs?token={token}")
        async with asyncio.timeout(COMES_WITHIN):
            switch = await self.coming[token]
        channel = switch.channel_id
        leg = session.new_leg(role, number, f"PJSIP/{number}", channel_id=channel, attempt=attempt)
        self.registry.foreign[channel] = session.call.request_id
        session.switch = session.door = switch
        session.entered.add(channel)
        for kind in (Kind.LEG_DIALING, Kind.LEG_RINGING, Kind.LEG_ANSWERED):
            session.record(kind, leg=leg.n)
        switch.admit(session.call.request_id, lambda: session.until(lambda: channel in session.returned, 30))
        return leg

    def watch_who_comes_back(self) -> None:
        self.registry.arrive = lambda registry, event: registry.spawn(self._came_back(event), "back")

    async def _came_back(self, event: ChannelEntered) -> None:
        channel = event.channel.id
        names = ("TRUNKLINE_STATUS", "TRUNKLINE_RESULT", "TIMEOUT(absolute)")
        known = {name: await self.switch.get_variable(channel, name) for name in names}
        self.back[channel] = known | {"args": ",".join(event.args)}
        await self.switch.hangup(channel)

    async def _originate(self, number: str, script: str) -> None:
        assert isinstance(self.switch, AriSwitch)
        await self.switch._link.call(
            "channels",
            "originate",
            endpoint=f"PJSIP/{number}@{TRUNK}",
            context="trunkline",
            extension="agi",
            priority=1,
            callerId=CALLER_ID,
            variables={"TRUNKLINE_ARG": script},
        )
