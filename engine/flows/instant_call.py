"""Call a number and let it hear an audio file, or meet a menu."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.calls.model import Leg
from engine.flows.menus.call import CallVoice
from engine.flows.menus.flow import STEP, Menus, facts_of
from engine.flows.menus.runner import Runner
from engine.mail.port import NoPost, Post
from engine.sessions.session import Session
from engine.verbs import keys
from engine.verbs.dial import Dial, dial
from engine.verbs.hangup import hangup
from engine.verbs.play import play
from engine.verbs.present import present
from engine.verbs.wait import wait

ANNOUNCED, PARTLY = "announced", "partly_announced"
AFTER: Final = 0.3
"""Seconds until the last packets have come out of the party's jitter buffer."""


@dataclass(slots=True)
class InstantCall:
    """``params``: customer_number, caller_id, repeats (times that the file, or the menu's introduction, is heard), media
    (URI) and seconds of it, or menu; first_name, last_name, which texts of menus may say."""

    menus: Menus
    post: Post = field(default_factory=NoPost)

    async def __call__(self, session: Session, params: Mapping[str, Any]) -> str | None:
        options = Dial(
            "customer",
            params["customer_number"],
            params["caller_id"],
            ring_timeout=session.account.limits.destination_ring,
        )
        customer = await dial(session, options)
        if not customer.up or not await present(session, customer):
            return None
        result = await (self._meet if "menu" in params else _announce)(session, customer, params)
        await hangup(session, customer)
        return result

    async def _meet(self, session: Session, customer: Leg, params: Mapping[str, Any]) -> str:
        """A menu; after a restart the last one again. Whoever talks goes on talking."""
        facts = {**facts_of({"from": params["customer_number"], "dialed": params["customer_number"]}), **_names(params)}
        voice = CallVoice(session, customer, self.post, facts)
        if session.resumed and (target := await voice.target()) is not None:
            return await voice.talk(target)
        keys.flush(session, customer)
        book, last = self.menus.book, (session.call.step or "").removeprefix(STEP)
        path = [name for name in dict.fromkeys((params["menu"], last)) if name in book.entries]
        if not path:
            await play(session, customer, *session.services.prompts["error"], longest=15)
            return "no_menu"
        return await Runner(voice, book, repeats=params["repeats"]).run(*path)


def _names(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: params.get(name, "") for name in ("first_name", "last_name")}


async def _announce(session: Session, customer: Leg, params: Mapping[str, Any]) -> str:
    """After a restart it begins again."""
    await session.step("announcement")
    times = params["repeats"]
    played = await play(session, customer, params["media"], longest=(params["seconds"] + 1) * times, times=times)
    if not played.completed:
        return PARTLY
    await wait(session, AFTER, leg=customer)
    return ANNOUNCED
