"""Texts of menus, rendered before anybody calls, so that no caller waits for a voice."""

from collections.abc import Iterator

import structlog

from engine.errors import InvalidFields
from engine.flows.menus.book import Book
from engine.flows.menus.model import PLACE, Sound, Step
from engine.flows.menus.runner import saying
from engine.flows.menus.voice import Saying
from engine.flows.menus.walk import walk
from engine.media.tts.port import Speaker, Speech

log = structlog.get_logger(__name__)


def sayings(book: Book) -> Iterator[Saying]:
    """What may be said of which every word is known, in each language that a caller may have come to."""
    steps = [part for entry in book.entries.values() for _, part in walk(entry.menu) if isinstance(part, Step)]
    chosen = {step.language for step in steps if step.language}
    seen = set[Saying]()
    for entry in book.entries.values():
        sounds = [part for _, part in walk(entry.menu) if isinstance(part, Sound) and part.play is None]
        for language in sorted({entry.page.menu.language, *chosen}):
            seen.update(saying(entry, sound, language) for sound in sounds)
    yield from (each for each in seen if any(map(str.isalnum, each.text)) and not PLACE.search(each.text))


async def render(book: Book, speaker: Speaker) -> None:
    """One after the other. What can't be said is heard of when it is to be."""
    count = 0
    for each in sayings(book):
        try:
            with await speaker.speak(
                Speech(each.text, each.voice, each.language, each.rate, each.pitch, each.volume)
            ) as spoken:
                count += not spoken.fallback
        except InvalidFields as error:
            log.warning("menu_text", error=str(error))
    log.info("menus_rendered", texts=count)
