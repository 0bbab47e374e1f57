"""From what was asked for to what an engine is told, with a word about each difference. Pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from engine.errors import InvalidFields
from engine.media.tts import text, voices, words
from engine.media.tts.port import Speech, Utterance
from engine.media.tts.voices import Voice

T = TypeVar("T")


def resolve(speech: Speech, *, neural: bool = True) -> tuple[Utterance, str]:
    """The utterance and its note, for an engine that has ``neural`` voices or none. Raises InvalidFields with every field that is wrong, not the first alone."""
    wrong: dict[str, str] = {}

    def field(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except InvalidFields as error:
            wrong.update(error.fields)
            return otherwise

    code = field(lambda: voices.language_code(speech.language) if speech.language.strip() else "", "")
    voice = field(lambda: _voice(speech.voice, code), voices.VOICES[voices.DEFAULT])
    language = code if code in voice.others else voice.language
    utterance = Utterance(
        script=field(lambda: text.script(speech.text), ()),
        voice=voice.name,
        language=language,
        gender=voice.gender,
        rate=field(lambda: words.rate_percent(speech.rate), 100),
        pitch=field(lambda: words.pitch_percent(speech.pitch), 100),
        volume=field(lambda: words.volume_word(speech.volume), "medium"),
        neural=field(lambda: words.wants_neural(speech.engine), False),
    )
    if wrong:
        raise InvalidFields(wrong)
    return _offered(utterance, voice, code, neural=neural)


def _voice(name: str, code: str) -> Voice:
    """A voice that is named wins over the language."""
    if name.strip():
        return voices.by_name(name)
    return voices.first_of(code) if code else voices.VOICES[voices.DEFAULT]


def _offered(utterance: Utterance, voice: Voice, code: str, *, neural: bool) -> tuple[Utterance, str]:
    notes = [f"{voice.name} speaks {utterance.language}, not {code}"] if code not in ("", utterance.language) else []
    if utterance.neural and not (voice.neural and neural):
        utterance = replace(utterance, neural=False)
        notes = [*notes, f"{voice.name} has no neural voice{' here' if voice.neural else ''}: standard"]
    elif neural and not utterance.neural and not voice.standard:
        utterance = replace(utterance, neural=True)
        notes = [*notes, f"{voice.name} has no standard voice: neural"]
    return utterance, "; ".join(notes)
