"""Campaign contacts as due calls: fed a few hundred at a time, judged once more at the instant of dialling."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.calls.numbers import EMERGENCY
from engine.dialer.campaigns import Campaign, Campaigns
from engine.dialer.kinds import Order, Plain, Skip
from engine.dialer.port import CANCELLED, DND, REFUSED, Due
from engine.errors import InvalidFields
from engine.media.library.port import Playable
from engine.media.library.sounds import Sounds
from engine.media.tts.port import Speaker, Speech

FLOW = "campaign_type_"
LEAST, MOST = 500, 3000
"""Contacts of one feeding; between them, what is dialled in ten seconds."""
KEPT = 256
"""Campaigns whose rows are remembered: what they say never changes."""
SOUND_FOR = 30.0
"""Seconds for which a file is taken for unchanged."""
VARIABLE = re.compile(r"\{([^{}]{1,64})\}")
_OWN = {"contact_name": "name", "name": "name"}


def filled(text: str, number: str, contact: Mapping[str, Any]) -> str:
    """The text as this contact hears it. A variable without a value is nothing."""
    fields: Mapping[str, str] = contact.get("fields", {})

    def value(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name in fields:
            return str(fields[name])
        if name in _OWN:
            return str(contact.get("name", ""))
        return number if name in ("contact_number", "number") else ""

    return VARIABLE.sub(value, text)


def variables(text: str) -> tuple[str, ...]:
    """Fields that a text needs, in turn."""
    found = dict.fromkeys(match[1].strip() for match in VARIABLE.finditer(text))
    return tuple(name for name in found if name not in (*_OWN, "contact_number", "number"))


def speech(announcement: Mapping[str, Any], text: str) -> Speech:
    manner = {name: announcement[name] for name in ("voice", "language", "rate", "pitch", "volume", "engine")}
    return Speech(text, **manner)


@dataclass(slots=True)
class CampaignKind(Plain):
    """Implements ``engine.dialer.kinds.Kind``."""

    table: Campaigns
    sounds: Sounds
    speaker: Speaker
    known: dict[str, Campaign] = field(default_factory=dict)
    files: dict[tuple[str, str], tuple[float, Playable]] = field(default_factory=dict)

    async def order(self, due: Due) -> Order | Skip:
        """Raises RequestError when its recorded file is gone; the due call then waits."""
        campaign = await self._campaign(due)
        if campaign is None:
            return Skip(CANCELLED)
        if due.number in EMERGENCY:
            return Skip(REFUSED)
        if await self.table.unwanted(campaign, due.number):
            return Skip(DND)
        params = await self._params(campaign, due)
        try:
            if "text" in params:
                self.speaker.check(speech(params, params["text"]))
        except InvalidFields:  # what a contact's fields made of it can't be said
            return Skip(REFUSED)
        return Order(f"{FLOW}{campaign.type}", params, campaign.caller_id)

    async def _campaign(self, due: Due) -> Campaign | None:
        campaign_id = due.campaign_id or ""
        if campaign_id not in self.known:
            found = await self.table.to_dial(campaign_id)
            if found is None:
                return None
            while len(self.known) >= KEPT:
                del self.known[next(iter(self.known))]
            self.known[campaign_id] = found
        return self.known[campaign_id]

    async def _params(self, campaign: Campaign, due: Due) -> dict[str, Any]:
        announcement = campaign.announcement
        params: dict[str, Any] = {
            "customer_number": due.number,
            "caller_id": campaign.caller_id,
            "list_id": campaign.list_id,
            "repeat": announcement["repeat"],
            **{name: announcement[name] for name in ("voice", "language", "rate", "pitch", "volume", "engine")},
        }
        if announcement.get("file"):
            sound = await self._sound(campaign.account, announcement["file"])
            params |= {"media": sound.media, "seconds": sound.duration}
        else:
            params["text"] = filled(announcement["text"], due.number, due.params)
        if campaign.type:
            params |= {
                "connect_to": campaign.connect_to,
                "targets": announcement.get("targets", []),
                "safe_harbour": announcement.get("safe_harbour", ""),
                "from": due.number,
                "dialed": campaign.caller_id,
            }
        return params

    async def _sound(self, account: str, name: str) -> Playable:
        now = asyncio.get_running_loop().time()
        held = self.files.get((account, name))
        if held is None or held[0] < now:
            if len(self.files) >= KEPT:
                self.files.clear()
            held = self.files[account, name] = (now + SOUND_FOR, await self.sounds.find(account, name))
        return held[1]

    async def ahead(self, due: Due) -> None:
        """Have its words spoken into the cache, so that who answers need not wait for them."""
        campaign = await self._campaign(due)
        if campaign is not None and campaign.announcement.get("text"):
            text = filled(campaign.announcement["text"], due.number, due.params)
            (await self.speaker.speak(speech(campaign.announcement, text))).close()

    async def feed(self, lane: str) -> None:
        campaign = await self.table.to_dial(lane)
        if campaign is not None:
            await self.table.feed(lane, min(max(campaign.calls_per_minute // 6, LEAST), MOST))

    async def drained(self, lane: str) -> None:
        await self.table.drained(lane)
