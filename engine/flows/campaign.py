"""Calls of campaigns: something is said to a contact; one of type 1 is then connected.

``params``: customer_number, caller_id, list_id; what is said as ``text`` (with voice, language, rate, pitch, volume, engine)
or as ``media`` that lasts ``seconds``, ``repeat`` times; and for type 1 ``connect_to``, ``targets`` (its phones, when it means
people) and ``safe_harbour`` (what is said when none of them is there in time).
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine import ids
from engine.calls.model import Leg
from engine.errors import TelephonyError
from engine.media.tts.port import Speech
from engine.sessions.services import Flow
from engine.sessions.session import Session
from engine.verbs.bridge import join, talk
from engine.verbs.dial import Dial, dial
from engine.verbs.dial_many import DialMany, Target, dial_many
from engine.verbs.play import play
from engine.verbs.present import present
from engine.verbs.say import say
from engine.verbs.voicemail import voicemail
from engine.verbs.wait import wait

TYPE_0, TYPE_1 = "campaign_type_0", "campaign_type_1"
ANNOUNCED, PARTLY, NOT = "announced", "partly_announced", "not_announced"
CONNECTED, ABANDONED, NOT_CONNECTED = "connected", "abandoned", "not_connected"
CONNECTING = "connecting"
"""The step at which the announcement is over: the ledger's clock runs from here (sql/migrations/0017_campaigns.sql)."""
CLOCK = 2.0
"""Seconds within which somebody has to be there; the rules of the FTC and of Ofcom."""
IN_TIME = CLOCK - 0.1
"""Seconds after which nobody can be connected within them any more."""
BETWEEN = 0.8
"""Seconds between two announcements."""
AFTER = 0.5
"""Seconds for the last packets, and for a key that is pressed at the end."""
RING = 60.0


async def campaign_type_0(session: Session, params: Mapping[str, Any]) -> str | None:
    contact = await _reach(session, params)
    if not contact.up:
        return None
    await session.step("announcement")
    session.result = NOT
    said = await _announce(session, contact, params)
    if said == ANNOUNCED:
        await wait(session, AFTER, leg=contact)
    return said


@dataclass(frozen=True, slots=True)
class CampaignType1:
    """``menus``: the flow that leads through menus."""

    menus: Flow

    async def __call__(self, session: Session, params: Mapping[str, Any]) -> str | None:
        contact = await _reach(session, params)
        if not contact.up:
            return None
        agent = session.call.leg("agent")
        if session.resumed and agent is not None and agent.up:
            return await _talk(session, contact, agent)
        with contextlib.ExitStack() as ended:
            people = _People(session, contact, params) if params.get("targets") else None
            if people is not None:
                ended.callback(people.cancel)
            if not _beyond_announcement(session):
                await session.step("announcement")
                await _announce(session, contact, params)
            if not contact.alive:
                return None
            if not _beyond_announcement(session):
                await session.step(CONNECTING)
            return await (people.connect() if people else self._connect(session, contact, params))

    async def _connect(self, session: Session, contact: Leg, params: Mapping[str, Any]) -> str | None:
        kind, _, name = str(params["connect_to"]).partition(":")
        if kind == "ivr":
            return await self.menus(session, {**params, "menu": name})
        if kind == "mailbox":
            return await _leave_message(session, contact, name)
        return await _call_uri(session, contact, params)


async def _reach(session: Session, params: Mapping[str, Any]) -> Leg:
    options = Dial(
        "customer",
        params["customer_number"],
        params["caller_id"],
        ring_timeout=session.account.limits.destination_ring,
    )
    return await dial(session, options)


def _beyond_announcement(session: Session) -> bool:
    step = session.call.step or ""
    return session.resumed and (step == CONNECTING or step.startswith("menu:"))


# -- what is said --------------------------------------------------------------------------------------------------------


async def _announce(session: Session, contact: Leg, params: Mapping[str, Any]) -> str:
    there = session.spawn(_there(session, contact), "present")
    if params.get("media"):
        await there
        return await _repeated(session, contact, params["repeat"], (params["media"],), params["seconds"])
    with await session.services.speaker.speak(_speech(params)) as spoken:
        await there
        if spoken.fallback:
            await play(session, contact, spoken.media, longest=30, note=spoken.note)
            return NOT
        return await _repeated(
            session, contact, params["repeat"], (spoken.media,), spoken.duration, note=spoken.note
        )  # fmt: skip


async def _there(session: Session, contact: Leg) -> None:
    await present(session, contact)


def _speech(params: Mapping[str, Any]) -> Speech:
    return Speech(
        params["text"],
        voice=params["voice"],
        language=params["language"],
        rate=params["rate"],
        pitch=params["pitch"],
        volume=params["volume"],
        engine=params["engine"],
    )


async def _repeated(
    session: Session, contact: Leg, times: int, media: tuple[str, ...], seconds: float, *, note: str = ""
) -> str:
    for n in range(times):
        if n and not await wait(session, BETWEEN, leg=contact):
            return PARTLY
        session.result = PARTLY
        played = await play(session, contact, *media, longest=seconds + 5, note=note)
        if not played.completed:
            return PARTLY
    session.result = ANNOUNCED
    return ANNOUNCED


# -- what it is connected to ---------------------------------------------------------------------------------------------


class _People:
    """Phones of ours, which ring while the announcement is heard. Who answers hears nothing until it is over."""

    def __init__(self, session: Session, contact: Leg, params: Mapping[str, Any]) -> None:
        self._session = session
        self._contact = contact
        self._params = params
        targets = tuple(Target(number, RING) for number in params["targets"])
        options = DialMany((targets,), params["caller_id"], caller=contact, role="agent", hear="")
        self._reached = asyncio.ensure_future(dial_many(session, options))
        self._reached.add_done_callback(lambda _: session.waiters.wake())

    def cancel(self) -> None:
        self._reached.cancel()

    async def connect(self) -> str:
        session, contact = self._session, self._contact
        session.result = ABANDONED
        await session.until(lambda: self._reached.done() or not contact.up, IN_TIME)
        if not contact.up:
            return NOT_CONNECTED
        agent = self._reached.result().leg if self._reached.done() else None
        if agent is not None and agent.up:
            return await _talk(session, contact, agent)
        await self._excuse()
        return ABANDONED

    async def _excuse(self) -> None:
        session, params = self._session, self._params
        self.cancel()
        await session.attempt(
            *(session.hangup(leg, "cancelled") for leg in session.live_legs() if leg.role == "agent")
        )  # fmt: skip
        await say(session, self._contact, params["safe_harbour"], voice=params["voice"], language=params["language"])


async def _talk(session: Session, contact: Leg, agent: Leg) -> str:
    bridge = ids.bridge_id(session.call.request_id)
    if not await join(session, bridge, contact, agent):
        return NOT_CONNECTED
    session.result = CONNECTED
    await talk(session, bridge, contact, agent)
    return CONNECTED


async def _leave_message(session: Session, contact: Leg, mailbox: str) -> str:
    try:
        left = await voicemail(session, contact, mailbox)
    except TelephonyError:
        return NOT_CONNECTED
    return {"left": "message", "failed": NOT_CONNECTED}.get(left.reason, left.reason)


async def _call_uri(session: Session, contact: Leg, params: Mapping[str, Any]) -> str:
    """A SIP URI, over the trunk that reached the contact."""
    trunk = contact.endpoint.partition("@")[2] or contact.endpoint.removeprefix("PJSIP/")
    options = Dial(
        "agent", params["connect_to"], params["caller_id"], ring_timeout=RING, alongside=contact, trunk=trunk
    )
    await session.attempt(session.switch.ring(contact.channel_id))
    try:
        agent = await dial(session, options)
    finally:
        if contact.up:
            await session.attempt(session.switch.ring_stop(contact.channel_id))
    return await _talk(session, contact, agent) if agent.up and contact.up else NOT_CONNECTED
