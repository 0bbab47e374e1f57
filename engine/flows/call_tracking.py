"""A number of an advertisement: welcome the caller, ring those who may take the call in turn, tell them which number was
called, and where nobody answers keep a message. The same as YAML is in docs/menus.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.flows.menus.call import CallVoice
from engine.flows.menus.flow import facts_of
from engine.flows.menus.voice import Connect, Message, Saying
from engine.mail.port import NoPost, Post
from engine.sessions.session import Session
from engine.verbs.answer import answer
from engine.verbs.hangup import hangup

RING = 20.0
"""Seconds for each target."""


@dataclass(slots=True)
class CallTracking:
    """``params``, all texts: ``targets`` (numbers in turn, with commas), ``welcome``, ``whisper`` (said to whom answers),
    ``ring`` (seconds for each), ``message`` (said before one is recorded; none: no message), ``mail`` (who gets it)."""

    post: Post = field(default_factory=NoPost)

    async def __call__(self, session: Session, params: Mapping[str, Any]) -> str | None:
        caller = session.call.first
        if not await answer(session, caller):
            return None
        voice = CallVoice(session, caller, self.post, facts_of(params))
        talking = await voice.target() if session.resumed else None
        result = await voice.talk(talking) if talking else await _attend(voice, params)
        await hangup(session, caller)
        return result


async def _attend(voice: CallVoice, params: Mapping[str, Any]) -> str:
    if welcome := params.get("welcome"):
        await voice.say([Saying(welcome)])
    targets = tuple((each.strip(), float(params.get("ring", RING))) for each in params["targets"].split(","))
    whisper = params.get("whisper")
    outcome = await voice.connect(Connect(targets, (Saying(whisper),) if whisper else ()))
    if outcome == "connected" or not voice.here() or not params.get("message"):
        return outcome
    await voice.say([Saying(params["message"])])
    caller, dialed = voice.facts["caller"], voice.facts["dialed"]
    subject, text = f"Message from {caller}", f"{caller} called {dialed}, and nobody answered."
    kept = await voice.record(Message(mail=params.get("mail", ""), subject=subject, text=text))
    return "message" if kept else outcome
