"""How espeak-ng imitates the documents' voices: a language of its own, a variant and a pitch."""

from collections.abc import Mapping

from engine.media.tts.port import Utterance
from engine.media.tts.voices import VOICES

LANGUAGES: Mapping[str, str] = {
    "ar-AE": "ar",
    "arb": "ar",
    "ca-ES": "ca",
    "cmn-CN": "cmn",
    "cs-CZ": "cs",
    "cy-GB": "cy",
    "da-DK": "da",
    "de-AT": "de",
    "de-CH": "de",
    "de-DE": "de",
    "en-AU": "en-gb-x-rp",
    "en-GB": "en",
    "en-GB-WLS": "en-gb-x-gbclan",
    "en-IE": "en-gb-scotland",
    "en-IN": "en",
    "en-NZ": "en-gb-x-rp",
    "en-SG": "en",
    "en-US": "en-us",
    "en-ZA": "en-gb-x-rp",
    "es-ES": "es",
    "es-MX": "es-419",
    "es-US": "es-419",
    "fi-FI": "fi",
    "fr-BE": "fr-be",
    "fr-CA": "fr",
    "fr-FR": "fr",
    "hi-IN": "hi",
    "is-IS": "is",
    "it-IT": "it",
    "ja-JP": "ja",
    "ko-KR": "ko",
    "nb-NO": "nb",
    "nl-BE": "nl",
    "nl-NL": "nl",
    "pl-PL": "pl",
    "pt-BR": "pt-br",
    "pt-PT": "pt",
    "ro-RO": "ro",
    "ru-RU": "ru",
    "sv-SE": "sv",
    "tr-TR": "tr",
    "yue-CN": "yue",
}
"""The documents' codes → espeak-ng's; the nearest accent where it has none of its own."""

_VARIANTS: Mapping[str, tuple[str, ...]] = {
    "female": ("f2", "f5", "f3", "f4", "f1"),
    "male": ("m3", "m1", "m7", "m2", "m4"),
}
"""Variants of every language, so that the voices of one language differ."""
_CHILD = 130
"""Percent of the pitch."""


def _numbered() -> Mapping[str, int]:
    """Each voice's place among those of its language and gender."""
    seen: dict[tuple[str, str], int] = {}
    places = {}
    for voice in VOICES.values():
        places[voice.name] = seen.setdefault((voice.language, voice.gender), 0)
        seen[voice.language, voice.gender] += 1
    return places


_PLACES = _numbered()


def espeak_voice(utterance: Utterance) -> str:
    """``en-us+f2``"""
    variants = _VARIANTS[utterance.gender]
    return f"{LANGUAGES[utterance.language]}+{variants[_PLACES[utterance.voice] % len(variants)]}"


def espeak_pitch(utterance: Utterance) -> int:
    """Percent."""
    return utterance.pitch * (_CHILD if VOICES[utterance.voice].child else 100) // 100
