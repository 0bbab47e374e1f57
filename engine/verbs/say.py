"""Speak a text to one party."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from engine.calls.model import Leg
from engine.media.tts.port import Speech
from engine.sessions.session import Session
from engine.verbs.play import Played, play

FALLBACK_LASTS = 30.0
"""Seconds that a recorded prompt, whose length is not known, may take."""


@dataclass(frozen=True, slots=True)
class Say:
    """A text and how it is spoken; the values of the documents. Empty: the default voice, that of ``language``."""

    text: str
    voice: str = ""
    language: str = ""
    rate: str | int = "medium"
    pitch: str = "medium"
    volume: str = "medium"
    engine_type: str = "standard"

    def speech(self) -> Speech:
        return Speech(self.text, self.voice, self.language, self.rate, self.pitch, self.volume, self.engine_type)


Prompt = str | Say
"""A media URI, or a text to be spoken."""


@dataclass(frozen=True, slots=True)
class Playlist:
    """Media URIs that stand for prompts, in turn; ``seconds`` that their speech lasts; what is otherwise than asked."""

    media: tuple[str, ...]
    seconds: float
    note: str


async def say(
    session: Session,
    leg: Leg,
    text: str,
    *,
    voice: str = "",
    language: str = "",
    rate: str | int = "medium",
    pitch: str = "medium",
    volume: str = "medium",
    engine_type: str = "standard",
    stop_when: Callable[[], bool] | None = None,
) -> Played:
    """Speak a text to a party that is up; wait for its end. Raises InvalidFields for what can't be said."""
    prompt = Say(text, voice, language, rate, pitch, volume, engine_type)
    return await play_prompts(session, leg, (prompt,), stop_when=stop_when)


async def play_prompts(
    session: Session, leg: Leg, prompts: Sequence[Prompt], *, stop_when: Callable[[], bool] | None = None
) -> Played:
    """Play files and spoken texts in turn, as one. Raises InvalidFields for a text that can't be said."""
    with ExitStack() as held:
        playlist = await rendered(session, held, prompts)
        longest = playlist.seconds + FALLBACK_LASTS * len(prompts)
        return await play(session, leg, *playlist.media, longest=longest, stop_when=stop_when, note=playlist.note)


async def rendered(session: Session, held: ExitStack, prompts: Sequence[Prompt]) -> Playlist:
    """Every text as a file that stays until ``held`` is closed. Raises InvalidFields."""
    media: list[str] = []
    seconds, notes = 0.0, dict[str, None]()
    for prompt in prompts:
        if isinstance(prompt, str):
            media.append(prompt)
            continue
        spoken = held.enter_context(await session.services.speaker.speak(prompt.speech()))
        media.append(spoken.media)
        seconds += spoken.duration
        if spoken.note:
            notes[spoken.note] = None
    return Playlist(tuple(media), seconds, "; ".join(notes))
